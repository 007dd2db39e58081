// What the store knows of how a bundle came to be: its provenance, and which disks have booted.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/diagnostics/errno.ts';
import type { Provenance } from '../bundle/evidence/attest.ts';
import type { PassedBootTest } from '../bundle/evidence/boot-predicate.ts';
import { DESCRIPTION_TYPE } from '../bundle/evidence/build-description.ts';
import { version } from '../embedded/release.ts';
import { hashOf } from '../pipeline/keys.ts';
import { findEntry } from '../pipeline/lookup.ts';
import { describeBuild } from '../spec/variables/description.ts';
import { newLockFile } from '../spec/variables/lock-file.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import type { ResolvedLock } from '../spec/variables/resolved-lock.ts';
import { withoutCredentials } from '../spec/variables/uri.ts';
import { readBootTestEntry } from '../stages/boot-test/boot-test-entry.ts';
import { RESOLUTION_FILE } from '../stages/rootfs/rootfs-entry.ts';
import { type Entry, listEntries } from '../store/entry.ts';
import type { Store } from '../store/store.ts';
import { lockOf } from './packages/package-lock.ts';

/** What can be said about a bundle. */
export interface BuildEvidence {
  provenance: Provenance;
  /** What the provenance names, for whoever builds it again; absent when the packages of the build are not known. */
  description?: Buffer;
  bootTests: PassedBootTest[];
}

/** How to read `externalParameters` and `internalParameters`; docs/how-to/sign-and-verify-bundles.md. */
const BUILD_TYPE = 'https://airshipit.org/image-builder/build/v1';

/**
 * @param bundle the entry of the bundle
 * @param builder `builder.id`: who has built it
 */
export async function evidenceOf(
  resolved: ResolvedBuild,
  store: Store,
  bundle: Entry,
  builder: string,
): Promise<BuildEvidence> {
  const stages = await stagesOf(store, bundle);
  const description = await descriptionOf(resolved, stages.get('rootfs'));
  return {
    provenance: provenanceOf(resolved, bundle, stages, builder, description),
    ...(description && { description }),
    bootTests: await bootTestsOf(store, bundle),
  };
}

/** The entries that a bundle was made from, by stage; those that were collected meanwhile are left out. */
async function stagesOf(store: Store, bundle: Entry): Promise<Map<string, Entry>> {
  const found = new Map<string, Entry>([['bundle', bundle]]);
  const queue = [bundle];
  for (let entry = queue.shift(); entry; entry = queue.shift()) {
    for (const [stage, key] of Object.entries(entry.parents)) {
      if (found.has(stage)) continue;
      const kind = stage.split('/')[0] ?? stage;
      const parent = await findEntry(store, { kind, key });
      if (!parent) continue;
      found.set(stage, parent);
      queue.push(parent);
    }
  }
  return found;
}

function provenanceOf(
  { distribution, rootfs, qcows, bundle: place, lock, preload }: ResolvedBuild,
  bundle: Entry,
  stages: ReadonlyMap<string, Entry>,
  builder: string,
  description: Buffer | undefined,
): Provenance {
  const ordered = [...stages].sort(([a], [b]) => (a < b ? -1 : 1));
  const tools = Object.assign({}, ...ordered.map(([, entry]) => entry.tools)) as Record<string, string>;
  const { base } = place;
  const repositories = rootfs.multistrap.repos.map(({ name, source, suite }) => ({
    name,
    uri: withoutCredentials(source),
    annotations: { suite },
  }));
  return {
    buildDefinition: {
      buildType: BUILD_TYPE,
      externalParameters: {
        distribution: distribution.name,
        architecture: rootfs.multistrap.rootfs_arch,
        qcows: Object.keys(qcows).sort(),
        locked: lock !== undefined,
        // Every variable, without secrets; as the profiles of the bundle tell them.
        variables: { sha256: hashOf(bundle.inputs) },
      },
      internalParameters: {
        keys: Object.fromEntries(ordered.map(([stage, { key }]) => [stage, key])),
        recipes: Object.fromEntries(ordered.map(([stage, { recipe }]) => [stage, recipe])),
      },
      resolvedDependencies: [
        ...(description
          ? [
              {
                name: 'build',
                mediaType: DESCRIPTION_TYPE,
                digest: { sha256: createHash('sha256').update(description).digest('hex') },
              },
            ]
          : []),
        ...repositories,
        // What the disks carry.
        ...(preload?.images ?? []).map(({ reference, digest }) => ({
          name: reference,
          uri: reference,
          digest: { sha256: digest.replace(/^sha256:/, '') },
        })),
        ...(typeof base === 'object' && base.digest
          ? [{ name: 'base', uri: base.image, digest: { sha256: base.digest.replace(/^sha256:/, '') } }]
          : []),
      ],
    },
    runDetails: {
      builder: { id: builder, version: { 'image-builder': version, ...sorted(tools) } },
      metadata: { finishedOn: bundle.createdAt },
    },
  };
}

/** The build with the packages that were installed; they are known when the root file system is there, or there was a lock. */
async function descriptionOf(
  resolved: ResolvedBuild,
  rootfs: Entry | undefined,
): Promise<Buffer | undefined> {
  const { lock = rootfs && (await installedLock(resolved, rootfs)) } = resolved;
  if (!lock) return undefined;
  const { sourceDateEpoch } = (rootfs?.inputs ?? {}) as { sourceDateEpoch?: number };
  const file = newLockFile(resolved.rootfs.multistrap.rootfs_arch, lock);
  return Buffer.from(`${JSON.stringify(describeBuild(resolved, file, sourceDateEpoch))}\n`);
}

async function installedLock(resolved: ResolvedBuild, rootfs: Entry): Promise<ResolvedLock | undefined> {
  const text = await readFile(join(rootfs.directory, RESOLUTION_FILE), 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : lockOf(resolved, JSON.parse(text));
}

/** Of the very disks in the bundle: an entry exists when the machine has reached its login prompt, here or where it is believed. */
export async function bootTestsOf(store: Store, bundle: Entry): Promise<PassedBootTest[]> {
  const disks = new Map(
    Object.entries(bundle.parents).flatMap(([stage, key]) =>
      stage.startsWith('qcow/') ? [[key, stage.slice('qcow/'.length)] as const] : [],
    ),
  );
  const passed = (await listEntries(store)).flatMap((entry) => {
    const { parents, origin } = entry;
    if (entry.kind !== 'boot-test' || !origin || !store.believes(origin)) return [];
    const disk = Object.values(parents).flatMap((key) => disks.get(key) ?? [])[0];
    return disk === undefined ? [] : [{ disk, settings: hashOf(entry.inputs), ...readBootTestEntry(entry) }];
  });
  const unique = new Map(passed.map((one) => [`${one.disk}/${one.firmware}`, one]));
  return [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

function sorted(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
}
