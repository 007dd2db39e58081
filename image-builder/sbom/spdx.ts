// The bill of materials of one disk as an SPDX 2.3 document (https://spdx.github.io/spdx-spec/v2.3/). A pure function: the
// same disk gives the same bytes. docs/how-to/read-bills-of-materials.md tells what is in it.
import { createHash } from 'node:crypto';
import { timeStamp } from '../base/time-stamp.ts';
import { type InstalledPackage, parseStatus } from './installed-packages.ts';
import type { Inventory, UnownedFile } from './inventory.ts';
import { licenceExpression } from './licences.ts';
import { debPackageUrl, filePackageUrl, imagePackageUrl, type OperatingSystem } from './package-url.ts';

/** A package file that was installed. */
export interface PackageArchive {
  name: string;
  version: string;
  architecture: string;
  /** Where it is, without a login. */
  url?: string;
  /** Hex. */
  sha256?: string;
}

/** A file that the build has fetched into the tree. */
export interface FetchedFile {
  /** Without a login. */
  url: string;
  /** Absolute path in the tree. */
  path: string;
}

/** A script of the spec that has run in the tree. */
export interface ExecutedScript {
  /** `user_scripts[0] (setup)`, `scripts/common/10-tune.sh`. */
  label: string;
  content: string;
}

/** What a document is made from. */
export interface DiskContent {
  disk: { file: string; sha256: string };
  /** Seconds since the epoch. */
  created: number;
  inventory: Inventory;
  archives: readonly PackageArchive[];
  fetched: readonly FetchedFile[];
  scripts: readonly ExecutedScript[];
}

const NONE = 'NOASSERTION';
const DOCUMENT = 'SPDXRef-DOCUMENT';
const DISK = 'SPDXRef-Disk';
const FILES = 'SPDXRef-Files';

type Relation = 'DESCRIBES' | 'CONTAINS' | 'DEPENDS_ON' | 'OTHER';

/** @returns JSON text with a line break at its end */
export function spdxDocument(content: DiskContent): string {
  const { disk, inventory } = content;
  const system = operatingSystem(inventory.osRelease);
  const installed = parseStatus(inventory.status);
  const licences = new Map<string, string>();
  const systemId = `SPDXRef-OperatingSystem-${idPart(system.id)}`;
  const relationships: object[] = [];
  const relate = (from: string, relation: Relation, to: string) =>
    relationships.push({ spdxElementId: from, relationshipType: relation, relatedSpdxElement: to });

  relate(DOCUMENT, 'DESCRIBES', DISK);
  relate(DISK, 'CONTAINS', systemId);
  const debs = debPackages(installed, system, content, licences);
  for (const { SPDXID } of debs) relate(systemId, 'CONTAINS', SPDXID);
  for (const [from, to] of dependencies(installed)) relate(from, 'DEPENDS_ON', to);

  const others = [
    ...fetchedPackages(content),
    ...scriptPackages(content),
    ...imagePackages(inventory),
    ...largeFilePackages(inventory),
  ];
  for (const { SPDXID } of others) relate(DISK, 'CONTAINS', SPDXID);
  const ordinary = inventory.files.filter(isOrdinary);
  const files = ordinary.map(spdxFile);
  if (files.length > 0) relate(DISK, 'CONTAINS', FILES);
  for (const { SPDXID } of files) relate(FILES, 'CONTAINS', SPDXID);

  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name: disk.file,
    documentNamespace: `https://airshipit.org/image-builder/spdx/${encodeURIComponent(disk.file)}-${disk.sha256}`,
    creationInfo: { created: timeStamp(content.created), creators: ['Tool: image-builder'] },
    packages: [
      diskPackage(disk, system),
      systemPackage(systemId, system),
      ...debs,
      ...others,
      ...(files.length > 0 ? [filesPackage(ordinary, inventory.omitted)] : []),
    ],
    ...(files.length > 0 && { files }),
    ...(licences.size > 0 && { hasExtractedLicensingInfos: extractedLicences(licences) }),
    relationships,
  };
  return `${JSON.stringify(document)}\n`;
}

