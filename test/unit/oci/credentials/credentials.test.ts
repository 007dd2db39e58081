// Credentials as files, Secrets and helpers have them: whose word counts for what.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPullSecrets } from '../../../../image-builder/cli/pull-secret-files.ts';
import {
  matchKey,
  parseCredentialConfig,
  parsePullSecret,
} from '../../../../image-builder/oci/credentials/config-file.ts';
import { keychain } from '../../../../image-builder/oci/credentials/keychain.ts';
import { openSource } from '../../../../image-builder/oci/open.ts';
import { parseReference } from '../../../../image-builder/oci/reference.ts';

let directory: string;
const at = (name: string) => join(directory, name);
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'credentials-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
const helper = (name: string, script: string) => {
  writeFileSync(at(`docker-credential-${name}`), `#!/bin/sh\n${script}\n`);
  chmodSync(at(`docker-credential-${name}`), 0o755);
  return { PATH: `${directory}:${process.env.PATH}`, HOME: directory };
};

describe('keys with stars', () => {
  const match = (key: string, host: string, repository = 'site/x') =>
    matchKey(
      parseCredentialConfig(JSON.stringify({ auths: { [key]: auth('u:p') } }), 't').auths,
      host,
      repository,
    );

  it.each([
    ['*.example.org', 'a.example.org', true],
    ['*.example.org', 'a.b.example.org', false],
    ['*.example.org', 'example.org', false],
    ['*.*.example.org', 'a.b.example.org', true],
    ['app*.example.org', 'app1.example.org', true],
    ['app*.example.org', 'xapp1.example.org', false],
    ['a*b*c.example.org', 'a-b-c.example.org', true],
    ['a*a.example.org', 'a.example.org', false],
    ['a*b*b.example.org', 'ab.example.org', false],
    ['*.example.org:5000', 'a.example.org:5000', true],
    ['*.example.org:5000', 'a.example.org', false],
    ['*.example.org', 'a.example.org:5000', false],
    ['*.org.5000', 'a.org:5000', false],
    ['*.example.org/site', 'a.example.org', true],
    ['*.example.org/other', 'a.example.org', false],
    ['https://*.example.org/v1/', 'a.example.org', true],
    ['*.EXAMPLE.org', 'A.example.org', true],
    ['(*).example.org', 'a.example.org', false],
  ])('%s and %s: %s', (key, host, expected) => expect(match(key, host) !== undefined).toBe(expected));

  it('take time that grows with their length only', () => {
    const started = process.cpuUsage();
    for (const stars of [6, 60, 600])
      expect(match(`${'*a'.repeat(stars)}!`, `${'a'.repeat(2000)}.org`)).toBeUndefined();
    const many = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, index) => [`*a*${index}`, auth('u:p')]),
    );
    const { auths } = parseCredentialConfig(JSON.stringify({ auths: many }), 't');
    matchKey(auths, 'registry.example.org', `${'a/'.repeat(120)}b`);
    const padded = { 'registry.example.org': auth(`u:${'\0'.repeat(1_000_000)}p`) };
    parseCredentialConfig(JSON.stringify({ auths: padded }), 't');
    expect(process.cpuUsage(started).user).toBeLessThan(2_000_000);
  });
});

it('runs no helper that a pull secret names, and those of the user', async () => {
  const environment = helper('evil', `touch ${at('ran')}; echo '{"Username":"u","Secret":"s"}'`);
  for (const document of [
    { credsStore: 'evil' },
    { credHelpers: { 'registry.example.org': 'evil' } },
    { auths: { 'registry.example.org': {} }, credsStore: 'evil' },
    { 'registry.example.org': {}, credsStore: 'evil' },
  ]) {
    const secret = { json: JSON.stringify(document), origin: 'a Secret' };
    expect(parsePullSecret(secret)).toMatchObject({ credHelpers: new Map() });
    const chain = keychain({ pullSecrets: [secret] }, environment);
    expect(await chain.find('registry.example.org', 'x')).toBeUndefined();
    expect(existsSync(at('ran'))).toBe(false);
  }
  const chain = keychain({}, { ...environment, DOCKER_AUTH_CONFIG: '{"credsStore":"evil"}' });
  expect(await chain.find('registry.example.org', 'x')).toMatchObject({ username: 'u' });
});

