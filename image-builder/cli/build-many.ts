// Builds many objects side by side: what they have in common is built once, and the failure of one is its own.
import { type Finding, findingsOf } from '../base/diagnostics/error.ts';
import { printable } from '../base/diagnostics/printable.ts';
import type { Reporter } from '../base/diagnostics/progress.ts';
import type { CommandContext } from './context.ts';
import type { BuildOfFiles } from './spec-files.ts';

/** What has become of one of several builds. */
interface Outcome<Result> {
  name: string;
  status: 'built' | 'cached' | 'failed' | 'not built';
  seconds: number;
  result?: Result;
  findings: Finding[];
}

/** What has become of all builds, in the order of their objects. */
export interface Outcomes<Result> {
  results: Result[];
  /** A table for people: what has become of each, how long it took, and where it is. */
  summary: string[];
  /** Why builds have failed; each names its object. */
  findings: Finding[];
}

/**
 * @param parallel how many objects are built at the same time
 * @param perform builds one object
 */
export async function buildMany<Result extends { image?: string }>(
  builds: readonly BuildOfFiles[],
  parallel: number,
  perform: (build: BuildOfFiles, context: CommandContext) => Promise<Result>,
  { report, signal }: CommandContext,
): Promise<Outcomes<Result>> {
  const waiting = builds.entries();
  const outcomes: Outcome<Result>[] = [];
  const work = async () => {
    // The iterator is shared: each worker takes the next object.
    for (const [index, build] of waiting) {
      outcomes[index] = signal.aborted
        ? { name: build.object.metadata.name, status: 'not built', seconds: 0, findings: [] }
        : await outcomeOf(build, perform, { report, signal });
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, builds.length) }, work));
  return {
    results: outcomes.flatMap(({ result }) => (result === undefined ? [] : [result])),
    summary: tableOf(outcomes),
    findings: outcomes.flatMap(({ findings }) => findings),
  };
}

async function outcomeOf<Result>(
  build: BuildOfFiles,
  perform: (build: BuildOfFiles, context: CommandContext) => Promise<Result>,
  { report, signal }: CommandContext,
): Promise<Outcome<Result>> {
  const { name } = build.object.metadata;
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let isNew = false;
  const own: Reporter = (event) => {
    isNew ||= event.type === 'stage' && event.status === 'started';
    report({ ...event, stage: `${name}/${event.stage}` });
  };
  report({ type: 'stage', stage: name, status: 'started' });
  try {
    const result = await perform(build, { report: own, signal });
    report({ type: 'stage', stage: name, status: isNew ? 'finished' : 'cached', seconds: seconds() });
    return { name, status: isNew ? 'built' : 'cached', seconds: seconds(), result, findings: [] };
  } catch (error) {
    const status = signal.aborted ? 'stopped' : 'failed';
    report({ type: 'stage', stage: name, status, seconds: seconds() });
    const object = `ImageBuilder/${name}`;
    const findings = findingsOf(error).map((finding) => ({ ...build.explain(finding), object }));
    return { name, status: signal.aborted ? 'not built' : 'failed', seconds: seconds(), findings };
  }
}

/** Columns as wide as what is in them. */
function tableOf(outcomes: readonly Outcome<{ image?: string }>[]): string[] {
  const rows = [
    ['NAME', 'RESULT', 'SECONDS', 'BUNDLE'],
    ...outcomes.map(({ name, status, seconds, result }) => [
      name,
      status,
      seconds.toFixed(1),
      printable(result?.image ?? ''),
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
