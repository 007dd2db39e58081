// A content-addressed cache on disk. Safe for concurrent processes (files appear by rename and are never changed),
// verified on every read, limited in size. It only ever saves requests: whatever goes wrong with it, the registry is
// asked instead.

import { readFileSync, statSync, utimesSync } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Env } from '../base/env.ts';
import { replaceFile, sweepLeftovers } from '../base/files/replace.ts';
import { type Digest, digestOf, hexOf, splitDigest } from './digest.ts';
import type { ContentCache } from './image.ts';

const DEFAULT_LIMIT_BYTES = 256 * 1024 * 1024;
/** Content above this is not kept: layers with disk images are not what this cache is for. */
const ENTRY_LIMIT_BYTES = 8 * 1024 * 1024;
/** How often the time of last use is written down, in milliseconds. */
const TOUCH_AFTER_MS = 60 * 60 * 1000;
/** Unfinished files of killed processes are removed after this time. */
const STALE_MS = 60 * 60 * 1000;

/** What is remembered beside content. */
export type RecordKind =
  /** Digest that a tag stood for. */
  | 'tags'
  /** Results of reading an image. */
  | 'readings'
  /** Signed statements about an image. */
  | 'statements';

/** The cache directory: as given, IMAGE_BUILDER_CACHE, or the XDG cache directory. Undefined when there is no home. */
export function cacheDirectory(environment: Env): string | undefined {
  const { IMAGE_BUILDER_CACHE, XDG_CACHE_HOME, HOME } = environment;
  if (IMAGE_BUILDER_CACHE) return IMAGE_BUILDER_CACHE;
  const base = XDG_CACHE_HOME || (HOME && join(HOME, '.cache'));
  return base ? join(base, 'image-builder', 'registry') : undefined;
}

/** Opens a cache. Undefined when the directory cannot be had, or belongs to someone else. */
export async function openCache(
  directory: string,
  limit: number = DEFAULT_LIMIT_BYTES,
): Promise<DiskCache | undefined> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // Records cannot be checked against a digest: they are believed only where nobody else writes.
    const { uid, mode } = await stat(directory);
    if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return undefined;
    return new DiskCache(directory, limit);
  } catch {
    return undefined;
  }
}

/** A cache in a directory of this user. Failures are silent: what cannot be cached is fetched again. */
export class DiskCache implements ContentCache {
  readonly #directory: string;
  readonly #limit: number;
  #written = false;

  constructor(directory: string, limit: number) {
    this.#directory = directory;
    this.#limit = limit;
  }

  async get(digest: Digest): Promise<Buffer | undefined> {
    const path = this.#blobPath(digest);
    const content = this.#read(path);
    if (!content) return undefined;
    if (digestOf(content, splitDigest(digest).algorithm) === digest) return content;
    await rm(path, { force: true }).catch(() => {});
    return undefined;
  }

  async put(digest: Digest, content: Buffer): Promise<void> {
    if (content.length <= ENTRY_LIMIT_BYTES) await this.#write(this.#blobPath(digest), content);
  }

  /** A record; undefined when there is none, or it is damaged. */
  async recall<T>(kind: RecordKind, key: string): Promise<T | undefined> {
    const path = this.#recordPath(kind, key);
    const text = this.#read(path)?.toString('utf8');
    if (text === undefined) return undefined;
    const newline = text.indexOf('\n');
    const payload = text.slice(newline + 1);
    if (text.slice(0, newline) === digestOf(Buffer.from(payload))) return JSON.parse(payload) as T;
    await rm(path, { force: true }).catch(() => {});
    return undefined;
  }

  /** Keeps a record, JSON after a line with its digest. */
  async remember(kind: RecordKind, key: string, value: unknown): Promise<void> {
    const payload = JSON.stringify(value);
    await this.#write(
      this.#recordPath(kind, key),
      Buffer.from(`${digestOf(Buffer.from(payload))}\n${payload}`),
    );
  }

  /** Removes what has not been used for longest, if something was added and the cache has grown too large. */
  async close(): Promise<void> {
    if (this.#written) await this.#evict().catch(() => {});
  }

  /** At once: entries are small, and threads that wait for a disk cost more than the disk. */
  #read(path: string): Buffer | undefined {
    try {
      const content = readFileSync(path);
      const { mtimeMs } = statSync(path);
      const now = Date.now();
      if (now - mtimeMs > TOUCH_AFTER_MS) utimesSync(path, now / 1000, now / 1000);
      return content;
    } catch {
      return undefined;
    }
  }

  async #write(path: string, content: Buffer): Promise<void> {
    try {
      await mkdir(dirname(path), { recursive: true });
      await replaceFile(path, content, { mode: 0o600 });
      this.#written = true;
    } catch {
      // Read-only or full: then it is not cached.
    }
  }

  async #evict(): Promise<void> {
    const directories = ['blobs/sha256', 'blobs/sha512', 'tags', 'readings', 'statements'];
    await Promise.all(directories.map((name) => sweepLeftovers(join(this.#directory, name), STALE_MS)));
    const files = (await Promise.all(directories.map((name) => this.#list(name)))).flat();
    let size = files.reduce((sum, file) => sum + file.size, 0);
    if (size <= this.#limit) return;
    for (const file of files.sort((a, b) => a.usedAt - b.usedAt)) {
      // Some room is made at once, so that not every run has to.
      if (size <= this.#limit * 0.8) break;
      size -= file.size;
      await rm(file.path, { force: true });
    }
  }

  async #list(name: string): Promise<{ path: string; size: number; usedAt: number }[]> {
    const directory = join(this.#directory, name);
    const names = await readdir(directory).catch(() => []);
    const files = await Promise.all(
      names.map(async (file) => {
        const path = join(directory, file);
        const found = await stat(path).catch(() => undefined);
        return found?.isFile() ? { path, size: found.size, usedAt: found.mtimeMs } : undefined;
      }),
    );
    return files.filter((file) => file !== undefined);
  }

  #blobPath(digest: Digest): string {
    const { algorithm, hex } = splitDigest(digest);
    return join(this.#directory, 'blobs', algorithm, hex);
  }

  #recordPath(kind: RecordKind, key: string): string {
    return join(this.#directory, kind, hexOf(key));
  }
}
