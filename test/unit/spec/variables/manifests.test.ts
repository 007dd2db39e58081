// The manifests and profiles that come with the project.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { requestedPackages } from '../../../../image-builder/stages/rootfs/apt-sources.ts';

const cwd = join(__dirname, '../../../..');

test.each(['qcow-bundle', 'qcow-bundle-subcluster'])('manifests: %s', async (name) => {
  const build = { manifests: 'manifests', iso: {} };
  const resolved = await resolveBuild(name, build, { cwd, aptDirectory: '/nonexistent' });
  expect(Object.keys(resolved.qcows)).toEqual(['control-plane', 'data-plane']);
  expect(resolved.qcows['data-plane']?.qcow.img_name).toBe('data-plane');
  expect(resolved.rootfs.scripts).toEqual([]);
  expect(resolved.iso?.userData).toMatch(/^#cloud-config\n/);
  expect(JSON.parse(resolved.iso?.networkData ?? '').links).toHaveLength(1);
  expect(JSON.stringify(resolved)).not.toMatch(/"(password|password_hash)"/);
});

test.each(readdirSync(join(cwd, 'profiles')))('profile %s', async (profile) => {
  const build = { manifests: 'manifests', profile };
  const {
    rootfs,
    distribution,
    profile: facts,
    kubernetes = facts,
  } = await resolveBuild('node', build, { cwd, aptDirectory: '/nonexistent' });
  const { k8s_version } = rootfs.multistrap;
  expect(`k8s-${k8s_version}`).toContain(`${profile}.`);
  const packages = requestedPackages(rootfs.multistrap, distribution.boot_packages);
  expect(packages).toEqual(expect.arrayContaining([`kubelet=${k8s_version}`, `kubeadm=${k8s_version}`]));
  expect(packages).toContain('openssh-server');
  expect(facts?.name).toBe(profile);
  expect(kubernetes?.endOfLife).toMatch(/^20\d\d-\d\d-\d\d$/);
  // Kubernetes from 1.36 on takes containerd 2 only, and Debian 13 has 1.7.
  const needsNewer = Number(profile.split('.')[1]) >= 36;
  expect(packages.includes('containerd.io')).toBe(needsNewer);
  expect(packages.includes('containerd')).toBe(!needsNewer);
});

describe('qcowManifests', () => {
  const root = mkdtempSync(join(tmpdir(), 'image-builder-manifests-'));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  beforeAll(() => {
    write('manifests/qcow-bundle/control-plane/qcow-vars.yaml', 'qcow_capacity: 10G\n');
    write('manifests/site-bundle/worker/qcow-vars.yaml', 'qcow_capacity: 11G\n');
    write('manifests/qcow-bundle-empty/README.md', 'no QCOW\n');
    write('manifests/qcow-bundle-odd/one/qcow-vars.yaml', '');
    write('manifests/qcow-bundle-odd/two/qcow-vars.yml', '');
    write(
      'elsewhere/qcow-bundle/edge/osconfig-vars.yaml',
      'sysctl_append: [{name: vm.swappiness, value: 1}]\n',
    );
    write('profiles/large/manifests/site-bundle/worker/qcow-vars.yaml', 'qcow_capacity: 30G\n');
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  const resolve = async (build: BuildSpec, onlyNamedQcows = false) => {
    const options = { cwd: root, aptDirectory: '/nonexistent', onlyNamedQcows };
    return (await resolveBuild('any', { manifests: 'manifests', ...build }, options)).qcows;
  };
  const capacities = async (build: BuildSpec) =>
    Object.fromEntries(
      Object.entries(await resolve(build)).map(([name, { qcow }]) => [name, qcow.qcow_capacity]),
    );

  test('a directory of any name and place is exactly what is built', async () => {
    expect(await capacities({ qcowManifests: 'manifests/site-bundle/' })).toEqual({ worker: '11G' });
    expect(await capacities({ qcowManifests: 'elsewhere/qcow-bundle' })).toEqual({ edge: '19G' });
    expect(await capacities({ qcowManifests: join(root, 'elsewhere/qcow-bundle') })).toEqual({ edge: '19G' });
    expect(await capacities({})).toEqual({ 'control-plane': '10G' });
  });

  test('a profile is laid over a directory of the manifests', async () => {
    const build = { qcowManifests: 'manifests/site-bundle', profile: 'large' };
    expect(await capacities(build)).toEqual({ worker: '30G' });
  });

  test.each([
    ['manifests/no-such', /qcowManifests: \S+no-such is not a directory/],
    ['manifests/qcow-bundle-empty', /qcowManifests: \S+-empty has no directory with the variables of a QCOW/],
    ['manifests/qcow-bundle-odd', /qcowManifests: two is in \S+-odd and has neither qcow-vars\.yaml nor/],
  ])('%s is an error', async (qcowManifests, message) => {
    await expect(resolve({ qcowManifests })).rejects.toThrow(message);
  });

  test('a request for one image has nothing of the QCOWs of the manifests', async () => {
    const qcows = await resolve({ qcows: { 'control-plane': {} } }, true);
    expect(qcows['control-plane']?.qcow.qcow_capacity).toBe('19G');
  });
});
