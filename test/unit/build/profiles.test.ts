import { multistrapProfile, qcowProfile } from '../../../image-builder/build/profiles.ts';
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
  'linux-image-6.12.9-amd64': { version: '6.12.9-1', architecture: 'amd64' },
  'linux-image-amd64': { version: '6.12.9-1', architecture: 'amd64' },
  kubelet: { version: '1.34.2-1.1', architecture: 'amd64' },
  vim: { version: '2:9', architecture: 'amd64' },
};

test('the profile of the root file system has every variable and what is installed', async () => {
  const { path, name, json } = multistrapProfile(await build(), installed);
  expect([path, name]).toEqual(['/profiles/profile_multistrap.json', 'profile_multistrap']);
  expect(JSON.parse(json)).toMatchObject({
    distribution: 'debian-13',
    k8s_version: '1.34.2-1.1',
    packages: ['kubelet=1.34.2-1.1'],
    kernel: { modules: { blacklist: [{ name: 'krbd' }] } },
    mksquashfs_compression: 'zstd',
    kernel_version: '6.12.9-amd64',
    installed_versions: { kubelet: '1.34.2-1.1' },
  });
});

test('the profile of a QCOW has the variables of both roles', async () => {
  const image = (await build()).qcows.worker;
  if (image === undefined) throw new Error('no worker');
  expect(JSON.parse(qcowProfile('worker', image).json)).toMatchObject({
    qcow_capacity: '7G',
    img_name: 'worker',
    banners: expect.any(Object),
  });
});

test('no secret, no append list, no template, nothing of this machine', async () => {
  const resolved = await build();
  const images = Object.entries(resolved.qcows).map(([name, image]) => qcowProfile(name, image));
  const text = JSON.stringify([multistrapProfile(resolved, installed), images]);
  expect(text).toContain('ops');
  for (const forbidden of [SECRET, 'password_hash', 'secret@', '_append', '{{', 'ansible_', process.cwd()]) {
    expect(text).not.toContain(forbidden);
  }
});
