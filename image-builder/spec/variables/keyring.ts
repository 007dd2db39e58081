// Whether a file holds OpenPGP keys (RFC 9580): nothing else gets into an image, a profile or an answer as one.

/** Packets that a keyring of public keys is made of, by their tag (section 5). */
const PACKETS: ReadonlySet<number> = new Set([
  2, // signature
  6, // public key
  10, // marker
  12, // trust, which GnuPG writes
  13, // user id
  14, // public subkey
  17, // user attribute
  21, // padding
]);
const PUBLIC_KEY = 6;

const BEGIN = '-----BEGIN PGP PUBLIC KEY BLOCK-----';
const END = '-----END PGP PUBLIC KEY BLOCK-----';

/** What is wrong with a keyring, to follow its name; undefined when it holds public keys and nothing else. */
export function keyringProblem(content: Buffer): string | undefined {
  if (!content.includes(BEGIN)) {
    return holdsPublicKeys(content)
      ? undefined
      : 'is not an OpenPGP keyring: expected public keys, binary or armoured';
  }
  const blocks = readArmour(content.toString('latin1').split('\n'));
  if (blocks === undefined) return 'contains something other than armoured OpenPGP keys, or a damaged one';
  return blocks.every(holdsPublicKeys) ? undefined : 'has an armoured block that is not a public key';
}

/** The blocks of armoured text (section 6); undefined when there is anything else, or a block without an end. */
function readArmour(lines: readonly string[]): Buffer[] | undefined {
  const blocks: Buffer[] = [];
  let base64: string[] | undefined;
  let isHeader = false;
  for (const line of lines.map((one) => one.trimEnd())) {
    if (base64 === undefined) {
      if (line === BEGIN) [base64, isHeader] = [[], true];
      else if (line !== '') return undefined;
    } else if (line === END) {
      blocks.push(Buffer.from(base64.join(''), 'base64'));
      base64 = undefined;
    } else if (isHeader && (line === '' || /^[A-Za-z]+: /.test(line))) {
      isHeader = line !== '';
    } else {
      isHeader = false;
      // `=` and four characters are the checksum.
      if (/^=[A-Za-z0-9+/]{4}$/.test(line)) continue;
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(line)) return undefined;
      base64.push(line);
    }
  }
  return base64 === undefined && blocks.length > 0 ? blocks : undefined;
}

/** Whether it is a sequence of packets of public keys to its end. */
function holdsPublicKeys(content: Buffer): boolean {
  let offset = 0;
  let keys = 0;
  while (offset < content.length) {
    const packet = readHeader(content, offset);
    if (packet === undefined || !PACKETS.has(packet.tag)) return false;
    if (packet.tag === PUBLIC_KEY) keys += 1;
    // Every keyring begins with a key, but for a marker.
    else if (keys === 0 && packet.tag !== 10) return false;
    offset = packet.end;
  }
  return keys > 0 && offset === content.length;
}

/** Tag and end of the packet at an offset (sections 4.2.1 and 4.2.2); undefined when there is none. */
function readHeader(content: Buffer, offset: number): { tag: number; end: number } | undefined {
  const first = content[offset] ?? 0;
  if ((first & 0x80) === 0) return undefined;
  const [tag, length, size] =
    (first & 0x40) === 0
      ? [(first >> 2) & 0x0f, oldLength(content, offset + 1, first & 3), 1 + (1 << (first & 3))]
      : [first & 0x3f, ...newLength(content, offset + 1)];
  if (length === undefined) return undefined;
  const end = offset + size + length;
  return end <= content.length ? { tag, end } : undefined;
}

function oldLength(content: Buffer, offset: number, type: number): number | undefined {
  // Type 3 has no length: that is for data that is streamed.
  const bytes = 1 << type;
  if (type === 3 || offset + bytes > content.length) return undefined;
  return content.readUIntBE(offset, bytes);
}

/** Length of the body and of the header; partial lengths are for data only. */
function newLength(content: Buffer, offset: number): [number | undefined, number] {
  const first = content[offset];
  if (first === undefined) return [undefined, 0];
  if (first < 192) return [first, 2];
  const second = content[offset + 1];
  if (first < 224) return [second === undefined ? undefined : ((first - 192) << 8) + second + 192, 3];
  if (first !== 255 || offset + 5 > content.length) return [undefined, 0];
  return [content.readUInt32BE(offset + 1), 6];
}
