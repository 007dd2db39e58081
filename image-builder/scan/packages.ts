// What is installed on a disk, from its bill of materials: an SPDX 2.3 document of ours, of syft or of debsbom.
import { asMap, asText, listOf, optionalText, parseDocument } from './fields.ts';
import { ScanError } from './scan-error.ts';
import type { DiskPackages, SourcePackage } from './vulnerability.ts';

/** A package URL of a .deb, taken apart (https://github.com/package-url/purl-spec). */
export interface DebPackageUrl {
  namespace: string;
  name: string;
  version?: string;
  qualifiers: ReadonlyMap<string, string>;
}

/** @returns undefined for a URL of another type, or a malformed one */
export function parseDebPackageUrl(text: string): DebPackageUrl | undefined {
  const [, namespace, name, version, query = ''] =
    /^pkg:deb\/([^/@?#]+)\/([^/@?#]+)(?:@([^?#]+))?(?:\?([^#]*))?(?:#.*)?$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined) return undefined;
  try {
    const qualifiers = query.split('&').map((part): [string, string] => {
      const [key = '', ...rest] = part.split('=');
      return [key, decodeURIComponent(rest.join('='))];
    });
    return {
      namespace: decodeURIComponent(namespace),
      name: decodeURIComponent(name),
      ...(version !== undefined && { version: decodeURIComponent(version) }),
      qualifiers: new Map(qualifiers),
    };
  } catch {
    return undefined;
  }
}

/**
 * @param disk file name of the disk
 * @throws ScanError
 */
export function packagesOf(content: Uint8Array, disk: string): DiskPackages {
  const where = `the bill of materials of ${disk}`;
  const document = asMap(parseDocument(content, where), where);
  const packages = listOf(document.packages, `${where}: packages`, asMap);
  const sources = new Map<string, SourcePackage>();
  let distribution: string | undefined;
  for (const [index, one] of packages.entries()) {
    const place = `${where}: packages[${index}]`;
    const url = debUrlOf(one, place);
    if (url?.version === undefined) continue;
    distribution ??= url.qualifiers.get('distro');
    const binary = { name: url.name, version: url.version, architecture: url.qualifiers.get('arch') ?? '' };
    const { name, version } = advisorySource(sourceOf(one, url, place), binary.version);
    const key = `${name} ${version}`;
    const source = sources.get(key) ?? { name, version, binaries: [] };
    source.binaries.push(binary);
    sources.set(key, source);
  }
  const system = systemOf(packages, distribution);
  if (sources.size === 0 || !system)
    throw new ScanError('SCAN_SBOM_UNUSABLE', `${where} names no packages of Debian or Ubuntu`);
  const sha256 = diskDigest(packages);
  return { disk, ...(sha256 && { sha256 }), system, packages: [...sources.values()] };
}

function debUrlOf(one: Record<string, unknown>, where: string): DebPackageUrl | undefined {
  const references = listOf(one.externalRefs, `${where}.externalRefs`, asMap);
  const locator = references.find(({ referenceType }) => referenceType === 'purl')?.referenceLocator;
  return typeof locator === 'string' ? parseDebPackageUrl(locator) : undefined;
}

/** As we and trivy write it, or as syft does: `upstream=util-linux@2.41-5`, only where it is another. */
function sourceOf(one: Record<string, unknown>, url: DebPackageUrl, where: string) {
  const info = optionalText(one.sourceInfo, `${where}.sourceInfo`) ?? '';
  const [, named, said] = /^built package from: (\S+) (\S+)$/.exec(info) ?? [];
  if (named !== undefined && said !== undefined) return { name: named, version: said };
  const [name = url.name, version = url.version ?? ''] = (url.qualifiers.get('upstream') ?? url.name).split(
    '@',
  );
  return { name, version };
}

/**
 * A signed kernel is built from a source package of its own, whose version has a plus for the minus; advisories know the
 * kernel's.
 */
function advisorySource(source: { name: string; version: string }, binaryVersion: string) {
  return /^linux-signed(-|$)/.test(source.name) ? { name: 'linux', version: binaryVersion } : source;
}

function systemOf(packages: readonly Record<string, unknown>[], distribution: string | undefined) {
  const system = packages.find(
    ({ SPDXID }) => typeof SPDXID === 'string' && SPDXID.startsWith('SPDXRef-OperatingSystem'),
  );
  if (system)
    return {
      id: asText(system.name, 'the operating system'),
      version: asText(system.versionInfo, 'the version of the operating system'),
    };
  const [, id, version] = /^([a-z]+)-([0-9.]+)$/.exec(distribution ?? '') ?? [];
  return id !== undefined && version !== undefined ? { id, version } : undefined;
}

function diskDigest(packages: readonly Record<string, unknown>[]): string | undefined {
  const disk = packages.find(({ SPDXID }) => SPDXID === 'SPDXRef-Disk');
  const sums = listOf(disk?.checksums, 'checksums', asMap);
  const value = sums.find(({ algorithm }) => algorithm === 'SHA256')?.checksumValue;
  return typeof value === 'string' ? value : undefined;
}
