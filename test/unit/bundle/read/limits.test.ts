// What one read may cost: time, requests, bytes, entries; and how it ends.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  interruptExitCode,
  listenForInterrupt,
} from '../../../../image-builder/base/diagnostics/interrupt.ts';
import { redactCredentials } from '../../../../image-builder/base/diagnostics/redact.ts';
import { copyBundle } from '../../../../image-builder/bundle/copy/copy-disks.ts';
import { pinFiles } from '../../../../image-builder/bundle/pin/pin.ts';
import { inspectBundle } from '../../../../image-builder/bundle/read/inspect.ts';
import { scanOneLayer } from '../../../../image-builder/bundle/read/layer-access.ts';
import type { ScanBudget } from '../../../../image-builder/bundle/read/overlay/scan-layer.ts';
import { WatchList } from '../../../../image-builder/bundle/read/overlay/wanted-paths.ts';
import { readBundle } from '../../../../image-builder/bundle/read/read-bundle.ts';
import type { ReadBundleOptions } from '../../../../image-builder/bundle/read/read-options.ts';
import { listFiles, readFiles } from '../../../../image-builder/bundle/read/small-files.ts';
import { Image } from '../../../../image-builder/oci/image.ts';
import { openSource } from '../../../../image-builder/oci/open.ts';
import { parseReference } from '../../../../image-builder/oci/reference.ts';
import { ownBundle, predecessorBundle } from '../../../support/bundles.ts';
import { makeTar, type TestEntry, type TestLayer, writeLayout } from '../../../support/images.ts';
import { type LayoutServer, type LayoutServerOptions, serveLayouts } from '../../../support/layout-server.ts';

jest.setTimeout(30_000);

let directory: string;
let server: LayoutServer | undefined;
const at = (name: string) => join(directory, name);
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'limits-'));
  await writeLayout(at('own'), ownBundle());
  await writeLayout(at('plain'), predecessorBundle({ compression: 'none', withoutHistory: true }));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

const options = (more: ReadBundleOptions = {}): ReadBundleOptions => ({
  cache: false,
  environment: {},
  ...more,
});
async function serve(intercept?: LayoutServerOptions['intercept'], layout = 'own'): Promise<string> {
  server = await serveLayouts({ repositories: { x: at(layout) }, ...(intercept && { intercept }) });
  return `${server.host}/x:v1`;
}
/** A byte now and then, for ever. */
function drip(response: ServerResponse, headers: Record<string, string>, milliseconds: number): void {
  response.writeHead(200, headers);
  const timer = setInterval(() => response.write(' '), milliseconds);
  response.on('close', () => clearInterval(timer));
}

describe('an answer that drips', () => {
  const TIMEOUT = { code: 'TIMEOUT', hint: expect.stringContaining('--timeout') };

  it.each(['manifest', 'blob'])('ends every read of metadata in time (%s)', async (step) => {
    const reference = await serve((request, response, answer) => {
      if (request.step !== step) return false;
      drip(response, answer.headers, 20);
      return true;
    });
    const limited = options({ timeout: 0.3 });
    await expect(readBundle(reference, limited)).rejects.toMatchObject(TIMEOUT);
    await expect(readFiles(reference, ['/profiles/x'], limited)).rejects.toMatchObject(TIMEOUT);
    await expect(listFiles(reference, ['/profiles'], limited)).rejects.toMatchObject(TIMEOUT);
    await expect(inspectBundle(reference, limited)).rejects.toMatchObject(TIMEOUT);
  });

  it('ends a read in the time that the environment gives', async () => {
    const reference = await serve((_, response) => {
      drip(response, {}, 20);
      return true;
    });
    const given = (seconds: string) =>
      readBundle(reference, options({ environment: { IMAGE_BUILDER_READ_TIMEOUT: seconds } }));
    await expect(given('0.3')).rejects.toMatchObject(TIMEOUT);
    for (const nonsense of ['soon', '-1', '0', '1e9', 'Infinity'])
      await expect(given(nonsense)).rejects.toMatchObject({ code: 'CONFIGURATION' });
  });

  it('is no transfer, also where there is no end to what a read may take', async () => {
    const reference = await serve((request, response, answer) => {
      if (request.step !== 'blob') return false;
      drip(response, answer.headers, 20);
      return true;
    });
    const limits = { retries: 1, retryDelay: 1, idleTimeout: 1500 };
    await expect(copyBundle(reference, at('dripped'), [], options({ limits }))).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('less than 64 KiB'),
    });
  });
});

