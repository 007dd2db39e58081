// `image-builder history`: the earlier builds of a name.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { HistoryStep } from '../../compare/history.ts';

interface HistoryFlags {
  output: 'text' | 'json';
  limit: number;
  store?: string;
}

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('history')
    .description('show the builds of a name, newest first: time, digest, and what each one changed')
    .argument('<name>', 'metadata.name of the ImageBuilder object')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .option('-n, --limit <count>', 'maximum number; the store keeps 50', parseCount, 10)
    .option(
      '--store <directory>',
      "directory of the store; default: $IMAGE_BUILDER_STORE, otherwise in the user's cache",
    )
    .action(async (name: string, flags: HistoryFlags) => {
      const [{ historyOf }, { openStore }, { storeDirectory }, { StoreError }] = await Promise.all([
        import('../../compare/history.ts'),
        import('../../store/store.ts'),
        import('../../store/location.ts'),
        import('../../store/errors.ts'),
      ]);
      const { store } = flags;
      const opened = await openStore(
        storeDirectory(process.env, { cwd: process.cwd(), ...(store && { store }) }),
      );
      const steps = await historyOf(opened, name, flags.limit);
      if (steps.length === 0) {
        throw new StoreError('STORE_ENTRY_MISSING', `${opened.directory} has no build of ${name}`, {
          hint: 'the name is metadata.name of the ImageBuilder object; --store names another store',
        });
      }
      process.stdout.write(
        flags.output === 'json' ? `${JSON.stringify(steps, undefined, 2)}\n` : await renderText(steps),
      );
    });
}

async function renderText(steps: readonly HistoryStep[]): Promise<string> {
  const { describeReasons } = await import('../key-changes.ts');
  const lines = steps.flatMap(({ builtAt, digest, key, changes }) => [
    `${builtAt.slice(0, 19)}Z  ${digest}${key === undefined ? '' : `  key ${key.slice(0, 12)}`}`,
    ...Object.entries(changes ?? {}).flatMap(([stage, reasons]) =>
      describeReasons(reasons).map((line) => `  ${stage}: ${line}`),
    ),
    ...(changes ? [] : ['  the oldest known build']),
  ]);
  return `${lines.join('\n')}\n`;
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number from 1 to 999');
}