function diskPackage(disk: DiskContent['disk'], { id, version }: OperatingSystem) {
  return {
    ...plain(DISK, disk.file),
    versionInfo: `${id}-${version}`,
    packageFileName: disk.file,
    primaryPackagePurpose: 'OPERATING-SYSTEM',
    checksums: [sha256Of(disk.sha256)],
  };
}

/** By the prefix of its identifier trivy knows the system; without it, it looks at no package. */
function systemPackage(SPDXID: string, { id, version }: OperatingSystem) {
  return { ...plain(SPDXID, id), versionInfo: version, primaryPackagePurpose: 'OPERATING-SYSTEM' };
}

function debPackages(
  installed: readonly InstalledPackage[],
  system: OperatingSystem,
  { archives, inventory }: DiskContent,
  licences: Map<string, string>,
) {
  const files = new Map(archives.map((one) => [keyOf(one), one]));
  return installed.map((one) => {
    const archive = files.get(keyOf(one));
    const licence = licenceExpression(inventory.licences.get(one.name) ?? []);
    for (const [id, name] of licence?.references ?? []) licences.set(id, name);
    return {
      ...plain(debId(one), one.name, archive?.url),
      versionInfo: one.version,
      supplier: supplierOf(one.maintainer),
      ...(archive?.sha256 !== undefined && { checksums: [sha256Of(archive.sha256)] }),
      // In these words trivy reads the source package.
      sourceInfo: `built package from: ${one.source.name} ${one.source.version}`,
      licenseDeclared: licence?.expression ?? NONE,
      externalRefs: [packageUrl(debPackageUrl(one, system))],
    };
  });
}

function fetchedPackages({ fetched, inventory }: DiskContent) {
  return fetched.map(({ url, path }, index) => {
    const sha256 = inventory.wanted.get(path);
    const name = path.split('/').at(-1) ?? path;
    return {
      ...plain(`SPDXRef-Download-${index + 1}`, path, isFetchable(url) ? url : undefined),
      primaryPackagePurpose: 'FILE',
      ...(sha256 !== undefined && { checksums: [sha256Of(sha256)] }),
      externalRefs: [packageUrl(filePackageUrl(name, url, sha256))],
    };
  });
}

function scriptPackages({ scripts }: DiskContent) {
  return scripts.map(({ label, content }, index) => ({
    ...plain(`SPDXRef-Script-${index + 1}`, label),
    summary: 'a script that was run while the image was made',
    checksums: [sha256Of(createHash('sha256').update(content).digest('hex'))],
  }));
}

function imagePackages({ images }: Inventory) {
  return images.map(({ digest, names }, index) => {
    const [name = digest] = names;
    return {
      ...plain(`SPDXRef-Image-${index + 1}`, name),
      versionInfo: digest,
      primaryPackagePurpose: 'CONTAINER',
      ...(names.length > 1 && { comment: `also ${names.slice(1).join(', ')}` }),
      externalRefs: [packageUrl(imagePackageUrl(name, digest))],
    };
  });
}

/** A file that SPDX takes for one: it wants the SHA-1 of each (clause 8.4). */
type OrdinaryFile = Required<UnownedFile>;

const isOrdinary = (file: UnownedFile): file is OrdinaryFile => file.sha1 !== undefined;

/** Large files that came in no package; those that were fetched are told as such. */
function largeFilePackages({ files, wanted }: Inventory) {
  const large = files.filter((file) => !isOrdinary(file) && !wanted.has(file.path));
  return large.map(({ path, sha256 }, index) => ({
    ...plain(`SPDXRef-LargeFile-${index + 1}`, path),
    primaryPackagePurpose: 'FILE',
    checksums: [sha256Of(sha256)],
  }));
}

/** Files that came in no package; SPDX wants them below a package, whose verification code covers them (clause 7.9). */
function filesPackage(files: readonly OrdinaryFile[], omitted: number) {
  const sums = files.map(({ sha1 }) => sha1).sort();
  const packageVerificationCodeValue = createHash('sha1').update(sums.join('')).digest('hex');
  return {
    ...plain(FILES, 'files of no package'),
    filesAnalyzed: true,
    packageVerificationCode: { packageVerificationCodeValue },
    ...(omitted > 0 && { comment: `${omitted} further files are not listed` }),
  };
}

