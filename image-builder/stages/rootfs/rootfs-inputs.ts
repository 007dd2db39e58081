// What decides the packages of a root file system. Pure.
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { withoutSecrets } from '../inputs.ts';
import type { PlanOptions } from '../stage.ts';

/** What decides the packages. */
export type RootfsInputs = ReturnType<typeof rootfsInputs>;

/** The inputs of the stage: plain data, without secrets. */
export function rootfsInputs(
  { distribution, rootfs, lock }: ResolvedBuild,
  { sourceDateEpoch }: PlanOptions,
) {
  // How often a download is tried does not change what is downloaded.
  const { multistrap_retries: _, multistrap_retries_delay: __, ...multistrap } = rootfs.multistrap;
  return {
    distribution,
    multistrap: withoutSecrets(multistrap),
    sourceDateEpoch,
    // Where a package lies is of no consequence, what it is is.
    ...(lock && {
      lock: {
        sourceDateEpoch: lock.sourceDateEpoch,
        keyrings: lock.keyrings,
        packages: lock.packages.map(({ name, version, sha256 }) => `${name}=${version} ${sha256}`),
      },
    }),
  };
}
