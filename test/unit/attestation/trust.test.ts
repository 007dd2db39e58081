// What is believed of statements about a bundle, and what must be refused.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { openBundle, SIGSTORE_BUNDLE, signStatement } from '../../../image-builder/attestation/envelope.ts';
import {
  parseSigningKey,
  parseTrustedKey,
  type SigningKey,
  type TrustedKey,
} from '../../../image-builder/attestation/keys.ts';
import {
  enforce,
  enforceBootTests,
  examine,
  type TrustPolicy,
} from '../../../image-builder/attestation/policy.ts';
import { PREDICATES, type Subject, writeStatement } from '../../../image-builder/attestation/statement.ts';

interface Pair {
  secret: SigningKey;
  trusted: TrustedKey;
}

const pemOf = (key: KeyObject, type: 'spki' | 'pkcs8') =>
  key.export({ type: type as 'spki', format: 'pem' }).toString();

function pairOf({ publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): Pair {
  return {
    secret: parseSigningKey(pemOf(privateKey, 'pkcs8'), undefined, 'key'),
    trusted: parseTrustedKey(pemOf(publicKey, 'spki'), 'key'),
  };
}

const p256 = pairOf(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }));
const ed25519 = pairOf(generateKeyPairSync('ed25519'));
const stranger = pairOf(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }));

const HEX = 'ab'.repeat(32);
const DIGEST = `sha256:${HEX}`;
const DISK = 'cd'.repeat(32);
const NOW = Date.parse('2026-01-10T00:00:00Z') / 1000;
const CLAIMS = { repository: 'site/bundle', tag: 'v1', created: '2026-01-09T00:00:00Z' };

const subject = (annotations: Record<string, string> = CLAIMS): Subject => ({
  name: 'bundle',
  digest: { sha256: HEX },
  annotations,
});

const statement = (
  predicateType: string,
  predicate: Record<string, unknown> = {},
  subjects: Subject[] = [subject()],
) => writeStatement({ subject: subjects, predicateType, predicate });

const signed = (pair: Pair = p256, payload = statement(PREDICATES.signature)) =>
  signStatement(payload, pair.secret);

const bootTest = (
  predicate: Record<string, unknown>,
  disks = [{ name: 'node.qcow2', digest: { sha256: DISK } }],
) => signed(p256, statement(PREDICATES.bootTest, predicate, [subject(), ...disks]));

const policy = (changes: Partial<TrustPolicy> = {}): TrustPolicy => ({
  keys: [p256.trusted],
  require: ['signature'],
  threshold: 1,
  claims: {},
  ...changes,
});

/** Judges; the code of the refusal, or `trusted`. */
function judge(bundles: readonly Uint8Array[], changes: Partial<TrustPolicy> = {}): string {
  const rules = policy(changes);
  const found = bundles.map((content, index) => ({ name: `statement ${index + 1}`, content }));
  try {
    const verdict = examine(found, DIGEST, rules.keys);
    enforce(verdict, rules, 'registry.example.org/site/bundle:v1', NOW);
    enforceBootTests(verdict, rules, { node: { sha256: DISK } }, 'registry.example.org/site/bundle:v1');
    return 'trusted';
  } catch (error) {
    const { code, output = [] } = error as { code: string; output?: string[] };
    return [code, ...output].join('; ');
  }
}

interface Bundle {
  verificationMaterial: object;
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] };
}

/** The bundle with something changed in it. */
function tampered(change: (bundle: Bundle) => void, content = signed()): Buffer {
  const bundle = JSON.parse(content.toString());
  change(bundle);
  return Buffer.from(JSON.stringify(bundle));
}

