// A registry as the store of several machines: entries by key (tag `<kind>-<key>`), and the newest of each recipe (tag
// `<kind>-recipe-<recipe>`) for machines that cannot compute keys. Whatever goes wrong here costs time, never the
// result: who does not get an entry, or does not believe it, builds it.
import type { KeyObject } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import { checkContent, checkedStream } from '../../oci/digest.ts';
import { pushImage } from '../../oci/distribution/push.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts';
import type { Descriptor } from '../../oci/model.ts';
import { openSource, type SourceOptions } from '../../oci/open.ts';
import { parseReference, type RegistryReference } from '../../oci/reference.ts';
import { adoptEntry, type Entry, type EntryRecord, entryName } from '../entry.ts';
import { StoreError } from '../errors.ts';
import type { Origin } from '../origin.ts';
import { RECORD_FILE } from '../portable.ts';
import type { Store } from '../store.ts';
import { parseEntryManifest, readRecord, toArtifact } from './artifact.ts';
import { EntrySource } from './entry-source.ts';
import { judge, signRecord, type TrustPolicy } from './trust.ts';

/** Images for installation carry cloud-init's passwords and keys: they are not for others. */
const PRIVATE_KINDS: ReadonlySet<string> = new Set(['iso']);

const DAMAGE: ReadonlySet<string> = new Set(['DIGEST_MISMATCH', 'INVALID_MANIFEST', 'TOO_LARGE']);

/** What is looked for. */
export interface Wanted {
  kind: string;
  key: string;
  recipe: string;
}

export interface SharedStoreOptions extends SourceOptions {
  /** Repository with its registry. */
  repository: string;
  trust: TrustPolicy;
  /** Signs what is pushed. */
  signingKey?: KeyObject;
  /** Whether results are pushed. */
  push: boolean;
  /** Whether its failure is an error, and no warning: nothing else has what is wanted. */
  isRequired?: boolean;
  report: Reporter;
}

/** The shared store of one build. After its first failure nothing more is asked of it. */
export class SharedStore {
  readonly #options: SharedStoreOptions;
  /** The registry has failed: it is not waited for again. */
  #isDown = false;

  constructor(options: SharedStoreOptions) {
    this.#options = options;
  }

  /**
   * Gets an entry into the local store.
   * @param by `key`: that very entry; `recipe`: the newest of the same inputs, whatever tools made it
   * @param directory for what is on its way; on the file system of the store
   * @returns undefined when there is none that may be believed, with a warning when there is another
   * @throws StoreError when the local store cannot take it, CancelledError
   */
  async pull(
    wanted: Wanted,
    by: 'key' | 'recipe',
    store: Store,
    directory: string,
  ): Promise<Entry | undefined> {
    if (this.#isDown || PRIVATE_KINDS.has(wanted.kind) || !this.#trustsAnybody()) return undefined;
    const work = await mkdtemp(join(directory, 'shared-'));
    try {
      return await this.#guarded(wanted.kind, () => this.#fetch(wanted, by, store, work));
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  /**
   * Whether the registry has an entry that may be believed.
   * @throws RegistryError where the store is required; CancelledError
   */
  async has(wanted: Wanted): Promise<boolean> {
    if (this.#isDown || PRIVATE_KINDS.has(wanted.kind) || !this.#trustsAnybody()) return false;
    const found = await this.#guarded(wanted.kind, () =>
      this.#open(keyTag(wanted), (source) => this.#believable(source, wanted, 'key')),
    );
    return found !== undefined;
  }

  /**
   * Pushes an entry, unless one that may be believed is there. Failure is a warning.
   * @returns false when the registry should have the entry and has not
   * @throws CancelledError
   */
  async push(entry: Entry): Promise<boolean> {
    if (!this.#options.push || PRIVATE_KINDS.has(entry.kind)) return true;
    if (this.#isDown) return false;
    const pushed = await this.#guarded(entry.kind, async () => {
      const present = await this.#open(keyTag(entry), (source) => this.#believable(source, entry, 'key'));
      if (!present) await this.#send(entry);
      return true;
    });
    return pushed ?? false;
  }

  #trustsAnybody(): boolean {
    const { trust } = this.#options;
    return trust.kind === 'registry' || trust.keys.length > 0;
  }

  async #send(entry: Entry): Promise<void> {
    const { signingKey, ...options } = this.#options;
    const artifact = toArtifact(entry, (digest) => signingKey && signRecord(digest, signingKey));
    const source = new EntrySource(entryName(entry), artifact);
    this.#step(entry.kind, `push ${entryName(entry).slice(0, -52)} to the shared store`);
    for (const tag of [keyTag(entry), recipeTag(entry)]) await pushImage(source, this.#at(tag), options);
  }

  async #fetch(wanted: Wanted, by: 'key' | 'recipe', store: Store, work: string): Promise<Entry | undefined> {
    return await this.#open(by === 'key' ? keyTag(wanted) : recipeTag(wanted), async (source) => {
      const believed = await this.#believable(source, wanted, by);
      if (!believed) return undefined;
      const { record, content: text, origin } = believed;
      this.#step(wanted.kind, `fetch ${entryName(record).slice(0, -52)} from the shared store`);
      const directory = join(work, 'entry');
      await mkdir(directory);
      await writeFile(join(directory, RECORD_FILE), text);
      for (const [path, { size, sha256 }] of Object.entries(record.files)) {
        // What the record says, not what the manifest lists: the record is what was signed.
        const descriptor: Descriptor = { mediaType: '', digest: `sha256:${sha256}`, size };
        const file = join(directory, path);
        await mkdir(dirname(file), { recursive: true });
        const content = checkedStream(source.blob(descriptor), descriptor, `${path} of ${source.name}`);
        await pipeline(content, createWriteStream(file, { flags: 'wx' }));
      }
      throwIfCancelled(this.#options.signal);
      return await adoptEntry(store, record, directory, origin);
    });
  }

