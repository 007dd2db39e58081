// Runs the stages of a build whose results the store lacks.
import { join } from 'node:path';
import { readSourceDateEpoch } from '../pipeline/epoch.ts';
import { explainFullDisk } from '../pipeline/full-disk.ts';
import { findMissing } from '../pipeline/lookup.ts';
import { withRepairs } from '../pipeline/repair.ts';
import { runStages } from '../pipeline/scheduler.ts';
import { createLocalSandbox } from '../sandbox/local-sandbox.ts';
import { openMemory, spareMemory } from '../sandbox/tmpfs.ts';
import { requireTools } from '../sandbox/tools.ts';
import { FUNCTION_BASE, requireFunctionBase } from '../stages/bundle/function-base.ts';
import type { Entry } from '../store/entry.ts';
import { prepareStore, storePath } from '../store/store.ts';
import { createWorkspace, treeRemover } from '../store/workspace.ts';
import type { BuildSession } from './session.ts';

/** @throws ToolError, BundleWriteError when something is missing for what is to be built */
export async function requireToolsFor(
  session: Pick<BuildSession, 'resolved' | 'store' | 'stages' | 'stageOf' | 'signal'>,
  targets: readonly string[],
): Promise<void> {
  const { resolved, store, stages, stageOf, signal } = session;
  const missing = await findMissing(store, stages, targets, signal);
  requireTools([...new Set(missing.flatMap(({ name }) => stageOf(name).tasks))]);
  if (missing.some(({ tools }) => tools.includes(FUNCTION_BASE)))
    await requireFunctionBase(resolved.rootfs.multistrap.rootfs_arch);
}

/**
 * Makes sure that the store has the results of stages, and shares them as the build says.
 * @returns their entries by name
 * @throws ImageBuilderError of the stage that failed
 */
export async function runTargets(
  session: BuildSession,
  targets: readonly string[],
): Promise<Record<string, Entry>> {
  const { resolved, store, stages, stageOf, signal, report } = session;
  await requireToolsFor(session, targets);
  await prepareStore(store);
  const sandbox = await createLocalSandbox({ architecture: resolved.rootfs.multistrap.rootfs_arch });
  const removeTree = treeRemover(async (path) => {
    await sandbox.run(['rm', '-rf', '--', path]);
  });
  const shared = await session.shared();
  const workspace = await createWorkspace(store, removeTree);
  const spare = Math.floor((await spareMemory()) / (session.parallelBuilds ?? 1));
  const memory = await openMemory(sandbox, join(workspace.directory, 'memory'), spare);
  const surroundings = {
    cwd: session.cwd,
    cacheDir: storePath(store, 'cache'),
    ...(session.credentials && { credentials: session.credentials }),
  };
  try {
    const results = await withRepairs(store, stages, workspace.directory, () =>
      runStages(stages, targets, {
        report,
        signal,
        ...(shared && { fetch: (stage) => shared.pull(stage, 'key', store, workspace.directory) }),
        store,
        workspace,
        sandbox,
        ...(memory && { memory }),
        build: resolved.name,
        implement: ({ name }) => stageOf(name).implement(surroundings),
        // 0: the date of the packages.
        sourceDateEpoch: readSourceDateEpoch(session.env) ?? 0,
      }),
    );
    if (shared) {
      const { shareResults } = await import('./shared/shared-results.ts');
      await shareResults(shared, { store, stages, targets }, signal);
    }
    return results;
  } catch (error) {
    throw await explainFullDisk(error, store);
  } finally {
    await memory?.close();
    await workspace.dispose();
  }
}
