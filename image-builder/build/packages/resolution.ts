// Asks the repositories which packages a build would install now, without installing or fetching any.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import { newestRelease } from '../../pipeline/epoch.ts';
import { createLocalSandbox } from '../../sandbox/local-sandbox.ts';
import { progressOf, type StageContext } from '../../sandbox/stage-context.ts';
import type { LockedPackage, ResolvedBuild } from '../../spec/variables/resolved.ts';
import { requestedPackages } from '../../stages/rootfs/apt-sources.ts';
import { ArchiveAccess, type ArchiveInputs } from '../../stages/rootfs/archive-access.ts';
import { textOfKey } from '../../stages/rootfs/keyrings.ts';
import { RootfsError } from '../../stages/rootfs/rootfs-error.ts';

/** What the repositories have. */
export interface PackageResolution {
  /** Sorted by name. */
  packages: LockedPackage[];
  /** The repositories with the mirror that has answered; each was verified with its key. */
  repositories: { name: string; source: string; suite: string }[];
  /** Keys that do not stand in the spec, by repository. */
  keyrings: Record<string, string>;
  /** Date of the newest repository, in seconds since the epoch. */
  sourceDateEpoch: number;
}

/**
 * Resolves the packages of a build in a directory of its own, which is removed afterwards.
 * @throws RootfsError, which names the field of the spec; ToolError
 */
export async function resolvePackages(
  { distribution, mirror, sources, rootfs, origins }: ResolvedBuild,
  options: { report: Reporter; signal: AbortSignal },
): Promise<PackageResolution> {
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
    return await askRepositories(
      { distribution, mirror, sources, multistrap: rootfs.multistrap, origins },
      context,
    );
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
): Promise<PackageResolution> {
  const { distribution, multistrap } = inputs;
  context.step('fetch the package lists');
  const archive = await ArchiveAccess.open(inputs, context);
  context.step('choose the packages');
  const files = await archive.plan(requestedPackages(multistrap, distribution.boot_packages));
  const keyrings: Record<string, string> = {};
  for (const [index, { name, keyring, keyring_pkg }] of multistrap.repos.entries()) {
    const key = archive.keys[index];
    const isKnown = keyring !== undefined || keyring_pkg === distribution.keyring.package;
    if (!isKnown && key !== undefined) keyrings[name] = await textOfKey(key);
  }
  return {
    packages: files
      .map((file) => {
        const { name, version, architecture, size, sha256 } = file;
        const place = archive.locate(file);
        if (sha256 === undefined || place === undefined) {
          throw new RootfsError('NOT_LOCKABLE', `the repository of ${name} does not provide its SHA-256`);
        }
        const { repository, path } = place;
        return { name, version, architecture, repository: repository.name, path, size, sha256 };
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    repositories: archive.repositories.map(({ name, source, suite }) => ({ name, source, suite })),
    keyrings,
    sourceDateEpoch: await newestRelease(archive.apt.lists),
  };
}
