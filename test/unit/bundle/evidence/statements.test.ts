// What a registry can do to statements: say of them what is not so, send other bytes, or too many of them.
import { generateKeyPairSync } from 'node:crypto';
import { signStatement } from '../../../../image-builder/attestation/envelope.ts';
import { parseSigningKey } from '../../../../image-builder/attestation/keys.ts';
import { PREDICATES, writeStatement } from '../../../../image-builder/attestation/statement.ts';
import { trustPolicy } from '../../../../image-builder/attestation/trust-policy.ts';
import type { TrustSettings } from '../../../../image-builder/attestation/trust-settings.ts';
import { statementReferrer } from '../../../../image-builder/bundle/evidence/statement-referrer.ts';
import { requireTrust } from '../../../../image-builder/bundle/evidence/trust.ts';
import { type Digest, digestOf } from '../../../../image-builder/oci/digest.ts';
import type { ImageSource } from '../../../../image-builder/oci/image-source.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../../../../image-builder/oci/media-types.ts';
import type { Descriptor } from '../../../../image-builder/oci/model.ts';
import { parseReference } from '../../../../image-builder/oci/reference.ts';

const MIB = 1024 * 1024;
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = parseSigningKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), undefined, 'key');
const keys = [publicKey.export({ type: 'spki', format: 'pem' }).toString()];

const index: Descriptor = { mediaType: OCI_INDEX, digest: digestOf(Buffer.from('index')), size: 5 };
const child: Descriptor = { mediaType: OCI_MANIFEST, digest: digestOf(Buffer.from('child')), size: 5 };

/** Something that lies in the registry: what its list says, and what it sends. */
interface Listed {
  subject: Digest;
  descriptor: Descriptor;
  manifest: Buffer;
  blob: Buffer;
}

/** A statement of the trusted key; it lies where it says unless told otherwise. */
function statement(
  predicateType: string,
  {
    about = index,
    at = about,
    kind = predicateType,
    predicate = {},
  }: { about?: Descriptor; at?: Descriptor; kind?: string; predicate?: Record<string, unknown> } = {},
): Listed {
  const subject = [{ digest: { sha256: about.digest.replace('sha256:', '') } }];
  const content = signStatement(writeStatement({ subject, predicateType, predicate }), key);
  const { manifest } = statementReferrer(at, { content, predicateType: kind });
  return { subject: at.digest, descriptor: manifest.descriptor, manifest: manifest.content, blob: content };
}

/** The same with its content outside of the manifest, and perhaps said to be larger. */
function apart(listed: Listed, size = listed.blob.length): Listed {
  const manifest = JSON.parse(listed.manifest.toString());
  delete manifest.layers[0].data;
  manifest.layers[0].size = size;
  const content = Buffer.from(JSON.stringify(manifest));
  const descriptor = { ...listed.descriptor, digest: digestOf(content), size: content.length };
  return { ...listed, descriptor, manifest: content };
}

/** What was fetched. */
let fetched: string[];

function registry(listed: readonly Listed[]): ImageSource {
  const by = ({ digest }: Descriptor) => listed.find((one) => one.descriptor.digest === digest);
  return {
    ...{ name: 'registry.example.org/bundle', cost: { requests: 0, bytes: 0 }, warnings: [] },
    currentDigest: async () => index.digest,
    root: async () => ({ descriptor: index, content: Buffer.from('index') }),
    manifest: async (descriptor) => {
      fetched.push('manifest');
      return by(descriptor)?.manifest ?? Buffer.alloc(0);
    },
    async *blob() {
      for (const { blob } of listed) {
        fetched.push('blob');
        yield blob;
      }
    },
    async *referrers(digest) {
      for (const { subject, descriptor } of listed) if (subject === digest) yield descriptor;
    },
    close: async () => {},
  };
}

/** Reads; the code of the refusal and what was found, or `trusted`. */
async function judge(
  listed: readonly Listed[],
  require: TrustSettings['require'] = ['signature'],
): Promise<string> {
  fetched = [];
  const request = {
    source: registry(listed),
    reference: parseReference(`registry.example.org/bundle@${index.digest}`),
    ...{ digest: index.digest, now: Date.now() / 1000 },
  };
  try {
    await requireTrust(request, trustPolicy({ keys, require }, 'trust'));
    return 'trusted';
  } catch (error) {
    const { code, output = [] } = error as { code: string; output?: string[] };
    return [code, ...output].join('; ');
  }
}

