// What a build in a container works in: a fresh directory on the store's file system, with the results that it starts
// from mounted read-only. What it leaves there is looked at before it gets into the store; the store itself is not mounted.
import { copyFile, lstat, mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ContainerMount } from '../../engines/engine.ts';
import { adoptForeign } from '../../store/adopt-foreign.ts';
import { type Entry, entryName } from '../../store/entry.ts';
import { prepareStore, type Store, storePath } from '../../store/store.ts';
import { createWorkspace, type RemoveTree, treeRemover } from '../../store/workspace.ts';
import type { SharedStage } from '../shared/shared-results.ts';
import { keepPackages, lendPackages } from './package-files.ts';

/** Where the container has its store. */
export const CONTAINED_STORE = '/var/lib/image-builder/store';

/** What a container is given and what is taken of it. */
export interface ContainedWork {
  store: Store;
  /** Results that it starts from. */
  needed: readonly Entry[];
  /** Directories of the store's cache that it reads. */
  cached: readonly string[];
  /** What it may leave. */
  expected: readonly SharedStage[];
  /** Name of the build. */
  build: string;
  /** Removes what belongs to root, or to a subordinate user. */
  removeTree: RemoveTree;
  signal: AbortSignal;
}

/** Mounts of a container, and the paths in it that are read-only. */
export interface WorkMounts {
  mounts: ContainerMount[];
  readOnly: string[];
}

/**
 * Runs a container in a directory of its own and takes its results into the store. Logs are kept also when it fails.
 * @throws StoreError for results that are not what they say, and what `run` throws
 */
export async function inContainedWork(
  work: ContainedWork,
  run: (mounts: WorkMounts) => Promise<void>,
): Promise<void> {
  const { store } = work;
  const workspace = await createWorkspace(store, treeRemover(work.removeTree));
  const directory = join(workspace.directory, 'store');
  const inner: Store = { directory, believes: store.believes };
  try {
    await prepareStore(inner);
    const packages = [storePath(store, 'cache', 'packages'), storePath(inner, 'cache', 'packages')] as const;
    const installs = work.expected.some(({ kind }) => kind === 'rootfs');
    if (installs) await lendPackages(...packages);
    try {
      await run(await mountsOf(work, inner));
    } finally {
      await keepLogs(storePath(inner, 'logs'), storePath(store, 'logs'));
    }
    if (installs) await keepPackages(packages[1], packages[0], work.signal);
    await adoptForeign(store, storePath(inner, 'entries'), work.expected, { ...work, known: work.needed });
  } finally {
    await workspace.dispose();
  }
}

async function mountsOf({ store, needed, cached }: ContainedWork, inner: Store): Promise<WorkMounts> {
  const entries = needed.map((entry) => ({
    source: entry.directory,
    below: join('entries', entryName(entry)),
  }));
  const caches = cached.map((source) => ({
    source,
    below: source.slice(store.directory.length + 1),
  }));
  const readOnly = [...entries, ...caches].map(({ source, below }) => ({
    type: 'bind' as const,
    source,
    target: `${CONTAINED_STORE}/${below}`,
    readOnly: true,
    below,
  }));
  // Where they are mounted must be there: an engine would make it as root.
  for (const { below } of readOnly) await mkdir(join(inner.directory, below), { recursive: true });
  return {
    mounts: [
      { type: 'bind', source: inner.directory, target: CONTAINED_STORE },
      ...readOnly.map(({ below: _, ...mount }) => mount),
    ],
    readOnly: readOnly.map(({ target }) => target),
  };
}

/** Copies what the stages have printed to where the errors say that it is. */
async function keepLogs(from: string, to: string): Promise<void> {
  const facts = await lstat(from).catch(() => undefined);
  if (!facts?.isDirectory()) return;
  for (const name of await readdir(from)) {
    const path = join(from, basename(name));
    // Written by a container: only what a log looks like, and no link.
    if (!/^[\w-]+\.log$/.test(name) || !(await lstat(path)).isFile()) continue;
    await copyFile(path, join(to, name)).catch(() => {});
  }
}
