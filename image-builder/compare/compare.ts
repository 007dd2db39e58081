// What differs between two bundles. Pure.

import type { ArtifactPartition, Artifacts, Checksums } from '../bundle/model.ts';
import { type Change, changesBetween } from '../pipeline/input-changes.ts';
import { compareDebianVersions } from '../scan/debian-version.ts';
import type {
  Comparison,
  ImageChange,
  PackageChange,
  SizeChange,
  Subject,
  VariableChange,
} from './comparison.ts';
import { compareEvidence } from './evidence.ts';
import { compareMaterials } from './materials.ts';
import { compareVulnerabilities } from './vulnerabilities.ts';

/** Compares two bundles; `a` is the earlier one. */
export function compareBundles(a: Subject, b: Subject): Comparison {
  const packages = a.packages && b.packages ? comparePackages(a.packages, b.packages) : [];
  const identical = a.digest === b.digest;
  return {
    a: identify(a),
    b: identify(b),
    identical,
    variables: compareVariables(a, b),
    packages,
    images: compareImages(a.artifacts, b.artifacts),
    ...(a.evidence && b.evidence && { evidence: compareEvidence(a.evidence, b.evidence) }),
    ...(a.materials && b.materials && { materials: compareMaterials(a.materials, b.materials) }),
    ...(a.vulnerabilities &&
      b.vulnerabilities && { vulnerabilities: compareVulnerabilities(a.vulnerabilities, b.vulnerabilities) }),
    unknown: identical ? [] : [...new Set([...unknownOf(a, b), ...unknownOf(b, a)])],
  };
}

/** What a bundle does not tell. */
function unknownOf({ name, packages, artifacts, evidence }: Subject, other: Subject): string[] {
  const vague = Object.values(artifacts.qcows).filter(({ partitions }) => !partitions);
  return [
    ...(packages ? [] : [`${name} does not list its packages`]),
    ...(evidence || !other.evidence ? [] : [`who has signed ${name} cannot be asked for`]),
    ...(vague.length > 0
      ? [`${name} does not describe the partitions of ${vague.map(({ file }) => file).join(', ')}`]
      : []),
  ];
}

function identify({ name, image, digest }: Subject): Comparison['a'] {
  return { name, image, digest };
}

/** Told by the list of packages, where there is one. */
const DERIVED = ['installed_versions', 'kernel_version', 'kubernetes'];
/** Other names for what is told under its own. */
const ALIASES = ['ubuntu_packages'];
/** Ansible's own variables, which bundles of the predecessor have among the others. */
const LEAKED = /^(ansible_.*|hostvars|groups|group_names|inventory_.*|omit|play_hosts|playbook_dir)$/;

function compareVariables(a: Subject, b: Subject): VariableChange[] {
  const skipped = a.packages && b.packages ? DERIVED : [];
  const relevant = (variables: Record<string, unknown> = {}) => {
    const left = [...skipped, ...('packages' in variables ? ALIASES : [])];
    return Object.fromEntries(
      Object.entries(variables).filter(([name]) => !LEAKED.test(name) && !left.includes(name)),
    );
  };
  const changes = new Map<string, VariableChange>();
  for (const profile of namesOf(a.profiles, b.profiles)) {
    if (!a.profiles[profile] || !b.profiles[profile]) {
      const change = { path: profile, ...(b.profiles[profile] ? { after: 'added' } : { before: 'removed' }) };
      changes.set(profile, { ...change, profiles: [profile] });
      continue;
    }
    for (const change of changesBetween(relevant(a.profiles[profile]), relevant(b.profiles[profile]))) {
      const identity = JSON.stringify([change.path, change.before, change.after]);
      const known = changes.get(identity);
      if (known) known.profiles.push(profile);
      else changes.set(identity, { ...change, profiles: [profile] });
    }
  }
  return [...changes.values()];
}

type Packages = NonNullable<Subject['packages']>;

/** The changes by package name. */
export function comparePackages(a: Packages, b: Packages): PackageChange[] {
  return namesOf(a, b).flatMap((name): PackageChange[] => {
    const [before, after] = [a[name], b[name]];
    if (!before) return after ? [{ name, change: 'added', after: after.version }] : [];
    if (!after) return [{ name, change: 'removed', before: before.version }];
    const order = compareDebianVersions(before.version, after.version);
    const isMoved = before.architecture !== after.architecture;
    if (order === 0 && before.version === after.version && !isMoved) return [];
    const show = (one: typeof before) => (isMoved ? `${one.version}:${one.architecture}` : one.version);
    const change = order < 0 ? 'upgraded' : order > 0 ? 'downgraded' : 'rearranged';
    return [{ name, change, before: show(before), after: show(after) }];
  });
}

function compareImages(a: Artifacts, b: Artifacts): ImageChange[] {
  const all = ({ qcows, iso }: Artifacts): Record<string, Image> => (iso ? { ...qcows, iso } : qcows);
  const [left, right] = [all(a), all(b)];
  return namesOf(left, right).flatMap((name) => compareImage(name, left[name], right[name]));
}

/** What of a QCOW or an ISO is compared. */
type Image = Pick<
  Artifacts['qcows'][string],
  'file' | 'size' | 'virtualSize' | 'partitions' | keyof Checksums
>;

function compareImage(name: string, a: Image | undefined, b: Image | undefined): ImageChange[] {
  const size = difference(a?.size, b?.size);
  const virtualSize = difference(a?.virtualSize, b?.virtualSize);
  if (!a || !b) {
    return [
      { name, change: a ? 'removed' : 'added', ...(size && { size }), ...(virtualSize && { virtualSize }) },
    ];
  }
  const partitions =
    a.partitions && b.partitions ? comparePartitions(a.partitions, b.partitions) : ([] as Change[]);
  const sums = (['sha256', 'sha512', 'md5'] as const).filter((sum) => a[sum] && b[sum]);
  const isSame =
    sums.length > 0 ? sums.every((sum) => a[sum] === b[sum]) : !size && !virtualSize && a.file === b.file;
  if (isSame && a.file === b.file && partitions.length === 0) return [];
  return [
    {
      name,
      change: 'changed',
      ...(a.file !== b.file && { file: { before: a.file, after: b.file } }),
      ...(size && { size }),
      ...(virtualSize && { virtualSize }),
      ...(partitions.length > 0 && { partitions }),
    },
  ];
}

function comparePartitions(a: readonly ArtifactPartition[], b: readonly ArtifactPartition[]): Change[] {
  const byNumber = (partitions: readonly ArtifactPartition[]) =>
    Object.fromEntries(partitions.map((partition) => [`partition ${partition.number}`, partition]));
  return changesBetween(byNumber(a), byNumber(b));
}

/** The two sizes where they differ, or where only one is known. */
function difference(before: number | undefined, after: number | undefined): SizeChange | undefined {
  if (before === after) return undefined;
  return { ...(before !== undefined && { before }), ...(after !== undefined && { after }) };
}

function namesOf(a: object, b: object): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
}
