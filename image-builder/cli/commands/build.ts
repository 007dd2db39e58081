// `image-builder build`: builds what files describe and prints the catalogues, as the function would.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ownCommand } from '#runtime';
import { InvalidInputError, invalidInput } from '../../base/diagnostics/error.ts';
import { redactCredentials } from '../../base/diagnostics/redact.ts';
import { shellWord } from '../../base/diagnostics/shell-word.ts';
import { writeLine } from '../../base/diagnostics/standard-streams.ts';
import type { BuildOptions } from '../../build/build-options.ts';
import type { ReusableStage } from '../../build/reuse.ts';
import type { BundleContents } from '../../bundle/model.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { type CommandContext, contextOf, type GlobalOptions } from '../context.ts';
import { onEarlierResults, requireLocal, reuseOption } from '../earlier-results.ts';
import { addOutputOption, addPathOption, type PolicyFlags, policyOf } from '../policy-options.ts';
import type { BuildOfFiles } from '../spec-files.ts';

/** Exit status of a dry run in which the packages were not checked. */
const UNCHECKED = 2;

interface BuildCommandOptions extends PolicyFlags {
  parallel?: number;
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
    .description('build the images and the bundle of each ImageBuilder object, or take them from the store')
    .argument(
      '<files...>',
      'files with ImageBuilder objects, directories of such files, - for standard input',
    )
    .option(
      '--parallel <n>',
      'of several objects, build so many at the same time; default: one per processor',
      parseCount,
    )
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
    async (files: string[], options: BuildCommandOptions, command: Command) => {
      const { readBuilds } = await import('../spec-files.ts');
      const cwd = process.cwd();
      const builds = await readBuilds(files, { cwd, policyOf: (file) => policyOf(options, cwd, file) });
      const context = contextOf(command);
      const [only] = builds;
      if (only && builds.length === 1) return await buildOne(only, options, { ...context, cwd });
      await buildAll(builds, options, { ...context, cwd }, command.optsWithGlobals<GlobalOptions>());
    },
  );
}

/** What a build is done with, beside its object and the options. */
type Surroundings = CommandContext & { cwd: string };

async function buildOne(
  build: BuildOfFiles,
  options: BuildCommandOptions,
  surroundings: Surroundings,
): Promise<void> {
  if (options.stage !== undefined) return await ensureStage(build, options.stage, options, surroundings);
  const { documents, unchecked, hints } = await perform(build, options, surroundings);
  process.stdout.write(await render(documents, options.output));
  for (const line of hints) writeLine(line);
  if (options.exitCode && unchecked) process.exitCode = UNCHECKED;
}

async function buildAll(
  builds: readonly BuildOfFiles[],
  options: BuildCommandOptions,
  surroundings: Surroundings,
  { logFormat }: GlobalOptions,
): Promise<void> {
  if (options.stage !== undefined)
    throw invalidInput({}, `--stage is about one object, and there are ${builds.length}`);
  const [{ buildMany }, { availableParallelism }] = await Promise.all([
    import('../build-many.ts'),
    import('node:os'),
  ]);
  const parallel = options.dryRun ? 1 : (options.parallel ?? availableParallelism());
  const clusters = await clustersFor(builds);
  const together = { parallelBuilds: parallel, ...(clusters && { clusters }) };
  const { results, summary, findings } = await buildMany(
    builds,
    parallel,
    (build, context) => perform(build, options, { ...surroundings, ...context }, together),
    surroundings,
  ).finally(() => clusters?.close());
  const documents = results.flatMap((result) => result.documents);
  if (documents.length > 0) process.stdout.write(await render(documents, options.output));
  if (logFormat !== 'json') for (const line of summary) writeLine(line);
  if (options.exitCode && results.some(({ unchecked }) => unchecked)) process.exitCode = UNCHECKED;
  if (findings.length > 0) throw new InvalidInputError(findings);
}

/** What builds in clusters share, if there are any. */
async function clustersFor(builds: readonly BuildOfFiles[]): Promise<BuildOptions['clusters']> {
  if (!builds.some(({ resolved }) => resolved.executor.kubernetes)) return undefined;
  const { Clusters } = await import('../../build/kubernetes/cluster.ts');
  return new Clusters();
}

/** What a build has come to. */
interface Performed {
  documents: unknown[];
  /** Where the bundle is; undefined when nothing was built. */
  image?: string;
  /** For people: what to do next. */
  hints: string[];
  /** Whether the packages of a dry run could not be checked. */
  unchecked?: boolean;
}

/** The build as the options want it, and what it is done with. */
async function prepared(
  { resolved: asWritten, policy }: BuildOfFiles,
  options: BuildCommandOptions,
  { cwd, report, signal }: Surroundings,
) {
  const store = options.store && { store: options.store };
  const { resolved, pinned } = await onEarlierResults(withOptions(asWritten, options), options.reuse, {
    ...{ cwd, policy },
    ...store,
  });
  return { resolved, surroundings: { cwd, policy, report, signal, ...store, ...(pinned && { pinned }) } };
}

async function perform(
  build: BuildOfFiles,
  options: BuildCommandOptions,
  context: Surroundings,
  together: Pick<BuildOptions, 'parallelBuilds' | 'clusters'> = {},
): Promise<Performed> {
  const { resolved, surroundings } = await prepared(build, options, context);
  if (options.dryRun) {
    const { dryRun } = await import('../../build/dry-run.ts');
    const plan = await dryRun(resolved, surroundings);
    return { documents: [withoutLogins(plan)], hints: [], unchecked: plan.packageSource.from === 'spec' };
  }
  const [engine, { cataloguesOf }] = await Promise.all([
    import('../../build/build.ts'),
    import('../../bundle/profile/catalogue.ts'),
  ]);
  const contents = await engine.build(resolved, {
    ...surroundings,
    file: build.file,
    program: ownCommand(),
    retry: options.whenMissing === 'Trigger',
    ...together,
  });
  const { metadata, spec } = build.object;
  return {
    documents: cataloguesOf(contents, { name: metadata.name }, spec.catalogue),
    image: contents.reference.image,
    hints: describeResult(contents, resolved),
  };
}

async function ensureStage(
  build: BuildOfFiles,
  stage: string,
  options: BuildCommandOptions,
  context: Surroundings,
): Promise<void> {
  const { resolved, surroundings } = await prepared(build, options, context);
  requireLocal(resolved, '--stage');
  const { buildStages } = await import('../../build/build.ts');
  const entries = await buildStages(resolved, [stage], surroundings);
  process.stdout.write(`${entries[stage]?.directory}\n`);
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

function parseCount(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number from 1 to 9999');
}

function parseSeconds(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number of seconds');
}

/** The lists of repositories that were asked hold their addresses, as they were given. */
const withoutLogins = (plan: unknown): unknown => JSON.parse(redactCredentials(JSON.stringify(plan)));

async function render(objects: readonly unknown[], format: 'yaml' | 'json'): Promise<string> {
  if (format === 'json') return `${JSON.stringify(objects, undefined, 2)}\n`;
  const { emitDocuments } = await import('../../base/yaml/emit.ts');
  return emitDocuments(objects);
}

/** Where the result is and what to do with it next. */
function describeResult({ reference, artifacts }: BundleContents, { rootfs }: ResolvedBuild): string[] {
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
  return lines;
}