const good = statement(PREDICATES.signature);
const other = statement(PREDICATES.signature, { predicate: { more: 1 } });

test('a statement counts, embedded or apart from its manifest', async () => {
  expect(await judge([good])).toBe('trusted');
  expect(fetched).toEqual(['manifest']);
  expect(await judge([apart(good)])).toBe('trusted');
  expect(fetched).toEqual(['manifest', 'blob']);
  expect(await judge([{ ...good, descriptor: { ...good.descriptor, data: good.manifest } }])).toBe('trusted');
  expect(fetched).toEqual([]);
});

describe('what is too large is not fetched', () => {
  test.each<[string, Listed, string[]]>([
    ['a manifest', { ...good, descriptor: { ...good.descriptor, size: 5 * MIB } }, []],
    ['a statement', apart(good, MIB + 1), ['manifest']],
  ])('%s', async (_, listed, transfers) => {
    expect(await judge([listed])).toMatch(/^TRUST_REFUSED; sha256:\w+ cannot be used: /);
    expect(fetched).toEqual(transfers);
    expect(await judge([listed, other])).toBe('trusted');
  });

  test('a bill of materials in a statement, which may be larger than others', async () => {
    const large = statement(PREDICATES.sbom, { predicate: { text: 'x'.repeat(2 * MIB) } });
    expect(await judge([apart(large)], ['sbom'])).toBe('trusted');
    expect(await judge([apart(large, 16 * MIB + 1)], ['sbom'])).toMatch(
      /^TRUST_REFUSED; .*more than 16777216/,
    );
    expect(fetched).toEqual(['manifest']);
    // Only where it says so.
    const hidden = statement(PREDICATES.sbom, {
      kind: PREDICATES.provenance,
      predicate: { text: 'x'.repeat(2 * MIB) },
    });
    expect(await judge([apart(hidden)], ['provenance'])).toMatch(/^TRUST_REFUSED; .*more than 1048576/);
  });
});

describe('other bytes than those of the digest count for nothing', () => {
  test.each<[string, Listed]>([
    ['the manifest', { ...good, manifest: other.manifest }],
    ['the manifest in the list', { ...good, descriptor: { ...good.descriptor, data: other.manifest } }],
    ['the statement', { ...apart(good), blob: other.blob }],
    ['more than the statement', { ...apart(good), blob: Buffer.concat([good.blob, Buffer.from(' ')]) }],
  ])('%s', async (_, listed) => {
    expect(await judge([listed])).toMatch(/^TRUST_REFUSED; sha256:\w+ cannot be used: /);
  });

  test('the statement in its manifest', async () => {
    const manifest = JSON.parse(good.manifest.toString());
    manifest.layers[0].data = other.blob.toString('base64');
    const content = Buffer.from(JSON.stringify(manifest));
    const descriptor = { ...good.descriptor, digest: digestOf(content), size: content.length };
    expect(await judge([{ ...good, descriptor, manifest: content }])).toMatch(
      /^TRUST_REFUSED; .*cannot be used/,
    );
  });
});

test('the statement says what kind it is, whatever its annotation says', async () => {
  const posing = statement(PREDICATES.signature, { kind: PREDICATES.provenance });
  expect(await judge([posing], ['provenance'])).toBe('TRUST_MISSING');
  // Nobody who wants a signature reads what is said to be something else.
  expect(await judge([posing])).toBe('TRUST_MISSING');
  expect(fetched).toEqual([]);
});

test('a signature of an image alone does not vouch for an index that has it', async () => {
  expect(await judge([statement(PREDICATES.signature, { about: child })])).toBe('TRUST_MISSING');
  expect(await judge([statement(PREDICATES.signature, { about: child, at: index })])).toMatch(
    /^TRUST_REFUSED; sha256:\w+ is about something else/,
  );
});

test('signatures of cosign 2 are not read', async () => {
  const descriptor = {
    ...good.descriptor,
    artifactType: 'application/vnd.oci.image.config.v1+json',
    annotations: { 'dev.cosignproject.cosign/signature': 'MEUC' },
  };
  expect(await judge([{ ...good, descriptor }])).toBe('TRUST_MISSING');
  expect(fetched).toEqual([]);
});
