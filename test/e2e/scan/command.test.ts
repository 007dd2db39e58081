// The command `scan` with a database that is fetched, and its SARIF against the schema.
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import Ajv from 'ajv';
import { osvRecord, sbomOf } from '../../unit/scan/documents.ts';
import { bundleOf, makeQcow, temporaryDirectory, writeBundle } from '../bundle/support.ts';
import { executable } from '../support/executables.ts';
import { makeCertificates } from '../support/registry.ts';

const root = join(__dirname, '../../..');
const directory = temporaryDirectory();

let server: Server;
let host: string;
let caFile: string;
let asked: IncomingMessage[];
const RECORDS = [
  osvRecord('DEBIAN-CVE-2026-1', 'openssl', [{ introduced: '0' }, { fixed: '3.5.2-1' }], {
    upstream: ['CVE-2026-1'],
    severity: [{ type: 'CVSS_V4', score: 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N' }],
  }),
  osvRecord('DEBIAN-CVE-2026-2', 'openssl', [{ introduced: '0' }], { aliases: ['CVE-2026-2'] }),
];

function answer({ url }: IncomingMessage, response: ServerResponse): void {
  if (url === '/all.json.gz') response.end(gzipSync(JSON.stringify(RECORDS)));
  else if (url === '/moved') response.writeHead(302, { location: 'https://localhost:1/all.json' }).end();
  else response.writeHead(404).end();
}

beforeAll(async () => {
  const certificates = makeCertificates(directory);
  caFile = certificates.caFile;
  const options = { cert: readFileSync(certificates.serverCert), key: readFileSync(certificates.serverKey) };
  server = createServer(options, (request, response) => {
    asked.push(request);
    answer(request, response);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [qcow, sbom] = [join(directory, 'qcow'), join(directory, 'sbom.json')];
  await makeQcow(qcow, 1);
  writeFileSync(sbom, sbomOf([{ name: 'libssl3t64', version: '3.5.1-1', source: 'openssl' }]));
  const files = { ...bundleOf({}), qcows: [{ name: 'node', path: qcow, sbom }] };
  await writeBundle(files, { kind: 'layout', path: 'out', tag: 'v1' }, { cwd: directory });
});
beforeEach(() => {
  asked = [];
});
afterAll(() => new Promise((closed) => server.close(closed)));

/** Runs the command; the server answers meanwhile. */
async function scan(database: string, more: string[] = [], environment: NodeJS.ProcessEnv = {}) {
  const command = ['scan', 'oci:out:v1', '--database', database, ...more];
  const { SSL_CERT_FILE: _, NODE_EXTRA_CA_CERTS: __, ...rest } = process.env;
  const env = { ...rest, TMPDIR: directory, ...environment };
  const before = readdirSync(directory);
  const result = await new Promise<{ status: number; stdout: string; stderr: string }>((done) => {
    const options = { cwd: directory, env };
    const child = execFile(executable('image-builder'), command, options, (_, stdout, stderr) =>
      done({ status: child.exitCode ?? -1, stdout, stderr }),
    );
  });
  expect(readdirSync(directory)).toEqual(before);
  return result;
}

test('a database is fetched by https for this scan, with a login that is told to its host only', async () => {
  const trusting = { SSL_CERT_FILE: caFile };
  const { status, stdout, stderr } = await scan(
    `https://robot:s3cret@${host}/all.json.gz`,
    ['--output', 'json'],
    trusting,
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const report = JSON.parse(stdout);
  expect(report.vulnerabilities).toMatchObject([
    { id: 'CVE-2026-1', severity: 'critical', score: 9.3, state: 'fixable', fixed: '3.5.2-1' },
    { id: 'CVE-2026-2', severity: 'unknown', state: 'unfixed' },
  ]);
  expect(asked.map(({ url, headers }) => [url, headers.authorization])).toEqual([
    ['/all.json.gz', `Basic ${Buffer.from('robot:s3cret').toString('base64')}`],
  ]);
  expect(stdout).not.toContain('s3cret');
});

test.each([
  ['a certificate of nobody who is known', (at: string) => `https://${at}/all.json.gz`, {}, 'certificate'],
  [
    'an address that leads elsewhere',
    (at: string) => `https://${at}/moved`,
    'trusted',
    'redirects to localhost:1, and only itself is asked',
  ],
  ['a file that is not there', (at: string) => `https://u:s3cret@${at}/none`, 'trusted', 'answers 404'],
  [
    'an address without TLS',
    (at: string) => `http://${at}/all.json.gz`,
    'trusted',
    'is not an address of https',
  ],
])('%s is refused', async (_, address, trust, expected) => {
  const { status, stdout, stderr } = await scan(
    address(host),
    [],
    trust === 'trusted' ? { SSL_CERT_FILE: caFile } : {},
  );
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toContain(expected);
  expect(stderr).not.toContain('s3cret');
});

test('SARIF is what its schema says', async () => {
  const file = join(root, '.cache/sarif-2.1.0.json');
  const member = 'lib/schemas/sarif-2.1.0-rtm.5.json';
  execFileSync(join(root, 'scripts/npm-program.sh'), ['@microsoft/jest-sarif@1', member, file]);
  // Of draft 4, it says nothing that later ones would read in another way, but for its name.
  const { $schema: _, id: __, ...schema } = JSON.parse(readFileSync(file, 'utf8'));
  const validate = new Ajv({
    strict: false,
    unicodeRegExp: false,
    validateFormats: false,
    logger: false,
  }).compile(schema);
  const vex = join(directory, 'vex.json');
  writeFileSync(
    vex,
    JSON.stringify({
      '@context': 'https://openvex.dev/ns/v0.2.0',
      timestamp: '2026-11-01T00:00:00Z',
      statements: [
        {
          vulnerability: { name: 'CVE-2026-2' },
          products: [{ '@id': 'pkg:deb/debian/openssl?arch=source' }],
          status: 'not_affected',
          justification: 'component_not_present',
        },
      ],
    }),
  );
  const database = join(directory, 'all.json');
  writeFileSync(database, JSON.stringify(RECORDS));
  const { stdout } = await scan(database, ['--vex', vex, '--output', 'sarif']);
  const report = JSON.parse(stdout);
  validate(report);
  expect(validate.errors).toBeNull();
  expect(
    report.runs[0].results.map(({ suppressions }: { suppressions?: [] }) => suppressions?.length),
  ).toEqual([undefined, 1]);
  // The schema is one: it finds what is wrong.
  expect(validate({ ...report, runs: [{ ...report.runs[0], tool: {} }] })).toBe(false);
});
