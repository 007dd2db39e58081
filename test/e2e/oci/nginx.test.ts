// A registry whose blobs lie behind nginx, as they do in production: redirects to a store on another host, logins,
// ranges that are ignored or refused, gateways that fail.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyBundle } from '../../../image-builder/bundle/copy/copy-disks.ts';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import type { ReadBundleOptions } from '../../../image-builder/bundle/read/read-options.ts';
import { MULTISTRAP_PROFILE, ownBundle, predecessorBundle } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { freePort, skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';

const USER = { username: 'alice', password: 'pa55' };
let directory: string;
let registry: TestRegistry;
let nginx: Nginx | undefined;
const at = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'behind-nginx-'));
  registry = await startRegistry();
  await writeLayout(at('own'), ownBundle());
  await writeLayout(at('plain'), predecessorBundle({ compression: 'none', withoutHistory: true }));
  for (const name of ['own', 'plain']) {
    // As it is: otherwise skopeo compresses the layers that are to be read by ranges.
    await skopeoCopy(`oci:${at(name)}:v1`, `docker://${registry.host}/site/${name}:v1`, '--preserve-digests');
  }
  execFileSync('htpasswd', ['-Bbc', at('htpasswd'), USER.username, USER.password], { stdio: 'ignore' });
});
afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true, force: true });
});
afterEach(async () => {
  await nginx?.stop();
  nginx = undefined;
});

const toRegistry = () => `proxy_pass http://${registry.host}; proxy_set_header Host $http_host;`;

/** A server whose manifests come from the registry, and whose blobs as `blobs` says; returns its host. */
async function serve(blobs: string, more = '', others: [number, string][] = []): Promise<string> {
  const port = await freePort();
  const locations = `location ~ /blobs/ { ${blobs} } location / { ${toRegistry()} }`;
  nginx = await startNginx(new Map([[port, `${more} ${locations}`], ...others]));
  return `127.0.0.1:${port}`;
}

const read = (reference: string, options: ReadBundleOptions = {}) =>
  readBundle(reference, {
    cache: false,
    environment: { HOME: at('home') },
    limits: { retries: 2, retryDelay: 1 },
    ...options,
  });

it.each(['own', 'plain'])('follows redirects to a blob store of another origin (%s)', async (name) => {
  const store = await freePort();
  const host = await serve(
    `auth_basic x; auth_basic_user_file ${at('htpasswd')}; return 307 http://127.0.0.1:${store}$request_uri?signed=yes;`,
    `auth_basic x; auth_basic_user_file ${at('htpasswd')};`,
    // As stores do, this one refuses a request with a login besides the signature in the URL.
    [
      [
        store,
        `if ($http_authorization) { return 400; } if ($arg_signed != yes) { return 403; } location / { ${toRegistry()} }`,
      ],
    ],
  );
  await expect(read(`${host}/site/${name}:v1`)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  const reading = await read(`${host}/site/${name}:v1`, { credentials: { login: USER } });
  expect(reading.profiles[0]?.json).toBe(MULTISTRAP_PROFILE);
});

it('is done with redirects that lead nowhere', async () => {
  const host = await serve('return 302 $request_uri;');
  await expect(read(`${host}/site/own:v1`)).rejects.toMatchObject({ code: 'REDIRECT' });
});

it.each([
  ['ignored', 'max_ranges 0; proxy_force_ranges off; proxy_set_header Range "";'],
  ['refused', 'if ($http_range) { return 416; }'],
])('reads layers by their beginning where ranges are %s', async (_, directives) => {
  const host = await serve(`${directives} ${toRegistry()}`);
  const reading = await read(`${host}/site/plain:v1`);
  expect(reading.profiles[0]?.json).toBe(MULTISTRAP_PROFILE);
});

it('is not confused by a server that would like to compress', async () => {
  const host = await serve(`gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any; ${toRegistry()}`);
  expect((await read(`${host}/site/plain:v1`)).profiles).toHaveLength(2);
  expect((await read(`${host}/site/own:v1`, { verify: 'full' })).profiles).toHaveLength(2);
});

it.each([
  ['a gateway without a backend', 'proxy_pass http://127.0.0.1:1;', 'SERVER'],
  ['maintenance', "add_header Retry-After 0 always; return 503 '<html>back soon</html>';", 'SERVER'],
  // Shorter than the blob, so that it looks like one that broke off.
  ['a page in the place of the blob', "return 200 '<html>please log in</html>';", 'NETWORK'],
  ['a rate limit', "add_header Retry-After 0 always; return 429 'slow down';", 'RATE_LIMITED'],
])('fails on %s, and gives nothing', async (_, blobs, code) => {
  const host = await serve(blobs);
  await expect(read(`${host}/site/own:v1`)).rejects.toMatchObject({ code });
});

it('copies disk images over a narrow line, with a connection for each request', async () => {
  const host = await serve(`${toRegistry()} proxy_buffering off; limit_rate 4m;`, 'keepalive_requests 1;');
  const target = at('copied');
  await copyBundle(`${host}/site/own:v1`, target, [], { cache: false, limits: { retryDelay: 1 } });
  expect(readFileSync(join(target, 'control-plane.qcow2'))).toHaveLength(2_000_000);
});