it('does not wait for headers that drip in', async () => {
  const slow = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 OK\r\nx: ');
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(slow.address() as AddressInfo).port}`;
  // It would do so for ever; whether there is TLS is found out before.
  const limits = { retries: 0, idleTimeout: 300 };
  const copied = copyBundle(`${host}/x:v1`, at('slow'), [], options({ limits }));
  await expect(copied).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: expect.stringContaining('did not respond'),
  });
  slow.close();
});

it('gives up on a connection that breaks after each byte', async () => {
  let asked = 0;
  const reference = await serve((request, response, { status, headers, body }) => {
    if (request.step !== 'blob') return false;
    asked++;
    response.writeHead(status, { ...headers, 'content-length': String(body.length) });
    response.write(body.subarray(0, 1), () => setTimeout(() => response.destroy(), 5));
    return true;
  });
  const limits = { retryDelay: 1 };
  await expect(readBundle(reference, options({ limits }))).rejects.toMatchObject({ code: 'NETWORK' });
  expect(asked).toBeLessThan(20);
});

it('limits the requests of a read', async () => {
  const reference = await serve(undefined, 'plain');
  await expect(readBundle(reference, options({ limits: { requests: 3 } }))).rejects.toMatchObject({
    code: 'TOO_LARGE',
    message: expect.stringContaining('more than 3 requests'),
  });
  expect(server?.requests.length).toBeLessThanOrEqual(3);
});

describe('the layers of one read', () => {
  const scan = async (entries: TestEntry[], layer: Partial<TestLayer>, budget: Partial<ScanBudget>) => {
    await writeLayout(at('budget'), { layers: [{ tar: await makeTar(entries), ...layer }] });
    const image = await Image.open(await openSource(parseReference(`oci:${at('budget')}`)));
    const watch = new WatchList({ files: [], directories: [{ path: 'profiles', content: () => true }] });
    const whole = { file: 100, left: 100, expanded: 1e9, entries: 1e6, noted: 1e6, ...budget };
    return scanOneLayer({ image, layer: image.manifest.layers[0] as never, watch, budget: whole }, 'full');
  };
  const zeros = [{ name: 'zeros', content: Buffer.alloc(3_000_000) }];
  const noise = [{ name: 'noise', content: randomBytes(3_000_000) }];
  const links = [1, 2, 3].map((n) => ({ name: `l${n}`, type: 'symlink' as const, linkname: 'x' }));

  it.each<[string, TestEntry[], Partial<TestLayer>, Partial<ScanBudget>]>([
    ['bytes of a small layer', zeros, { compression: 'gzip' }, { expanded: 2_000_000 }],
    ['bytes of a large one', noise, { compression: 'gzip' }, { expanded: 2_000_000 }],
    ['bytes that are not compressed', noise, { compression: 'none' }, { expanded: 2_000_000 }],
    ['entries', links, {}, { entries: 2 }],
    ['links', links, {}, { noted: 250 }],
    ['names', [{ name: `profiles/${'n'.repeat(200)}`, content: 'x' }], {}, { noted: 250 }],
  ])('are limited in %s', async (_, entries, layer, budget) => {
    await expect(scan(entries, layer, budget)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await expect(scan(entries, layer, {})).resolves.toMatchObject({ coverage: 'full' });
  });
});

it.each(['own', 'plain'])('ends reading local content (%s) when the caller does', async (name) => {
  const reading = readBundle(`oci:${at(name)}`, { signal: AbortSignal.abort(new Error('enough')) });
  await expect(reading).rejects.toMatchObject({ code: 'CANCELLED' });
});

it('ends the process when cleaning up takes too long, and not after it', () => {
  jest.useFakeTimers();
  const exit = jest.spyOn(process, 'exit').mockImplementation((() => {}) as never);
  try {
    for (const isCleanedUp of [false, true]) {
      const interrupt = listenForInterrupt();
      process.emit('SIGTERM');
      expect(interruptExitCode(interrupt.signal)).toBe(143);
      if (isCleanedUp) interrupt.dispose();
      jest.advanceTimersByTime(31_000);
      expect(exit.mock.calls).toEqual([[143]]);
      interrupt.dispose();
    }
  } finally {
    exit.mockRestore();
    jest.useRealTimers();
  }
});

it('redacts in time that grows with the length of a line only', () => {
  const started = process.cpuUsage();
  for (const line of [
    'a'.repeat(1_000_000),
    'a://'.repeat(250_000),
    `x://${'y'.repeat(1_000_000)}`,
    '@:/'.repeat(300_000),
  ])
    redactCredentials(line);
  expect(process.cpuUsage(started).user).toBeLessThan(2_000_000);
  expect(redactCredentials('see https://u:p@ss@h.example.org/x?y=a@b, git+ssh://k@h')).toBe(
    'see https://***@h.example.org/x?y=a@b, git+ssh://***@h',
  );
});

it('leaves files that were to be pinned alone when the time is over', async () => {
  const reference = await serve((_, response) => {
    drip(response, {}, 20);
    return true;
  });
  const text = `kind: ImageBuilder\nspec: {bundle: {image: "${reference}"}}\n`;
  const file = at('pin.yaml');
  writeFileSync(file, text);
  await pinFiles([file], false, options({ timeout: 0.3 })).catch(() => {});
  expect(readFileSync(file, 'utf8')).toBe(text);
});
