// A spec of a stranger gets nothing of the machine's files into messages, variables or images.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findingsOf } from '../../../../image-builder/base/diagnostics/error.ts';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';

const directory = mkdtempSync(join(tmpdir(), 'image-builder-foreign-'));
afterAll(() => rmSync(directory, { recursive: true }));
const cwd = join(directory, 'repository');
const secret = join(directory, 'secret');
mkdirSync(cwd);
writeFileSync(secret, 'version: 1\npassword: hunter3\n  token: [\n');
const write = (path: string, text: string) => {
  mkdirSync(join(cwd, path, '..'), { recursive: true });
  writeFileSync(join(cwd, path), text);
};
const link = (path: string, target: string) => {
  mkdirSync(join(cwd, path, '..'), { recursive: true });
  symlinkSync(target, join(cwd, path));
};

async function told(build: BuildSpec, read: string[] = []): Promise<string> {
  const error = await resolveBuild('node', build, { cwd, read, aptDirectory: '/nonexistent' }).catch(
    (caught: unknown) => caught,
  );
  return findingsOf(error)
    .map(({ field, message }) => `${field}: ${message}`)
    .join('\n');
}
const repository = (keyring_file: string) => ({
  rootfs: {
    multistrap: { repos_append: [{ name: 'x', source: 'http://127.0.0.1:9/x', suite: 'x/', keyring_file }] },
  },
});

link('links/rootfs/osconfig-vars.yaml', secret);
link('scripted/scripts/common/1', secret);
link('iso/iso/user_data', secret);
link('profiles/evil/manifests', directory);
mkdirSync(join(cwd, 'plain'));

test.each<[string, BuildSpec]>([
  ['spec.build.lock', { lock: secret }],
  ['spec.build.lock', { lock: '../secret' }],
  ['spec.build.manifests', { manifests: directory }],
  ['spec.build.manifests', { manifests: '/usr' }],
  ['spec.build.manifests', { manifests: 'links' }],
  ['spec.build.manifests', { manifests: 'scripted' }],
  ['spec.build.manifests', { manifests: 'iso', iso: {} }],
  ['spec.build.profile', { profile: 'evil' }],
  ['spec.build.rootfs.multistrap.repos_append[0].keyring_file', repository(secret)],
  ['spec.build.rootfs.multistrap.repos_append[0].keyring_file', repository('/dev/zero')],
])('%s leads nowhere else: %j', async (field, build) => {
  const message = await told(build);
  expect(message).toMatch(/is outside the paths that this spec may use; allow it with --allow-path/);
  expect(message.startsWith(`${field}: `)).toBe(true);
  expect(message).not.toContain('hunter3');
});

test('what is allowed is read, and is quoted all the same by nobody', async () => {
  expect(await told({ lock: secret }, [secret])).toMatch(
    /spec\.build\.lock: .* is not valid YAML: .* at line 2, column 11$/,
  );
  expect(await told({ manifests: 'links' }, [secret])).toMatch(/not valid YAML: .* at line 2/);
  expect(await told(repository(secret), [secret])).toMatch(/secret is not an OpenPGP keyring/);
  for (const build of [{ lock: secret }, { manifests: 'links' }, repository(secret)]) {
    expect(await told(build, [directory])).not.toMatch(/hunter3|token/);
  }
});

test.each([
  [
    'aliases that multiply',
    `a0: &a0 [x,x,x,x]\n${[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `a${n}: &a${n} [*a${n - 1},*a${n - 1},*a${n - 1},*a${n - 1}]\n`).join('')}`,
  ],
  ['an alias without an anchor', 'files: *hunter3\n'],
])('%s are a finding, in the lock and in manifests', async (_, text) => {
  write('bomb.lock', `version: 1\n${text}`);
  write('bomb/rootfs/osconfig-vars.yaml', text);
  expect(await told({ lock: 'bomb.lock' })).toBe(
    'spec.build.lock: bomb.lock is not valid YAML: its aliases cannot be resolved',
  );
  expect(await told({ manifests: 'bomb' })).toBe(
    'spec.build.rootfs.osconfig: not valid YAML: its aliases cannot be resolved',
  );
});

test('a loop of links, a tag of somebody else, and bytes that are no text', async () => {
  link('loop/rootfs', 'rootfs');
  expect(await told({ manifests: 'loop' })).toMatch(
    /^spec\.build\.manifests: .* is a symbolic link that leads to itself$/,
  );
  write('vault/rootfs/osconfig-vars.yaml', 'banners:\n  motd: !vault |\n    6162\n');
  expect(await told({ manifests: 'vault' })).toMatch(/not valid YAML: .*!vault.* at line 2, column 9$/);
  mkdirSync(join(cwd, 'latin/rootfs'), { recursive: true });
  writeFileSync(
    join(cwd, 'latin/rootfs/osconfig-vars.yaml'),
    Buffer.from('banners: {motd: "\xe9"}', 'latin1'),
  );
  expect(await told({ manifests: 'latin' })).toMatch(/^spec\.build\.manifests: .* is not UTF-8 text$/);
});
