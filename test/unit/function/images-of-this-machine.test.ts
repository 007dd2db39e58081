// A render reads images of this machine, in files or in an engine, only where the caller has allowed it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localEngine } from '../../../functions/image-builder/engine.ts';
import { localPathOf } from '../../../image-builder/oci/local-path.ts';

const directory = mkdtempSync(join(tmpdir(), 'engine-'));
const socket = join(directory, 'engine.sock');
const before = { ...process.env };
let engine: Server;
const { signal } = new AbortController();
let requests = 0;

beforeAll(async () => {
  engine = createServer((_request, response) => {
    requests += 1;
    response.writeHead(404).end();
  });
  await new Promise<void>((done) => engine.listen(socket, done));
  writeFileSync(join(directory, 'image.tar'), 'no image');
  process.env.DOCKER_HOST = `unix://${socket}`;
});
afterEach(() => {
  delete process.env.IMAGE_BUILDER_ALLOW_PATHS;
});
afterAll(async () => {
  process.env = before;
  await new Promise((done) => engine.close(done));
  rmSync(directory, { recursive: true });
});

test.each([
  'docker-daemon:site/bundle:v1',
  `docker-archive:${directory}/image.tar`,
  `oci-archive:${directory}/image.tar`,
  `oci:${directory}`,
])('%s is refused, and nobody is asked', async (reference) => {
  await expect(localEngine.readBundle(reference, { signal })).rejects.toMatchObject({ code: 'PATH_OUTSIDE' });
  expect(requests).toBe(0);
});

test('an engine is asked where its socket is allowed', async () => {
  process.env.IMAGE_BUILDER_ALLOW_PATHS = socket;
  await expect(localEngine.readBundle('docker-daemon:site/bundle:v1', { signal })).rejects.not.toMatchObject({
    code: 'PATH_OUTSIDE',
  });
  expect(requests).toBeGreaterThan(0);
});

test.each([
  ['unix:///run/user/1/docker.sock', '/run/user/1/docker.sock'],
  // Of an engine elsewhere the images are as private as those of the one here.
  ['tcp://192.0.2.1:2376', '/var/run/docker.sock'],
  ['ssh://builder', '/var/run/docker.sock'],
])('the engine at %s is allowed by %s', (host, path) => {
  expect(localPathOf('docker-daemon:a', { DOCKER_HOST: host })).toBe(path);
});
