// How a layer is best read: whole when it is small, by ranges when it is not compressed or has a
// table of contents, as a stream otherwise.

import { decompressWhole, detectCompression, expansionLimit } from '../../oci/codec/compression.ts';
import { layerCompression } from '../../oci/media-types.ts';
import { RangedByteReader, StreamByteReader } from '../../oci/tar/byte-reader.ts';
import { TarReader } from '../../oci/tar/reader.ts';
import type { LayerRequest } from './layer-request.ts';
import { type LayerScan, type ScanBudget, scanLayer, spend } from './overlay/scan-layer.ts';
import type { Verification } from './verification.ts';

/** Layers up to this size are fetched whole, checked, and kept in the cache. */
export const WHOLE_LAYER_BYTES = 1024 * 1024;
/** A smaller rest is read to the end, so that the layer can be checked. */
const WORTH_STOPPING_BYTES = 4 * 1024 * 1024;
/** A tar header, the directory entries before it and a small file fit into one window. */
const WINDOW_BYTES = 16 * 1024;

/** Scans one layer. @throws RegistryError, TarError */
export async function scanOneLayer(request: LayerRequest, verification: Verification): Promise<LayerScan> {
  const { size, mediaType } = request.layer;
  const compression = layerCompression(mediaType);
  if (size <= WHOLE_LAYER_BYTES) return scanWhole(request);
  if (verification === 'partial' && compression === 'none') {
    const scan = await scanByRanges(request);
    if (scan) return scan;
  }
  if (verification !== 'full' && compression === 'zstd') {
    const { scanChunked } = await import('./chunked.ts');
    const scan = await scanChunked(request);
    if (scan) return scan;
  }
  return scanStream(request, verification);
}

/** Checked before the first byte is parsed. */
async function scanWhole({ image, layer, watch, budget }: LayerRequest): Promise<LayerScan> {
  const what = `layer ${layer.digest}`;
  const content = await image.content(layer, WHOLE_LAYER_BYTES, what);
  const tar = decompressWhole(content, expansionLimit(content.length), what);
  const bytes = new StreamByteReader(counted(tar, budget));
  try {
    const { entries, links } = await scanLayer(
      new TarReader(bytes, what),
      watch,
      budget,
      () => false,
      image.signal,
    );
    return { entries, links, coverage: 'full' };
  } finally {
    await bytes.close();
  }
}

/** Walks from header to header. Undefined when the source cannot, or the layer is compressed after all. */
async function scanByRanges({ image, layer, watch, budget }: LayerRequest): Promise<LayerScan | undefined> {
  const { range } = image.source;
  if (!range) return undefined;
  const what = `layer ${layer.digest}`;
  const reader = new RangedByteReader(
    (start, length) => range(layer, { start, length }),
    layer.size,
    WINDOW_BYTES,
  );
  const head = await reader.peek(6);
  if (detectCompression(head, what) !== 'none') return undefined;
  const { entries, links } = await scanLayer(
    new TarReader(reader, what),
    watch,
    budget,
    () => true,
    image.signal,
  );
  return { entries, links, coverage: 'partial' };
}

async function scanStream(
  { image, layer, watch, budget }: LayerRequest,
  verification: Verification,
): Promise<LayerScan> {
  const before = image.source.cost.bytes;
  const open = image.layer(layer);
  const bytes = new StreamByteReader(counted(open.tar, budget));
  const mayStop = () =>
    verification === 'partial' && layer.size - (image.source.cost.bytes - before) > WORTH_STOPPING_BYTES;
  try {
    const tar = new TarReader(bytes, `layer ${layer.digest}`);
    const { entries, links, stoppedEarly } = await scanLayer(tar, watch, budget, mayStop, image.signal);
    if (!stoppedEarly) await open.finish();
    return { entries, links, coverage: stoppedEarly ? 'partial' : 'full' };
  } finally {
    await bytes.close();
    await open.close();
  }
}

/** Takes what passes from the budget. */
async function* counted(tar: AsyncIterable<Uint8Array>, budget: ScanBudget): AsyncGenerator<Uint8Array> {
  for await (const chunk of tar) {
    spend(budget, 'expanded', chunk.length);
    yield chunk;
  }
}
