// Logins, certificates, proxies and mirrors, against a real registry.

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import type { ReadBundleOptions } from '../../../image-builder/bundle/read/read-options.ts';
import { ownBundle } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import { startProxy } from '../../support/proxy.ts';
import { freePort, skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';

const USER = { username: 'alice', password: 'pa55-w0rd:with:colons' };
const AUTH = Buffer.from(`${USER.username}:${USER.password}`).toString('base64');
let directory: string;
const at = (name: string) => join(directory, name);
/** A home of its own, so that nothing of this machine is seen. */
const home = () => {
  const path = mkdtempSync(at('home-'));
  mkdirSync(join(path, '.docker'));
  return path;
};
const read = (reference: string, environment: Record<string, string>, options: ReadBundleOptions = {}) =>
  readBundle(reference, { cache: false, environment, limits: { retries: 0 }, ...options });

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'access-'));
  await writeLayout(at('own'), ownBundle());
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function withRegistry(
  options: Parameters<typeof startRegistry>[0],
  test: (registry: TestRegistry) => Promise<void>,
): Promise<void> {
  const registry = await startRegistry(options);
  try {
    const login = options?.htpasswd ?? options?.token;
    await skopeoCopy(
      `oci:${at('own')}:v1`,
      `docker://${registry.host}/site/team/own:v1`,
      ...(login ? ['--dest-creds', `${login.username}:${login.password}`] : []),
      ...(options?.clientCertificates && registry.client
        ? ['--dest-cert-dir', clientDirectory(registry)]
        : []),
    );
    await test(registry);
  } finally {
    await registry.stop();
  }
}

function clientDirectory(registry: TestRegistry): string {
  const path = mkdtempSync(at('client-'));
  cpSync(registry.client?.cert ?? '', join(path, 'client.cert'));
  cpSync(registry.client?.key ?? '', join(path, 'client.key'));
  return path;
}

it('logs in by Basic authentication, from every place that has credentials', () =>
  withRegistry({ htpasswd: USER }, async ({ host }) => {
    const reference = `${host}/site/team/own:v1`;
    await expect(read(reference, { HOME: home() })).rejects.toMatchObject({ code: 'UNAUTHORIZED' });

    const withDocker = home();
    writeFileSync(
      join(withDocker, '.docker/config.json'),
      JSON.stringify({ auths: { [host]: { auth: AUTH } } }),
    );
    expect((await read(reference, { HOME: withDocker })).profiles).toHaveLength(2);
    expect((await read(reference, { DOCKER_CONFIG: join(withDocker, '.docker') })).profiles).toHaveLength(2);

    const authFile = at('auth.json');
    const wrong = Buffer.from('alice:wrong').toString('base64');
    writeFileSync(
      authFile,
      JSON.stringify({ auths: { [host]: { auth: wrong }, [`${host}/site/team`]: { auth: AUTH } } }),
    );
    expect((await read(reference, { REGISTRY_AUTH_FILE: authFile })).profiles).toHaveLength(2);

    const pullSecrets = [{ json: JSON.stringify({ auths: { [host]: USER } }), origin: 'test' }];
    expect((await read(reference, { HOME: home() }, { credentials: { pullSecrets } })).profiles).toHaveLength(
      2,
    );
    expect((await read(reference, { HOME: home() }, { credentials: { login: USER } })).profiles).toHaveLength(
      2,
    );
  }));

