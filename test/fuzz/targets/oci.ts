// Manifests, configurations, artifacts.json, tables of zstd:chunked layers, and compressed data.
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { parseArtifacts } from '../../../image-builder/bundle/artifacts.ts';
import { scanChunked } from '../../../image-builder/bundle/read/chunked.ts';
import type { LayerRequest } from '../../../image-builder/bundle/read/layer-request.ts';
import { WatchList } from '../../../image-builder/bundle/read/overlay/wanted-paths.ts';
import { decompressWhole } from '../../../image-builder/oci/codec/compression.ts';
import { parseConfig, parseManifest } from '../../../image-builder/oci/manifest.ts';
import { type Target, Violation } from '../campaign.ts';
import { mutateBytes, mutateJson, mutateText } from '../mutate.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = {
  schemaVersion: 2,
  mediaType: MANIFEST_TYPE,
  config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: DIGEST, size: 2 },
  layers: [
    {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: DIGEST,
      size: 5,
      annotations: { a: 'b' },
    },
  ],
  annotations: { x: 'y' },
};
const INDEX = {
  schemaVersion: 2,
  mediaType: INDEX_TYPE,
  manifests: [
    {
      mediaType: MANIFEST_TYPE,
      digest: DIGEST,
      size: 3,
      platform: { os: 'linux', architecture: 'amd64' },
      data: 'e30=',
    },
    { mediaType: MANIFEST_TYPE, digest: DIGEST, size: 3 },
  ],
};
const CONFIG = {
  architecture: 'amd64',
  os: 'linux',
  config: { Labels: { a: 'b' }, Entrypoint: ['x'] },
  rootfs: { type: 'layers', diff_ids: [DIGEST] },
  history: [{ created_by: 'COPY profiles /profiles', empty_layer: false }],
};
const ARTIFACTS = {
  qcows: {
    a: {
      file: 'a.qcow2',
      size: 5,
      virtualSize: 9,
      md5: '0'.repeat(32),
      sha256: '0'.repeat(64),
      partitions: [{ number: 1, start: 2, size: 3, mount: '/' }],
    },
  },
  iso: { file: 'x.iso', size: 2, md5: '0'.repeat(32) },
};

interface Document {
  kind: 'manifest' | 'config' | 'artifacts';
  type: string;
  text: string;
}

export const manifests: Target<Document> = {
  name: 'manifests',
  generate: (random) => {
    const [kind, value] = random.pick([
      ['manifest', MANIFEST],
      ['manifest', INDEX],
      ['config', CONFIG],
      ['artifacts', ARTIFACTS],
    ] as const);
    const text = JSON.stringify(random.once(5) ? value : mutateJson(random, value)) ?? '';
    return {
      kind,
      type: random.pick([MANIFEST_TYPE, INDEX_TYPE, '', 'text/html']),
      text: random.once(4) ? mutateText(random, text, '{}[]",:0e-\\u \n') : text,
    };
  },
  check: ({ kind, type, text }) => {
    if (kind === 'manifest') parseManifest(Buffer.from(text), type, 'the manifest');
    else if (kind === 'config') parseConfig(Buffer.from(text), 'the configuration');
    else parseArtifacts(text, 'artifacts.json');
  },
};

/** A zstd frame of raw blocks (RFC 8878, 3.1.1.2). */
function zstdFrame(content: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(content.length);
  const block = Buffer.alloc(3);
  block.writeUIntLE((content.length << 3) | 1, 0, 3);
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0]), size, block, content]);
}

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

interface ChunkedLayer {
  blob: Buffer;
  annotations: Record<string, string>;
  size: number;
}

export const chunked: Target<ChunkedLayer> = {
  name: 'chunked',
  generate: (random) => {
    const files = ['{"a":1}\n', 'y'.repeat(3000)].map((text) => Buffer.from(text));
    const frames = files.map(zstdFrame);
    let offset = 0;
    const entries = frames.map((frame, index) => {
      const content = files[index] as Buffer;
      const entry = {
        type: 'reg',
        name: index === 0 ? 'profiles/profile_a.json' : 'profiles/profile_b.json',
        mode: 0o644,
        size: content.length,
        digest: sha256(content),
        offset,
        endOffset: offset + frame.length,
      };
      offset += frame.length;
      return entry;
    });
    const table = { version: 1, entries };
    const json = Buffer.from(JSON.stringify(random.once(4) ? table : mutateJson(random, table)) ?? '');
    const packed = random.once(5) ? mutateBytes(random, zstdFrame(json)) : zstdFrame(json);
    const blob = Buffer.concat([...frames, packed]);
    const position = random.once(10)
      ? random.pick([
          '0:0:0:1',
          '1e3:5:5:1',
          '-1:5:5:1',
          '99999999999999999999:5:5:1',
          '0:99999999:1:1',
          ':::1',
        ])
      : `${offset}:${packed.length}:${json.length}:1`;
    return {
      blob: random.once(4) ? mutateBytes(random, blob) : blob,
      size: random.once(8) ? random.below(1 << 30) : blob.length,
      annotations: {
        'io.github.containers.zstd-chunked.manifest-position': position,
        'io.github.containers.zstd-chunked.manifest-checksum': sha256(packed),
      },
    };
  },
  check: async ({ blob, annotations, size }) => {
    const layer = {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd',
      digest: sha256(blob),
      size,
      annotations,
    };
    const range = async (_: unknown, { start, length }: { start: number; length: number }) => {
      const isRange = [start, length].every((count) => Number.isSafeInteger(count) && count >= 0);
      if (!isRange || start + length > size || length > 64 << 20) {
        throw new Violation(`asks for ${length} bytes at ${start} of ${size}`);
      }
      return blob.subarray(start, start + length);
    };
    const watch = new WatchList({
      files: [],
      directories: [{ path: 'profiles', content: (name: string) => name.startsWith('profile_') }],
    });
    const budget = { file: 8 << 20, left: 24 << 20, entries: 1e6, links: 1e6 };
    const request = { image: { source: { range } }, layer, watch, budget } as unknown as LayerRequest;
    const scan = await scanChunked(request);
    for (const entry of scan?.entries ?? []) {
      if (entry.kind === 'file' && entry.content && entry.content.length > budget.file)
        throw new Violation(`${entry.path} is longer than a file may be`);
    }
  },
};

export const compressed: Target<Buffer> = {
  name: 'compressed',
  // What a decoder would never come to the end of is ended after five.
  longest: 8,
  generate: (random) => {
    const content = Buffer.from(Array.from({ length: random.below(3000) }, () => random.below(256)));
    const packed = random.once(2) ? gzipSync(content) : zstdFrame(content);
    // The headers of frames say how much memory is needed.
    const damaged = mutateBytes(random, packed);
    for (let left = random.below(4); left > 0; left--) {
      if (damaged.length > 0) damaged[random.below(Math.min(damaged.length, 24))] = random.below(256);
    }
    return random.once(6) ? Buffer.concat([damaged, damaged, packed]) : damaged;
  },
  check: async (bytes) => {
    let size = 0;
    for await (const chunk of decompressWhole(bytes, 8 << 20, 'the data')) size += chunk.length;
    if (size > 8 << 20) throw new Violation(`${size} bytes have come out`);
  },
};
