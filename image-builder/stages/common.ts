// The stages `rootfs` and `osconfig`, which all images of a build share, as the runner calls them.
import { join } from 'node:path';
import type { StageImplementation } from '../pipeline/stage-runner.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import type { Entry } from '../store/entry.ts';
import { configureRootfs } from './osconfig/configure.ts';
import { buildRootfs, type InstalledPackages, ROOTFS_FILE } from './rootfs/build-rootfs.ts';

/** Implements `rootfs`. */
export function rootfsStage(
  { distribution, mirror, sources, lock, rootfs, origins }: ResolvedBuild,
  options: { cacheDir: string },
): StageImplementation {
  return async ({ stage, context }) => {
    const { sourceDateEpoch } = stage.inputs as { sourceDateEpoch?: number };
    const { tree, ...facts } = await buildRootfs(
      {
        distribution,
        mirror,
        sources,
        ...(lock && { lock }),
        multistrap: rootfs.multistrap,
        origins,
        ...options,
        ...(sourceDateEpoch !== undefined && { sourceDateEpoch }),
      },
      context,
    );
    return { tree, facts };
  };
}

/** Implements `osconfig`. */
export function osconfigStage({ rootfs }: ResolvedBuild, options: { cacheDir: string }): StageImplementation {
  return async ({ parents, tree, copyTree, context }) => {
    const configured = await configureRootfs(
      {
        parent: rootfsFileOf(parents.rootfs),
        ...(tree && { tree }),
        copyTree,
        osconfig: rootfs.osconfig,
        scripts: rootfs.scripts,
        ...options,
      },
      context,
    );
    return { ...configured, facts: { packages: packagesOf(parents.rootfs) } };
  };
}

/** The packed root file system of an entry. */
export function rootfsFileOf(entry: Entry | undefined): string {
  if (!entry) throw new TypeError('a stage has lost its parent');
  return join(entry.directory, ROOTFS_FILE);
}

/** What is installed in the root file system of an entry of `rootfs` or `osconfig`. */
export function packagesOf(entry: Entry | undefined): InstalledPackages {
  return (entry?.facts.packages ?? {}) as InstalledPackages;
}
