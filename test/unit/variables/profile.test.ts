import { kernelCommandLine } from '../../../image-builder/variables/osconfig.ts';
import { multistrapProfile, qcowProfile } from '../../../image-builder/variables/profile.ts';
import { resolveBuild } from '../../../image-builder/variables/resolve.ts';

const SECRET = '$6$salt$hash';
const build = () =>
  resolveBuild(
    'node',
    {
      mirror: 'http://me:secret@mirror.test/debian',
      rootfs: {
        multistrap: { k8s_version: '1.34.2-1.1', packages: ['kubelet={{ k8s_version }}'] },
        osconfig: {
          user_management: [{ name: 'ops', password_hash: SECRET, run_contexts: ['common', 'qcow'] }],
        },
      },
      qcows: { worker: { qcow: { qcow_capacity: '7G' } } },
    },
    { cwd: '/', aptDirectory: '/nonexistent' },
  );

const installed = {
  'linux-image-6.12.9-amd64': { version: '6.12.9-1' },
  'linux-image-amd64': { version: '6.12.9-1' },
  kubelet: { version: '1.34.2-1.1' },
  vim: { version: '2:9' },
};

test('the profile of the root file system has every variable, the image that built it and what is installed', async () => {
  const profile = multistrapProfile(await build(), installed, 'registry.example.org/image-builder:v1');
  expect(profile).toMatchObject({
    distribution: 'debian-13',
    k8s_version: '1.34.2-1.1',
    packages: ['kubelet=1.34.2-1.1'],
    kernel: { modules: { blacklist: [{ name: 'krbd' }] } },
    mksquashfs_compression: 'zstd',
    image_builder_image: 'registry.example.org/image-builder:v1',
    kernel_version: '6.12.9-amd64',
    installed_packages: { kubelet: '1.34.2-1.1' },
  });
});

test('the profile of a QCOW has the variables of both roles', async () => {
  const profile = qcowProfile(await build(), 'worker');
  expect(profile).toMatchObject({ qcow_capacity: '7G', img_name: 'worker', banners: expect.any(Object) });
  expect(() => qcowProfile({ qcows: {} }, 'none')).toThrow(TypeError);
});

test('no secret, no append list, no template, nothing of this machine', async () => {
  const resolved = await build();
  const text = JSON.stringify([multistrapProfile(resolved, installed), qcowProfile(resolved, 'worker')]);
  expect(text).toContain('"ops"');
  for (const forbidden of [SECRET, 'password_hash', 'secret@', '_append', '{{', 'ansible_', process.cwd()]) {
    expect(text).not.toContain(forbidden);
  }
});

test('memory is set aside for a crash kernel when there is one', async () => {
  const { osconfig } = (await build()).rootfs;
  expect(kernelCommandLine(osconfig, new Set(['kdump-tools']))).toMatch(/ crashkernel=768M$/);
  expect(kernelCommandLine(osconfig, new Set())).not.toContain('crashkernel');
});
