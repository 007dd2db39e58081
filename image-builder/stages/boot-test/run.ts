// The stage `boot-test/<qcow>/<firmware>`: the image must reach its login prompt before it goes anywhere.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageImplementation } from '../../pipeline/stage-runner.ts';
import { qcowFileOf } from '../qcow/run.ts';

/** Implements the stage. `timeoutSeconds` is not among its inputs: a patient test is worth no more than a quick one. */
export function bootTestStage(options: { timeoutSeconds: number }): StageImplementation {
  return async ({ stage, parents, context }) => {
    const { bootTest } = await import('./boot-test.ts');
    const [qcow] = Object.values(parents);
    if (!qcow) throw new TypeError(`${stage.name} has no image to boot`);
    const { architecture, firmware } = stage.inputs as {
      architecture: 'amd64' | 'arm64';
      firmware: 'bios' | 'uefi';
    };
    const result = await bootTest(qcowFileOf(qcow), {
      architecture,
      format: 'qcow2',
      firmware,
      timeoutSeconds: options.timeoutSeconds,
      ...(context.logFile !== undefined && { screenshot: context.logFile.replace(/\.log$/, '.png') }),
      report: (event) => context.report({ ...event, stage: context.stage }),
      signal: context.signal,
    });
    for (const said of result.unitFailures)
      context.report({ type: 'step', stage: context.stage, message: `boots, though: ${said}` });
    await writeFile(join(context.outputDir, 'console.txt'), result.console);
    return { facts: { seconds: result.seconds, accelerator: result.accelerator } };
  };
}
