// Blobs that earlier builds have fetched, by digest: a changed image costs itself, and a locked build needs no registry.
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile, sweepLeftovers, writeBeside } from '../../base/files/replace.ts';
import { type Digest, digestOf } from '../../oci/digest.ts';
import { RegistryError } from '../../oci/http/registry-error.ts';
import type { ContentCache } from '../../oci/image.ts';
import { blobPath } from '../../oci/layout/format.ts';
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts';
import { collected } from '../../oci/minor-gc.ts';
import type { Descriptor } from '../../oci/model.ts';
import { digestFile } from '../../store/entry-files.ts';

/** Blobs that no result in the store has, either, are removed after so long. */
const CACHE_DAYS = 30;

/** A directory of blobs, each believed after it was read. Builds side by side may use it. */
export class BlobCache implements ContentCache {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Opens the cache in a directory, which is made when absent, and forgets what is old. */
  static async open(directory: string): Promise<BlobCache> {
    await mkdir(directory, { recursive: true });
    await sweepLeftovers(directory);
    const oldest = Date.now() - CACHE_DAYS * 24 * 3600 * 1000;
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      // Another build may have just removed it. With a second link it costs nothing.
      const known = await stat(path).catch(() => undefined);
      if (known && known.nlink === 1 && known.mtimeMs < oldest) await rm(path, { force: true });
    }
    return new BlobCache(directory);
  }

  /** A small blob, verified, or undefined. */
  async get(digest: Digest): Promise<Buffer | undefined> {
    const path = this.path(digest);
    const size = await this.#use(path);
    if (size === undefined || size > MANIFEST_LIMIT_BYTES) return undefined;
    const content = await readFile(path).catch(() => undefined);
    return content && digestOf(content) === digest ? content : undefined;
  }

  async put(digest: Digest, content: Buffer): Promise<void> {
    await replaceFile(this.path(digest), content);
  }

  /**
   * Makes sure that a blob is there.
   * @param fetch its content; throws at its end when that is not what the descriptor promises
   * @returns its file, which nobody may change: others link to it
   */
  async ensure(
    { digest }: Pick<Descriptor, 'digest'>,
    fetch: () => AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<string> {
    const path = this.path(digest);
    const isThere = (await this.#use(path)) !== undefined;
    if (isThere && `sha256:${await digestFile(path, signal)}` === digest) return path;
    await writeBeside(path, async (file) => {
      await writeFile(file, collected(fetch()));
    });
    return path;
  }

  /** Notes that a blob is of use; returns its size in bytes, undefined when it is not there. */
  async #use(path: string): Promise<number | undefined> {
    const known = await stat(path).catch(() => undefined);
    const now = new Date();
    // The store takes a file with another time for one that it has to read again.
    if (known?.nlink === 1) await utimes(path, now, now).catch(() => {});
    return known?.size;
  }

  /** The file of a blob. @throws RegistryError for a digest by another algorithm than SHA-256 */
  path(digest: Digest): string {
    if (digest.startsWith('sha256:')) return blobPath(this.#directory, digest);
    throw new RegistryError(
      'INVALID_MANIFEST',
      `${digest} is not by SHA-256, which the store of images needs`,
    );
  }
}
