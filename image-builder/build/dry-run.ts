// What a build would do, as data: the packages that the repositories have now, the disks, the commands. Nothing is
// installed, and nothing is written but package lists in a directory of their own.

import type { DiskPlan } from '../disk/disk-plan.ts';
import { planPartitions } from '../disk/partition-table.ts';
import { renderSfdiskScript } from '../disk/sfdisk.ts';
import { kernelCommandLine } from '../spec/api/kernel-arguments.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import type { LockedPackage } from '../spec/variables/resolved-lock.ts';
import { multistrapProfile, qcowProfile } from '../stages/bundle/profiles.ts';
import { menuOf } from '../stages/qcow/boot-menu.ts';
import { requestedOfBase, requestedPackages } from '../stages/rootfs/apt-sources.ts';
import { baseCommand, topCommand } from '../stages/rootfs/bootstrap.ts';
import { renderSelections } from '../stages/rootfs/debconf.ts';
import type { InstalledPackages } from '../stages/rootfs/rootfs-entry.ts';
import { RootfsError } from '../stages/rootfs/rootfs-error.ts';
import type { BuildOptions } from './build-options.ts';
import { type ExplainedStage, explainPlan } from './explain.ts';
import type { RepositoryAnswer } from './packages/resolution.ts';
import { planBuild } from './session.ts';

/** Where the versions of the packages come from. */
export type PackageSource =
  /** Every repository was fetched, and its signature verified with the key of the spec. */
  | { from: 'repositories'; verified: RepositoryAnswer['repositories'] }
  | { from: 'lock' }
  /** The repositories could not be asked: names only. */
  | { from: 'spec'; unreachable: string };

/** A disk as it would be made; the identifiers are made from the build's key, so these are examples. */
export interface DryDisk {
  capacityBytes: number;
  kernelCommandLine: string;
  partitions: DiskPlan['partitions'];
  fstab: string;
}

/** What a build would do. */
export interface DryRun {
  name: string;
  distribution: string;
  architecture: string;
  packageSource: PackageSource;
  /** Version by name; absent when nobody could be asked. */
  packages?: Record<string, string>;
  /** What is asked for by name. */
  requested: string[];
  stages: ExplainedStage[];
  disks: Record<string, DryDisk>;
  commands: { stage: string; argv: string[]; input?: string }[];
  /** The variables, as the profiles of the bundle would tell them. */
  profiles: Record<string, unknown>;
}

/**
 * Finds out what a build would do.
 * @throws InvalidInputError, RootfsError when the build would fail because of its spec; an unreachable repository is not
 *   an error
 */
export async function dryRun(
  resolved: ResolvedBuild,
  options: Pick<BuildOptions, 'cwd' | 'policy' | 'store' | 'env' | 'pinned' | 'report' | 'signal'>,
): Promise<DryRun> {
  const plan = await planBuild(resolved, options);
  const stages = await explainPlan(resolved.name, plan);
  const { packages, source } = await findPackages(resolved, options);
  const installed: InstalledPackages = Object.fromEntries(
    (packages ?? []).map(({ name, version, architecture }) => [name, { version, architecture }]),
  );
  const profiles = [
    multistrapProfile(resolved, installed),
    ...Object.keys(resolved.qcows).map((name) => qcowProfile(name, resolved, installed)),
  ];
  const { distribution, rootfs } = resolved;
  return {
    name: resolved.name,
    distribution: distribution.name,
    architecture: rootfs.multistrap.rootfs_arch,
    packageSource: source,
    ...(packages && {
      packages: Object.fromEntries(packages.map(({ name, version }) => [name, version])),
    }),
    requested: requestedPackages(rootfs.multistrap, distribution.boot_packages),
    stages,
    disks: Object.fromEntries(
      Object.entries(resolved.qcows).map(([name, image]) => {
        const { capacityBytes, partitions, fstab } = planPartitions(
          image.qcow,
          name,
          rootfs.multistrap.rootfs_arch,
        );
        const commandLine = kernelCommandLine(menuOf(image.osconfig, installed).kernelArguments);
        return [name, { capacityBytes, kernelCommandLine: commandLine, partitions, fstab }];
      }),
    ),
    commands: commandsOf(resolved),
    profiles: Object.fromEntries(profiles.map(({ name, json }) => [name, JSON.parse(json)])),
  };
}

async function findPackages(
  resolved: ResolvedBuild,
  options: Pick<BuildOptions, 'report' | 'signal'>,
): Promise<{ packages?: LockedPackage[]; source: PackageSource }> {
  if (resolved.lock) return { packages: resolved.lock.packages, source: { from: 'lock' } };
  const { resolvePackages } = await import('./packages/resolution.ts');
  try {
    const { packages, repositories } = await resolvePackages(withoutPatience(resolved), options);
    return { packages, source: { from: 'repositories', verified: repositories } };
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    const { message, hint, output = [] } = error;
    const reason = hint === undefined ? message : `${message}; ${hint}`;
    options.report({ type: 'step', stage: 'packages', message: `not checked: ${reason}` });
    return { source: { from: 'spec', unreachable: [reason, ...output].join('\n') } };
  }
}

/** The repositories are asked once, and not waited for. */
const withoutPatience = (resolved: ResolvedBuild): ResolvedBuild => ({
  ...resolved,
  rootfs: {
    ...resolved.rootfs,
    multistrap: { ...resolved.rootfs.multistrap, multistrap_retries: 0 },
  },
});

/** Whether no repository answered; one that answers but lacks a package is an error of the spec. */
function isUnreachable(error: unknown): error is RootfsError {
  if (!(error instanceof RootfsError)) return false;
  // A machine of another distribution, which has no trusted copy of the keys.
  if (error.code === 'KEY_UNAVAILABLE' && error.field === 'spec.build.distribution') return true;
  if (error.code !== 'REPOSITORY_UNREACHABLE' && error.code !== 'KEY_UNAVAILABLE') return false;
  return /Could not (connect|resolve|wait)|Temporary failure|timed out|Unable to connect|unreachable|Connection (refused|failed)/i.test(
    (error.output ?? []).join('\n'),
  );
}

function commandsOf({ distribution, rootfs, qcows }: ResolvedBuild): DryRun['commands'] {
  const { multistrap } = rootfs;
  const requested = requestedPackages(multistrap, distribution.boot_packages);
  const ofBase = requestedOfBase(requested, multistrap, distribution);
  const options = {
    tree: 'TREE',
    codename: distribution.codename,
    architecture: multistrap.rootfs_arch,
    // Which package an answer is for is known when the packages are.
    debconf: renderSelections(multistrap.debconf),
    pathExclude: multistrap.path_exclude,
    pathInclude: multistrap.path_include,
  };
  return [
    { stage: 'rootfs', argv: baseCommand({ ...options, requested: ofBase }, 'SOURCES') },
    { stage: 'rootfs', argv: topCommand({ ...options, requested }, 'SOURCES') },
    ...Object.entries(qcows).map(([name, { qcow }]) => ({
      stage: `qcow/${name}`,
      argv: ['sfdisk', 'DISK'],
      input: renderSfdiskScript(planPartitions(qcow, name, multistrap.rootfs_arch)),
    })),
  ];
}
