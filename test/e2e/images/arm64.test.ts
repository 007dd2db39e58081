// An image for arm64, its packages installed by emulation, from the object to the login prompt of an emulated machine.
// It takes a quarter of an hour, so only `npm run test:images` does it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { executable, run } from '../support/executables.ts';

const SPEC = {
  apiVersion: 'airshipit.org/v1alpha1',
  kind: 'ImageBuilder',
  metadata: { name: 'arm64' },
  spec: {
    build: {
      rootfs: {
        multistrap: {
          rootfs_arch: 'arm64',
          kernel_base_pkg: 'linux-image-cloud-arm64',
          packages: ['dbus', 'openssh-server'],
        },
      },
      qcows: { arm64: { qcow: { qcow_capacity: '4G' } } },
      bundle: { layout: 'out' },
    },
  },
};

jest.setTimeout(45 * 60 * 1000);
(process.env.IMAGES === 'all' ? test : test.skip)('builds and boots', () => {
  const directory = mkdtempSync(join(tmpdir(), 'arm64-e2e-'));
  try {
    const env = { ...process.env, IMAGE_BUILDER_STORE: join(directory, 'store') };
    writeFileSync(join(directory, 'image.yaml'), JSON.stringify(SPEC));
    const cli = executable('image-builder');
    const built = run([cli, 'build', 'image.yaml', '--boot-test', '900'], { cwd: directory, env });
    expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
      status: 0,
      stderr: '',
    });
    expect(built.stdout).toContain('rootfs_arch: arm64');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