it('asks credential helpers', () =>
  withRegistry({ htpasswd: USER }, async ({ host }) => {
    const helpers = mkdtempSync(at('helpers-'));
    const answer = JSON.stringify({ ServerURL: host, Username: USER.username, Secret: USER.password });
    const script = `#!/bin/sh\nread -r server\nif [ "$server" = "${host}" ]; then echo '${answer}'; else echo 'credentials not found in native keychain'; exit 1; fi\n`;
    writeFileSync(join(helpers, 'docker-credential-test'), script);
    writeFileSync(join(helpers, 'docker-credential-broken'), '#!/bin/sh\necho "secret: hunter2"\nexit 3\n');
    for (const name of ['test', 'broken']) chmodSync(join(helpers, `docker-credential-${name}`), 0o755);
    const PATH = `${helpers}:${process.env.PATH}`;
    for (const config of [{ credsStore: 'test' }, { credHelpers: { [host]: 'test' } }]) {
      const withHelper = home();
      writeFileSync(join(withHelper, '.docker/config.json'), JSON.stringify(config));
      expect((await read(`${host}/site/team/own:v1`, { HOME: withHelper, PATH })).profiles).toHaveLength(2);
    }
    const broken = home();
    writeFileSync(join(broken, '.docker/config.json'), JSON.stringify({ credsStore: 'broken' }));
    const error = await read(`${host}/site/team/own:v1`, { HOME: broken, PATH }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'CREDENTIALS' });
    expect(JSON.stringify(error.findings())).not.toContain('hunter2');
  }));

it('never shows a credential', () =>
  withRegistry({ htpasswd: USER }, async ({ host }) => {
    const login = { username: 'alice', password: 'wr0ng-secret' };
    const events: unknown[] = [];
    const error = await read(
      `${host}/site/team/own:v1`,
      { HOME: home() },
      { credentials: { login }, report: (event) => events.push(event) },
    ).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'UNAUTHORIZED' });
    const everything = JSON.stringify([error.findings(), error.stack, String(error.cause), events]);
    expect(everything).not.toContain('wr0ng-secret');
    expect(everything).not.toContain(Buffer.from('alice:wr0ng-secret').toString('base64'));
  }));

it('gets Bearer tokens: with a password, with a refresh token, anonymously', () =>
  withRegistry({ token: { ...USER, anonymousPull: true } }, async ({ host, tokens }) => {
    const reference = `${host}/site/team/own:v1`;
    const anonymous = await read(reference, { HOME: home() });
    expect(anonymous.profiles).toHaveLength(2);
    // 401, token, manifest, layer.
    expect(anonymous.cost.requests).toBeLessThanOrEqual(4);
    expect(tokens?.requests.at(-1)).toMatchObject({
      method: 'GET',
      scopes: ['repository:site/team/own:pull'],
      authorized: false,
    });

    await read(reference, { HOME: home() }, { credentials: { login: USER } });
    expect(tokens?.requests.at(-1)).toMatchObject({ method: 'GET', authorized: true });

    const json = JSON.stringify({ auths: { [host]: { identitytoken: tokens?.refreshToken } } });
    const pullSecrets = [{ json, origin: 'test' }];
    await read(reference, { HOME: home() }, { credentials: { pullSecrets } });
    expect(tokens?.requests.at(-1)).toMatchObject({ method: 'POST', authorized: true });

    const login = { ...USER, password: 'wrong' };
    await expect(read(reference, { HOME: home() }, { credentials: { login } })).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
    });
  }));

it('speaks TLS with the authorities of certs.d, and with nobody else', () =>
  withRegistry({ tls: true }, async ({ host, caFile }) => {
    const reference = `${host}/site/team/own:v1`;
    await expect(read(reference, { HOME: home() })).rejects.toMatchObject({ code: 'TLS' });
    const trusting = home();
    mkdirSync(join(trusting, '.config/containers/certs.d', host), { recursive: true });
    cpSync(caFile ?? '', join(trusting, '.config/containers/certs.d', host, 'ca.crt'));
    expect((await read(reference, { HOME: trusting })).profiles).toHaveLength(2);
    expect((await read(reference, { HOME: home(), SSL_CERT_FILE: caFile ?? '' })).profiles).toHaveLength(2);
    // The host's own authority does not know the certificate: all the others are asked.
    const outdated = home();
    mkdirSync(join(outdated, '.config/containers/certs.d', host), { recursive: true });
    writeFileSync(join(outdated, '.config/containers/certs.d', host, 'ca.crt'), rootCertificates[0] ?? '');
    await expect(read(reference, { HOME: outdated })).rejects.toMatchObject({ code: 'TLS' });
    expect((await read(reference, { HOME: outdated, SSL_CERT_FILE: caFile ?? '' })).profiles).toHaveLength(2);
    // A copy of the system's bundle with a line of text and the site's own authority.
    const bundle = at('bundle.pem');
    const own = readFileSync(caFile ?? '', 'utf8');
    writeFileSync(bundle, [rootCertificates[0], '# our own', own, ...rootCertificates.slice(1)].join('\r\n'));
    expect((await read(reference, { HOME: home(), SSL_CERT_FILE: bundle })).profiles).toHaveLength(2);
    writeFileSync(bundle, rootCertificates.join('\n'));
    await expect(read(reference, { HOME: home(), SSL_CERT_FILE: bundle })).rejects.toMatchObject({
      code: 'TLS',
    });
    expect((await read(reference, { HOME: home() }, { insecure: true })).profiles).toHaveLength(2);
  }));

