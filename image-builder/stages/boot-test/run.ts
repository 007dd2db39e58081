// Runs a stage `boot-test/<qcow>/<firmware>`.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readQcowEntry } from '../qcow/qcow-entry.ts';
import type { StageWork } from '../stage.ts';
import { bootTest } from './boot-image.ts';
import type { BootTestFacts, BootTestInputs } from './boot-test-inputs.ts';
import { warningsIn } from './kubernetes-tests.ts';

/**
 * Writes the console, and what tests inside of the image have found, to the output directory, and the screen of a machine
 * that fails beside the log.
 */
export const run: StageWork<BootTestInputs, BootTestFacts> = async (
  { inputs, parents, context },
  { bootTest: { timeout } },
) => {
  const [qcow] = Object.values(parents);
  const { seconds, accelerator, unitFailures, console, guest, readySeconds } = await bootTest(
    readQcowEntry(qcow).path,
    {
      ...inputs,
      format: 'qcow2',
      timeoutSeconds: timeout,
      ...(context.logFile !== undefined && { screenshot: context.logFile.replace(/\.log$/, '.png') }),
      progress: context,
      signal: context.signal,
    },
  );
  for (const said of unitFailures) context.step(`boots, though: ${said}`);
  for (const { name, output } of guest?.results ?? [])
    for (const warning of warningsIn(output)) context.step(`${name}: ${warning}`);
  if (readySeconds !== undefined)
    context.step(`Ready in a cluster ${readySeconds.toFixed(1)} s after power-on`);
  await writeFile(join(context.outputDir, 'console.txt'), console);
  if (guest) await writeFile(join(context.outputDir, 'tests.json'), `${JSON.stringify(guest, null, 2)}\n`);
  return { facts: { seconds, accelerator, ...(readySeconds !== undefined && { readySeconds }) } };
};
