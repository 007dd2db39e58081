// Compares what is installed on disks with databases of vulnerabilities.
import type { DatabaseAnswer } from './database.ts';
import { suppressedBy, type VexStatement } from './vex.ts';
import {
  type Advisory,
  compareSeverities,
  type DiskPackages,
  type ScanReport,
  type Severity,
  type Vulnerability,
} from './vulnerability.ts';

/** What is compared. */
export interface ScanRequest {
  /** With its digest. */
  image: string;
  digest: string;
  disks: readonly DiskPackages[];
  answers: readonly (DatabaseAnswer & { name: string })[];
  statements: readonly VexStatement[];
}

/** Pure. */
export function reportOf({ image, digest, disks, answers, statements }: ScanRequest): ScanReport {
  const found = new Map<string, Vulnerability>();
  for (const { hits } of answers)
    for (const { advisory, installed } of hits) {
      const key = JSON.stringify([advisory.id, advisory.source, installed]);
      const known = found.get(key);
      found.set(key, known ? { ...known, ...merged(known, advisory) } : placed(advisory, installed, disks));
    }
  const ordered = withoutCollections([...found.values()]).sort(
    (a, b) =>
      compareSeverities(b.severity, a.severity) ||
      compareText(a.source, b.source) ||
      compareText(a.id, b.id) ||
      compareText(a.installed, b.installed),
  );
  const suppressed = ordered.flatMap((one) => suppressedBy(one, statements, { digest, disks }) ?? []);
  const taken = new Set(suppressed.map(({ vulnerability }) => vulnerability));
  return {
    image,
    disks: disks.map(({ disk, system, packages }) => ({
      file: disk,
      system: `${system.id} ${system.version}`,
      packages: packages.reduce((sum, { binaries }) => sum + binaries.length, 0),
    })),
    databases: answers.map(({ name, records }) => ({ name, records })),
    vulnerabilities: ordered.filter((one) => !taken.has(one)),
    suppressed,
  };
}

/** The vulnerabilities of a severity or a more urgent one. */
export const atLeast = ({ vulnerabilities }: Pick<ScanReport, 'vulnerabilities'>, severity: Severity) =>
  vulnerabilities.filter((one) => compareSeverities(one.severity, severity) >= 0);

function placed(advisory: Advisory, installed: string, disks: readonly DiskPackages[]): Vulnerability {
  const places = disks.flatMap(({ disk, packages }) =>
    packages
      .filter(({ name, version }) => name === advisory.source && version === installed)
      .map(({ binaries }) => ({ disk, names: binaries.map(({ name }) => name) })),
  );
  return {
    ...advisory,
    installed,
    packages: [...new Set(places.flatMap(({ names }) => names))].sort(),
    disks: places.map(({ disk }) => disk),
  };
}

/** What several databases say of the same: the more urgent severity, and an update if one of them knows it. */
function merged(a: Advisory, b: Advisory): Partial<Vulnerability> {
  const fixed = a.fixed ?? b.fixed;
  const isWorse = compareSeverities(b.severity, a.severity) > 0;
  const score = isWorse ? b.score : (a.score ?? b.score);
  return {
    aliases: [...new Set([...a.aliases, ...b.aliases])].sort(),
    state: a.fixed === undefined && b.fixed !== undefined ? b.state : a.state,
    ...(fixed !== undefined && { fixed }),
    severity: isWorse ? b.severity : a.severity,
    ...(score !== undefined && { score }),
    summary: a.summary || b.summary,
  };
}

/** An advisory about several vulnerabilities says nothing that they do not say themselves. */
function withoutCollections(all: readonly Vulnerability[]): Vulnerability[] {
  const known = new Set(all.map(({ id, source, installed }) => JSON.stringify([id, source, installed])));
  return all.filter(({ id, aliases, source, installed }) => {
    if (id.startsWith('CVE-')) return true;
    const names = aliases.filter((alias) => alias.startsWith('CVE-'));
    return names.length === 0 || !names.every((name) => known.has(JSON.stringify([name, source, installed])));
  });
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
