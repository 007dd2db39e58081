// Asks the repositories which packages a build would install now, without installing or fetching any.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import { createLocalSandbox } from '../../sandbox/local-sandbox.ts';
import { progressOf, type StageContext } from '../../sandbox/stage-context.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { requestedPackages } from '../../stages/rootfs/apt-sources.ts';
import { ArchiveAccess, type ArchiveInputs } from '../../stages/rootfs/archive-access.ts';
import { type PackageResolution, resolutionOf } from '../../stages/rootfs/resolution.ts';

/** What the repositories have, and which of their mirrors has answered; each was verified with its key. */
export interface RepositoryAnswer extends PackageResolution {
  repositories: { name: string; source: string; suite: string }[];
}

/**
 * Resolves the packages of a build in a directory of its own, which is removed afterwards.
 * @throws RootfsError, which names the field of the spec; ToolError
 */
export async function resolvePackages(
  { distribution, mirror, sources, rootfs, origins }: ResolvedBuild,
  options: AskingOptions,
): Promise<RepositoryAnswer> {
  const inputs = { distribution, mirror, sources, multistrap: rootfs.multistrap, origins };
  return await inScratch(options, (context) => askRepositories(inputs, context));
}

/** How repositories are asked. */
export interface AskingOptions {
  report: Reporter;
  signal: AbortSignal;
}

/**
 * Does something in the surroundings of a stage, in a directory of its own that is removed afterwards.
 * @throws what `use` throws
 */
export async function inScratch<Result>(
  options: AskingOptions,
  use: (context: StageContext) => Promise<Result>,
): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'image-builder-packages-'));
  const sandbox = await createLocalSandbox();
  const context: StageContext = {
    ...progressOf('packages', options.report),
    signal: options.signal,
    sandbox,
    workDir: join(directory, 'work'),
    outputDir: join(directory, 'output'),
    sourceDateEpoch: 0,
  };
  try {
    await mkdir(context.workDir);
    return await use(context);
  } finally {
    // In the sandbox: files may belong to subordinate ids.
    await sandbox.run(['rm', '-rf', '--', directory]).catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
  }
}

/** The same in the directories of a stage. */
export async function askRepositories(
  inputs: ArchiveInputs,
  context: StageContext,
): Promise<RepositoryAnswer> {
  const { distribution, multistrap } = inputs;
  context.step('fetch the package lists');
  const archive = await ArchiveAccess.open(inputs, context);
  context.step('choose the packages');
  const files = await archive.plan(requestedPackages(multistrap, distribution.boot_packages));
  return {
    ...(await resolutionOf(archive, files, inputs)),
    repositories: archive.repositories.map(({ name, source, suite }) => ({ name, source, suite })),
  };
}
