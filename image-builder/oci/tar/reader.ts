// A tar archive, entry by entry, forward only, from a stream or by ranges. Knows PAX, GNU long names, sparse files, and
// archives that end without the two zero blocks (umoci writes them).
//
// tar-stream, which writes our archives, cannot be used here: it can't pass over data without receiving it (reading by
// ranges lives on that), wants the trailer, and does not know sparse files.

import type { ByteReader } from './byte-reader.ts';
import { BLOCK_BYTES, isZeroBlock, parseHeader, parsePax, type RawHeader, TarError } from './header.ts';
import { type Fragment, readGnuSparse, readPaxSparse, type SparseMap } from './sparse.ts';

export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'other';

export interface TarEntry {
  /** As in the archive: may be absolute or contain `..`. */
  path: string;
  type: TarEntryType;
  /** Size of the file in bytes, holes included. */
  size: number;
  mode: number;
  /** Seconds since the epoch. */
  mtime: number;
  /** Target of symbolic links; path in the archive for hard links. */
  linkName: string;
}

/** Types of headers that say something of the entry after them (x, L, K), or of all (g). */
const EXTENSIONS = ['x', 'g', 'L', 'K'];
/** Limits on what headers may ask us to hold in memory. */
const EXTENSION_LIMIT_BYTES = 1024 * 1024;
const PATH_LIMIT = 4096;
const ENTRY_LIMIT = 5_000_000;
const ZEROS = Buffer.alloc(64 * 1024);

const TYPES: Record<string, TarEntryType> = {
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
};

/** Reads one archive. Call {@link TarReader.next} until it gives undefined; read an entry's data before the next one. */
export class TarReader {
  readonly #reader: ByteReader;
  readonly #what: string;
  #globalPax: [string, string][] = [];
  #globalBytes = 0;
  /** Data of the current entry not passed over yet, padding included. */
  #pending = 0;
  /** How much of `#pending` is padding. */
  #padding = 0;
  #data: { size: number; sparse: SparseMap | undefined } = { size: 0, sparse: undefined };
  #entries = 0;

  /** @param what names the archive in errors */
  constructor(reader: ByteReader, what: string) {
    this.#reader = reader;
    this.#what = what;
  }

  /** Offset in the archive of the current entry's data. */
  get position(): number {
    return this.#reader.position;
  }

  /** Whether the current entry's data lie in the archive as they are. */
  get contiguous(): boolean {
    return this.#data.sparse === undefined;
  }

