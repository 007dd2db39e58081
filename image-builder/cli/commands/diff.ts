// `image-builder diff A B`: what differs between two bundles.

import { type Command, Option } from 'commander';
import { printableLines } from '../../base/diagnostics/printable.ts';
import { formatBytes } from '../../base/diagnostics/render.ts';
import type { ReadBundleOptions } from '../../bundle/read/read-options.ts';
import type { Comparison, Subject } from '../../compare/comparison.ts';
import { contextOf } from '../context.ts';
import { printedValue } from '../printed-value.ts';
import {
  addRegistryOptions,
  addTimeoutOption,
  engineOptions,
  type RegistryFlags,
} from '../registry-options.ts';

interface DiffFlags extends RegistryFlags {
  output: 'text' | 'json' | 'markdown';
  store?: string;
  exitCode?: boolean;
  sbom?: boolean;
  database?: string[];
  vex?: string[];
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('diff')
    .description(
      'compare two bundles: variables, packages, sizes, partitions, signatures and boot tests; reads their metadata only',
    )
    .argument(
      '<a>',
      'the earlier bundle: a reference (registry, oci:DIR, ...), sha256:DIGEST or a key in the store, or NAME~1 for the build of NAME before its newest',
    )
    .argument('<b>', 'the later bundle, in the same forms')
    .addOption(
      new Option('-o, --output <format>', 'output format; markdown is for a pull request')
        .choices(['text', 'json', 'markdown'])
        .default('text'),
    )
    .option(
      '--store <directory>',
      "directory of the store; default: $IMAGE_BUILDER_STORE, otherwise in the user's cache",
    )
    .option(
      '--sbom',
      'also compare the bills of materials: licences, files of no package, downloads, scripts; half a megabyte for each disk',
    )
    .option('--database <file...>', 'also tell which known vulnerabilities came and went; as for scan')
    .option('--vex <file...>', 'with --database: what does not affect the disks; as for scan')
    .option('--exit-code', 'exit with status 1 if the two differ, as diff does');
  addTimeoutOption(addRegistryOptions(command)).action(async (a: string, b: string, flags: DiffFlags) => {
    const [{ compareBundles }, { readSubject }, { openStore }, { storeDirectory }] = await Promise.all([
      import('../../compare/compare.ts'),
      import('../../compare/subject.ts'),
      import('../../store/store.ts'),
      import('../../store/location.ts'),
    ]);
    const options = await engineOptions(command);
    const store = await openStore(
      storeDirectory(process.env, { cwd: process.cwd(), ...(flags.store && { store: flags.store }) }),
    );
    const found = await Promise.all([readSubject(a, store, options), readSubject(b, store, options)]);
    const [left, right] = await withMaterials(found, flags, { ...options, ...contextOf(command) });
    const comparison = compareBundles(left, right);
    if (command.optsWithGlobals<DiffFlags>().verbose) {
      const [requests, bytes] = (['requests', 'bytes'] as const).map(
        (what) => left.cost[what] + right.cost[what],
      );
      process.stderr.write(`${requests} requests, ${formatBytes(bytes ?? 0)}\n`);
    }
    process.stdout.write(await render(comparison, flags.output));
    if (flags.exitCode && !comparison.identical) process.exitCode = 1;
  });
}

/** The two with what was asked for besides. */
async function withMaterials(
  subjects: [Subject, Subject],
  { sbom, database, vex = [] }: DiffFlags,
  options: ReadBundleOptions & { signal: AbortSignal },
): Promise<[Subject, Subject]> {
  let [a, b] = subjects;
  if (sbom) {
    const [{ readSboms }, { materialsOf }] = await Promise.all([
      import('../../bundle/read/read-sboms.ts'),
      import('../../compare/materials.ts'),
    ]);
    const materials = async ({ image }: Subject) => materialsOf((await readSboms(image, options)).documents);
    [a, b] = [
      { ...a, materials: await materials(a) },
      { ...b, materials: await materials(b) },
    ];
  }
  if (database) {
    const { scanBundles } = await import('../scan-bundle.ts');
    const reports = await scanBundles([a.image, b.image], { databases: database, vex }, options);
    const [before = [], after = []] = reports.map(({ vulnerabilities }) => vulnerabilities);
    [a, b] = [
      { ...a, vulnerabilities: before },
      { ...b, vulnerabilities: after },
    ];
  }
  return [a, b];
}

async function render(comparison: Comparison, output: DiffFlags['output']): Promise<string> {
  switch (output) {
    case 'json':
      return printedValue(comparison, 'json');
    case 'markdown':
      return printableLines((await import('../../compare/markdown.ts')).renderMarkdown(comparison));
    case 'text':
      return printableLines((await import('../../compare/text.ts')).renderText(comparison));
  }
}
