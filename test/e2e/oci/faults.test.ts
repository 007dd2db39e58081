// Every fault at every step of reading: the answer is right, or there is an error that says what happened; never a
// wrong or partial result.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import { RegistryError } from '../../../image-builder/oci/http/registry-error.ts';
import { MULTISTRAP_PROFILE, ownBundle, predecessorBundle } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import {
  type Answer,
  type LayoutServer,
  type ServedRequest,
  send,
  serveLayouts,
} from '../../support/layout-server.ts';

let directory: string;
let server: LayoutServer | undefined;
const repositories = () => ({
  'site/own': join(directory, 'own'),
  'site/old': join(directory, 'old'),
  'site/plain': join(directory, 'plain'),
  'site/history': join(directory, 'history'),
});

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'faults-'));
  await writeLayout(join(directory, 'own'), ownBundle({ qcowBytes: 1_200_000 }));
  await writeLayout(
    join(directory, 'old'),
    predecessorBundle({ withoutHistory: true, qcowBytes: 1_200_000 }),
  );
  await writeLayout(
    join(directory, 'plain'),
    predecessorBundle({ compression: 'none', withoutHistory: true, qcowBytes: 1_200_000 }),
  );
  await writeLayout(join(directory, 'history'), predecessorBundle({ qcowBytes: 1_200_000 }));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

type Fault = (request: ServedRequest, response: ServerResponse, answer: Answer) => void;

const cutOff: Fault = (_, response, { status, headers, body }) => {
  response.writeHead(status, { ...headers, 'content-length': String(body.length) });
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
};
const TRANSIENT: Record<string, Fault> = {
  'an internal error': (_, response) => response.writeHead(500).end('oops'),
  'an unavailable service': (_, response) => response.writeHead(503, { 'retry-after': '0' }).end(),
  'too many requests': (_, response) => response.writeHead(429, { 'retry-after': '0' }).end(),
  'a reset connection': (_request, response) => response.socket?.resetAndDestroy(),
  'a body that is cut off': cutOff,
};
const flipped = (body: Buffer) => {
  const copy = Buffer.from(body);
  const middle = Math.floor(copy.length / 2);
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
};
const LASTING: Record<string, Fault> = {
  ...TRANSIENT,
  'a flipped bit': (request, response, answer) =>
    send(response, request, { ...answer, body: flipped(answer.body) }),
  'a short body': (request, response, answer) =>
    send(response, request, {
      ...answer,
      body: answer.body.subarray(0, Math.floor(answer.body.length / 2)),
      headers: { ...answer.headers },
    }),
  'a long body': (request, response, answer) =>
    send(response, request, { ...answer, body: Buffer.concat([answer.body, Buffer.from('more')]) }),
  'an empty body': (request, response, answer) =>
    send(response, request, { ...answer, body: Buffer.alloc(0) }),
  'an HTML page': (request, response) =>
    send(response, request, {
      status: 200,
      headers: { 'content-type': 'text/html' },
      body: Buffer.from('<html>login</html>'),
    }),
  'not found': (_, response) => response.writeHead(404).end(),
  forbidden: (_, response) => response.writeHead(403).end('{"errors":[{"code":"DENIED","message":"no"}]}'),
  'a login that we do not know': (_, response) =>
    response.writeHead(401, { 'www-authenticate': 'Negotiate' }).end(),
  'a redirect circle': (request, response) => response.writeHead(307, { location: request.path }).end(),
  'a redirect to a file': (_, response) => response.writeHead(307, { location: 'file:///etc/passwd' }).end(),
};

/** What is asked for on the way to a profile, and of which bundles. */
const STEPS: Record<string, { of: string[]; isStep: (request: ServedRequest) => boolean }> = {
  'the manifest': {
    of: ['site/own', 'site/old', 'site/plain'],
    isStep: ({ step }) => step === 'manifest',
  },
  // Only a bundle with a history has a config that is read.
  'the config': { of: ['site/history'], isStep: ({ path }) => path.endsWith(configDigest('history')) },
  'a layer': {
    of: ['site/own', 'site/old', 'site/plain', 'site/history'],
    isStep: ({ step, path }) => step === 'blob' && !path.endsWith(configDigest('history')),
  },
  'the token': { of: ['site/own', 'site/plain'], isStep: ({ path }) => path === '/token' },
};
const cases = (faults: Record<string, Fault>) =>
  Object.entries(STEPS).flatMap(([step, { of }]) =>
    of.flatMap((name) => Object.keys(faults).map((fault) => [fault, step, name] as const)),
  );

function configDigest(layout: string): string {
  const blob = (digest: string) =>
    JSON.parse(readFileSync(join(directory, layout, 'blobs', digest.replace(':', '/')), 'utf8'));
  const index = JSON.parse(readFileSync(join(directory, layout, 'index.json'), 'utf8'));
  return blob(index.manifests[0].digest).config.digest;
}

