// Content as streams that come in pieces.

/** The content, so many bytes at a time. */
export async function* pieces(content: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < content.length; start += size) yield content.subarray(start, start + size);
}

/** All pieces of a stream, copied: its buffers may be used again. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return parts;
}
