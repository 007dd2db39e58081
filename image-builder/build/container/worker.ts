// The part of the executor `container` that runs in the container.
import { createInterface } from 'node:readline';
import { type Finding, findingsOf } from '../../base/diagnostics/error.ts';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import type { BundleContents } from '../../bundle/model.ts';
import { NOTHING_ALLOWED } from '../../policy/nothing-allowed.ts';
import { build, buildAhead, buildStages, missingAhead } from '../build.ts';
import { planBuild } from '../session.ts';
import type { ContainedBuild, ContainedPlan } from './protocol.ts';

/** What is printed: the bundle, null when only stages were asked for or some are missing, the plan, or what went wrong. */
export type ContainedAnswer = { result: BundleContents | ContainedPlan | null } | { findings: Finding[] };

/** Builds what the first line of `input` says; stops when `input` ends before it is finished. */
export async function runContainedBuild(
  input: NodeJS.ReadableStream,
  options: { report: Reporter; signal: AbortSignal },
): Promise<ContainedAnswer> {
  const abandoned = new AbortController();
  try {
    const request = await firstLine(input, () => abandoned.abort(new Error('the caller is gone')));
    const {
      resolved,
      planOnly,
      stages,
      ahead,
      unlessMissing,
      owner,
      mounted = [],
    } = JSON.parse(request) as ContainedBuild;
    const surroundings = {
      ...options,
      cwd: '/',
      policy: NOTHING_ALLOWED,
      // Whoever has mounted an entry has judged it.
      believes: () => true,
      signal: AbortSignal.any([options.signal, abandoned.signal]),
    };
    if (planOnly) {
      const plan = await planBuild(resolved, surroundings);
      // No inputs: they are the caller's own, and the answer is to be small.
      const briefly = plan.stages.map(({ name, kind, key, recipe, parents, toolVersions }) => ({
        name,
        kind,
        key,
        recipe,
        parents,
        toolVersions,
      }));
      return { result: { stages: briefly, targets: plan.targets } };
    }
    try {
      if (stages) {
        await buildStages(resolved, stages, surroundings);
        return { result: null };
      }
      if (ahead) {
        await buildAhead(resolved, ahead, surroundings);
        return { result: null };
      }
      if (unlessMissing && (await missingAhead(resolved, unlessMissing, surroundings)).length > 0) {
        return { result: null };
      }
      return { result: await build(resolved, surroundings) };
    } finally {
      if (owner) await giveTo(owner, process.env.IMAGE_BUILDER_STORE, mounted);
    }
  } catch (error) {
    return { findings: findingsOf(error) };
  }
}

function firstLine(input: NodeJS.ReadableStream, onEnd: () => void): Promise<string> {
  return new Promise((done) => {
    const lines = createInterface({ input });
    lines.once('line', done);
    lines.once('close', () => {
      done('');
      onEnd();
    });
  });
}

/** What root has written into the caller's directory becomes the caller's; what is mounted in it is not touched. */
async function giveTo(owner: string, store: string | undefined, mounted: readonly string[]): Promise<void> {
  if (store === undefined) return;
  const { createLocalSandbox } = await import('../../sandbox/local-sandbox.ts');
  const sandbox = await createLocalSandbox();
  const prune = mounted.flatMap((path) => ['-path', path, '-prune', '-o']);
  const change = ['-exec', 'chown', '--no-dereference', owner, '--', '{}', '+'];
  await sandbox.run(['find', store, ...prune, ...change]);
}
