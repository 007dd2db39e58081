// `image-builder fn`: the KRM function, for those who have only this executable at hand.
import type { Command } from 'commander';

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('fn')
    .description('run as the KRM function: a ResourceList on standard input, or standalone on files')
    .argument('[config]', 'file of the functionConfig')
    .argument('[input]', 'file of the items, - for standard input')
    .action(async (...args: unknown[]) => {
      const { runFunction } = await import('../../../functions/image-builder/command.ts');
      await runFunction(args.filter((arg): arg is string => typeof arg === 'string'));
    });
}