describe('where a bundle comes from', () => {
  const [builder, buildType] = ['https://ci.example.org', 'https://example.org/build/v1'];
  const provenance = (predicate: Record<string, unknown>, pair = p256) =>
    signed(pair, statement(PREDICATES.provenance, predicate));
  const from = (id: unknown, type: unknown, pair = p256) =>
    provenance({ buildDefinition: { buildType: type }, runDetails: { builder: { id } } }, pair);

  test.each<[string, Uint8Array[], Partial<TrustPolicy>, string]>([
    ['as demanded', [from(builder, buildType)], { builder, buildType }, 'trusted'],
    ['the build type alone', [from('https://other', buildType)], { buildType }, 'trusted'],
    [
      'another build type',
      [from(builder, 'https://example.org/build/v2')],
      { buildType },
      'TRUST_CLAIM_MISMATCH; statement 2 names the builder https://ci.example.org and the build type https://example.org/build/v2',
    ],
    [
      'both, in two statements',
      [from(builder, 'https://other'), from('https://other', buildType)],
      { builder, buildType },
      'TRUST_CLAIM_MISMATCH; statement 2 names the builder https://ci.example.org and the build type https://other; statement 3 names the builder https://other and the build type https://example.org/build/v1',
    ],
    [
      'no text',
      [from(builder, [buildType])],
      { buildType },
      'TRUST_CLAIM_MISMATCH; statement 2 names the builder https://ci.example.org',
    ],
    ['nothing', [provenance({})], { buildType }, 'TRUST_CLAIM_MISMATCH; statement 2 names neither of them'],
    ['no provenance', [], { buildType }, 'TRUST_CLAIM_MISMATCH'],
    [
      'by a stranger',
      [from(builder, buildType, stranger)],
      { buildType },
      expect.stringMatching(/^TRUST_CLAIM_MISMATCH; statement 2 is not signed by a trusted key/),
    ],
  ])('%s', (_, statements, changes, expected) => {
    expect(judge([signed(), ...statements], changes)).toEqual(expected);
  });

  test('the error says what was expected', () => {
    const verdict = examine([{ name: 'it', content: from(builder, 'x') }], DIGEST, [p256.trusted]);
    expect(() => enforce(verdict, policy({ require: [], builder, buildType }), 'bundle', NOW)).toThrow(
      `bundle is not trusted: no trusted provenance names the builder ${builder} and the build type ${buildType}`,
    );
  });
});

describe('what boot tests were run with', () => {
  const [expected, other] = ['a', 'b'].map((letter) => letter.repeat(64)) as [string, string];
  const run = (configuration: unknown, disks?: { name: string; digest: { sha256: string } }[]) =>
    bootTest({ result: 'PASSED', passedTests: ['node/uefi'], configuration }, disks);
  const wanted = { testConfiguration: `sha256:${expected}` };
  const told = (found: string) => `TRUST_BOOT_TEST; statement 2 was run with ${found}`;

  test.each<[string, Uint8Array[], string]>([
    ['as demanded', [run([{ name: 'QEMU', digest: { sha256: expected } }])], 'trusted'],
    ['another configuration', [run([{ digest: { sha256: other } }])], told(`sha256:${other}`)],
    [
      'two configurations',
      [run([{ digest: { sha256: expected } }, { digest: { sha256: other } }])],
      told('no single configuration'),
    ],
    ['no digest', [run([{ name: expected }])], told('no single configuration')],
    ['no configuration', [run(undefined)], told('no single configuration')],
    ['no boot test', [], 'TRUST_BOOT_TEST'],
  ])('%s', (_, tests, verdict) => {
    expect(judge([signed(), ...tests], wanted)).toBe(verdict);
  });

  test('a disk has booted with it, and not only another disk', () => {
    const elsewhere = [{ name: 'node.qcow2', digest: { sha256: 'ef'.repeat(32) } }];
    const tests = [run([{ digest: { sha256: other } }]), run([{ digest: { sha256: expected } }], elsewhere)];
    expect(judge(tests, { require: ['bootTest'] })).toBe('trusted');
    expect(judge(tests, { require: ['bootTest'], ...wanted })).toBe('TRUST_BOOT_TEST');
  });

  test('the error says what was expected', () => {
    const verdict = examine([{ name: 'it', content: run([]) }], DIGEST, [p256.trusted]);
    expect(() => enforce(verdict, policy({ require: [], ...wanted }), 'bundle', NOW)).toThrow(
      `bundle is not trusted: no trusted boot test was run with the configuration sha256:${expected}`,
    );
  });
});

