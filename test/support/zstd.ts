// Layers of several zstd frames, as pzstd and zstd:chunked write them.

import { execFileSync } from 'node:child_process';

/** A compression for {@link TestLayer}: every so many bytes of the tar begin a new frame. */
export function zstdFrames(bytes: number): (tar: Buffer) => { blob: Buffer; mediaType: string } {
  return (tar) => {
    const frames: Buffer[] = [];
    for (let start = 0; start < tar.length; start += bytes) {
      const input = tar.subarray(start, start + bytes);
      frames.push(execFileSync('zstd', ['-q', '-c'], { input, maxBuffer: 2 * bytes + 1024 }));
    }
    return { blob: Buffer.concat(frames), mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd' };
  };
}
