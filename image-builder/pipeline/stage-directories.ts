// Where a stage works: directories on the store's file system, and room in memory, which are removed together.
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../sandbox/stage-context.ts';
import type { Memory } from '../sandbox/tmpfs.ts';
import type { Workspace } from '../store/workspace.ts';

/** An unpacked tree. */
export interface Tree {
  path: string;
  /** Removes it with all that it lies in. */
  remove(): Promise<void>;
}

/** Where a stage works. */
export interface Place extends Pick<StageContext, 'workDir' | 'outputDir' | 'memory'> {
  /** Removes it, and the tree that the stage has been given; what cannot be removed goes with the workspace. */
  remove(): Promise<void>;
}

/** Makes the directories of a stage. */
export async function makePlace(
  stage: string,
  workspace: Workspace,
  memory?: Memory,
  tree?: Tree,
): Promise<Place> {
  const directory = await mkdtemp(join(workspace.directory, `${stage.replaceAll('/', '.')}-`));
  const [workDir, outputDir] = [join(directory, 'work'), join(directory, 'output')];
  for (const path of [workDir, outputDir]) await mkdir(path);
  const reserved: string[] = [];
  const reserve = async (bytes: number) => {
    const room = await memory?.reserve(bytes);
    if (room !== undefined) reserved.push(room);
    return room;
  };
  const remove = async () => {
    for (const room of reserved) memory?.free(room);
    await Promise.all([workspace.remove(directory).catch(() => {}), tree?.remove()]);
  };
  return { workDir, outputDir, ...(memory && { memory: { reserve } }), remove };
}

/**
 * Copies a tree within the memory.
 * @param bytes that it takes, about
 * @returns undefined when there is no room for it
 */
export async function copyInMemory(
  tree: string,
  bytes: number,
  memory: Memory,
  signal: AbortSignal,
): Promise<Tree | undefined> {
  const room = await memory.reserve(bytes);
  if (room === undefined) return undefined;
  const copy: Tree = { path: join(room, 'tree'), remove: async () => memory.free(room) };
  try {
    await memory.sandbox.run(['cp', '--archive', tree, copy.path], { signal });
    return copy;
  } catch (error) {
    await copy.remove();
    throw error;
  }
}