describe('bills of materials', () => {
  const manifests = ['a', 'b'].map((letter) => `sha256:${letter.repeat(64)}`);
  const naming = (named: unknown[], pair = p256) => {
    const byproducts = named.map((manifest) => ({
      mediaType: 'application/spdx+json',
      annotations: { 'org.airshipit.image-builder.manifest': manifest },
    }));
    return signed(pair, statement(PREDICATES.provenance, { runDetails: { byproducts } }));
  };

  test.each<[string, Uint8Array, string[], boolean]>([
    ['all of them are there', naming(manifests), manifests, true],
    ['one of them is not there', naming(manifests), manifests.slice(1), false],
    ['it names none', naming([]), manifests, false],
    ['it names something else', naming([7, null]), manifests, false],
    ['a stranger names them', naming(manifests, stranger), manifests, false],
    [
      'it is no provenance',
      signed(p256, statement(PREDICATES.bootTest, { result: 'PASSED' })),
      manifests,
      false,
    ],
  ])('count as demanded when a trusted provenance names them: %s', (_, content, listed, expected) => {
    const verdict = examine([{ name: 'it', content }], DIGEST, [p256.trusted], new Set(listed));
    expect(verdict.hasNamedSboms).toBe(expected);
    const demanded = () => enforce(verdict, policy({ require: ['sbom'] }), 'bundle', NOW);
    if (expected) demanded();
    else expect(demanded).toThrow('no trusted key has made a statement of the kind sbom about it');
  });
});

describe('what is believed', () => {
  test('JSON that is not written as we write it', () => {
    const spaced = JSON.stringify(
      JSON.parse(statement(PREDICATES.signature, { 2: 'b', 1: 'a' }).toString()),
      null,
      2,
    );
    expect(judge([signed(p256, Buffer.from(spaced))])).toBe('trusted');
  });

  test.each([
    ['P-256', p256],
    ['Ed25519', ed25519],
  ])('a signature by %s', (_, pair) => {
    expect(judge([signed(pair)], { keys: [pair.trusted] })).toBe('trusted');
  });

  test('a good statement beside bad ones', () => {
    expect(judge([signed(stranger), Buffer.from('{'), signed()])).toBe('trusted');
  });

  test('a bundle of which a disk is the first subject', () => {
    const subjects = [{ name: 'node.qcow2', digest: { sha256: DISK } }, subject()];
    expect(judge([signed(p256, statement(PREDICATES.signature, {}, subjects))])).toBe('trusted');
  });

  test('two keys where two are demanded', () => {
    const both = { keys: [p256.trusted, ed25519.trusted], threshold: 2 };
    expect(judge([signed(), signed(ed25519)], both)).toBe('trusted');
    expect(judge([signed(), signed()], both)).toMatch(/^TRUST_REFUSED/);
  });

  test('everything that may be demanded', () => {
    const bundles = [
      signed(),
      signed(
        p256,
        statement(PREDICATES.provenance, { runDetails: { builder: { id: 'https://ci.example.org' } } }),
      ),
      signed(p256, statement(PREDICATES.sbom)),
      bootTest({ result: 'PASSED', passedTests: ['node/uefi'] }),
    ];
    const require = ['signature', 'provenance', 'sbom', 'bootTest'] as const;
    const claims = { repository: 'site/bundle', tag: 'v1' };
    const all = { require: [...require], claims, maxAge: 2 * 86_400, builder: 'https://ci.example.org' };
    expect(judge(bundles, all)).toBe('trusted');
    expect(judge(bundles, { ...all, builder: 'https://other.example.org' })).toMatch(/^TRUST_CLAIM_MISMATCH/);
    for (const index of bundles.keys())
      expect(
        judge(
          bundles.filter((_, other) => other !== index),
          all,
        ),
      ).toMatch(/^TRUST_MISSING/);
  });
});

