// `image-builder run-build`: the inner half of the executor `container`. A line of JSON on standard input says what to
// build; standard error carries progress, standard output one JSON document with the result or the findings. The end
// of standard input means that the caller is gone.
import type { Command } from 'commander';
import { contextOf } from '../context.ts';

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('run-build', { hidden: true })
    .description('build what a line of JSON on standard input describes (internal)')
    .action(async (_options: unknown, command: Command) => {
      const { runContainedBuild } = await import('../../build/container/worker.ts');
      const answer = await runContainedBuild(process.stdin, contextOf(command));
      process.stdout.write(`${JSON.stringify(answer)}\n`);
      if ('findings' in answer) process.exitCode = 1;
      // Whoever started us may keep its end open; nothing is left to do.
      process.stdin.destroy();
    });
}
