// Named files of an image on disk, wherever they lie: in a directory, in a tar archive, in a compressed or piped archive.

import { constants, createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../base/diagnostics/errno.ts';
import { decompress, detectCompression, expansionLimit } from '../codec/compression.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { Cost } from '../http/transport.ts';
import type { ByteRange, MayRead } from '../image-source.ts';
import { RangedByteReader, StreamByteReader } from '../tar/byte-reader.ts';
import { TarReader } from '../tar/reader.ts';

/** Read access to named files. Paths are relative, with forward slashes. */
export interface Files {
  readonly cost: Cost;
  /** Size in bytes; undefined when there is no such file. */
  size(path: string): Promise<number | undefined>;
  stream(path: string): AsyncIterable<Uint8Array>;
  /** A file of at most `limit` bytes; the size of a larger one; undefined when there is none. Absent when that is not quicker. */
  readonly small?: (path: string, limit: number) => Promise<Buffer | number | undefined>;
  /** Absent when the files can only be streamed. */
  readonly range?: (path: string, range: ByteRange) => Promise<Buffer>;
  close(): Promise<void>;
}

/** Reads a small file whole. @throws RegistryError NOT_FOUND, TOO_LARGE */
export async function readSmall(files: Files, path: string, limit: number, where: string): Promise<Buffer> {
  const found = files.small ? await files.small(path, limit) : await files.size(path);
  if (found === undefined) throw new RegistryError('NOT_FOUND', `${where} has no file ${path}`);
  if (typeof found !== 'number') return found;
  if (found > limit)
    throw new RegistryError('TOO_LARGE', `${where}: ${path} has ${found} bytes, more than ${limit}`);
  const parts: Uint8Array[] = [];
  for await (const part of files.stream(path)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

/** Bytes that are read at once. */
const PART_BYTES = 1024 * 1024;

/** Files of a directory. */
export class DirectoryFiles implements Files {
  readonly cost: Cost = { requests: 0, bytes: 0 };
  readonly #directory: string;
  readonly #mayRead: MayRead;

  /** @param directory absolute */
  constructor(directory: string, mayRead: MayRead = async () => {}) {
    this.#directory = directory;
    this.#mayRead = mayRead;
  }

  async size(path: string): Promise<number | undefined> {
    const opened = await this.#open(path);
    await opened?.file.close();
    return opened?.size;
  }

  readonly small = async (path: string, limit: number): Promise<Buffer | number | undefined> => {
    const opened = await this.#open(path);
    if (!opened) return undefined;
    const { file, size } = opened;
    try {
      return size > limit ? size : await readAt(file, 0, size, this.cost);
    } finally {
      await file.close();
    }
  };

  async *stream(path: string): AsyncGenerator<Uint8Array> {
    const { file, size } = await this.#require(path);
    try {
      // A stream of Node costs more than reading one part.
      if (size <= PART_BYTES) {
        yield await readAt(file, 0, size, this.cost);
        return;
      }
      const chunks = file.createReadStream({ highWaterMark: PART_BYTES, autoClose: false });
      for await (const chunk of chunks as AsyncIterable<Buffer>) {
        this.cost.bytes += chunk.length;
        yield chunk;
      }
    } finally {
      await file.close();
    }
  }

  readonly range = async (path: string, { start, length }: ByteRange): Promise<Buffer> => {
    const { file } = await this.#require(path);
    try {
      return await readAt(file, start, length, this.cost);
    } finally {
      await file.close();
    }
  };

  async close(): Promise<void> {}

  async #require(path: string): Promise<OpenedFile> {
    const opened = await this.#open(path);
    if (!opened) throw new RegistryError('NOT_FOUND', `${this.#directory} has no file ${path}`);
    return opened;
  }

  /** Undefined when there is not a regular file. */
  async #open(path: string): Promise<OpenedFile | undefined> {
    const absolute = join(this.#directory, path);
    await this.#mayRead(absolute);
    try {
      return await openRegular(absolute);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
      throw unreadable(absolute, error);
    }
  }
}

interface OpenedFile {
  file: FileHandle;
  size: number;
}

/** Opens a regular file; undefined for anything else, and nobody waits for the writer of a fifo. */
async function openRegular(path: string): Promise<OpenedFile | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const found = await file.stat();
  if (found.isFile()) return { file, size: found.size };
  await file.close();
  return undefined;
}

function unreadable(path: string, cause: unknown): RegistryError {
  return new RegistryError('NOT_FOUND', `cannot read ${path}: ${(cause as Error).message}`, { cause });
}

/** Opens a tar archive, compressed or not. @throws RegistryError NOT_FOUND */
export async function openArchiveFiles(path: string): Promise<Files> {
  const opened = await openRegular(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (!opened) throw new RegistryError('NOT_FOUND', `cannot read ${path}: it is not a regular file`);
  const { file, size } = opened;
  const head = await readAt(file, 0, 6, { requests: 0, bytes: 0 }).catch(async (error: unknown) => {
    await file.close();
    throw unreadable(path, error);
  });
  if (detectCompression(head, path) === 'none') return ArchiveFiles.index(file, size, path);
  await file.close();
  const cost: Cost = { requests: 0, bytes: 0 };
  return new StreamedFiles(() => decompress(fileStream(path, cost), expansionLimit(size), path), path, cost);
}

/** Members of an uncompressed archive file, found once by jumping from header to header. */
class ArchiveFiles implements Files {
  readonly cost: Cost;
  readonly #file: FileHandle;
  readonly #members: Map<string, { offset: number; size: number }>;

  private constructor(file: FileHandle, members: Map<string, { offset: number; size: number }>, cost: Cost) {
    this.#file = file;
    this.#members = members;
    this.cost = cost;
  }

  static async index(file: FileHandle, size: number, what: string): Promise<ArchiveFiles> {
    const cost: Cost = { requests: 0, bytes: 0 };
    const members = new Map<string, { offset: number; size: number }>();
    try {
      const fetch = (start: number, length: number) => readAt(file, start, length, cost);
      const reader = new TarReader(new RangedByteReader(fetch, size, 4096), what);
      const links: [string, string][] = [];
      for (let entry = await reader.next(); entry; entry = await reader.next()) {
        if (entry.type === 'file' && reader.contiguous) {
          members.set(memberName(entry.path), { offset: reader.position, size: entry.size });
        } else if (entry.type === 'symlink' || entry.type === 'hardlink')
          links.push([entry.path, linkTarget(entry)]);
      }
      for (const [name, target] of links) {
        const member = members.get(target);
        if (member) members.set(memberName(name), member);
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    return new ArchiveFiles(file, members, cost);
  }

  async size(path: string): Promise<number | undefined> {
    return this.#members.get(path)?.size;
  }

  async *stream(path: string): AsyncGenerator<Uint8Array> {
    const size = this.#members.get(path)?.size ?? 0;
    for (let start = 0; start < size; start += PART_BYTES) {
      yield await this.range(path, { start, length: Math.min(PART_BYTES, size - start) });
    }
  }

  readonly range = async (path: string, { start, length }: ByteRange): Promise<Buffer> => {
    const member = this.#members.get(path);
    if (!member) throw new RegistryError('NOT_FOUND', `the archive has no file ${path}`);
    return readAt(this.#file, member.offset + start, Math.min(length, member.size - start), this.cost);
  };

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Small members are kept in memory by the first pass; their sum is limited. */
const KEPT_MEMBER_BYTES = 4 * 1024 * 1024;
const KEPT_TOTAL_BYTES = 24 * 1024 * 1024;

/**
 * Members of an archive that can only be read from its start (compressed, or piped by an engine). The first pass notes
 * sizes and keeps small members, so that a bundle's manifest and profiles need no second pass; large ones are read by
 * another pass each. Nothing is unpacked to disk.
 */
export class StreamedFiles implements Files {
  readonly cost: Cost;
  readonly #open: () => AsyncIterable<Uint8Array>;
  readonly #what: string;
  #members: Promise<Map<string, StreamedMember>> | undefined;

  constructor(open: () => AsyncIterable<Uint8Array>, what: string, cost: Cost) {
    this.#open = open;
    this.#what = what;
    this.cost = cost;
  }

  async size(path: string): Promise<number | undefined> {
    return (await this.#index()).get(path)?.size;
  }

  async *stream(path: string): AsyncGenerator<Uint8Array> {
    const member = (await this.#index()).get(path);
    if (!member) throw new RegistryError('NOT_FOUND', `${this.#what} has no file ${path}`);
    if (member.content) {
      yield member.content;
      return;
    }
    const bytes = new StreamByteReader(this.#open());
    try {
      const reader = new TarReader(bytes, this.#what);
      for (let entry = await reader.next(); entry; entry = await reader.next()) {
        if (entry.type !== 'file' || memberName(entry.path) !== member.name) continue;
        yield* reader.data();
        return;
      }
    } finally {
      await bytes.close();
    }
  }

  async close(): Promise<void> {
    this.#members = undefined;
  }

  #index(): Promise<Map<string, StreamedMember>> {
    this.#members ??= this.#firstPass();
    return this.#members;
  }

  async #firstPass(): Promise<Map<string, StreamedMember>> {
    const members = new Map<string, StreamedMember>();
    const links: [string, string][] = [];
    let kept = 0;
    const bytes = new StreamByteReader(this.#open());
    try {
      const reader = new TarReader(bytes, this.#what);
      for (let entry = await reader.next(); entry; entry = await reader.next()) {
        const name = memberName(entry.path);
        if (entry.type === 'symlink' || entry.type === 'hardlink') links.push([name, linkTarget(entry)]);
        if (entry.type !== 'file') continue;
        const keep = entry.size <= KEPT_MEMBER_BYTES && kept + entry.size <= KEPT_TOTAL_BYTES;
        if (keep) kept += entry.size;
        members.set(name, { name, size: entry.size, ...(keep && { content: await reader.content() }) });
      }
    } finally {
      await bytes.close();
    }
    for (const [name, target] of links) {
      const member = members.get(target);
      if (member) members.set(name, member);
    }
    return members;
  }
}

interface StreamedMember {
  /** Name in the archive, also when reached through a link. */
  name: string;
  size: number;
  content?: Buffer;
}

function memberName(path: string): string {
  return path.replace(/^(?:\.?\/)+/, '');
}

/** `docker save` links equal layers: `<id>/layer.tar` to `../<id>/layer.tar`. */
function linkTarget(entry: { path: string; type: string; linkName: string }): string {
  return entry.type === 'hardlink'
    ? memberName(entry.linkName)
    : join(memberName(entry.path), '..', entry.linkName);
}

async function* fileStream(path: string, cost: Cost): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path, { highWaterMark: PART_BYTES })) {
    cost.bytes += (chunk as Buffer).length;
    yield chunk as Buffer;
  }
}

/** Reads at a position; fewer bytes than asked for only at the end of the file. */
async function readAt(file: FileHandle, start: number, length: number, cost: Cost): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.max(0, length));
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  cost.bytes += filled;
  return buffer.subarray(0, filled);
}
