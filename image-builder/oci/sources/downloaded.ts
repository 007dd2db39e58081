// Blobs of a remote image by way of files: downloaded once, checked, then read as often as needed. A download that was
// cut off, even by the end of the process, is resumed; one that its reader left early as well, if it is needed.

import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Hash } from '#runtime';
import { type Digest, hashFor, splitDigest } from '../digest.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { Cost } from '../http/transport.ts';
import type { ByteRange, ImageSource, Root } from '../image-source.ts';
import type { Descriptor } from '../model.ts';

/** Configs and small layers are quicker fetched than resumed. */
const WORTH_KEEPING_BYTES = 1024 * 1024;

/** Told of the bytes of a blob that have arrived. */
export type DownloadProgress = (done: number, total: number) => void;

/** An image whose large blobs are downloaded whole, resumed where a connection breaks, and read from files. */
export class DownloadedSource implements ImageSource {
  readonly name: string;
  readonly cost: Cost;
  readonly warnings: string[];
  readonly #source: ImageSource;
  readonly #directory: string;
  readonly #progress: DownloadProgress;
  readonly #files = new Map<Digest, Promise<string>>();

  /** @param directory where files are kept; nobody else writes there, and the caller removes it */
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
    } else if (!this.#files.has(descriptor.digest) && !(await this.#isBegun(descriptor))) {
      yield* this.#readWhileDownloading(descriptor);
    } else {
      yield* createReadStream(await this.#file(descriptor), {
        highWaterMark: 1024 * 1024,
      }) as AsyncIterable<Buffer>;
    }
  }

  /** From the file, once the blob is there: for parts alone it is not downloaded. */
  readonly range = async (descriptor: Descriptor, part: ByteRange): Promise<Buffer> => {
    const { range } = this.#source;
    if (range && !this.#files.has(descriptor.digest)) return range(descriptor, part);
    const { start, length } = part;
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

  #file(descriptor: Descriptor): Promise<string> {
    const known = this.#files.get(descriptor.digest) ?? this.#download(descriptor);
    this.#files.set(descriptor.digest, known);
    return known;
  }

  async #download(descriptor: Descriptor): Promise<string> {
    const { path, partial } = this.#paths(descriptor);
    if ((await sizeOf(path)) === descriptor.size) {
      // Left behind by a process that was killed: checked again before it is used.
      await rename(path, partial);
    }
    const resumed = await this.#attempt(descriptor, partial);
    if (resumed === 'wrong') await this.#restart(descriptor, partial);
    await rename(partial, path);
    return path;
  }

  /** Gives a blob as it arrives. What has arrived when the reader leaves is where a download goes on. */
  async *#readWhileDownloading(descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    const { path, partial } = this.#paths(descriptor);
    const hash = hashFor(descriptor.digest);
    const file = await open(partial, 'w', 0o600);
    let done = 0;
    try {
      for await (const chunk of this.#source.blob(descriptor)) {
        await file.writeFile(chunk);
        hash.update(chunk);
        done += chunk.length;
        this.#progress(done, descriptor.size);
        yield chunk;
      }
    } finally {
      await file.close();
    }
    if (!isRight(descriptor, done, hash)) {
      await rm(partial, { force: true });
      throw wrongContent(descriptor, this.name);
    }
    await rename(partial, path);
    this.#files.set(descriptor.digest, Promise.resolve(path));
  }

  async #isBegun(descriptor: Descriptor): Promise<boolean> {
    const { path, partial } = this.#paths(descriptor);
    return (await sizeOf(path)) !== undefined || (await sizeOf(partial)) !== undefined;
  }

  #paths(descriptor: Descriptor): { path: string; partial: string } {
    const path = join(this.#directory, splitDigest(descriptor.digest).hex);
    return { path, partial: `${path}.partial` };
  }

  /** What an earlier run left behind was no good: once more from the beginning. */
  async #restart(descriptor: Descriptor, partial: string): Promise<void> {
    await rm(partial, { force: true });
    if ((await this.#attempt(descriptor, partial)) !== 'wrong') return;
    await rm(partial, { force: true });
    throw wrongContent(descriptor, this.name);
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
    return isRight(descriptor, done, hash) ? 'right' : 'wrong';
  }
}

function isRight({ digest, size }: Descriptor, received: number, hash: Hash): boolean {
  return received === size && `${splitDigest(digest).algorithm}:${hash.digest('hex')}` === digest;
}

function wrongContent({ digest }: Descriptor, name: string): RegistryError {
  return new RegistryError('DIGEST_MISMATCH', `blob ${digest} of ${name} does not have its digest`, {
    hint: 'The registry or a proxy returned damaged or forged content; nothing of it was used.',
  });
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
