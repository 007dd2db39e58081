// What a VEX document takes back, and what it does not.

import { suppressedBy, vexStatements } from '../../../image-builder/scan/vex.ts';
import type { DiskPackages, Vulnerability } from '../../../image-builder/scan/vulnerability.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const disk: DiskPackages = {
  disk: 'node.qcow2',
  sha256: 'd'.repeat(64),
  system: { id: 'debian', version: '13' },
  packages: [
    {
      name: 'openssl',
      version: '3.5.1-1',
      binaries: [
        { name: 'openssl', version: '3.5.1-1', architecture: 'amd64' },
        { name: 'libssl3t64', version: '3.5.1-1', architecture: 'amd64' },
      ],
    },
  ],
};
const vulnerability: Vulnerability = {
  id: 'CVE-2026-1',
  aliases: ['DEBIAN-CVE-2026-1'],
  source: 'openssl',
  state: 'unfixed',
  severity: 'high',
  summary: '',
  installed: '3.5.1-1',
  packages: ['libssl3t64', 'openssl'],
  disks: ['node.qcow2'],
};

const read = (document: object) => vexStatements(Buffer.from(JSON.stringify(document)), 'vex.json');
const suppressed = (...documents: object[]) =>
  suppressedBy(vulnerability, documents.flatMap(read), { digest: DIGEST, disks: [disk] })?.status;

const openVex = (statement: object, timestamp = '2026-01-01T00:00:00Z') => ({
  '@context': 'https://openvex.dev/ns/v0.2.0',
  timestamp,
  statements: [
    {
      vulnerability: { name: 'CVE-2026-1' },
      status: 'not_affected',
      justification: 'vulnerable_code_not_in_execute_path',
      ...statement,
    },
  ],
});
const products = (...ids: string[]) => ({ products: ids.map((id) => ({ '@id': id })) });
const bundle = `pkg:oci/qcow-bundle@${DIGEST.replace(':', '%3A')}`;

test.each<[string, object, string | undefined]>([
  ['the source package', products('pkg:deb/debian/openssl@3.5.1-1?arch=source'), 'not_affected'],
  [
    'every installed package',
    products('pkg:deb/debian/openssl@3.5.1-1?arch=amd64', 'pkg:deb/debian/libssl3t64'),
    'not_affected',
  ],
  ['one of the installed packages', products('pkg:deb/debian/libssl3t64@3.5.1-1?arch=amd64'), undefined],
  ['another version', products('pkg:deb/debian/openssl@3.5.0-1?arch=source'), undefined],
  [
    'another architecture',
    products('pkg:deb/debian/openssl?arch=arm64', 'pkg:deb/debian/libssl3t64?arch=arm64'),
    undefined,
  ],
  ['another distribution', products('pkg:deb/ubuntu/openssl?arch=source'), undefined],
  ['the bundle', products(bundle), 'not_affected'],
  ['the disk', { products: [{ '@id': 'node', hashes: { 'sha-256': 'd'.repeat(64) } }] }, 'not_affected'],
  [
    'a part of the bundle',
    { products: [{ '@id': bundle, subcomponents: [{ '@id': 'pkg:deb/debian/openssl?arch=source' }] }] },
    'not_affected',
  ],
  [
    'another part of the bundle',
    { products: [{ '@id': bundle, subcomponents: [{ '@id': 'pkg:deb/debian/bash' }] }] },
    undefined,
  ],
  [
    'another bundle',
    {
      products: [
        {
          '@id': `pkg:oci/x@sha256%3A${'b'.repeat(64)}`,
          subcomponents: [{ '@id': 'pkg:deb/debian/openssl?arch=source' }],
        },
      ],
    },
    undefined,
  ],
  ['another vulnerability', { vulnerability: { name: 'CVE-2026-2' }, ...products(bundle) }, undefined],
  [
    'an alias',
    { vulnerability: { name: 'X', aliases: ['DEBIAN-CVE-2026-1'] }, ...products(bundle) },
    'not_affected',
  ],
  ['what is affected', { status: 'affected', ...products(bundle) }, undefined],
  ['what is looked into', { status: 'under_investigation', ...products(bundle) }, undefined],
  ['what is fixed', { status: 'fixed', ...products(bundle) }, 'fixed'],
  ['nothing', {}, undefined],
])('OpenVEX about %s', (_, statement, expected) => {
  expect(suppressed(openVex(statement))).toBe(expected);
});

test('the latest statement counts, wherever it stands', () => {
  const before = openVex(products(bundle));
  const after = openVex({ status: 'affected', ...products(bundle) }, '2026-02-01T00:00:00Z');
  expect(suppressed(after, before)).toBeUndefined();
  const cleared = openVex({ ...products(bundle), timestamp: '2026-03-01T00:00:00Z' });
  expect(suppressed(cleared, after, before)).toBe('not_affected');
});

test('CSAF names products by a tree', () => {
  const csaf = (status: string) => ({
    document: { category: 'csaf_vex', tracking: { current_release_date: '2026-01-01T00:00:00Z' } },
    product_tree: {
      branches: [
        {
          category: 'vendor',
          branches: [
            {
              category: 'product_version',
              product: {
                product_id: 'P1',
                product_identification_helper: { purl: 'pkg:deb/debian/openssl@3.5.1-1?arch=source' },
              },
            },
          ],
        },
      ],
      relationships: [{ product_reference: 'P1', full_product_name: { product_id: 'P2' } }],
    },
    vulnerabilities: [
      {
        cve: 'CVE-2026-1',
        product_status: { [status]: ['P2'] },
        flags: [{ label: 'component_not_present', product_ids: ['P2'] }],
      },
    ],
  });
  expect(suppressed(csaf('known_not_affected'))).toBe('not_affected');
  expect(suppressed(csaf('known_affected'))).toBeUndefined();
});

let deep: object = {};
for (let depth = 0; depth < 200; depth++) deep = { branches: [deep] };
test.each([
  ['something else', { statements: [] }],
  ['statements of another type', { '@context': 'https://openvex.dev/ns', statements: 7 }],
  ['a status that is none', openVex({ status: 'fine' })],
  ['a deep tree', { document: { category: 'csaf_vex' }, product_tree: deep }],
])('%s is an error', (_, document) => {
  expect(() => read(document)).toThrow(expect.objectContaining({ code: 'SCAN_INPUT_INVALID' }));
});
