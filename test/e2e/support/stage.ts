// Runs single stages of a build, outside of a plan and a store.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import { progressOf, type StageContext } from '../../../image-builder/sandbox/stage-context.ts';

/** What a stage that was run has said. */
export interface Observed {
  steps: string[];
  lines: string[];
}

/** A context with directories of its own below `directory`. */
export async function stageContext(
  directory: string,
  stage: string,
  options: { signal?: AbortSignal; observed?: Observed } = {},
): Promise<StageContext> {
  const workDir = join(directory, stage, 'work');
  const outputDir = join(directory, stage, 'output');
  for (const path of [workDir, outputDir]) mkdirSync(path, { recursive: true });
  return {
    ...progressOf(stage, (event) => {
      if (event.type === 'step') options.observed?.steps.push(event.message);
      if (event.type === 'output') options.observed?.lines.push(event.line);
    }),
    workDir,
    outputDir,
    sandbox: await createLocalSandbox(),
    signal: options.signal ?? new AbortController().signal,
    sourceDateEpoch: 1_700_000_000,
  };
}
