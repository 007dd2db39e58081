// Finds what the user wants to compare: a reference, a digest or key of the store, or an earlier build of a name. Only
// metadata is read: kilobytes, however large the images are.

import { TrustError } from '../attestation/error.ts';
import { ExactNumber } from '../base/yaml/values.ts';
import { localReference } from '../bundle/local-reference.ts';
import { parseProfile } from '../bundle/profile/profile.ts';
import { readPackages } from '../bundle/read/installed-packages.ts';
import { readBundle } from '../bundle/read/read-bundle.ts';
import type { ReadBundleOptions } from '../bundle/read/read-options.ts';
import { RegistryError } from '../oci/http/registry-error.ts';
import { LAYOUT_DIRECTORY, readBundleEntry } from '../stages/bundle/bundle-entry.ts';
import { type Entry, listEntries } from '../store/entry.ts';
import { StoreError } from '../store/errors.ts';
import { findBuild, findByKey } from '../store/select.ts';
import type { Store } from '../store/store.ts';
import type { Subject } from './comparison.ts';
import { evidenceAt, evidenceInStore } from './subject-evidence.ts';

const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** The build before the last but N of a name. */
const EARLIER = /^(.+)~(\d{1,2})$/;

/**
 * Reads the metadata of a bundle.
 * @param text a reference, `sha256:<digest>` or the beginning of a key in the store, or `NAME~N`: the Nth build of a
 * name before its newest
 * @throws StoreError when the store does not have it; RegistryError, TarError, BundleError
 */
export async function readSubject(text: string, store: Store, options: ReadBundleOptions): Promise<Subject> {
  const found = await find(text, store);
  const reading = await readBundle(typeof found === 'string' ? found : layoutOf(found), options);
  const { image, digest } = reading.reference;
  const { packages, cost } = await readPackages(image, options);
  const evidence = await (typeof found === 'string'
    ? evidenceAt(image, options).catch(ifNotTold)
    : evidenceInStore(store, found));
  return {
    name: text,
    image,
    digest,
    profiles: Object.fromEntries(
      reading.profiles.map((profile) => [
        profile.name,
        plain(parseProfile(profile)) as Record<string, unknown>,
      ]),
    ),
    ...(packages && { packages }),
    artifacts: reading.artifacts,
    ...(evidence && { evidence }),
    cost: {
      requests: reading.cost.requests + cost.requests,
      bytes: reading.cost.bytes + cost.bytes,
    },
  };
}

/** Whoever does not list statements has an answer to everything else. */
function ifNotTold(error: unknown): undefined {
  if (error instanceof RegistryError || error instanceof TrustError) return undefined;
  throw error;
}

/** An entry of the store, or a reference. */
async function find(text: string, store: Store): Promise<Entry | string> {
  const byKey = await findByKey(store, text, 'bundle');
  if (byKey) return byKey;
  const [, name, back] = EARLIER.exec(text) ?? [];
  if (name !== undefined) return await findBuild(store, name, Number(back));
  if (!DIGEST.test(text)) return text;
  const bundles = (await listEntries(store)).filter(({ kind }) => kind === 'bundle');
  const found = bundles.find((entry) => readBundleEntry(entry).manifest.digest === text);
  if (found) return found;
  throw new StoreError(
    'STORE_ENTRY_MISSING',
    `the store ${store.directory} has no bundle with the digest ${text}`,
    { hint: 'see `image-builder history NAME`, or name a reference' },
  );
}

function layoutOf(entry: Entry): string {
  const path = `${entry.directory}/${LAYOUT_DIRECTORY}`;
  return localReference('oci', path, readBundleEntry(entry).manifest.digest).image;
}

/** Numbers that JavaScript cannot hold are compared by their text. */
function plain(value: unknown): unknown {
  if (value instanceof ExactNumber) return value.text;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, plain(child)]));
}
