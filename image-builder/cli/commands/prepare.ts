// `image-builder prepare`: fills the store of the image-builder image with the root file system that images are cut from.
import type { Command } from 'commander';
import { contextOf } from '../context.ts';

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('prepare', { hidden: true })
    .description('build the root file system that the builder image makes images from')
    .action(async (_options: unknown, command: Command) => {
      const { prepare } = await import('../../airship/prepare.ts');
      const { readPreparedBase } = await import('../../airship/root-file-system.ts');
      await prepare(await readPreparedBase(), contextOf(command));
    });
}
