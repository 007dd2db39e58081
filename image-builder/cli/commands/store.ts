// `image-builder store`: looks after the store of results.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EntryUsage } from '../../store/gc.ts';
import type { Store } from '../../store/store.ts';

export function register(program: Command): void {
  const store = program.command('store').description('look after the store of results');
  withStore(store.command('ls'))
    .description('list the entries, those used longest ago first')
    .addOption(
      new Option('-o, --output <format>', 'how they are printed').choices(['text', 'json']).default('text'),
    )
    .action(async (options: { store?: string; output: 'text' | 'json' }) => {
      const { listUsage } = await import('../../store/gc.ts');
      const usages = await listUsage(await open(options.store));
      process.stdout.write(
        options.output === 'json' ? `${JSON.stringify(usages, undefined, 2)}\n` : await renderUsages(usages),
      );
    });
  withStore(store.command('gc'))
    .description(
      'remove entries that were not used for long, then those used longest ago; running builds keep theirs',
    )
    .option('--max-age <duration>', 'remove what was not used for so long (30d, 12h)', parseDuration)
    .option('--max-size <size>', 'remove until all entries together are no larger (20G, 500M)', parseSize)
    .action(async (options: { store?: string; maxAge?: number; maxSize?: number }, command: Command) => {
      const { maxAge, maxSize } = options;
      if (maxAge === undefined && maxSize === undefined)
        command.error('error: give --max-age, --max-size or both');
      const { collectGarbage } = await import('../../store/gc.ts');
      const { prepareStore } = await import('../../store/store.ts');
      const opened = await open(options.store);
      await prepareStore(opened);
      const removed = await collectGarbage(opened, {
        ...(maxAge !== undefined && { maxAge }),
        ...(maxSize !== undefined && { maxBytes: maxSize }),
      });
      process.stdout.write(await renderUsages(removed));
    });
  withStore(store.command('verify'))
    .description('read every byte and report what is damaged; the next build replaces it')
    .action(async (options: { store?: string }) => {
      const { verifyStore } = await import('../../store/verify.ts');
      let damaged = 0;
      for await (const { name, problem } of verifyStore(await open(options.store))) {
        process.stdout.write(`${name}: ${problem ?? 'ok'}\n`);
        if (problem) damaged += 1;
      }
      if (damaged > 0) process.exitCode = 1;
    });
}

function withStore(command: Command): Command {
  return command.option('--store <directory>', 'default: $IMAGE_BUILDER_STORE, else the user cache');
}

async function open(store: string | undefined): Promise<Store> {
  const [{ storeDirectory }, { openStore }] = await Promise.all([
    import('../../store/location.ts'),
    import('../../store/store.ts'),
  ]);
  return await openStore(storeDirectory(process.env, { cwd: process.cwd(), ...(store && { store }) }));
}

async function renderUsages(usages: readonly EntryUsage[]): Promise<string> {
  const { formatBytes } = await import('../../diagnostics/render.ts');
  const total = usages.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = usages.map(({ kind, key, build, stage, bytes, usedAt }) =>
    [`${kind}-${key.slice(0, 12)}`, formatBytes(bytes).padStart(10), usedAt.slice(0, 16), build, stage].join(
      '  ',
    ),
  );
  return `${[...rows, `${usages.length} entries, ${formatBytes(total)}`].join('\n')}\n`;
}

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const BYTES: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

function parseDuration(text: string): number {
  const [, count, unit = 's'] = /^(\d+)([smhdw])$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('expected a duration such as 30d or 12h');
  return Number(count) * (SECONDS[unit] ?? 1);
}

function parseSize(text: string): number {
  const [, count, unit = ''] = /^(\d+)([KMGT]?)(?:i?B)?$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('expected a size such as 20G or 500M');
  return Number(count) * (BYTES[unit] ?? 1);
}