describe('what is refused', () => {
  test.each<[string, Uint8Array[], Partial<TrustPolicy>, RegExp]>([
    ['another key', [signed(stranger)], {}, /^TRUST_REFUSED; statement 1 is not signed by a trusted key/],
    ['nothing at all', [], {}, /^TRUST_MISSING$/],
    ['no key that is trusted', [signed()], { keys: [] }, /^TRUST_REFUSED/],
    [
      'a signature of another bundle',
      [signed(p256, statement(PREDICATES.signature, {}, [{ name: 'bundle', digest: { sha256: DISK } }]))],
      {},
      /^TRUST_REFUSED; statement 1 is about something else/,
    ],
    [
      'the digest in capitals',
      [
        signed(
          p256,
          statement(PREDICATES.signature, {}, [{ name: 'bundle', digest: { sha256: HEX.toUpperCase() } }]),
        ),
      ],
      {},
      /something else/,
    ],
    [
      'the digest as a name, under another algorithm or inherited',
      [
        signed(p256, statement(PREDICATES.signature, {}, [{ name: DIGEST, digest: {} }])),
        signed(p256, statement(PREDICATES.signature, {}, [{ name: '', digest: { sha512: HEX } }])),
        signed(
          p256,
          Buffer.from(
            `{"_type":"https://in-toto.io/Statement/v1","predicateType":"${PREDICATES.signature}","subject":[{"digest":{"__proto__":{"sha256":"${HEX}"}}}]}`,
          ),
        ),
      ],
      {},
      /1 is about something else; statement 2 is about something else; statement 3 is about something else/,
    ],
    ['no subject', [signed(p256, statement(PREDICATES.signature, {}, []))], {}, /it has no subject/],
    [
      'a changed payload',
      [
        tampered((one) => {
          one.dsseEnvelope.payload = statement(PREDICATES.signature, { more: 1 }).toString('base64');
        }),
      ],
      {},
      /is not signed by a trusted key/,
    ],
    [
      'a changed type of payload',
      [
        tampered((one) => {
          one.dsseEnvelope.payloadType = 'application/json';
        }),
      ],
      {},
      /signs something else than a statement/,
    ],
    [
      'two signatures in one envelope',
      [tampered((one) => one.dsseEnvelope.signatures.push(...one.dsseEnvelope.signatures))],
      {},
      /has 2 signatures, expected one/,
    ],
    [
      'no signature',
      [
        tampered((one) => {
          one.dsseEnvelope.signatures = [];
        }),
      ],
      {},
      /has 0 signatures/,
    ],
    [
      'a certificate',
      [
        tampered((one) => {
          one.verificationMaterial = { certificate: { rawBytes: 'AAAA' } };
        }),
      ],
      {},
      /is signed by a certificate, and keys are trusted here/,
    ],
    [
      'a signature without a statement',
      [
        tampered((one) => {
          Object.assign(one, { dsseEnvelope: undefined, messageSignature: {} });
        }),
      ],
      {},
      /has no statement/,
    ],
    [
      'a payload that is no strict base64',
      [
        tampered((one) => {
          one.dsseEnvelope.payload += '!';
        }),
      ],
      {},
      /no base64/,
    ],
    [
      'a P-256 signature as r and s, not in DER',
      [
        tampered((one) => {
          one.dsseEnvelope.signatures = [{ sig: Buffer.alloc(64, 1).toString('base64') }];
        }),
      ],
      {},
      /is not signed by a trusted key/,
    ],
    [
      'a key twice in a statement',
      [
        signed(
          p256,
          Buffer.from(
            `{"_type":"https://in-toto.io/Statement/v1","predicateType":"x","predicateType":"${PREDICATES.signature}","subject":[{"digest":{"sha256":"${HEX}"}}]}`,
          ),
        ),
      ],
      {},
      /stands twice/,
    ],
    [
      'a key twice, once in escapes',
      [
        signed(
          p256,
          Buffer.from(
            `{"_type":"https://in-toto.io/Statement/v1","predicateType":"x","predicate\\u0054ype":"${PREDICATES.signature}","subject":[{"digest":{"sha256":"${HEX}"}}]}`,
          ),
        ),
      ],
      {},
      /stands twice/,
    ],
    [
      'a key twice below others, with spaces between',
      [
        signed(
          p256,
          Buffer.from(
            `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "${PREDICATES.signature}", "predicate": {"a": [{"b": 1, "b": 1}]}, "subject": [{"digest": {"sha256": "${HEX}"}}]}`,
          ),
        ),
      ],
      {},
      /the key "b" stands twice/,
    ],
    [
      'a signature with bits beyond its last byte',
      [
        tampered((one) => {
          one.dsseEnvelope.payload = `${statement(PREDICATES.signature)
            .toString('base64')
            .replace(/[^=]=*$/, '')}R==`;
        }),
      ],
      {},
      /no base64/,
    ],
    ['a statement that is no UTF-8', [signed(p256, Buffer.from([0x7b, 0xff, 0x7d]))], {}, /no UTF-8/],
    [
      'an unknown type of statement',
      [
        signed(
          p256,
          Buffer.from(
            JSON.stringify({
              _type: 'https://in-toto.io/Statement/v2',
              predicateType: PREDICATES.signature,
              subject: [subject()],
            }),
          ),
        ),
      ],
      {},
      /unknown type/,
    ],
    ['another kind of statement', [signed(p256, statement(PREDICATES.sbom))], {}, /^TRUST_MISSING/],
    [
      'a test result for a signature',
      [bootTest({ result: 'PASSED', passedTests: ['node/uefi'] })],
      {},
      /^TRUST_MISSING/,
    ],
    [
      'another tag',
      [signed()],
      { claims: { tag: 'v2' } },
      /^TRUST_CLAIM_MISMATCH; statement 1 is for the tag "v1", expected "v2"/,
    ],
    ['a claim that is not made', [signed()], { claims: { site: 'a' } }, /claims no site/],
    [
      'a claim that only a prototype makes',
      [signed()],
      { claims: { constructor: 'x' } },
      /claims no constructor/,
    ],
    ['an old signature', [signed()], { maxAge: 3600 }, /^TRUST_CLAIM_MISMATCH.*too long ago/],
    [
      'a signature of the future',
      [signed(p256, statement(PREDICATES.signature, {}, [subject({ created: '2026-01-10T00:06:00Z' })]))],
      { maxAge: 3600 },
      /in the future/,
    ],
    [
      'a signature without a time where one is needed',
      [signed(p256, statement(PREDICATES.signature, {}, [subject({})]))],
      { maxAge: 3600 },
      /does not say when/,
    ],
  ])('%s', (_, bundles, changes, expected) => {
    expect(judge(bundles, changes)).toMatch(expected);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['has failed', { result: 'FAILED', passedTests: ['node/uefi'] }, /^TRUST_BOOT_TEST/],
    ['has passed with warnings', { result: 'WARNED', passedTests: ['node/uefi'] }, /^TRUST_BOOT_TEST/],
    [
      'lists failed tests',
      { result: 'PASSED', passedTests: ['node/uefi'], failedTests: ['node/bios'] },
      /^TRUST_BOOT_TEST/,
    ],
    ['does not list the disk', { result: 'PASSED', passedTests: ['other/uefi'] }, /^TRUST_BOOT_TEST/],
    ['lists nothing', { result: 'PASSED' }, /^TRUST_BOOT_TEST/],
  ])('a boot test that %s', (_, predicate, expected) => {
    expect(judge([bootTest(predicate)], { require: ['bootTest'] })).toMatch(expected);
  });

  test('a boot test that has failed, beside one that has passed and where none is demanded', () => {
    const [passed, failed] = [{ result: 'PASSED', passedTests: ['node/uefi'] }, { result: 'FAILED' }].map(
      (one) => bootTest(one),
    ) as [Buffer, Buffer];
    expect(judge([passed, failed], { require: ['bootTest'] })).toMatch(/^TRUST_BOOT_TEST/);
    expect(judge([signed(), failed])).toMatch(/^TRUST_BOOT_TEST/);
  });

  test('a disk of another digest', () => {
    const other = bootTest({ result: 'PASSED', passedTests: ['node/uefi'] }, [
      { name: 'node.qcow2', digest: { sha256: 'ef'.repeat(32) } },
    ]);
    expect(judge([other], { require: ['bootTest'] })).toMatch(/^TRUST_BOOT_TEST/);
  });
});