  /** The record behind a tag, if it is what was asked for and somebody trusted says so. */
  async #believable(
    source: ImageSource,
    wanted: Wanted,
    by: 'key' | 'recipe',
  ): Promise<{ record: EntryRecord; content: Buffer; origin: Origin } | undefined> {
    const { descriptor, content } = await source.root();
    const parsed = parseEntryManifest(content, descriptor, source.name);
    if (!parsed) return this.#refuse(source, wanted, 'it is not an entry of a store');
    const { manifest, signature } = parsed;
    const { trust, repository } = this.#options;
    const judgement = judge(trust, repository, manifest.config.digest, signature);
    if ('reason' in judgement) return this.#refuse(source, wanted, judgement.reason);
    const bytes = await readAll(source, manifest.config);
    const record = readRecord(bytes);
    if (record.kind !== wanted.kind || record[by] !== wanted[by]) {
      return this.#refuse(source, wanted, `it is ${entryName(record)}`);
    }
    return { record, content: bytes, origin: judgement.origin };
  }

  #refuse(source: ImageSource, { kind }: Wanted, reason: string): undefined {
    this.#step(kind, `warning: ${source.name} is not used: ${reason}`);
    return undefined;
  }

  /** @returns undefined when the tag does not exist */
  async #open<T>(tag: string, use: (source: ImageSource) => Promise<T>): Promise<T | undefined> {
    const source = await openSource(this.#at(tag), this.#options);
    try {
      return await use(source);
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    } finally {
      await source.close();
    }
  }

  async #guarded<T>(stage: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const isRegistry = error instanceof RegistryError;
      const isMalformed = error instanceof StoreError && error.code === 'STORE_ARCHIVE_INVALID';
      if (this.#options.isRequired || (!isRegistry && !isMalformed)) throw error;
      // Damaged content says nothing about the next entry.
      this.#isDown = isRegistry && !DAMAGE.has(error.code);
      this.#step(stage, `warning: the shared store cannot be used: ${error.message}`);
      return undefined;
    }
  }

  #at(tag: string): RegistryReference {
    return parseReference(`${this.#options.repository}:${tag}`) as RegistryReference;
  }

  #step(stage: string, message: string): void {
    this.#options.report({ type: 'step', stage, message });
  }
}

function keyTag(id: Wanted): string {
  return entryName(id);
}

function recipeTag({ kind, recipe }: Wanted): string {
  return `${kind}-recipe-${recipe}`;
}

async function readAll(source: ImageSource, descriptor: Descriptor): Promise<Buffer> {
  if (descriptor.size > MANIFEST_LIMIT_BYTES) {
    throw new RegistryError('TOO_LARGE', `the record of ${source.name} has ${descriptor.size} bytes`);
  }
  const parts: Buffer[] = [];
  for await (const part of source.blob(descriptor)) parts.push(Buffer.from(part));
  const content = Buffer.concat(parts);
  checkContent(content, descriptor, `the record of ${source.name}`);
  return content;
}
