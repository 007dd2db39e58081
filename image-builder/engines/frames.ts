// The standard streams of a container on one connection: frames with a header of 8 bytes, whose first tells the stream
// and whose last four the length, big-endian (ContainerAttach, "Stream format").
import type { Readable } from 'node:stream';

/** A piece of standard output or standard error. */
export interface Frame {
  stream: 'stdout' | 'stderr';
  content: Buffer;
}

const HEADER = 8;

/** Takes a connection apart. Frames come in pieces as they arrive: one of gigabytes needs no memory. */
export async function* readFrames(connection: Readable): AsyncGenerator<Frame> {
  let header = Buffer.alloc(0);
  let left = 0;
  let stream: Frame['stream'] = 'stdout';
  for await (const chunk of connection) {
    let rest = chunk as Buffer;
    while (rest.length > 0) {
      if (left === 0) {
        const missing = HEADER - header.length;
        header = Buffer.concat([header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (header.length < HEADER) break;
        stream = header[0] === 2 ? 'stderr' : 'stdout';
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const content = rest.subarray(0, left);
      left -= content.length;
      rest = rest.subarray(content.length);
      yield { stream, content };
    }
  }
}
