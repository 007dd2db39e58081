// k8s_version ends in cluster objects: it is refused where nothing of the build is of that version.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';

const resolve = (rootfs: object, qcows?: object) =>
  resolveBuild('node', { rootfs, ...(qcows && { qcows }) } as Parameters<typeof resolveBuild>[1], {
    cwd: '/',
    aptDirectory: '/nonexistent',
  });
const versioned = (multistrap: object) => ({ multistrap: { k8s_version: '1.34.2-1.1', ...multistrap } });

test('a version without Kubernetes is an error that names the ways out', async () => {
  const error = await resolve(versioned({ packages_append: ['tcpdump', 'not-kubelet=1.34.2'] })).catch(
    (e) => e,
  );
  const [finding, ...others] = error.findings();
  expect(others).toEqual([]);
  expect(finding).toMatchObject({
    severity: 'error',
    field: 'spec.build.rootfs.multistrap.k8s_version',
    message: expect.stringContaining('is 1.34.2-1.1, but nothing in the build uses it'),
  });
  expect(finding.message).toContain('source: "https://pkgs.k8s.io/core:/stable:/v1.34/deb"');
  expect(finding.message).toContain('"kubelet={{ k8s_version }}"');
  expect(finding.message).toContain('profile: k8s-1.34');
});

test("the predecessor's profile of one line is told by its file", async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'kubernetes-'));
  try {
    const file = join(cwd, 'profiles/k8s-1.18/manifests/rootfs/multistrap-vars.yaml');
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, 'k8s_version: 1.18.20-00\n');
    const options = { cwd, aptDirectory: '/nonexistent' };
    const error = await resolveBuild('node', { profile: 'k8s-1.18' }, options).catch((e) => e);
    expect(error.findings()).toMatchObject([{ file, message: expect.stringContaining('is 1.18.20-00') }]);
  } finally {
    rmSync(cwd, { recursive: true });
  }
});

test('the way out that the error names is one', async () => {
  const error = await resolve(versioned({})).catch((e) => e);
  const list = /repos_append: (\[.*\])/.exec(error.message)?.[1] ?? '';
  const { parse } = await import('yaml');
  const { rootfs } = await resolve(versioned({ repos_append: parse(list) }));
  expect(rootfs.multistrap.repos.at(-1)?.packages).toContain('kubelet=1.34.2-1.1');
});

const repository = (packages: string[]) => ({
  repos_append: [
    {
      name: 'kubernetes',
      source: 'https://k8s.test/deb',
      suite: '/',
      keyring_url: 'https://k8s.test/key',
      packages,
    },
  ],
});
const scripts = [{ name: 's', file_content: 'curl -fO https://dl.k8s.test/v1.34.2/bin/kubelet\n' }];

test.each([
  ['a package of its version', versioned({ packages_append: ['kubeadm={{ k8s_version }}'] })],
  ['a package of Kubernetes in whatever version', versioned({ packages_append: ['kubelet'] })],
  ['one of another architecture or suite', versioned({ packages_append: ['kubectl:arm64/stable'] })],
  ["Debian's own kubectl", versioned({ packages: ['kubernetes-client'] })],
  ['packages of a repository', versioned(repository(['kubelet={{ k8s_version }}']))],
  ['a distribution of Kubernetes', versioned(repository(['k3s={{ k8s_version }}']))],
  [
    'a download',
    {
      ...versioned({}),
      osconfig: {
        fetch_from_url: [{ url: 'https://dl.k8s.test/v1.34.2/kubelet', dest: '/usr/bin/kubelet' }],
      },
    },
  ],
  ['a script', { ...versioned({}), osconfig: { user_scripts: scripts } }],
  ['no version at all', { multistrap: { packages_append: ['tcpdump'] } }],
])('accepted: %s', async (_what, rootfs) => {
  await expect(resolve(rootfs)).resolves.toBeDefined();
});

test('a script of one QCOW is enough', async () => {
  await expect(
    resolve(versioned({}), { worker: { osconfig: { user_scripts: scripts } } }),
  ).resolves.toBeDefined();
});
