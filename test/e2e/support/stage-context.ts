// The surroundings of a stage for tests that run a part of one by itself.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProgressEvent } from '../../../image-builder/base/diagnostics/progress.ts';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import { progressOf, type StageContext } from '../../../image-builder/sandbox/stage-context.ts';

export interface TestStage extends StageContext {
  /** Holds workDir and outputDir; there is room for more. */
  directory: string;
  events: ProgressEvent[];
  abort: AbortController;
  remove(): Promise<void>;
}

/**
 * A context with the machine's own sandbox in a new directory.
 * @param architecture of programs that run in it, too
 */
export async function testStage(
  sourceDateEpoch: number,
  architecture?: 'amd64' | 'arm64',
): Promise<TestStage> {
  const directory = await mkdtemp(join(tmpdir(), 'image-builder-test-'));
  const sandbox = await createLocalSandbox(architecture && { architecture });
  const events: ProgressEvent[] = [];
  const abort = new AbortController();
  const workDir = join(directory, 'work');
  const outputDir = join(directory, 'output');
  await mkdir(workDir);
  await mkdir(outputDir);
  return {
    ...progressOf('test', (event) => events.push(event)),
    workDir,
    outputDir,
    sandbox,
    signal: abort.signal,
    sourceDateEpoch,
    directory,
    events,
    abort,
    async remove() {
      // In the sandbox: the files of a tree may belong to subordinate ids.
      await sandbox.run(['rm', '-rf', directory]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
