import { lockOf } from '../../../../image-builder/build/packages/package-lock.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { multistrapProfile, qcowProfile } from '../../../../image-builder/stages/bundle/profiles.ts';
import { stagesOf } from '../../../../image-builder/stages/index.ts';

const SECRET = '$6$salt$hash';
const build = () =>
  resolveBuild(
    'node',
    {
      mirror: 'http://me:secr@et@mirror.test/debian',
      rootfs: {
        multistrap: {
          k8s_version: '1.34.2-1.1',
          packages: ['kubelet={{ k8s_version }}'],
          repos_append: [
            { name: 'r', source: 'http://me:secr@et@r.test/', suite: '/', keyring: 'hunter2', packages: [] },
          ],
        },
        osconfig: {
          fetch_from_url: [{ url: 'https://me:secr@et@files.test/a', dest: '/a' }],
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
    kubernetes: { version: 'v1.34.2', requested: 'v1.34.2' },
  });
});

test("the predecessor's names are there, and what its README shows", async () => {
  const resolved = await build();
  for (const { json } of [
    multistrapProfile(resolved, installed),
    qcowProfile('worker', resolved, installed),
  ]) {
    expect(JSON.parse(json)).toMatchObject({
      ubuntu_packages: ['kubelet=1.34.2-1.1'],
      inventory_hostname_short: 'localhost',
      k8s_version: '1.34.2-1.1',
      kdump_tools: { crashkernel: '768M' },
    });
  }
});

test('a version that was asked for and is not installed is not told as if it were', async () => {
  const { kubelet: _, ...without } = installed;
  const { kubernetes } = JSON.parse(multistrapProfile(await build(), without).json);
  expect(kubernetes).toEqual({ requested: 'v1.34.2' });
});

test.each([
  ['named', { bundle: { builderImage: 'quay.io/a/b:v1' } }, 'quay.io/a/b:v1'],
  [
    'by digest',
    { executor: { container: { image: `quay.io/a/b@sha256:${'1'.repeat(64)}` } } },
    `quay.io/a/b@sha256:${'1'.repeat(64)}`,
  ],
  ['by a tag, which can be moved', { executor: { container: { image: 'quay.io/a/b:v1' } } }, undefined],
])('the builder image %s', async (_what, spec, expected) => {
  const resolved = await resolveBuild('node', spec, { cwd: '/', aptDirectory: '/nonexistent' });
  for (const { json } of [multistrapProfile(resolved, {}), qcowProfile('node', resolved, {})])
    expect(JSON.parse(json).image_builder_image).toBe(expected);
});

test('the profile of a QCOW has the variables of the root file system and those of its own', async () => {
  const resolved = await build();
  const rootfs = JSON.parse(multistrapProfile(resolved, installed).json);
  const qcow = JSON.parse(qcowProfile('worker', resolved, installed).json);
  expect(qcow).toMatchObject({ qcow_capacity: '7G', img_name: 'worker' });
  // A replacement that takes k8s_version from here is as good as one that takes it from the other.
  const { user_management, ...common } = rootfs;
  expect(qcow).toMatchObject(common);
});

test('no secret, no append list, no template, nothing of this machine', async () => {
  const resolved = await build();
  const images = Object.keys(resolved.qcows).map((name) => qcowProfile(name, resolved, installed));
  const text = JSON.stringify([multistrapProfile(resolved, installed), images]);
  expect(text).toContain('ops');
  const secrets = [SECRET, 'password_hash', 'secr', 'et@', 'hunter2'];
  for (const forbidden of [...secrets, '_append', '{{', 'ansible_', process.cwd()]) {
    expect(text).not.toContain(forbidden);
  }
  expect(text).toContain('https://files.test/a');
  const { repos } = JSON.parse(multistrapProfile(resolved, installed).json);
  // printf hunter2 | sha256sum
  expect(repos.at(-1)).toMatchObject({
    source: 'http://r.test',
    keyring_digest: 'sha256:f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7',
  });
  // Inputs are written into the store, and pushed with it.
  const inputs = JSON.stringify(stagesOf(resolved).map(({ definition }) => definition.inputs));
  expect(inputs).not.toMatch(/secr|et@/);
  expect(JSON.stringify(lockOf(resolved, { packages: [], keyrings: {}, sourceDateEpoch: 1 }))).not.toMatch(
    /secr|et@/,
  );
});
