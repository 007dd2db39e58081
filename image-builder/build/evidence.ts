// What the store knows of how a bundle came to be: its provenance, and which disks have booted.
import type { Provenance } from '../bundle/evidence/attest.ts';
import { version } from '../embedded/release.ts';
import { hashOf } from '../pipeline/keys.ts';
import { findEntry } from '../pipeline/lookup.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import { withoutCredentials } from '../spec/variables/uri.ts';
import { type Entry, listEntries } from '../store/entry.ts';
import type { Store } from '../store/store.ts';

/** What can be said about a bundle. */
export interface BuildEvidence {
  provenance: Provenance;
  bootTests: { disk: string; firmware: string }[];
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
  return {
    provenance: provenanceOf(resolved, bundle, stages, builder),
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
  { distribution, rootfs, qcows, bundle: place, lock }: ResolvedBuild,
  bundle: Entry,
  stages: ReadonlyMap<string, Entry>,
  builder: string,
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
      internalParameters: { keys: Object.fromEntries(ordered.map(([stage, { key }]) => [stage, key])) },
      resolvedDependencies: [
        ...repositories,
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

/** Of the very disks in the bundle: an entry exists when the machine has reached its login prompt, here or where it is believed. */
async function bootTestsOf(store: Store, bundle: Entry): Promise<BuildEvidence['bootTests']> {
  const disks = new Map(
    Object.entries(bundle.parents).flatMap(([stage, key]) =>
      stage.startsWith('qcow/') ? [[key, stage.slice('qcow/'.length)] as const] : [],
    ),
  );
  const passed = (await listEntries(store)).flatMap(({ kind, parents, inputs, origin }) => {
    if (kind !== 'boot-test' || !origin || !store.believes(origin)) return [];
    const disk = Object.values(parents).flatMap((key) => disks.get(key) ?? [])[0];
    const { firmware } = inputs as { firmware?: string };
    return disk !== undefined && firmware ? [{ disk, firmware }] : [];
  });
  const unique = new Map(passed.map((one) => [`${one.disk}/${one.firmware}`, one]));
  return [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

function sorted(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
}
