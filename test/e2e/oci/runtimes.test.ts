// The executables in every runtime: what differs between those is TLS, HTTP, zlib and zstd.

import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { MULTISTRAP_PROFILE, ownBundle, predecessorBundle, QCOW_PROFILE } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import { startProxy, type TestProxy } from '../../support/proxy.ts';
import { zstdFrames } from '../../support/zstd.ts';
import { executable, nativeExecutable } from '../support/executables.ts';
import { skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';

const run = promisify(execFile);
const cache = join(__dirname, '../../../.cache/node');
type Executable = Parameters<typeof executable>[0];
const byNode = (node: string) => (name: Executable) => [node, executable(name)];
const RUNTIMES: [string, (name: Executable) => string[]][] = [
  ['the Node that runs the tests', byNode(process.execPath)],
  ['Node 22', byNode(join(cache, '22/node'))],
  ['Node 24', byNode(join(cache, '24/node'))],
  ['the native executable', (name) => [nativeExecutable(name)]],
];
const MULTISTRAP = '/profiles/profile_multistrap.json';
let directory: string;
let registry: TestRegistry;
let proxy: TestProxy;
const at = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'runtimes-'));
  await writeLayout(at('own'), ownBundle());
  await writeLayout(at('predecessor'), predecessorBundle());
  await writeLayout(
    at('frames'),
    predecessorBundle({ compression: zstdFrames(100_000), withoutHistory: true }),
  );
  registry = await startRegistry({ tls: true });
  proxy = await startProxy({
    username: 'proxy-user',
    password: 'p:w',
    rewrite: { 'localhost.example.org:443': registry.host },
  });
  for (const name of ['own', 'predecessor', 'frames']) {
    await skopeoCopy(`oci:${at(name)}:v1`, `docker://${registry.host}/site/${name}:v1`);
  }
  const certificates = join(at('home'), '.config/containers/certs.d', registry.host);
  mkdirSync(certificates, { recursive: true });
  cpSync(registry.caFile ?? '', join(certificates, 'ca.crt'));
});
afterAll(async () => {
  await proxy.stop();
  await registry.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe.each(RUNTIMES)('%s', (runtime, command) => {
  const start = (name: Executable, args: string[], env: NodeJS.ProcessEnv) => {
    const [file = '', ...before] = command(name);
    return run(file, [...before, ...args], { env, cwd: directory });
  };
  const environment = () => ({ PATH: process.env.PATH, HOME: at('home') });
  const extract = async (args: string[], env: NodeJS.ProcessEnv = environment()) => {
    return (await start('image-builder', ['extract', '--no-cache', '--verbose', ...args], env)).stdout;
  };

  it('is there', () => {
    // scripts/setup.sh --tests fetches them.
    const [file = ''] = command('image-builder');
    expect([file, existsSync(file)]).toEqual([file, true]);
  });

  it.each(['own', 'predecessor', 'frames'])('reads %s by TLS, in parts and whole', async (name) => {
    const reference = `${registry.host}/site/${name}:v1`;
    expect(await extract([reference, MULTISTRAP])).toBe(MULTISTRAP_PROFILE);
    expect(await extract(['--verify', reference, MULTISTRAP])).toBe(MULTISTRAP_PROFILE);
  });

  it('refuses a certificate that nobody vouches for, and names a port that is closed', async () => {
    const stranger = { ...environment(), HOME: directory };
    await expect(extract([`${registry.host}/site/own:v1`], stranger)).rejects.toMatchObject({
      stderr: expect.stringContaining('no secure connection'),
    });
    await expect(extract(['127.0.0.1:1/site/own:v1'])).rejects.toMatchObject({
      stderr: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('goes through a proxy with a login', async () => {
    const env = { ...environment(), HTTPS_PROXY: `http://proxy-user:p%3Aw@${proxy.host}` };
    const before = proxy.connects.length;
    const reference = 'localhost.example.org/site/own:v1';
    expect(await extract(['--insecure', reference, MULTISTRAP], env)).toBe(MULTISTRAP_PROFILE);
    expect(proxy.connects.length).toBeGreaterThan(before);
  });

  it('reaches loopback without a proxy, and takes no settings from a file where it is started', async () => {
    const nowhere = 'http://127.0.0.1:1';
    writeFileSync(at('.env'), `REGISTRY_AUTH_FILE=${at('missing.json')}\n`);
    writeFileSync(at('bunfig.toml'), 'this is no TOML');
    const env = { ...environment(), HTTPS_PROXY: nowhere, https_proxy: nowhere, HTTP_PROXY: nowhere };
    expect(await extract([`${registry.host}/site/own:v1`, MULTISTRAP], env)).toBe(MULTISTRAP_PROFILE);
  });

  it('pushes', async () => {
    const reference = `${registry.host}/pushed/by-${RUNTIMES.findIndex(([name]) => name === runtime)}:v1`;
    await start('image-builder', ['push', `oci:${at('own')}:v1`, reference], environment());
    expect(await extract(['--verify', reference, MULTISTRAP])).toBe(MULTISTRAP_PROFILE);
  });

  it('runs the function', async () => {
    const list = {
      apiVersion: 'config.kubernetes.io/v1',
      kind: 'ResourceList',
      items: [],
      functionConfig: {
        apiVersion: 'airshipit.org/v1alpha1',
        kind: 'ImageBuilder',
        metadata: { name: 'node-images' },
        spec: { bundle: { image: `${registry.host}/site/own:v1` } },
      },
    };
    const env = { ...environment(), IMAGE_BUILDER_CACHE: mkdtempSync(at('cache-')) };
    const running = start('image-builder-fn', [], env);
    running.child.stdin?.end(JSON.stringify(list));
    const { stdout } = await running;
    const { items } = parse(stdout);
    expect(items).toMatchObject([JSON.parse(MULTISTRAP_PROFILE), JSON.parse(QCOW_PROFILE), {}]);
    expect(items.map(({ kind }: { kind: string }) => kind)).toEqual(Array(3).fill('VariableCatalogue'));
  });
});