it('shows its client certificate', () =>
  withRegistry({ tls: true, clientCertificates: true }, async ({ host, caFile, client }) => {
    const trusting = home();
    const directory = join(trusting, '.config/containers/certs.d', host);
    mkdirSync(directory, { recursive: true });
    cpSync(caFile ?? '', join(directory, 'ca.crt'));
    await expect(read(`${host}/site/team/own:v1`, { HOME: trusting })).rejects.toMatchObject({
      code: expect.stringMatching(/TLS|NETWORK/),
    });
    cpSync(client?.cert ?? '', join(directory, 'client.cert'));
    await expect(read(`${host}/site/team/own:v1`, { HOME: trusting })).rejects.toMatchObject({
      code: 'CONFIGURATION',
    });
    cpSync(client?.key ?? '', join(directory, 'client.key'));
    expect((await read(`${host}/site/team/own:v1`, { HOME: trusting })).profiles).toHaveLength(2);
  }));

it('goes through proxies, by CONNECT for TLS', () =>
  withRegistry({ tls: true }, async (registry) => {
    const proxy = await startProxy({
      username: 'proxy-user',
      password: 'p:w',
      rewrite: { 'registry.example.org:443': registry.host },
    });
    try {
      const trusting = home();
      const certs = join(trusting, '.config/containers/certs.d/registry.example.org');
      mkdirSync(certs, { recursive: true });
      cpSync(registry.caFile ?? '', join(certs, 'ca.crt'));
      const reference = 'registry.example.org/site/team/own:v1';
      const environment = { HOME: trusting, HTTPS_PROXY: `http://proxy-user:p%3Aw@${proxy.host}` };
      // The test certificate is for 127.0.0.1: the name does not match, and that must be noticed.
      await expect(read(reference, environment)).rejects.toMatchObject({ code: 'TLS' });
      expect((await read(reference, environment, { insecure: true })).profiles).toHaveLength(2);
      expect(proxy.connects).toContain('registry.example.org:443');

      const wrong = { ...environment, HTTPS_PROXY: `http://proxy-user:wr0ng@${proxy.host}` };
      const error = await read(reference, wrong).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'UNAUTHORIZED', status: 407 });
      expect(error.message).not.toContain('wr0ng');

      const before = proxy.connects.length;
      await expect(read(reference, { ...environment, NO_PROXY: '.example.org' })).rejects.toMatchObject({
        code: 'NETWORK',
      });
      expect(proxy.connects).toHaveLength(before);
    } finally {
      await proxy.stop();
    }
  }));

