// `image-builder build`: builds what a file describes and prints its catalogues, as the function would.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ownCommand } from '#runtime';
import { redactCredentials } from '../../base/diagnostics/redact.ts';
import { shellWord } from '../../base/diagnostics/shell-word.ts';
import type { ReusableStage } from '../../build/reuse.ts';
import type { BundleContents } from '../../bundle/model.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { contextOf } from '../context.ts';
import { onEarlierResults, requireLocal, reuseOption } from '../earlier-results.ts';
import { addOutputOption, addPathOption, type PolicyFlags, policyOf } from '../policy-options.ts';

/** Exit status of a dry run in which the packages were not checked. */
const UNCHECKED = 2;

interface BuildCommandOptions extends PolicyFlags {
  output: 'yaml' | 'json';
  store?: string;
  bootTest?: number;
  whenMissing?: ResolvedBuild['whenMissing'];
  reuse?: ReusableStage;
  stage?: string;
  dryRun?: boolean;
  exitCode?: boolean;
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('build')
    .description('build the images and the bundle of an ImageBuilder object, or take them from the store')
    .argument('<file>', 'file with the ImageBuilder object, - for standard input')
    .addOption(
      new Option('-o, --output <format>', 'output format of the catalogues')
        .choices(['yaml', 'json'])
        .default('yaml'),
    )
    .option(
      '--store <directory>',
      "directory of the store; default: $IMAGE_BUILDER_STORE, otherwise in the user's cache",
    )
    .option(
      '--store-repository <repository>',
      'registry repository for sharing results; default: store.repository of the spec, otherwise $IMAGE_BUILDER_STORE_REPOSITORY',
    )
    .option('--boot-test <seconds>', 'boot every QCOW before publishing it; 0: do not', parseSeconds)
    .addOption(
      new Option(
        '--when-missing <policy>',
        'what to do if no store has the result; default: whenMissing of the spec, otherwise Build. Trigger also retries a failed build',
      ).choices(['Build', 'Trigger', 'Fail']),
    )
    .addOption(reuseOption())
    .option(
      '--stage <stage>',
      'only ensure that the store has the result of this stage, and print its directory',
    )
    .option('--dry-run', 'build nothing: check everything and print what would be installed, created and run')
    .option('--exit-code', 'with --dry-run: exit with status 2 if the repositories could not be reached')
    .addHelpText(
      'after',
      '\nRelative paths of the spec are relative to the working directory.\nExample: image-builder build examples/node-image/image-builder.yaml --boot-test 300',
    );
  addOutputOption(addPathOption(command)).action(
    async (file: string, options: BuildCommandOptions, command: Command) => {
      const [{ readBuildFile }, { build }, { cataloguesOf }] = await Promise.all([
        import('../spec-file.ts'),
        import('../../build/build.ts'),
        import('../../bundle/profile/catalogue.ts'),
      ]);
      const { report, signal } = contextOf(command);
      const cwd = process.cwd();
      const policy = await policyOf(options, cwd, file);
      const store = options.store && { store: options.store };
      const { object, resolved: asWritten } = await readBuildFile(file, { cwd, policy });
      const { resolved, pinned } = await onEarlierResults(withOptions(asWritten, options), options.reuse, {
        cwd,
        policy,
        ...store,
      });
      const surroundings = { cwd, policy, report, signal, ...store, ...(pinned && { pinned }) };
      if (options.stage !== undefined) {
        requireLocal(resolved, '--stage');
        const { buildStages } = await import('../../build/build.ts');
        const entries = await buildStages(resolved, [options.stage], surroundings);
        process.stdout.write(`${entries[options.stage]?.directory}\n`);
        return;
      }
      if (options.dryRun) {
        const { dryRun } = await import('../../build/dry-run.ts');
        const plan = await dryRun(resolved, surroundings);
        // The lists of repositories that were asked hold their addresses.
        process.stdout.write(redactCredentials(await render([plan], options.output)));
        if (options.exitCode && plan.packageSource.from === 'spec') process.exitCode = UNCHECKED;
        return;
      }
      const contents = await build(resolved, {
        ...surroundings,
        file,
        program: ownCommand(),
        retry: options.whenMissing === 'Trigger',
      });
      const catalogues = cataloguesOf(contents, { name: object.metadata.name }, object.spec.catalogue);
      process.stdout.write(await render(catalogues, options.output));
      process.stderr.write(`${describeResult(contents, resolved)}\n`);
    },
  );
}

/** The build with what the command line says instead of the spec. */
function withOptions(resolved: ResolvedBuild, options: BuildCommandOptions): ResolvedBuild {
  const { bootTest: timeout = resolved.bootTest.timeout, whenMissing = resolved.whenMissing } = options;
  const { storeRepository: repository } = options;
  return {
    ...resolved,
    bootTest: { ...resolved.bootTest, timeout },
    whenMissing,
    ...(repository && { store: { ...resolved.store, repository } }),
  };
}

function parseSeconds(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number of seconds');
}

async function render(objects: readonly unknown[], format: 'yaml' | 'json'): Promise<string> {
  if (format === 'json') return `${JSON.stringify(objects, undefined, 2)}\n`;
  const { emitDocuments } = await import('../../base/yaml/emit.ts');
  return emitDocuments(objects);
}

/** Where the result is and what to do with it next. */
function describeResult({ reference, artifacts }: BundleContents, { rootfs }: ResolvedBuild): string {
  const architecture = rootfs.multistrap.rootfs_arch;
  const machine = architecture === 'amd64' ? '' : ` --architecture ${architecture}`;
  const first = Object.values(artifacts.qcows)[0];
  const lines = [`bundle: ${reference.image}`];
  if (first) {
    lines.push(
      `get the images:  image-builder copy ${shellWord(reference.image)} ./images`,
      `boot one:        image-builder boot-test ${shellWord(`./images/${first.file}`)}${machine}`,
    );
  }
  return lines.join('\n');
}
