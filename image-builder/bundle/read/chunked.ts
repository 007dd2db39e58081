// Layers in the zstd:chunked format (podman, buildah, skopeo): a table of contents near the end tells where each file lies,
// so that single files are fetched by ranges (containers/storage, pkg/chunked). The table is checked against the digest in
// the manifest's annotation, each file against its digest in the table. Whatever does not fit is left to streaming.

import { decompressWhole } from '../../oci/codec/compression.ts';
import { digestOf } from '../../oci/digest.ts';
import type { Descriptor } from '../../oci/model.ts';
import type { LayerRequest } from './layer-request.ts';
import { classify, type LayerScan, sizeOf, spend } from './overlay/scan-layer.ts';

/** The prefix of the annotations was changed in 2022. */
const PREFIXES = ['io.github.containers.zstd-chunked.', 'io.containers.zstd-chunked.'];
/** The type of table that is known (CRFS). */
const TABLE_TYPE = '1';
const TABLE_LIMIT_BYTES = 16 * 1024 * 1024;
const EXPANDED_TABLE_LIMIT_BYTES = 48 * 1024 * 1024;

interface TablePosition {
  start: number;
  length: number;
  checksum: string;
}

/** An entry of the table, as far as it matters. */
interface TableEntry {
  type: string;
  name: string;
  linkName?: string;
  mode?: number;
  size?: number;
  digest?: string;
  /** Place of the file's compressed data in the blob. */
  offset?: number;
  endOffset?: number;
}

const TYPES = { reg: 'file', dir: 'directory', symlink: 'symlink', hardlink: 'hardlink' } as const;

/** Scans a layer by its table. Undefined when there is none, or it cannot be used. */
export async function scanChunked({
  image,
  layer,
  watch,
  budget,
}: LayerRequest): Promise<LayerScan | undefined> {
  const { range } = image.source;
  const position = tablePosition(layer);
  if (!range || !position) return undefined;
  const packed = await range(layer, { start: position.start, length: position.length });
  if (digestOf(packed) !== position.checksum) return undefined;
  const table = parseTable(
    await expand(packed, EXPANDED_TABLE_LIMIT_BYTES, `the table of layer ${layer.digest}`),
  );
  if (!table) return undefined;
  // The manifest vouches for the table, and the table for each file.
  const scan: LayerScan = { entries: [], links: [], coverage: 'verified' };
  for (const entry of table) {
    spend(budget, 'entries', 1);
    // Further parts of a large file.
    if (entry.type === 'chunk') continue;
    const type = TYPES[entry.type as keyof typeof TYPES] ?? 'other';
    const { name: path, linkName = '', mode = 0, size = 0 } = entry;
    const noted = classify({ path, type, size, mode, linkName });
    if (!noted) continue;
    const interest = watch.interest(noted.path);
    if (interest === 'none') {
      if (noted.kind !== 'symlink') continue;
      spend(budget, 'noted', sizeOf(noted));
      scan.links.push({ path: noted.path, target: noted.target });
      continue;
    }
    if (noted.kind === 'file' && interest === 'content' && size <= budget.file && size <= budget.left) {
      budget.left -= size;
      const fetch = (start: number, length: number) => range(layer, { start, length });
      const content = await fileContent(entry, size, layer.size, fetch);
      if (!content) return undefined;
      noted.content = content;
    }
    spend(budget, 'noted', sizeOf(noted));
    scan.entries.push(noted);
  }
  return scan;
}

/** `<offset>:<length>:<uncompressed length>:<type>` in the annotations. */
function tablePosition({ annotations = {}, size }: Descriptor): TablePosition | undefined {
  for (const prefix of PREFIXES) {
    const [start, length, , type] = (annotations[`${prefix}manifest-position`] ?? '').split(':');
    const checksum = annotations[`${prefix}manifest-checksum`];
    if (
      type !== TABLE_TYPE ||
      checksum === undefined ||
      !/^\d+$/.test(start ?? '') ||
      !/^\d+$/.test(length ?? '')
    )
      continue;
    const position = { start: Number(start), length: Number(length), checksum };
    if (position.length <= TABLE_LIMIT_BYTES && position.start + position.length <= size) return position;
  }
  return undefined;
}

function parseTable(json: Buffer): TableEntry[] | undefined {
  try {
    const { entries } = JSON.parse(json.toString('utf8')) as { entries?: unknown };
    return Array.isArray(entries) && entries.every(isEntry) ? entries : undefined;
  } catch {
    return undefined;
  }
}

const isOptional = (value: unknown, type: 'string' | 'number') =>
  value === undefined || (typeof value === type && (type === 'string' || isCount(value)));

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Types as CRFS has them; sizes and places are counts of bytes. */
function isEntry(entry: TableEntry | null): entry is TableEntry {
  if (typeof entry?.type !== 'string' || typeof entry.name !== 'string') return false;
  const { linkName, digest, mode, size, offset, endOffset } = entry;
  return (
    [linkName, digest].every((text) => isOptional(text, 'string')) &&
    [mode, size, offset, endOffset].every((count) => isOptional(count, 'number'))
  );
}

/** A file's content, checked; undefined when the table is wrong about it. */
async function fileContent(
  { digest, offset, endOffset, name }: TableEntry,
  size: number,
  layerSize: number,
  range: (start: number, length: number) => Promise<Buffer>,
): Promise<Buffer | undefined> {
  if (size === 0) return Buffer.alloc(0);
  if (offset === undefined || endOffset === undefined || endOffset <= offset || endOffset > layerSize)
    return undefined;
  // Data that cannot be compressed grow a little; anything larger is not this file alone.
  if (endOffset - offset > size * 1.1 + 1024) return undefined;
  const content = await expand(await range(offset, endOffset - offset), size, `/${name}`);
  return digestOf(content) === digest ? content : undefined;
}

async function expand(packed: Buffer, limit: number, what: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of decompressWhole(packed, limit, what)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}