describe('a plain-HTTP registry behind a proxy', () => {
  const reference = 'registry.example.org/site/team/own:v1';
  const insecure = { insecure: true };
  // What asks for TLS there gets an answer as from a host that does not speak it.
  const rewrite = (host: string) => ({
    'registry.example.org': host,
    'registry.example.org:443': host,
  });

  it('is read through it, the login for the registry included', () =>
    withRegistry({ htpasswd: USER }, async ({ host }) => {
      const proxy = await startProxy({ rewrite: rewrite(host) });
      try {
        const environment = {
          HOME: home(),
          HTTP_PROXY: `http://${proxy.host}`,
          https_proxy: proxy.host,
        };
        const credentials = { login: USER };
        expect((await read(reference, environment, { ...insecure, credentials })).profiles).toHaveLength(2);
        expect(proxy.plain).toContain('http://registry.example.org/v2/site/team/own/manifests/v1');
        // The first question is asked without the login.
        expect(proxy.forwarded[0]?.authorization).toBeUndefined();
        expect(proxy.forwarded.at(-1)?.authorization).toBe(`Basic ${AUTH}`);
      } finally {
        await proxy.stop();
      }
    }));

  it("is read through one that wants a login of its own, which is not the registry's", () =>
    withRegistry({}, async ({ host }) => {
      const proxy = await startProxy({ username: 'proxy-user', password: 'p:w', rewrite: rewrite(host) });
      try {
        const through = (login: string) => ({
          HOME: home(),
          ALL_PROXY: `http://${login}${proxy.host}`,
        });
        const right = through('proxy-user:p%3Aw@');
        expect((await read(reference, right, insecure)).profiles).toHaveLength(2);
        for (const headers of proxy.forwarded) expect(headers.authorization).toBeUndefined();
        for (const login of ['', 'proxy-user:wr0ng-proxy@']) {
          const events: unknown[] = [];
          const report = (event: unknown) => events.push(event);
          const error = await read(reference, through(login), { ...insecure, report }).catch(
            (thrown) => thrown,
          );
          expect(error).toMatchObject({ code: 'UNAUTHORIZED', status: 407 });
          const shown = JSON.stringify([error.findings(), error.stack, String(error.cause), events]);
          expect(shown).not.toContain('wr0ng-proxy');
          expect(shown).not.toContain(Buffer.from('proxy-user:wr0ng-proxy').toString('base64'));
        }
      } finally {
        await proxy.stop();
      }
    }));

  it('is told from a proxy that refuses a plain request', () =>
    withRegistry({}, async ({ host }) => {
      const open = await startProxy({ rewrite: rewrite(host) });
      const closed = await startProxy({ username: 'u', password: 'p', rewrite: rewrite(host) });
      try {
        const environment = {
          HOME: home(),
          HTTPS_PROXY: `http://${open.host}`,
          HTTP_PROXY: `http://u:wr0ng-proxy@${closed.host}`,
        };
        const error = await read(reference, environment, insecure).catch((thrown) => thrown);
        expect(error).toMatchObject({ code: 'UNAUTHORIZED', status: 407 });
        expect(error.message).toContain('proxy');
        expect(JSON.stringify([error.findings(), error.stack])).not.toContain('wr0ng-proxy');
      } finally {
        await Promise.all([open.stop(), closed.stop()]);
      }
    }));

  it('is asked directly where NO_PROXY says so, and on loopback', () =>
    withRegistry({}, async ({ host }) => {
      const proxy = await startProxy({ rewrite: rewrite(host) });
      try {
        const environment = { HOME: home(), ALL_PROXY: `http://${proxy.host}` };
        expect((await read(`${host}/site/team/own:v1`, environment)).profiles).toHaveLength(2);
        await expect(
          read(reference, { ...environment, no_proxy: 'other.example,registry.example.org' }, insecure),
        ).rejects.toMatchObject({ code: 'NETWORK' });
        expect([...proxy.plain, ...proxy.connects]).toEqual([]);
      } finally {
        await proxy.stop();
      }
    }));
});