function spdxFile({ path, sha1, sha256 }: OrdinaryFile, index: number) {
  return {
    SPDXID: `SPDXRef-File-${index + 1}`,
    fileName: `.${path}`,
    checksums: [{ algorithm: 'SHA1', checksumValue: sha1 }, sha256Of(sha256)],
    licenseConcluded: NONE,
    copyrightText: NONE,
  };
}

function extractedLicences(licences: ReadonlyMap<string, string>) {
  return [...licences]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([licenseId, name]) => ({
      licenseId,
      name,
      extractedText: `${name}: the text is in /usr/share/doc/*/copyright of the packages that declare it`,
    }));
}

/** What every package has to have. */
function plain(SPDXID: string, name: string, downloadLocation?: string) {
  return {
    SPDXID,
    name,
    downloadLocation: downloadLocation ?? NONE,
    filesAnalyzed: false,
    licenseConcluded: NONE,
    licenseDeclared: NONE,
    copyrightText: NONE,
  };
}

const packageUrl = (referenceLocator: string) => ({
  referenceCategory: 'PACKAGE-MANAGER',
  referenceType: 'purl',
  referenceLocator,
});

const sha256Of = (checksumValue: string) => ({ algorithm: 'SHA256', checksumValue });

/** Addresses that SPDX takes for a download location (clause 7.7). */
const isFetchable = (url: string): boolean => /^(?:https?|ftp):\/\/\S+$/.test(url);

/** Names hold `+`, which identifiers may not; no name has a capital, so no two of them meet. */
const idPart = (text: string): string =>
  /^[A-Za-z0-9.-]*$/.test(text)
    ? text
    : text.replace(/[^A-Za-z0-9.-]/g, (one) => `.${one.charCodeAt(0).toString(16).toUpperCase()}`);

const debId = ({ name, architecture }: InstalledPackage): string =>
  `SPDXRef-Package-${idPart(name)}-${idPart(architecture)}`;

const keyOf = ({ name, version, architecture }: Pick<PackageArchive, 'name' | 'version' | 'architecture'>) =>
  `${name} ${version} ${architecture}`;

/** `Organization: Debian GRUB Maintainers (pkg-grub-devel@lists.debian.org)`. */
function supplierOf(maintainer: string | undefined): string {
  const [, name, address] = /^\s*"?([^"<]+?)"?\s*<([^<>\s]+)>/.exec(maintainer ?? '') ?? [];
  if (!name || !address) return NONE;
  const many = /maintainers|developers|team|group|project|authors|packagers|package|security|list|\bunix\b/i;
  const kind = many.test(name) || /@(?:lists|tracker)\b/.test(address) ? 'Organization' : 'Person';
  return `${kind}: ${name.replace(/[()]/g, '')} (${address})`;
}

/** Which package needs which: of alternatives the first that is there, by its own name or as what another provides. */
function dependencies(installed: readonly InstalledPackage[]): [string, string][] {
  const ids = new Map(installed.map((one) => [one, debId(one)]));
  const candidates = new Map<string, InstalledPackage[]>();
  const add = (name: string, one: InstalledPackage) => {
    const others = candidates.get(name);
    if (others) others.push(one);
    else candidates.set(name, [one]);
  };
  for (const one of installed) add(one.name, one);
  for (const one of installed) for (const name of one.provides) add(name, one);
  return installed.flatMap((one) => {
    const needed = new Set<InstalledPackage>();
    for (const alternatives of one.depends) {
      const name = alternatives.find((alternative) => candidates.has(alternative));
      const some = (name !== undefined && candidates.get(name)) || [];
      const found = some.find(({ architecture }) => architecture === one.architecture) ?? some[0];
      if (found && found !== one) needed.add(found);
    }
    const idOf = (known: InstalledPackage) => ids.get(known) ?? debId(known);
    return [...needed].map((other): [string, string] => [idOf(one), idOf(other)]);
  });
}

/** Of os-release(5): a system that does not say what it is, is `linux` there. */
function operatingSystem(text: string): OperatingSystem {
  const value = (name: string) => new RegExp(`^${name}=["']?([^"'\\n]*)`, 'm').exec(text)?.[1] || undefined;
  return { id: value('ID') ?? 'linux', version: value('VERSION_ID') ?? 'unknown' };
}
