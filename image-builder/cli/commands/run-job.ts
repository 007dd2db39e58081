// `image-builder run-job`: what runs in a Pod of the executor `kubernetes`; the Secret of its Job says what to build.
import type { Command } from 'commander';
import { ownCommand } from '#runtime';
import { contextOf } from '../context.ts';

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('run-job', { hidden: true })
    .description('do a step of the Job that this Pod belongs to (internal)')
    .argument('<step>', 'fetch, build, push, describe or drive')
    .argument('[question]', 'what describe is asked')
    .action(async (step: string, question: string | undefined, _options: unknown, command: Command) => {
      const { runInPod } = await import('../../build/kubernetes/worker.ts');
      process.exitCode = await runInPod(step, question, { ...contextOf(command), program: ownCommand() });
    });
}