it('uses the mirrors of registries.conf, and the registry when they fail', () =>
  withRegistry({}, async (registry) => {
    const conf = at('registries.conf');
    const deadPort = await freePort();
    const write = (mirrors: string[]) =>
      writeFileSync(
        conf,
        [
          '[[registry]]',
          'prefix = "registry.example.org/site"',
          'location = "registry.example.org/site"',
          ...mirrors.flatMap((location) => [
            '[[registry.mirror]]',
            `location = "${location}"`,
            'insecure = true',
          ]),
        ].join('\n'),
      );
    const environment = { HOME: home(), CONTAINERS_REGISTRIES_CONF: conf };
    write([`127.0.0.1:${deadPort}/site`, `${registry.host}/site`]);
    const reading = await read('registry.example.org/site/team/own:v1', environment);
    expect(reading.profiles).toHaveLength(2);
    expect(reading.reference.image).toMatch(/^registry\.example\.org\/site\/team\/own:v1@sha256:/);

    writeFileSync(
      conf,
      `[[registry]]\nprefix = "${registry.host}/site"\n[[registry.mirror]]\nlocation = "127.0.0.1:${deadPort}/x"\ninsecure = true\n`,
    );
    expect((await read(`${registry.host}/site/team/own:v1`, environment)).profiles).toHaveLength(2);

    writeFileSync(conf, `[[registry]]\nprefix = "${registry.host}"\nblocked = true\n`);
    await expect(read(`${registry.host}/site/team/own:v1`, environment)).rejects.toMatchObject({
      code: 'DENIED',
    });
    writeFileSync(conf, '[[registry]\n');
    await expect(read(`${registry.host}/site/team/own:v1`, environment)).rejects.toMatchObject({
      code: 'CONFIGURATION',
    });
  }));

it('refuses plain HTTP outside of loopback unless asked for', async () => {
  const proxy = await startProxy({ rewrite: {} });
  const error = await read('registry.example.org/site/own:v1', {
    HOME: home(),
    HTTP_PROXY: `http://${proxy.host}`,
  }).catch((thrown) => thrown);
  await proxy.stop();
  expect(error).toMatchObject({ code: 'NETWORK' });
  expect(proxy.plain).toEqual([]);
});

it('needs no request for a digest read before, one for a tag, and none offline', () =>
  withRegistry({}, async (registry) => {
    const options = { cache: at('cache'), environment: { HOME: home() } };
    const reference = `${registry.host}/site/team/own:v1`;
    const first = await readBundle(reference, options);
    const again = await readBundle(reference, options);
    expect(again).toMatchObject({
      profiles: first.profiles,
      artifacts: first.artifacts,
      cost: { requests: 1, bytes: 0 },
    });
    const pinned = await readBundle(first.reference.image, options);
    expect(pinned).toMatchObject({ profiles: first.profiles, cost: { requests: 0, bytes: 0 } });
    await registry.kill();
    const offline = await readBundle(reference, { ...options, offline: true });
    expect(offline).toMatchObject({
      profiles: first.profiles,
      reference: first.reference,
      cost: { requests: 0 },
    });
    await expect(
      readBundle(`${registry.host}/site/other:v1`, { ...options, offline: true }),
    ).rejects.toMatchObject({ code: 'OFFLINE' });
    // Damaged content is noticed and not used.
    for (const file of execFileSync('find', [at('cache'), '-type', 'f'], { encoding: 'utf8' })
      .trim()
      .split('\n')) {
      const content = readFileSync(file);
      content[content.length - 2] = (content[content.length - 2] ?? 0) ^ 1;
      writeFileSync(file, content);
    }
    await expect(readBundle(reference, { ...options, offline: true })).rejects.toMatchObject({
      code: 'OFFLINE',
    });
  }));

it('reports a tag that no longer stands for the pinned digest', () =>
  withRegistry({}, async ({ host }) => {
    const first = await read(`${host}/site/team/own:v1`, { HOME: home() });
    expect((await read(first.reference.image, { HOME: home() })).warnings).toEqual([]);
    await writeLayout(at('other'), ownBundle({ qcowBytes: 1000 }));
    await skopeoCopy(`oci:${at('other')}:v1`, `docker://${host}/site/team/own:v1`);
    const pinned = await read(first.reference.image, { HOME: home() });
    expect(pinned.reference.digest).toBe(first.reference.digest);
    expect(pinned.warnings).toEqual([expect.stringContaining('the tag v1')]);
    const gone = await read(first.reference.image.replace(':v1@', ':gone@'), { HOME: home() });
    expect(gone.warnings).toEqual([expect.stringContaining('no longer exists')]);
  }));
