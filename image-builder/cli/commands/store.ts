// `image-builder store`: looks after the store of results.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EntryUsage } from '../../store/gc.ts';
import type { Store } from '../../store/store.ts';
import { contextOf } from '../context.ts';

/** Adds the command to the program. */
export function register(program: Command): void {
  const store = program.command('store').description('manage the store of results');
  withStore(store.command('ls'))
    .description('list the entries, least recently used first')
    .addOption(outputOption())
    .action(async (options: ListOptions) => {
      const { listUsage } = await import('../../store/gc.ts');
      const usages = await listUsage(await open(options.store));
      process.stdout.write(
        options.output === 'json' ? toJson(usages) : await renderUsages(usages, 'in the store'),
      );
    });
  withStore(store.command('gc'))
    .description(
      'remove entries unused for a given time, then the least recently used; running builds keep theirs',
    )
    .option('--max-age <duration>', 'remove entries unused for this long (30d, 12h)', parseDuration)
    .option(
      '--max-size <size>',
      'remove entries until the rest is no larger than this (20G, 500M)',
      parseSize,
    )
    .addOption(outputOption())
    .action(async (options: GcOptions, command: Command) => {
      const { maxAge, maxSize } = options;
      if (maxAge === undefined && maxSize === undefined)
        command.error('error: specify --max-age, --max-size or both');
      const { collectGarbage } = await import('../../store/gc.ts');
      const { prepareStore } = await import('../../store/store.ts');
      const opened = await open(options.store);
      await prepareStore(opened);
      const removed = await collectGarbage(opened, {
        ...(maxAge !== undefined && { maxAge }),
        ...(maxSize !== undefined && { maxBytes: maxSize }),
      });
      process.stdout.write(
        options.output === 'json' ? toJson(removed) : await renderUsages(removed, 'removed'),
      );
    });
  withStore(store.command('verify'))
    .description('read every byte and report damaged entries; the next build replaces them')
    .addOption(outputOption())
    .action(async (options: ListOptions, command: Command) => {
      const { verifyStore } = await import('../../store/verify-store.ts');
      const verdicts = [];
      for await (const verdict of verifyStore(await open(options.store), contextOf(command).signal)) {
        verdicts.push(verdict);
        if (options.output === 'text') process.stdout.write(`${verdict.name}: ${verdict.problem ?? 'ok'}\n`);
      }
      if (options.output === 'json') process.stdout.write(toJson(verdicts));
      const damaged = verdicts.filter(({ problem }) => problem !== undefined).length;
      if (damaged === 0) return;
      process.exitCode = 1;
      const what = damaged === 1 ? 'one entry is' : `${damaged} entries are`;
      process.stderr.write(`${what} damaged and will be rebuilt by the next build that needs them\n`);
    });
  withStore(store.command('export'))
    .description('write an entry to a file, for another store')
    .argument('<what>', 'name of a build (its newest bundle), or the beginning of a key')
    .argument('<file>', 'the archive; it appears once it is complete')
    .option('--with-stages', 'include what it was made from, to continue building elsewhere')
    .action(async (what: string, file: string, options: ExportOptions, command: Command) => {
      const { findBuild, findByKey, withAncestors } = await import('../../store/select.ts');
      const { exportEntries } = await import('../../store/export.ts');
      const opened = await open(options.store);
      const entry = (await findByKey(opened, what)) ?? (await findBuild(opened, what));
      const entries = options.withStages ? await withAncestors(opened, entry) : [entry];
      const { sha256 } = await exportEntries(entries, file, contextOf(command).signal);
      // In the format of sha256sum.
      process.stdout.write(`${sha256}  ${file}\n`);
    });
  withStore(store.command('import'))
    .description('read the entries of a file written by `store export`; import only what you trust')
    .argument('<file>', 'the archive')
    .option('--sha256 <hex>', 'digest that the archive must have, as printed by `store export`', parseSha256)
    .action(async (file: string, options: ImportOptions, command: Command) => {
      const { importEntries } = await import('../../store/import.ts');
      const { sha256, store: directory } = options;
      const imported = await importEntries(await open(directory), file, {
        signal: contextOf(command).signal,
        ...(sha256 !== undefined && { sha256 }),
      });
      for (const { name, outcome } of imported) process.stdout.write(`${name}: ${outcome}\n`);
    });
}

interface ListOptions {
  store?: string;
  output: 'text' | 'json';
}

interface GcOptions extends ListOptions {
  /** Seconds. */
  maxAge?: number;
  /** Bytes. */
  maxSize?: number;
}

interface ExportOptions {
  store?: string;
  withStages?: boolean;
}

interface ImportOptions {
  store?: string;
  sha256?: string;
}

function outputOption(): Option {
  return new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text');
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
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

/** A table, and what it is of: `in the store`, `removed`. */
async function renderUsages(usages: readonly EntryUsage[], what: string): Promise<string> {
  if (usages.length === 0) return `nothing ${what}\n`;
  const { formatBytes } = await import('../../base/diagnostics/render.ts');
  const total = usages.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = usages.map(({ kind, key, build, stage, bytes, usedAt }) => [
    ...[`${kind}-${key.slice(0, 12)}`, formatBytes(bytes), usedAt.slice(0, 16), build, stage],
  ]);
  const sum = `${usages.length} ${usages.length === 1 ? 'entry' : 'entries'} ${what}, ${formatBytes(total)}`;
  return `${[...table(['ENTRY', 'SIZE', 'LAST USED', 'BUILD', 'STAGE'], rows), sum].join('\n')}\n`;
}

/** Columns as wide as their widest cell. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [header, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const BYTES: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

function parseDuration(text: string): number {
  const [, count, unit = 's'] = /^(\d+)([smhdw])$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('expected a duration such as 30d or 12h');
  return Number(count) * (SECONDS[unit] ?? 1);
}

function parseSha256(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text;
  throw new InvalidArgumentError('expected 64 hexadecimal digits');
}

function parseSize(text: string): number {
  const [, count, unit = ''] = /^(\d+)([KMGT]?)(?:i?B)?$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('expected a size such as 20G or 500M');
  return Number(count) * (BYTES[unit] ?? 1);
}