it('lets the process end when a helper is missing', () => {
  const program = `
    const { askHelper } = require(${JSON.stringify(at('helper.cjs'))});
    askHelper('nosuch', 'registry.example.org', { PATH: '/nowhere' }).catch((error) => console.log(error.code));`;
  execFileSync('npx', [
    ...['esbuild', 'image-builder/oci/credentials/helper.ts', '--bundle', '--platform=node', '--format=cjs'],
    ...[`--outfile=${at('helper.cjs')}`, '--log-level=error'],
  ]);
  const { stdout, status, signal } = spawnSync(process.execPath, ['-e', program], {
    timeout: 10_000,
    encoding: 'utf8',
  });
  expect({ stdout, status, signal }).toEqual({ stdout: 'CREDENTIALS\n', status: 0, signal: null });
});

it('ends a helper when the caller gives up', async () => {
  const environment = helper('slow', 'exec sleep 30');
  const abort = new AbortController();
  const chain = keychain({}, { ...environment, DOCKER_AUTH_CONFIG: '{"credsStore":"slow"}' }, abort.signal);
  const found = chain.find('registry.example.org', 'x');
  setTimeout(() => abort.abort(), 100);
  await expect(found).rejects.toMatchObject({ code: 'CANCELLED' });
});

it.each([
  ['Basic', () => 'Basic realm="x"'],
  ['Bearer', (host: string) => `Bearer realm="http://${host}/token"`],
])('says that a password was refused, and that none is known (%s)', async (_, challenge) => {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/token') && !request.headers.authorization)
      response.end('{"token":"anonymous"}');
    else response.writeHead(401, { 'www-authenticate': challenge(request.headers.host ?? '') }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const reference = parseReference(`127.0.0.1:${(server.address() as AddressInfo).port}/site/x:v1`);
  const ask = async (login?: { username: string; password: string }) => {
    const credentials = { isolated: true, ...(login && { login }) };
    const source = await openSource(reference, { credentials, environment: {}, limits: { retries: 0 } });
    const error = await source.root().catch((thrown) => thrown);
    await source.close();
    return error.message;
  };
  expect(await ask({ username: 'u', password: 'wrong' })).toContain(
    'the credentials found for it were rejected',
  );
  expect(await ask()).toContain('no credentials were found for it');
  server.closeAllConnections();
  server.close();
});

describe('--pull-secret', () => {
  const config = JSON.stringify({ auths: { 'registry.example.org': auth('u:hunter2') } });
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'login' },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': Buffer.from(config).toString('base64') },
  };
  const yaml = `apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\ntype: ${secret.type}\ndata:\n  .dockerconfigjson: ${secret.data['.dockerconfigjson']}\n`;

  it.each([
    ['config.json', config],
    ['a Secret in JSON', JSON.stringify(secret)],
    ['a Secret in YAML', yaml],
    ['a Secret among other documents', `kind: ConfigMap\n---\n${yaml}`],
    ['a list', JSON.stringify({ kind: 'List', items: [{ kind: 'ConfigMap' }, secret] })],
    ['.dockercfg', JSON.stringify({ 'registry.example.org': auth('u:hunter2') })],
  ])('takes %s', async (_, text) => {
    writeFileSync(at('secret'), text);
    const chain = keychain({ pullSecrets: await readPullSecrets([at('secret')]), isolated: true }, {});
    expect(await chain.find('registry.example.org', 'x')).toMatchObject({
      username: 'u',
      password: 'hunter2',
    });
  });

  it.each([
    ['nothing', '', 'contains no Secret'],
    ['YAML that is none', 'hunter2: [', 'is neither JSON nor YAML'],
    ['a Secret of another type', yaml.replace(secret.type, 'Opaque'), 'contains no Secret'],
    ['helpers only', '{"credsStore": "desktop"}', 'contains no auths'],
  ])('names the file, not its content: %s', async (_, text, problem) => {
    writeFileSync(at('secret'), text);
    const error = await readPullSecrets([at('secret')]).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'CREDENTIALS', message: expect.stringContaining(at('secret')) });
    expect(error.message).toContain(problem);
    expect(JSON.stringify(error.findings())).not.toContain('hunter2');
    await expect(readPullSecrets([at('none')])).rejects.toMatchObject({ code: 'CREDENTIALS' });
  });

  it('names the file of credentials that are damaged', async () => {
    writeFileSync(at('secret'), JSON.stringify({ auths: { 'registry.example.org': auth('hunter2') } }));
    const chain = keychain({ pullSecrets: await readPullSecrets([at('secret')]), isolated: true }, {});
    await expect(chain.find('registry.example.org', 'x')).rejects.toMatchObject({
      message: expect.stringContaining(at('secret')),
    });
  });
});
