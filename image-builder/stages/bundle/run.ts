// Runs the stage `bundle`.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { assembleBundle } from '../../bundle/write/assemble.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { readOsconfigEntry } from '../osconfig/osconfig-entry.ts';
import { readQcowEntry } from '../qcow/qcow-entry.ts';
import type { InstalledPackages } from '../rootfs/rootfs-entry.ts';
import type { StageWork } from '../stage.ts';
import { localBase } from './base-image.ts';
import { type BundleFacts, bundleFacts, LAYOUT_DIRECTORY } from './bundle-entry.ts';
import type { BundleInputs } from './bundle-inputs.ts';
import { FUNCTION_BASE } from './function-base.ts';
import { kubernetesOf } from './installed-kubernetes.ts';
import { multistrapProfile, qcowProfile } from './profiles.ts';

/** Copies no QCOW: their layers are hard links where the store allows that. */
export const run: StageWork<BundleInputs, BundleFacts> = async (
  { stage, parents, context },
  resolved,
  surroundings,
) => {
  context.step('pack the bundle');
  const base = await localBase(resolved, surroundings.cacheDir, {
    ...surroundings,
    functionBase: stage.toolVersions[FUNCTION_BASE],
    signal: context.signal,
    step: context.step,
  });
  const { packages } = readOsconfigEntry(parents.osconfig);
  const names = Object.keys(resolved.qcows).sort();
  const profiles = [
    multistrapProfile(resolved, packages),
    ...names.map((name) => qcowProfile(name, resolved, packages)),
  ];
  const bundle = await assembleBundle(
    {
      qcows: Object.fromEntries(names.map((name) => [name, readQcowEntry(parents[`qcow/${name}`])])),
      profiles,
      packages,
      created: context.sourceDateEpoch,
      architecture: resolved.rootfs.multistrap.rootfs_arch,
      labels: labelsOf(resolved, packages),
      ...(base && { base }),
    },
    join(context.outputDir, LAYOUT_DIRECTORY),
  );
  return { facts: bundleFacts(bundle, profiles), digests: await blobDigests(context.outputDir) };
};

/** Blobs are named by their digests, which were computed when they were written. */
async function blobDigests(outputDir: string): Promise<Record<string, string>> {
  const blobs = join(LAYOUT_DIRECTORY, 'blobs', 'sha256');
  const names = await readdir(join(outputDir, blobs));
  return Object.fromEntries(names.map((name) => [join(blobs, name), name]));
}

/** Nothing in the labels depends on the name of the build: renaming it changes no byte. */
function labelsOf(
  { distribution, rootfs }: ResolvedBuild,
  packages: InstalledPackages,
): Record<string, string> {
  const version = kubernetesOf(rootfs.multistrap, packages)?.version;
  return {
    'org.opencontainers.image.title': 'qcow-bundle',
    'org.opencontainers.image.description': `Node images of ${distribution.name}${version ? ` with Kubernetes ${version}` : ''}`,
  };
}