  /**
   * The next entry, or undefined at the end.
   * @throws TarError
   */
  async next(): Promise<TarEntry | undefined> {
    let pax: [string, string][] = [];
    let longName: string | undefined;
    let longLink: string | undefined;
    let extended = 0;
    for (;;) {
      await this.#passOver();
      const block = await this.#reader.read(BLOCK_BYTES);
      if (block.length === 0 || (block.length === BLOCK_BYTES && isZeroBlock(block))) return undefined;
      if (block.length < BLOCK_BYTES)
        throw new TarError('TRUNCATED_TAR', `${this.#what}: the archive ends inside a header`);
      if (++this.#entries > ENTRY_LIMIT)
        throw new TarError('TAR_TOO_LARGE', `${this.#what}: more than ${ENTRY_LIMIT} entries`);
      const header = parseHeader(block, this.#what);
      if (EXTENSIONS.includes(header.typeFlag)) {
        extended += header.size;
        if (header.typeFlag === 'g') this.#globalBytes += header.size;
        if (extended > EXTENSION_LIMIT_BYTES || this.#globalBytes > EXTENSION_LIMIT_BYTES)
          throw this.#tooExtended();
      }
      if (header.typeFlag === 'x') pax = pax.concat(parsePax(await this.#extension(header), this.#what));
      else if (header.typeFlag === 'g')
        this.#globalPax = this.#globalPax.concat(parsePax(await this.#extension(header), this.#what));
      else if (header.typeFlag === 'L') longName = terminated(await this.#extension(header));
      else if (header.typeFlag === 'K') longLink = terminated(await this.#extension(header));
      else return this.#entry(header, block, [...this.#globalPax, ...pax], longName, longLink);
    }
  }

  /**
   * The current entry's data with holes filled in. May be left early; may be read once.
   * @throws TarError TRUNCATED_TAR
   */
  async *data(): AsyncGenerator<Buffer> {
    for await (const part of this.parts()) {
      if (typeof part === 'number') yield* zeros(part);
      else yield part;
    }
  }

  /** The same, with the length of each hole in place of its zeros. */
  async *parts(): AsyncGenerator<Buffer | number> {
    const { size, sparse } = this.#data;
    const fragments: Fragment[] = sparse?.fragments ?? [{ offset: 0, length: size }];
    let offset = 0;
    for (const fragment of fragments) {
      if (fragment.offset > offset) yield fragment.offset - offset;
      yield* this.#raw(fragment.length);
      offset = fragment.offset + fragment.length;
    }
    const end = sparse?.realSize ?? size;
    if (end > offset) yield end - offset;
  }

  /** The current entry's data as one buffer; the caller has looked at the size. */
  async content(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.data()) parts.push(Buffer.from(part));
    return Buffer.concat(parts);
  }

  async #entry(
    header: RawHeader,
    block: Buffer,
    pax: [string, string][],
    longName: string | undefined,
    longLink: string | undefined,
  ): Promise<TarEntry> {
    const record = (key: string) => pax.findLast(([name]) => name === key)?.[1] || undefined;
    const type = TYPES[header.typeFlag] ?? 'other';
    const path = record('GNU.sparse.name') ?? record('path') ?? longName ?? header.name;
    const linkName = record('linkpath') ?? longLink ?? header.linkName;
    if (
      path.length > PATH_LIMIT ||
      linkName.length > PATH_LIMIT ||
      path.includes('\0') ||
      linkName.includes('\0')
    ) {
      throw new TarError(
        'INVALID_TAR',
        `${this.#what}: a file name is longer than ${PATH_LIMIT} characters or contains NUL`,
      );
    }
    // Links and directories have no data whatever their size field says (POSIX; old writers put the target's size there).
    const hasData = type === 'file' || (type === 'other' && !['3', '4', '6'].includes(header.typeFlag));
    const size = hasData ? this.#size(record('size'), header.size) : 0;
    this.#announce(size);
    const sparse = await this.#sparseMap(header, block, pax, size);
    const stored = size - (sparse?.mapBytes ?? 0);
    this.#pending -= sparse?.mapBytes ?? 0;
    this.#data = { size: stored, sparse };
    if (sparse && sparse.fragments.reduce((sum, { length }) => sum + length, 0) > stored) {
      throw new TarError('INVALID_TAR', `${this.#what}: a sparse file claims more data than it has`);
    }
    // V7 archives mark directories by a slash only.
    const isOldDirectory = header.typeFlag === '0' && path.endsWith('/');
    const mtime = Number.parseFloat(record('mtime') ?? '') || header.mtime;
    return {
      path,
      linkName,
      mode: header.mode,
      mtime,
      type: isOldDirectory ? 'directory' : type,
      size: sparse?.realSize ?? stored,
    };
  }

  async #sparseMap(
    header: RawHeader,
    block: Buffer,
    pax: [string, string][],
    size: number,
  ): Promise<SparseMap | undefined> {
    if (header.typeFlag === 'S') return readGnuSparse(block, this.#reader, this.#what);
    if (!pax.some(([name]) => name.startsWith('GNU.sparse.'))) return undefined;
    return readPaxSparse(pax, size, this.#reader, this.#what);
  }

  #size(pax: string | undefined, size: number): number {
    const value = pax === undefined ? size : Number(pax);
    if (!Number.isSafeInteger(value) || value < 0)
      throw new TarError('INVALID_TAR', `${this.#what}: a file has an impossible size`);
    return value;
  }

  async #extension(header: RawHeader): Promise<Buffer> {
    if (header.size < 0) throw this.#tooExtended();
    this.#announce(header.size);
    const parts: Buffer[] = [];
    for await (const part of this.#raw(header.size)) parts.push(part);
    return Buffer.concat(parts);
  }

  #tooExtended(): TarError {
    const limit = `more than ${EXTENSION_LIMIT_BYTES} bytes, or a negative size`;
    return new TarError(
      'TAR_TOO_LARGE',
      `${this.#what}: the extended headers of an entry, or of all, have ${limit}`,
    );
  }

  #announce(size: number): void {
    this.#padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
    this.#pending = size + this.#padding;
  }

  async *#raw(length: number): AsyncGenerator<Buffer> {
    for (let missing = length; missing > 0; ) {
      const part = await this.#reader.readSome(missing);
      if (part.length === 0)
        throw new TarError('TRUNCATED_TAR', `${this.#what}: the archive ends inside a file`);
      missing -= part.length;
      this.#pending -= part.length;
      yield part;
    }
  }

  /** Passes over what is left of the current entry. */
  async #passOver(): Promise<void> {
    const pending = this.#pending;
    this.#pending = 0;
    const passed = await this.#reader.skip(pending);
    // Only the padding of the very last entry may be missing.
    if (pending - passed > this.#padding)
      throw new TarError('TRUNCATED_TAR', `${this.#what}: the archive ends inside a file`);
  }
}

function* zeros(count: number): Generator<Buffer> {
  for (let missing = count; missing > 0; missing -= ZEROS.length)
    yield ZEROS.subarray(0, Math.min(missing, ZEROS.length));
}

function terminated(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString('utf8', 0, end < 0 ? data.length : end);
}
