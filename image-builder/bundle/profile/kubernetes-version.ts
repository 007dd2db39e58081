// The Kubernetes version that a package version stands for.

/** Debian epoch, upstream version with an optional pre-release, and whatever the distribution appended. */
const PACKAGE_VERSION =
  /^(?:[0-9]+:)?v?([0-9]+\.[0-9]+\.[0-9]+)(?:[-~]((?:alpha|beta|rc)\.?[0-9]+))?(?![0-9.])/;

/**
 * The version as Kubernetes writes it, for a version of the package: `1.34.2-1.1` and `1.21.2-00` give `v1.34.2` and
 * `v1.21.2`, `1.32.3+ds-2` gives `v1.32.3`, `1.35.0~rc.1-1.1` gives `v1.35.0-rc.1`.
 * Undefined when the text has no patch version: half a version would only fail later, in a cluster.
 */
export function kubernetesVersion(packageVersion: string): string | undefined {
  const [, release, prerelease] = PACKAGE_VERSION.exec(packageVersion.trim()) ?? [];
  if (release === undefined) return undefined;
  return prerelease === undefined ? `v${release}` : `v${release}-${prerelease}`;
}
