// An image with more that refers to it than its source has: what is in memory is read as if it lay beside the rest.
import type { Digest } from '../digest.ts';
import type { Cost } from '../http/transport.ts';
import type { ByteRange, ImageSource, Root } from '../image-source.ts';
import type { Descriptor } from '../model.ts';
import { EMPTY_CONFIG, EMPTY_CONFIG_CONTENT, type ReferrerManifest } from './referrer.ts';

/** A referrer that is not there yet. */
export interface NewReferrer {
  /** The manifest that it refers to. */
  subject: Digest;
  manifest: ReferrerManifest;
  /** What its layer holds. */
  content: Buffer;
  digest: Digest;
}

/** Reads from the source what it has; closes it. */
export class AttachedSource implements ImageSource {
  readonly #source: ImageSource;
  readonly #added: readonly NewReferrer[];
  readonly #documents: Map<Digest, Buffer>;
  readonly range?: NonNullable<ImageSource['range']>;
  readonly resumable?: true;

  constructor(source: ImageSource, added: readonly NewReferrer[]) {
    this.#source = source;
    this.#added = added;
    this.#documents = new Map(
      added.flatMap((one): [Digest, Buffer][] => [
        [one.manifest.descriptor.digest, one.manifest.content],
        [one.digest, one.content],
      ]),
    );
    if (added.length > 0) this.#documents.set(EMPTY_CONFIG.digest, EMPTY_CONFIG_CONTENT);
    const { range, resumable } = source;
    if (resumable) this.resumable = resumable;
    if (range)
      this.range = async (descriptor: Descriptor, part: ByteRange) => {
        const known = this.#documents.get(descriptor.digest);
        return known ? known.subarray(part.start, part.start + part.length) : await range(descriptor, part);
      };
  }

  get name(): string {
    return this.#source.name;
  }

  get cost(): Cost {
    return this.#source.cost;
  }

  get warnings(): string[] {
    return this.#source.warnings;
  }

  currentDigest(): Promise<Digest | undefined> {
    return this.#source.currentDigest();
  }

  root(): Promise<Root> {
    return this.#source.root();
  }

  async manifest(descriptor: Descriptor): Promise<Buffer> {
    return this.#documents.get(descriptor.digest) ?? (await this.#source.manifest(descriptor));
  }

  async *blob(descriptor: Descriptor, start = 0): AsyncGenerator<Uint8Array> {
    const known = this.#documents.get(descriptor.digest);
    if (known) yield known.subarray(start);
    else yield* this.#source.blob(descriptor, start);
  }

  async *referrers(digest: Digest): AsyncGenerator<Descriptor> {
    for (const { subject, manifest } of this.#added) if (subject === digest) yield manifest.descriptor;
    if (this.#source.referrers) yield* this.#source.referrers(digest);
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
