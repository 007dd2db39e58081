// Blobs of a remote image by way of files: downloaded once, checked, then read as often as needed. A download that was
// cut off, even by the end of the process, is taken up again.

import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, hashFor, splitDigest } from '../digest.ts';
import { RegistryError } from '../error.ts';
import type { ByteRange, Cost, ImageSource, Root } from '../image-source.ts';
import type { Descriptor } from '../manifest.ts';

/** Configs and small layers are quicker fetched than resumed. */
const WORTH_KEEPING_BYTES = 1024 * 1024;

/** Told of the bytes of a blob that have arrived. */
export type DownloadProgress = (done: number, total: number) => void;

export class DownloadedSource implements ImageSource {
  readonly name: string;
  readonly cost: Cost;
  readonly warnings: string[];
  readonly #source: ImageSource;
  readonly #directory: string;
  readonly #progress: DownloadProgress;
  readonly #files = new Map<Digest, Promise<string>>();

  /** @param directory where files are kept until {@link DownloadedSource.remove} */
  constructor(source: ImageSource, directory: string, progress: DownloadProgress) {
    this.#source = source;
    this.#directory = directory;
    this.#progress = progress;
    this.name = source.name;
    this.cost = source.cost;
    this.warnings = source.warnings;
  }

  currentDigest(): Promise<Digest | undefined> {
    return this.#source.currentDigest();
  }

  root(): Promise<Root> {
    return this.#source.root();
  }

  manifest(descriptor: Descriptor): Promise<Buffer> {
    return this.#source.manifest(descriptor);
  }

  async *blob(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    if (descriptor.size <= WORTH_KEEPING_BYTES) {
      yield* this.#source.blob(descriptor);
      return;
    }
    yield* createReadStream(await this.#file(descriptor), {
      highWaterMark: 1024 * 1024,
    }) as AsyncIterable<Buffer>;
  }

  readonly range = async (descriptor: Descriptor, { start, length }: ByteRange): Promise<Buffer> => {
    const file = await open(await this.#file(descriptor));
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  };

  async close(): Promise<void> {
    await this.#source.close();
  }

  /** Removes what was downloaded. */
  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  #file(descriptor: Descriptor): Promise<string> {
    const known = this.#files.get(descriptor.digest) ?? this.#download(descriptor);
    this.#files.set(descriptor.digest, known);
    return known;
  }

  async #download(descriptor: Descriptor): Promise<string> {
    const path = join(this.#directory, splitDigest(descriptor.digest).hex);
    const partial = `${path}.partial`;
    if ((await sizeOf(path)) === descriptor.size) {
      // Left behind by a process that was killed: checked again before it is used.
      await rename(path, partial);
    }
    await mkdir(this.#directory, { recursive: true });
    const resumed = await this.#attempt(descriptor, partial);
    if (resumed === 'wrong') await this.#restart(descriptor, partial);
    await rename(partial, path);
    return path;
  }

  /** What an earlier run left behind was no good: once more from the beginning. */
  async #restart(descriptor: Descriptor, partial: string): Promise<void> {
    await rm(partial, { force: true });
    if ((await this.#attempt(descriptor, partial)) !== 'wrong') return;
    await rm(partial, { force: true });
    throw new RegistryError(
      'DIGEST_MISMATCH',
      `blob ${descriptor.digest} of ${this.name} does not have its digest`,
      {
        hint: 'The registry or a proxy returned damaged or forged content; nothing of it was used.',
      },
    );
  }

  async #attempt(descriptor: Descriptor, partial: string): Promise<'right' | 'wrong'> {
    const hash = hashFor(descriptor.digest);
    let done = 0;
    if (await sizeOf(partial)) {
      for await (const chunk of createReadStream(partial) as AsyncIterable<Buffer>) {
        hash.update(chunk);
        done += chunk.length;
      }
    }
    if (done < descriptor.size) {
      // Chunk by chunk: what has arrived when the connection breaks is on disk.
      const file = await open(partial, 'a', 0o600);
      try {
        for await (const chunk of this.#source.blob(descriptor, done)) {
          await file.writeFile(chunk);
          hash.update(chunk);
          done += chunk.length;
          this.#progress(done, descriptor.size);
        }
      } finally {
        await file.close();
      }
    }
    const isRight =
      done === descriptor.size &&
      `${splitDigest(descriptor.digest).algorithm}:${hash.digest('hex')}` === descriptor.digest;
    return isRight ? 'right' : 'wrong';
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
