// The digests of a file that consumers verify downloads with.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Checksums } from '../bundle/types.ts';

const READ_BYTES = 4 * 1024 * 1024;

/** All digests of `file`, read once. `onBytes` is told how many bytes are done. */
export async function checksumFile(
  file: string,
  options: { signal?: AbortSignal; onBytes?: (done: number) => void } = {},
): Promise<Checksums & { size: number }> {
  const md5 = createHash('md5');
  const sha256 = createHash('sha256');
  const sha512 = createHash('sha512');
  let size = 0;
  const stream = createReadStream(file, {
    highWaterMark: READ_BYTES,
    ...(options.signal ? { signal: options.signal } : {}),
  });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    md5.update(chunk);
    sha256.update(chunk);
    sha512.update(chunk);
    size += chunk.length;
    options.onBytes?.(size);
  }
  return { md5: md5.digest('hex'), sha256: sha256.digest('hex'), sha512: sha512.digest('hex'), size };
}
