// The cache as processes share it: many at once, and where they may not write.

import { execFile } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { isTemporary } from '../../../image-builder/base/files/replace.ts';
import { ownBundle } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import { type LayoutServer, serveLayouts } from '../../support/layout-server.ts';
import { executable } from '../support/executables.ts';
import { ordinaryUser } from '../support/ordinary-user.ts';

const run = promisify(execFile);
let directory: string;
let server: LayoutServer;
const at = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'shared-cache-'));
  chmodSync(directory, 0o755);
  await writeLayout(at('own'), ownBundle());
  server = await serveLayouts({ repositories: { own: at('own') } });
  // The ordinary user may not see the source tree.
  cpSync(executable('image-builder'), at('image-builder.cjs'));
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

function extract(cache: string, options: string[] = [], user?: { uid: number; gid: number }) {
  const args = [at('image-builder.cjs'), 'extract', `${server.host}/own:v1`, '--cache', cache, ...options];
  const env = { PATH: process.env.PATH, HOME: at('home') };
  if (!user) return run(process.execPath, args, { env });
  const identity = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
  return run('setpriv', [...identity, process.execPath, ...args], { env, cwd: directory });
}

it('serves many processes that start at once on nothing', async () => {
  const cache = at('cold');
  const results = await Promise.all(Array.from({ length: 8 }, () => extract(cache)));
  const outputs = new Set(results.map(({ stdout }) => stdout));
  expect(outputs.size).toBe(1);
  expect([...outputs][0]).toContain('k8s_version: "1.21.2-00"');
  expect(
    readdirSync(cache, { recursive: true, encoding: 'utf8' }).filter((path) => isTemporary(basename(path))),
  ).toEqual([]);
  const before = server.requests.length;
  expect((await extract(cache, ['--offline'])).stdout).toBe([...outputs][0]);
  expect(server.requests).toHaveLength(before);
});

describe('an ordinary user', () => {
  const user = ordinaryUser() as { name: string; uid: number; gid: number };
  const prepare = (name: string, mode: number, owner: { uid: number; gid: number }) => {
    mkdirSync(at(name));
    chownSync(at(name), owner.uid, owner.gid);
    chmodSync(at(name), mode);
    return at(name);
  };

  it.each([
    ['that is read-only', 0o555, true],
    ['that others may write to', 0o777, true],
    ['of somebody else', 0o755, false],
    ['of somebody else that everybody may write to', 0o777, false],
  ])('reads without a cache directory %s', async (what, mode, own) => {
    const cache = prepare(what, mode, own ? user : { uid: 0, gid: 0 });
    for (let time = 0; time < 2; time++) {
      const before = server.requests.length;
      expect((await extract(cache, [], user)).stdout).toContain('k8s_version: "1.21.2-00"');
      expect(server.requests.length - before).toBe(2);
    }
    expect(readdirSync(cache)).toEqual([]);
  });

  it('believes nothing of a directory that somebody else prepared', async () => {
    const cache = at('prepared');
    await extract(cache);
    chmodSync(cache, 0o777);
    await expect(extract(cache, ['--offline'], user)).rejects.toMatchObject({
      stderr: expect.stringContaining('not in the cache'),
    });
  });
});
