// The beginning of a TLS handshake, to ask whether a host speaks TLS without a library for it.

/** Content types of TLS records that answer a ClientHello: an alert, a handshake message (RFC 8446, 5.1). */
const TLS_ANSWERS = new Set([0x15, 0x16]);

/** Whether an answer to {@link CLIENT_HELLO} is TLS. @param first its first byte; without one nothing speaks against it */
export function isTlsAnswer(first: number | undefined): boolean {
  return first === undefined || TLS_ANSWERS.has(first);
}

/**
 * RFC 8446, 4.1.2, for TLS 1.2 and 1.3. The session ID ends two lines: a server of HTTP that waits for those answers
 * at once.
 */
export const CLIENT_HELLO = withLength(
  [0x16, 3, 1],
  2,
  withLength([1], 3, [
    ...[3, 3],
    ...Array<number>(32).fill(0x5a),
    ...withLength([], 1, [...Buffer.from('\r\n\r\n'.repeat(8))]),
    // Cipher suites: three of TLS 1.3, and what TLS 1.2 has with ECDSA and RSA.
    ...withLength([], 2, [
      ...[0x13, 1, 0x13, 2, 0x13, 3],
      ...[0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0, 0x9c, 0, 0x2f],
    ]),
    ...[1, 0],
    ...withLength([], 2, [
      // supported_versions, supported_groups, signature_algorithms, key_share (none: the server asks for one).
      ...withLength([0, 43], 2, [4, 3, 4, 3, 3]),
      ...withLength([0, 10], 2, [0, 6, 0, 29, 0, 23, 0, 24]),
      ...withLength([0, 13], 2, [0, 10, 4, 3, 8, 4, 4, 1, 8, 7, 2, 1]),
      ...withLength([0, 51], 2, [0, 0]),
    ]),
  ]),
);

/** `head`, the length of `content` in so many bytes, and `content`. */
function withLength(head: number[], bytes: number, content: ArrayLike<number>): Buffer {
  const length = Buffer.alloc(bytes);
  length.writeUIntBE(content.length, 0, bytes);
  return Buffer.from([...head, ...length, ...Array.from(content)]);
}
