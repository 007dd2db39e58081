// The stages of a build and the inputs of each: the one place that says what influences what. Pure.
//
//   rootfs ─► osconfig ─► qcow/<name> ─► bundle
//                  │           └─► boot-test/<name>/<firmware>
//                  └─► iso

import { hashOf } from '../pipeline/keys.ts';
import type { StageDefinition } from '../pipeline/plan.ts';
import { osconfigWithoutCredentials, repositoryWithoutCredentials } from '../spec/variables/credentials.ts';
import type {
  ResolvedBuild,
  ResolvedMultistrap,
  ResolvedOsconfig,
  RunContext,
} from '../spec/variables/resolved.ts';

/** What a plan takes from elsewhere than the spec. */
export interface StageOptions {
  /** Set by the caller's SOURCE_DATE_EPOCH; otherwise the packages decide. Seconds since the epoch. */
  sourceDateEpoch?: number;
}

/**
 * The base that this program carries, named among the tools of the stage that it goes into: another release or another
 * version of its packages gives other bytes of the same recipe.
 */
export const FUNCTION_BASE = 'function-base';

/** Stages in an order in which parents come first. */
export function defineStages(resolved: ResolvedBuild, options: StageOptions = {}): StageDefinition[] {
  const qcows = Object.keys(resolved.qcows).sort();
  const architecture = resolved.rootfs.multistrap.rootfs_arch;
  return [
    rootfsStage(resolved, options),
    osconfigStage(resolved),
    ...qcows.map((name) => qcowStage(resolved, name)),
    ...(resolved.bootTest.timeout > 0
      ? qcows.flatMap((name) =>
          resolved.bootTest.firmware.map((firmware) => bootTestStage(name, firmware, architecture)),
        )
      : []),
    ...(resolved.iso ? [isoStage(resolved.rootfs.livecdcontent, resolved.iso)] : []),
    bundleStage(resolved, qcows),
  ];
}

function rootfsStage({ distribution, rootfs, lock }: ResolvedBuild, options: StageOptions): StageDefinition {
  // How often a download is tried does not change what is downloaded.
  const { multistrap_retries: _, multistrap_retries_delay: __, ...multistrap } = rootfs.multistrap;
  return {
    name: 'rootfs',
    kind: 'rootfs',
    inputs: {
      distribution,
      multistrap: withoutSecrets(multistrap),
      sourceDateEpoch: options.sourceDateEpoch,
      // Where a package lies is of no consequence, what it is is.
      ...(lock && {
        lock: {
          sourceDateEpoch: lock.sourceDateEpoch,
          keyrings: lock.keyrings,
          packages: lock.packages.map(({ name, version, sha256 }) => `${name}=${version} ${sha256}`),
        },
      }),
    },
    parents: [],
    // Which packages apt chooses follows from the repositories, which are in no key; how it and dpkg unpack them changes no
    // byte (docs/explanation/builds.md).
    tools: ['mmdebstrap', 'tar'],
  };
}

function osconfigStage({ rootfs }: ResolvedBuild): StageDefinition {
  return {
    name: 'osconfig',
    kind: 'osconfig',
    inputs: { osconfig: forContext(rootfs.osconfig, 'common'), scripts: rootfs.scripts },
    parents: ['rootfs'],
    tools: ['ansible-core', 'tar'],
  };
}

function qcowStage({ qcows }: ResolvedBuild, name: string): StageDefinition {
  const image = qcows[name];
  if (!image) throw new TypeError(`no QCOW ${name}`);
  return {
    name: `qcow/${name}`,
    kind: 'qcow',
    inputs: { osconfig: forContext(image.osconfig, 'qcow'), qcow: image.qcow, scripts: image.scripts },
    parents: ['osconfig'],
    // The libraries compress, or lay out the file system.
    tools: [
      'ansible-core',
      'fdisk',
      'e2fsprogs',
      // Debian 13 has renamed it.
      'libext2fs2',
      'libext2fs2t64',
      'dosfstools',
      'mtools',
      'xfsprogs',
      'grub-common',
      'qemu-utils',
      'libzstd1',
      'zlib1g',
    ],
  };
}

function isoStage(
  livecdcontent: ResolvedBuild['rootfs']['livecdcontent'],
  iso: NonNullable<ResolvedBuild['iso']>,
): StageDefinition {
  // Threads and patience change no byte.
  const { mksquashfs_threads: _, squashfs_timeout: __, ...live } = livecdcontent;
  return {
    name: 'iso',
    kind: 'iso',
    // The hash: cloud-init's data holds passwords and keys, and inputs are written down.
    inputs: { livecdcontent: live, iso: hashOf(iso) },
    parents: ['osconfig'],
    tools: ['squashfs-tools', 'xorriso', 'grub-common', 'dosfstools', 'mtools', 'libzstd1', 'zlib1g'],
  };
}

function bootTestStage(qcow: string, firmware: string, architecture: string): StageDefinition {
  return {
    name: `boot-test/${qcow}/${firmware}`,
    kind: 'boot-test',
    inputs: { firmware, architecture },
    parents: [`qcow/${qcow}`],
    // That an image has booted stays true when QEMU is upgraded.
    tools: [],
  };
}

function bundleStage(
  { rootfs, qcows: images, bundle }: ResolvedBuild,
  qcows: readonly string[],
): StageDefinition {
  return {
    name: 'bundle',
    kind: 'bundle',
    inputs: {
      qcows,
      // The profiles tell every variable, so each of them changes the bundle.
      rootfs: {
        ...rootfs,
        multistrap: withoutSecrets(rootfs.multistrap),
        osconfig: osconfigWithoutCredentials(rootfs.osconfig),
      },
      images: Object.fromEntries(
        Object.entries(images).map(([name, image]) => [
          name,
          { ...image, osconfig: osconfigWithoutCredentials(image.osconfig) },
        ]),
      ),
      builderImage: bundle.builderImage,
      base: typeof bundle.base === 'object' ? bundle.base.digest : bundle.base,
    },
    parents: ['osconfig', ...qcows.map((name) => `qcow/${name}`)],
    tools: bundle.base === 'function' ? [FUNCTION_BASE] : [],
  };
}

/**
 * Inputs are written down: secret answers are only there as a hash, under a name that is never shown, and addresses
 * without the logins in them.
 */
function withoutSecrets<T extends Pick<ResolvedMultistrap, 'debconf' | 'repos'>>(multistrap: T) {
  return {
    ...multistrap,
    repos: multistrap.repos.map(repositoryWithoutCredentials),
    debconf: multistrap.debconf.map(({ value, ...selection }) =>
      selection.type === 'password'
        ? { ...selection, password_hash: hashOf(value) }
        : { ...selection, value },
    ),
  };
}

/** The variables of osconfig that act in a context: lists without the items that run in the other one only. */
function forContext(osconfig: ResolvedOsconfig, context: RunContext): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(osconfigWithoutCredentials(osconfig)).map(([name, value]) => [
      name,
      Array.isArray(value) ? itemsFor(value, context) : value,
    ]),
  );
}

/** The list itself when all of it runs: images share their lists, and hashing knows a list again. */
function itemsFor(items: readonly object[], context: RunContext): readonly object[] {
  return items.every((item) => runsIn(item, context)) ? items : items.filter((item) => runsIn(item, context));
}

function runsIn(item: object, context: RunContext): boolean {
  return !('run_contexts' in item) || (item.run_contexts as RunContext[]).includes(context);
}
