// The small Kubernetes node that the tests build and boot: the packages of the tests on Debian 13.
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { executable } from './executables.ts';
import type { KubernetesPackages } from './kubernetes-packages.ts';

/** What a test adds to the node. */
interface Additions {
  /** Packages beside those of the block. */
  packageNames?: readonly string[];
  /** Repositories beside those of Kubernetes and of containerd. */
  repositories?: readonly object[];
  /** Variables of rootfs.osconfig. */
  osconfig?: object;
  /** Fields of spec.build. */
  build?: object;
}

/**
 * An ImageBuilder object, whose bundle is the layout `out`.
 * @param kubernetes fields of spec.build.kubernetes beside the source of the packages
 * @param minor of the packages
 */
export const kubernetesNode = (
  packages: KubernetesPackages,
  minor: string,
  kubernetes: object,
  { packageNames = [], repositories = [], osconfig = {}, build = {} }: Additions = {},
) => ({
  apiVersion: 'airshipit.org/v1alpha1',
  kind: 'ImageBuilder',
  metadata: { name: 'node' },
  spec: {
    build: {
      distribution: 'debian-13',
      kubernetes: { ...packages.source(minor), ...kubernetes },
      rootfs: {
        multistrap: {
          kernel_base_pkg: 'linux-image-cloud-amd64',
          packages: ['dbus', 'iproute2', ...packageNames],
          multistrap_retries: 0,
          repos_append: [packages.docker, ...repositories],
        },
        osconfig: { grub: { GRUB_TIMEOUT: 0 }, ...osconfig },
      },
      bundle: { layout: 'out' },
      ...build,
    },
  },
});

/**
 * Runs the command in a directory, with the store that {@link entriesOf} reads. Not synchronously: the repositories of a test
 * are served by its own process.
 * @param env beside that of this process
 * @returns rejects with `stderr` when the command fails
 */
export const imageBuilderIn = (
  directory: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
) =>
  promisify(execFile)(executable('image-builder'), args, {
    cwd: directory,
    env: { ...process.env, IMAGE_BUILDER_STORE: join(directory, 'store'), ...env },
    maxBuffer: 1 << 26,
  });

/** Builds an object as `node.yaml` of a directory; see {@link imageBuilderIn}. */
export function buildNode(
  directory: string,
  object: object,
  options: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
) {
  writeFileSync(join(directory, 'node.yaml'), JSON.stringify(object));
  return imageBuilderIn(directory, ['build', 'node.yaml', ...options], env);
}

const entriesOf = (directory: string): string => join(directory, 'store/entries');

/** The directory of a stage in the store; of one of them where there are several. */
export function entryOf(directory: string, kind: string): string {
  const name = readdirSync(entriesOf(directory)).find((entry) => entry.startsWith(`${kind}-`));
  if (name === undefined) throw new Error(`${entriesOf(directory)} has no ${kind}`);
  return join(entriesOf(directory), name);
}

/** The disk of the node. */
export const diskOf = (directory: string): string => join(entryOf(directory, 'qcow'), 'node.qcow2');
