// `image-builder run-triggered`: the process that `whenMissing: Trigger` leaves in the background.
import type { Command } from 'commander';

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('run-triggered', { hidden: true })
    .description('build in the background what standard input describes (internal)')
    .action(async () => {
      const { runTriggeredBuild } = await import('../../build/background/background-build.ts');
      await runTriggeredBuild();
    });
}
