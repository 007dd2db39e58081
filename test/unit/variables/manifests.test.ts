// The manifests and profiles that come with the project.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { requestedPackages } from '../../../image-builder/rootfs/repositories.ts';
import { resolveBuild } from '../../../image-builder/variables/resolve.ts';

const cwd = join(__dirname, '../../..');

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
  } = await resolveBuild('node', build, { cwd, aptDirectory: '/nonexistent' });
  const { k8s_version } = rootfs.multistrap;
  expect(`k8s-${k8s_version}`).toContain(`${profile}.`);
  const packages = requestedPackages(rootfs.multistrap, distribution.boot_packages);
  expect(packages).toEqual(expect.arrayContaining([`kubelet=${k8s_version}`, `kubeadm=${k8s_version}`]));
  expect(packages).toContain('openssh-server');
  expect(facts).toEqual({ name: profile, endOfLife: expect.stringMatching(/^20\d\d-\d\d-\d\d$/) });
  // Kubernetes from 1.36 on takes containerd 2 only, and Debian 13 has 1.7.
  const needsNewer = Number(profile.split('.')[1]) >= 36;
  expect(packages.includes('containerd.io')).toBe(needsNewer);
  expect(packages.includes('containerd')).toBe(!needsNewer);
});