describe('keys', () => {
  const codeOf = (parse: () => unknown) => {
    try {
      parse();
      return 'taken';
    } catch (error) {
      return `${(error as { code: string }).code} ${(error as Error).message}`;
    }
  };

  test.each<[string, { publicKey: KeyObject; privateKey: KeyObject }]>([
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'secp384r1' })],
    ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
    // As long as one for P-256.
    ['SM2', generateKeyPairSync('ec', { namedCurve: 'SM2' })],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['X25519', generateKeyPairSync('x25519')],
    ['Ed448', generateKeyPairSync('ed448')],
  ])('%s is none', (_, { publicKey, privateKey }) => {
    expect(codeOf(() => parseTrustedKey(pemOf(publicKey, 'spki'), 'keys[0]'))).toMatch(
      /^TRUST_KEY_UNUSABLE keys\[0\] is a key for .*expected P-256/,
    );
    expect(codeOf(() => parseSigningKey(pemOf(privateKey, 'pkcs8'), undefined, 'FILE'))).toMatch(
      /^TRUST_KEY_UNUSABLE/,
    );
  });

  test('a public key may stand without its lines', () => {
    const base64 = p256.trusted.key.export({ type: 'spki', format: 'der' }).toString('base64');
    expect(parseTrustedKey(base64, 'key').id).toBe(p256.trusted.id);
  });

  test('a key has the same identity in any lines', () => {
    const text = p256.trusted.key.export({ type: 'spki', format: 'der' }).toString('base64');
    const pem = `-----BEGIN PUBLIC KEY-----\r\n${text}\r\n-----END PUBLIC KEY-----`;
    expect(parseTrustedKey(pem, 'key').id).toBe(p256.trusted.id);
    expect(parseTrustedKey(`note\n${pem}`, 'key').id).toBe(p256.trusted.id);
  });

  test('a point that is not on the curve is no key', () => {
    const der = p256.trusted.key.export({ type: 'spki', format: 'der' });
    der.fill(1, der.length - 32);
    expect(codeOf(() => parseTrustedKey(der.toString('base64'), 'keys[0]'))).toMatch(/^TRUST_KEY_UNUSABLE/);
  });

  test('a private key is no trusted key, and nothing of it is said', () => {
    const pem = pemOf(p256.secret.key, 'pkcs8');
    const said = codeOf(() => parseTrustedKey(pem, 'keys[0]'));
    expect(said).toMatch(/is a private key/);
    expect(said).not.toContain(pem.split('\n')[1]);
  });

  test.each(['', 'nonsense', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'])(
    '%j is none',
    (text) => {
      expect(codeOf(() => parseTrustedKey(text, 'keys[0]'))).toMatch(/^TRUST_KEY_UNUSABLE/);
    },
  );

  test.each(['00'.repeat(32), `01${'00'.repeat(30)}80`, `ed${'ff'.repeat(31)}`])(
    'the point %s can be signed for by anybody',
    (point) => {
      const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(point, 'hex')]);
      expect(codeOf(() => parseTrustedKey(der.toString('base64'), 'keys[0]'))).toMatch(/^TRUST_KEY_UNUSABLE/);
    },
  );

  test('an encrypted key is opened by its passphrase only', () => {
    const encrypted = p256.secret.key
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' })
      .toString();
    expect(parseSigningKey(encrypted, 'open', 'FILE').publicKey.id).toBe(p256.trusted.id);
    for (const wrong of [undefined, 'shut'])
      expect(codeOf(() => parseSigningKey(encrypted, wrong, 'FILE'))).toMatch(/passphrase does not open it/);
  });
});

test('a bundle names its key as cosign does', () => {
  const { mediaType, verificationMaterial } = JSON.parse(signed().toString());
  expect(mediaType).toBe(SIGSTORE_BUNDLE);
  expect(Buffer.from(verificationMaterial.publicKey.hint, 'base64').toString('hex')).toBe(p256.trusted.id);
  // The hint is a help, not a promise.
  const lying = tampered((one) => {
    one.verificationMaterial = {
      publicKey: { hint: Buffer.from(stranger.trusted.id, 'hex').toString('base64') },
    };
  });
  expect(openBundle(lying, [p256.trusted])).toMatchObject({ keyId: p256.trusted.id });
});