/** Serves everything behind a login by tokens, and breaks the answers of one step, `times` times. */
async function serveBroken(step: string, fault: Fault | undefined, times: number): Promise<void> {
  let broken = 0;
  server = await serveLayouts({
    repositories: repositories(),
    intercept: (request, response, answer) => {
      const body = Buffer.from('{"token":"t0ken"}');
      const right = request.path === '/token' ? { status: 200, headers: {}, body } : answer;
      if (request.path !== '/token' && request.headers.authorization !== 'Bearer t0ken') {
        const challenge = `Bearer realm="http://${server?.host}/token",service="x"`;
        response.writeHead(401, { 'www-authenticate': challenge }).end();
      } else if (STEPS[step]?.isStep(request) && broken++ < times) fault?.(request, response, right);
      else send(response, request, right);
      return true;
    },
  });
}

/** A fault can go unseen when it spoils what is not read: by ranges of a layer that is not compressed, or no history. */
function harmless(step: string, name: string, verify: string): boolean {
  if (verify === 'full') return step === 'the config';
  return step === 'a layer' && name === 'site/plain';
}

async function read(name: string, verify: 'partial' | 'full' = 'partial') {
  return readBundle(`${server?.host}/${name}:v1`, {
    cache: false,
    verify,
    limits: { retries: 2, retryDelay: 1 },
  });
}

it.each(cases(TRANSIENT))('%s that happens once to %s of %s is overcome', async (fault, step, name) => {
  await serveBroken(step, TRANSIENT[fault], 1);
  const { profiles } = await read(name);
  expect(profiles[0]?.json).toBe(MULTISTRAP_PROFILE);
});

it.each(cases(LASTING))('%s that lasts for %s of %s is an error, or harmless', async (fault, step, name) => {
  await serveBroken(step, LASTING[fault], Number.POSITIVE_INFINITY);
  for (const verify of ['partial', 'full'] as const) {
    const outcome = await read(name, verify).then(
      ({ profiles }) => profiles.map(({ json }) => json),
      (error) => error,
    );
    if (Array.isArray(outcome)) {
      // Whatever the fault did, what was read is right.
      expect(harmless(step, name, verify)).toBe(true);
      expect(outcome[0]).toBe(MULTISTRAP_PROFILE);
    } else {
      expect(outcome).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/) });
      expect(outcome.name).not.toBe('TypeError');
    }
  }
});

it('never follows a redirect with the credentials', async () => {
  const other = await serveLayouts({ repositories: repositories() });
  server = await serveLayouts({
    repositories: repositories(),
    intercept: (request, response) => {
      if (!request.headers.authorization) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        return true;
      }
      if (request.step !== 'blob') return false;
      response.writeHead(307, { location: `http://${other.host}${request.path}` }).end();
      return true;
    },
  });
  const login = { username: 'user', password: 'secret' };
  const reading = await readBundle(`${server.host}/site/own:v1`, { cache: false, credentials: { login } });
  await other.stop();
  expect(reading.profiles).toHaveLength(2);
  expect(other.requests.length).toBeGreaterThan(0);
  for (const { headers } of other.requests) expect(headers.authorization).toBeUndefined();
});

it('waits as long as Retry-After says, and no longer than sensible', async () => {
  server = await serveLayouts({
    repositories: repositories(),
    intercept: (request, response, _, count) => {
      if (request.step !== 'manifest' || count > 1) return false;
      response.writeHead(429, { 'retry-after': '1' }).end();
      return true;
    },
  });
  const started = Date.now();
  await read('site/own');
  expect(Date.now() - started).toBeGreaterThanOrEqual(950);
  await server.stop();
  server = await serveLayouts({
    repositories: repositories(),
    intercept: (_, response) => {
      response.writeHead(429, { 'retry-after': '86400' }).end();
      return true;
    },
  });
  await expect(read('site/own')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

it('copes with a registry that ignores ranges', async () => {
  server = await serveLayouts({ repositories: repositories(), ignoreRanges: true });
  const { profiles } = await read('site/plain');
  expect(profiles[0]?.json).toBe(MULTISTRAP_PROFILE);
});

it('stops when the caller does', async () => {
  server = await serveLayouts({
    repositories: repositories(),
    intercept: (request) => request.step === 'blob',
  });
  const controller = new AbortController();
  const reading = readBundle(`${server.host}/site/own:v1`, { cache: false, signal: controller.signal });
  setTimeout(() => controller.abort(), 100);
  await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' });
});

it('gives up on a silent registry', async () => {
  server = await serveLayouts({ repositories: repositories(), intercept: () => true });
  const reading = readBundle(`${server.host}/site/own:v1`, {
    cache: false,
    limits: { retries: 0, idleTimeout: 200 },
  });
  await expect(reading).rejects.toMatchObject({ code: 'TIMEOUT' });
  await expect(reading).rejects.toBeInstanceOf(RegistryError);
});
