// The default package lists against the real archives, without installing anything: every name exists, and the packages
// can be installed together.
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askRepositories } from '../../../../image-builder/build/packages/resolution.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { stageContext } from '../../support/stage.ts';

const directory = mkdtempSync(join(tmpdir(), 'distributions-'));
afterAll(() => rm(directory, { recursive: true }));

test.each(['debian-13', 'debian-12'])('%s has all packages of its default list', async (distribution) => {
  const resolved = await resolveBuild('node', { distribution }, { cwd: directory });
  const context = await stageContext(directory, distribution);
  const { multistrap } = resolved.rootfs;
  const { packages } = await askRepositories({ ...resolved, multistrap }, context);
  const names = new Set(packages.map(({ name }) => name));
  for (const name of [
    'apparmor',
    'kdump-tools',
    'containerd',
    'shim-signed',
    'live-boot',
    'linux-headers-amd64',
  ]) {
    expect(names).toContain(name);
  }
  for (const name of multistrap.unapproved_packages) expect(names).not.toContain(name);
  expect(packages.every(({ sha256, size }) => /^[0-9a-f]{64}$/.test(sha256 ?? '') && size > 0)).toBe(true);
});

test('the architecture of the spec is that of the packages', async () => {
  const spec = { rootfs: { multistrap: { rootfs_arch: 'arm64' as const, packages: ['openssh-server'] } } };
  const resolved = await resolveBuild('node', spec, { cwd: directory });
  const context = await stageContext(directory, 'arm64');
  const { packages } = await askRepositories(
    { ...resolved, multistrap: resolved.rootfs.multistrap },
    context,
  );
  expect(packages.find(({ name }) => name === 'libc6')?.architecture).toBe('arm64');
});
