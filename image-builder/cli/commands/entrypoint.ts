// `image-builder entrypoint`: what /usr/bin/local/entrypoint.sh of the builder image runs. It serves the three kinds of
// callers that the predecessor's image has: contract v2 (VERSION=v2), contract v1 (BUILDER_CONFIG), and KRM functions.
import type { Command } from 'commander';
import { contextOf } from '../context.ts';

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('entrypoint', { hidden: true })
    .description('entry point of the builder image, for the contracts of Airship image-builder')
    .action(async (_options: unknown, command: Command) => {
      const { env } = process;
      if (env.VERSION !== 'v2' && !env.BUILDER_CONFIG) {
        const { runFunction } = await import('../../../functions/image-builder/command.ts');
        return await runFunction([]);
      }
      const context = contextOf(command);
      const { readRequest } = await import('../../airship/read-request.ts');
      const { readPreparedBase } = await import('../../airship/root-file-system.ts');
      const { cut } = await import('../../airship/cut.ts');
      const request = await readRequest(env, process.stdin);
      // Standard output belongs to the caller: airshipctl parses it as KRM.
      for (const name of await cut(request, await readPreparedBase(), context)) {
        process.stderr.write(`${request.volume}/${name}\n`);
      }
    });
}
