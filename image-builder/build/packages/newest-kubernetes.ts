// Which versions of Kubernetes there are beyond that of a build: of its own minor version, and of later ones.
import { endOfLifeOf, type KubernetesVersion, parseVersion } from '../../spec/variables/kubernetes/minors.ts';
import { REPOSITORY } from '../../spec/variables/kubernetes/node.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { ResolvedRepository } from '../../spec/variables/resolved-multistrap.ts';
import { ArchiveAccess } from '../../stages/rootfs/archive-access.ts';
import { RootfsError } from '../../stages/rootfs/rootfs-error.ts';
import { type AskingOptions, inScratch } from './resolution.ts';

/** The newest package of a minor version. */
export interface KubernetesRelease {
  /** `1.38` */
  minor: string;
  /** `1.38.1-1.1` */
  version: string;
  /** Day (YYYY-MM-DD) after which nobody fixes it any more, as far as this program knows. */
  endOfLife?: string;
}

/** More are never asked for: kubeadm upgrades by one at a time. */
const MOST_MINORS = 3;

/**
 * The newest release of the minor version of a build, and those of the ones after it: in the repository of Kubernetes, and
 * where it has those of other minor versions. Empty for a build without that repository.
 * @throws RootfsError when the repository cannot be read
 */
export async function newestKubernetes(
  resolved: ResolvedBuild,
  options: AskingOptions,
): Promise<KubernetesRelease[]> {
  const repository = resolved.rootfs.multistrap.repos.find(({ name }) => name === REPOSITORY);
  const version = parseVersion(resolved.kubernetes?.version ?? '');
  if (repository === undefined || version === undefined) return [];
  const own = await newestOf(resolved, repository, version, options);
  const releases = own ? [own] : [];
  for (let number = version.number + 1; number <= version.number + MOST_MINORS; number++) {
    const minor = `1.${number}`;
    const move = (uri: string) => otherMinor(uri, version.minor, minor);
    const source = move(repository.source);
    if (source === repository.source) break;
    const { keyring_url } = repository;
    const moved = { ...repository, source, ...(keyring_url && { keyring_url: move(keyring_url) }) };
    const sources = (resolved.sources[REPOSITORY] ?? []).map(move);
    const found = await newestOf(
      { ...resolved, sources: { [REPOSITORY]: sources } },
      moved,
      { text: minor, minor, number },
      options,
    ).catch((error: unknown) => {
      // There is none, or it has another key: whoever wants it will be told.
      if (error instanceof RootfsError) return undefined;
      throw error;
    });
    if (found === undefined) break;
    releases.push(found);
  }
  return releases;
}

/** `https://pkgs.k8s.io/core:/stable:/v1.37/deb` to that of v1.38; the same for what names no minor version. */
const otherMinor = (uri: string, from: string, to: string): string =>
  uri.replace(new RegExp(`(/v?)${from.replace('.', '\\.')}(?=/|$)`), `$1${to}`);

async function newestOf(
  { distribution, mirror, sources, rootfs, origins }: ResolvedBuild,
  repository: ResolvedRepository,
  version: KubernetesVersion,
  options: AskingOptions,
): Promise<KubernetesRelease | undefined> {
  // What is not there is not waited for.
  const multistrap = { ...rootfs.multistrap, multistrap_retries: 0, repos: [repository] };
  const inputs = { distribution, mirror, sources, multistrap, origins };
  const versions = await inScratch(options, async (context) => {
    const archive = await ArchiveAccess.open(inputs, context);
    return await archive.apt.versions('kubelet');
  });
  // The newest come first.
  const newest = versions.find((one) => parseVersion(one)?.minor === version.minor);
  if (newest === undefined) return undefined;
  const endOfLife = endOfLifeOf(version);
  return { minor: version.minor, version: newest, ...(endOfLife !== undefined && { endOfLife }) };
}
