// An entry's artifact as something that can be pushed.
import { createReadStream } from 'node:fs';
import { type Digest, digestOf } from '../../oci/digest.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { ImageSource, Root } from '../../oci/image-source.ts';
import { OCI_MANIFEST } from '../../oci/media-types.ts';
import type { Descriptor } from '../../oci/model.ts';
import type { EntryArtifact } from './artifact.ts';

/** Serves the manifest, the config and the files of one artifact, as an image that {@link ImageSource} describes. */
export class EntrySource implements ImageSource {
  readonly name: string;
  readonly cost = { requests: 0, bytes: 0 };
  readonly warnings: string[] = [];
  readonly resumable = true;
  readonly #artifact: EntryArtifact;

  /** @param name of the entry */
  constructor(name: string, artifact: EntryArtifact) {
    this.name = name;
    this.#artifact = artifact;
  }

  async currentDigest(): Promise<Digest> {
    return digestOf(this.#artifact.manifest);
  }

  async root(): Promise<Root> {
    const content = this.#artifact.manifest;
    const descriptor = { mediaType: OCI_MANIFEST, digest: digestOf(content), size: content.length };
    return { descriptor, content };
  }

  async manifest(): Promise<Buffer> {
    return this.#artifact.manifest;
  }

  async *blob({ digest }: Descriptor, start = 0): AsyncGenerator<Uint8Array> {
    const file = this.#artifact.files.get(digest);
    if (file !== undefined) {
      yield* createReadStream(file, { start, highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>;
    } else if (digest === this.#artifact.recordDigest) yield this.#artifact.record.subarray(start);
    else throw new RegistryError('NOT_FOUND', `the entry ${this.name} has no file ${digest}`);
  }

  async close(): Promise<void> {}
}
