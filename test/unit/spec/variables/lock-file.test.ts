import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpecFiles } from '../../../../image-builder/policy/spec-files.ts';
import { readLock, renderLockFile } from '../../../../image-builder/spec/variables/lock-file.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedLock } from '../../../../image-builder/spec/variables/resolved-lock.ts';

const cwd = mkdtempSync(join(tmpdir(), 'lock-file-'));
afterAll(() => rmSync(cwd, { recursive: true }));

const vim = {
  name: 'vim',
  // Looks like a number, and must not become one.
  version: '1.20',
  architecture: 'amd64',
  repository: 'trixie',
  path: 'pool/main/v/vim/vim_1.20_amd64.deb',
  size: 12,
  sha256: 'a'.repeat(64),
};
const lock: ResolvedLock = {
  distribution: 'debian-13',
  mirrors: { archive: 'http://locked.test/debian', security: 'http://locked.test/debian-security' },
  sourceDateEpoch: 1_700_000_000,
  requested: ['vim'],
  unapproved: [],
  keyrings: { vendor: '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END\n' },
  packages: [vim],
};
const path = join(cwd, 'node.lock.yaml');
const files = new SpecFiles(cwd);
const write = async (content = lock) => {
  rmSync(path, { force: true });
  writeFileSync(path, await renderLockFile(path, 'amd64', content, files));
};

test('what was written is what is read', async () => {
  await write();
  expect(await readLock('node.lock.yaml', 'amd64', { files })).toEqual(lock);
});

test('a package is one line; the same lock is the same file', async () => {
  await write();
  const before = readFileSync(path, 'utf8');
  await write();
  expect(readFileSync(path, 'utf8')).toBe(before);
  await write({ ...lock, packages: [{ ...vim, version: '1.21', sha256: 'b'.repeat(64) }] });
  const after = readFileSync(path, 'utf8').split('\n');
  expect(before.split('\n').filter((line, index) => line !== after[index])).toHaveLength(1);
});

test('other architectures stay', async () => {
  await write();
  writeFileSync(path, await renderLockFile(path, 'arm64', { ...lock, sourceDateEpoch: 5 }, files));
  expect((await readLock(path, 'arm64', { files }))?.sourceDateEpoch).toBe(5);
  expect(await readLock(path, 'amd64', { files })).toEqual(lock);
});

test('a file or an architecture that is not there', async () => {
  await write();
  const message = async (file: string, architecture: 'amd64' | 'arm64') =>
    await readLock(file, architecture, { files }).catch((error: Error) => error.message);
  expect(await message('absent.yaml', 'amd64')).toMatch(/absent\.yaml does not exist.*image-builder lock/);
  expect(await message(path, 'arm64')).toMatch(/has no packages for arm64/);
  expect(await readLock('absent.yaml', 'amd64', { files, lockIsOptional: true })).toBeUndefined();
});

test.each([
  ['a conflict', 'version: 1\n<<<<<<< ours\n  a: 1\n=======\n', /not valid YAML/],
  ['another version', 'version: 2\n', /has version 2, expected 1/],
  ['no packages', 'version: 1\narchitectures: {amd64: {}}\n', /section amd64 is incomplete/],
])('%s is told', async (_, text, message) => {
  const file = join(cwd, 'broken.yaml');
  writeFileSync(file, text);
  await expect(readLock(file, 'amd64', { files })).rejects.toThrow(message);
});

test.each([
  ['path', '../../etc/passwd'],
  ['path', '/absolute'],
  ['path', 'a b'],
  ['path', 'a\u0001b'],
  ['sha256', 'short'],
  ['version', '1; rm -rf /'],
  ['architecture', 'amd64/../x'],
  ['size', 'many'],
])('a package whose %s is %s is refused', async (field, value) => {
  await write({ ...lock, packages: [{ ...vim, [field]: value }] });
  await expect(readLock(path, 'amd64', { files })).rejects.toThrow(/the package vim of amd64 is incomplete/);
});

test.each([
  ['requested', ['-oAptCli::Hooks::Install::=id']],
  ['requested', ['vim-']],
  ['unapproved', ['vim\nPin: release *']],
  ['mirrors', { archive: 'http://locked.test/debian\nTrusted: yes' }],
  ['images', { 'registry.k8s.io/pause:3.10.2': 'sha256:abc' }],
  ['mirrors', { archive: 'http://locked.test/debian', security: 'ssh://-oProxyCommand=id/' }],
])('a lock whose %s is %j is refused', async (field, value) => {
  await write({ ...lock, [field]: value });
  await expect(readLock(path, 'amd64', { files })).rejects.toThrow(/the section amd64 is incomplete/);
});

describe('mirrors', () => {
  const aptDirectory = join(cwd, 'apt');
  const resolveWith = async (build: Parameters<typeof resolveBuild>[1]) =>
    await resolveBuild('node', build, { cwd, aptDirectory });

  test('the image gets those of the lock wherever it is built, which are fetched from nearby first', async () => {
    await write();
    const near = await resolveWith({ lock: 'node.lock.yaml' });
    expect(near.mirror).toBe('http://locked.test/debian');
    expect(near.sources.trixie).toEqual(['http://ftp.debian.org/debian', 'http://locked.test/debian']);
    expect(near.rootfs.multistrap.repos.map(({ source }) => source)).toEqual([
      'http://locked.test/debian',
      'http://locked.test/debian',
      'http://locked.test/debian-security',
    ]);
  });

  test('a list: the first is what the image gets, all are where it is fetched from', async () => {
    const { mirror, sources, rootfs } = await resolveWith({
      mirror: ['http://a.test/debian/', 'http://b.test/debian'],
      rootfs: {
        multistrap: {
          repos_append: [
            {
              name: 'vendor',
              source: ['http://v.test', 'http://w.test/'],
              suite: '/',
              keyring: 'x',
            },
          ],
        },
      },
    });
    expect(mirror).toBe('http://a.test/debian');
    expect(sources.trixie).toEqual(['http://a.test/debian', 'http://b.test/debian']);
    expect(sources.vendor).toEqual(['http://v.test', 'http://w.test']);
    expect(rootfs.multistrap.repos.at(-1)?.source).toBe('http://v.test');
  });
});
