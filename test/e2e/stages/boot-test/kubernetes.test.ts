// A node from spec.build.kubernetes with the real kubelet, kubeadm, containerd and runc, booted before it is published: kubeadm
// says that it is one, spec.build.tests hold, kubeadm sees each fact that is broken afterwards, and the images that the disk
// carries are in the runtime.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubeadmImagesOf } from '../../../../image-builder/spec/variables/kubernetes/minors.ts';
import type { GuestTestResult } from '../../../../image-builder/stages/boot-test/guest-tests.ts';
import { kubernetesTests, warningsIn } from '../../../../image-builder/stages/boot-test/kubernetes-tests.ts';
import { unpackRootfs } from '../../../../image-builder/stages/osconfig/configure.ts';
import { requireKubeadmImages } from '../../../../image-builder/stages/preload/kubeadm-images.ts';
import { type KubernetesImages, serveKubernetesImages } from '../../support/kubernetes-images.ts';
import { buildNode, diskOf, entryOf, kubernetesNode } from '../../support/kubernetes-node.ts';
import { type KubernetesPackages, serveKubernetesPackages } from '../../support/kubernetes-packages.ts';
import { testStage } from '../../support/stage-context.ts';

const MINOR = '1.37';
const RELEASE = '1.37.2';
const IMAGES = kubeadmImagesOf(RELEASE) ?? [];
const directory = mkdtempSync(join(tmpdir(), 'kubernetes-node-'));
const PREFLIGHT = kubernetesTests('preflight').find(({ name }) => name === 'kubeadm preflight')?.script ?? '';
let packages: KubernetesPackages;
let images: KubernetesImages;

beforeAll(async () => {
  packages = await serveKubernetesPackages(directory, 'trixie');
  images = await serveKubernetesImages(directory, IMAGES);
});
afterAll(async () => {
  await packages?.stop();
  await images?.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('what the repositories decide is told before anything is fetched', () => {
  test.each([
    [
      'a minor that the repository does not have',
      '1.38',
      [],
      'spec.build.kubernetes.version',
      'have 1.37.2-1.1',
    ],
    ['a release that it does not have', '1.37.9', [], 'spec.build.kubernetes.version', 'have 1.37.2-1.1'],
    [
      'a containerd of the distribution that is too old',
      '1.37',
      ['containerd/trixie'],
      'spec.build.rootfs.multistrap.packages[2]',
      'kubelet 1.37.2-1.1 needs containerd 2 or newer, and the repositories give containerd 1.7.',
    ],
  ])('%s', async (_what, version, names, field, message) => {
    const object = kubernetesNode(packages, MINOR, { version }, { packageNames: names });
    const failed = await buildNode(directory, object, ['--dry-run']).catch((error) => error);
    expect(failed.stderr).toContain(field);
    expect(failed.stderr).toContain(message);
  });
});

describe('a node', () => {
  let report: { state: string; failedUnits: string[]; results: GuestTestResult[] };
  const resultOf = (name: string) => report.results.find((one) => one.name === name);

  // Each breaks one fact of the running node, lets kubeadm see it, and puts it back.
  const broken = (name: string, breakIt: string, says: string, mendIt: string) => ({
    name,
    command: `${breakIt}; ( ${PREFLIGHT} ) >/run/preflight 2>&1 || true; ${mendIt}; grep -e ${says} /run/preflight`,
    timeout: 300,
  });
  // Each breaks what a default test is about, tells what that meets then, and puts it back.
  const unmet = (name: string, breakIt: string, meets: string, mendIt: string) => {
    const script = kubernetesTests('join').find((test) => test.name === name)?.script;
    return {
      name: `not: ${name}`,
      command: `{ ${breakIt}; } >/dev/null 2>&1; met=$( ( ${script} ) 2>&1 ); { ${mendIt}; } >/dev/null 2>&1; echo "$met"`,
      output: meets,
      timeout: 300,
    };
  };
  const sysctlUnmet = (name: string) =>
    unmet(`sysctl ${name}`, `sysctl -w ${name}=0`, '0', `sysctl -w ${name}=1`);
  const tests = {
    packages: [
      { name: 'kubelet', version: '1.37.2-1.1' },
      { name: 'containerd', installed: false },
    ],
    files: [
      { path: '/etc/crictl.yaml', mode: '0644', contains: 'containerd.sock' },
      { path: '/usr/share/doc/bash/copyright', mode: '0644' },
      { path: '/etc/dpkg/dpkg.cfg.d/image-builder-paths', contains: 'path-exclude=/usr/share/man/*' },
      { path: '/etc/containerd/config.toml', contains: 'registry.k8s.io/pause:3.10.2' },
    ],
    units: [
      { name: 'containerd', active: true, enabled: true },
      { name: 'image-builder-preload', active: true },
    ],
    sysctl: [{ name: 'net.ipv4.ip_forward', value: 1 }],
    mounts: [{ path: '/', type: 'ext4' }],
    cloudInit: 'done',
    // Emulated, on a machine that does other things too: that it is counted is what matters.
    bootSeconds: 1200,
    commands: [
      { name: 'holds', command: 'apt-mark showhold' },
      { name: 'runtime', command: 'crictl version; crictl info --output json', timeout: 120 },
      { name: 'order', command: 'systemctl show --property=After kubelet' },
      { name: 'images', command: 'ctr --namespace k8s.io images list' },
      { name: 'images of the CRI', command: 'crictl images --output json' },
      unmet(
        'no unit has failed',
        'systemd-run --wait --unit=broken false',
        'broken.service',
        'systemctl reset-failed broken',
      ),
      unmet('unit kubelet.service is enabled', 'systemctl disable kubelet', 'no', 'systemctl enable kubelet'),
      sysctlUnmet('net.ipv4.ip_forward'),
      sysctlUnmet('net.bridge.bridge-nf-call-iptables'),
      sysctlUnmet('net.bridge.bridge-nf-call-ip6tables'),
      unmet('command overlay file systems', 'modprobe -r overlay', '0', 'modprobe overlay'),
      unmet(
        'command packages of Kubernetes that are not held',
        'apt-mark unhold kubeadm',
        'kubeadm',
        'apt-mark hold kubeadm',
      ),
      unmet(
        'cloud-init',
        'touch /etc/cloud/cloud-init.disabled',
        'disabled',
        'rm /etc/cloud/cloud-init.disabled',
      ),
      broken(
        'forwarding is off',
        'sysctl -qw net.ipv4.ip_forward=0',
        "'ip_forward.* are not set to 1'",
        'sysctl -qw net.ipv4.ip_forward=1',
      ),
      broken(
        'the runtime is not there',
        // The kubelet, which is started again and again, wants it.
        'systemctl -q mask --runtime --now containerd',
        "'ERROR CRI'",
        'systemctl -q unmask --runtime containerd; systemctl start containerd',
      ),
      broken(
        'the kubelet is not enabled',
        'systemctl -q disable kubelet',
        "'WARNING Service-kubelet'",
        'systemctl -q enable kubelet',
      ),
    ],
  };

  beforeAll(async () => {
    const { mirrors } = images;
    const bootTest = { kubernetes: 'preflight', firmware: ['bios'], timeout: 1800 };
    const kubernetes = { version: RELEASE, preload: ['default'], mirrors };
    await buildNode(directory, kubernetesNode(packages, MINOR, kubernetes, { build: { bootTest, tests } }));
    report = JSON.parse(readFileSync(join(entryOf(directory, 'boot-test'), 'tests.json'), 'utf8'));
  }, 2_400_000);

  test('kubeadm finds everything that it wants, and would set up a control plane', () => {
    for (const name of ['kubeadm preflight', 'kubeadm init --dry-run']) {
      const met = resultOf(name);
      expect(met).toMatchObject({ isMet: true });
      // By the default kernel command line.
      expect(warningsIn(met?.output ?? '')).toEqual([
        '[WARNING SystemVerification]: missing optional cgroups: hugetlb',
      ]);
    }
  });

  test('every test is met, and nothing has failed', () => {
    expect(report.results.filter(({ isMet }) => !isMet)).toEqual([]);
    expect(report).toMatchObject({ state: 'running', failedUnits: [] });
    expect(report.results.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['no unit has failed', 'package kubelet', 'command forwarding is off']),
    );
  });

  test('each default test has been seen to fail', () => {
    const facts = kubernetesTests('join').map(({ name }) => name);
    expect(tests.commands.map(({ name }) => name)).toEqual(
      expect.arrayContaining(facts.map((name) => `not: ${name}`)),
    );
  });

  test('the packages of Kubernetes are held', () => {
    const held = resultOf('command holds')?.output.split('\n');
    expect(held).toEqual(
      expect.arrayContaining(['cri-tools', 'kubeadm', 'kubectl', 'kubelet', 'kubernetes-cni']),
    );
  });

  test('the runtime is containerd 2, which gives control groups to systemd, and starts before the kubelet', () => {
    const { output = '' } = resultOf('command runtime') ?? {};
    expect(output).toMatch(/RuntimeVersion:\s+v?2\./);
    expect(output).toMatch(/"SystemdCgroup": ?true/);
    expect(resultOf('command order')?.output).toContain('containerd.service');
  });

  test('the images that kubeadm needs are in the runtime by tag and digest, where the kubelet leaves them', () => {
    const known = JSON.parse(resultOf('command images of the CRI')?.output ?? '{}').images as {
      repoTags: string[];
      repoDigests: string[];
      pinned: boolean;
    }[];
    const found = known.flatMap(({ repoTags, repoDigests, pinned }) =>
      repoTags.map((tag) => [tag, repoDigests, pinned]),
    );
    expect(found.sort()).toEqual(
      IMAGES.map((reference) => [
        reference,
        [`${reference.replace(/:[^:]*$/, '')}@${images.digests[reference]}`],
        true,
      ]).sort(),
    );
    const list = resultOf('command images')?.output ?? '';
    expect(list.match(/^registry\.k8s\.io\/.*io\.cri-containerd\.pinned=pinned/gm)).toHaveLength(
      2 * IMAGES.length,
    );
    expect(resultOf('command order')?.output).toContain('image-builder-preload.service');
  });

  test('the disk has less than 250 MiB, without documentation', () => {
    expect(statSync(diskOf(directory)).size).toBeLessThan(250 * 2 ** 20);
    const documentation = execFileSync('tar', ['-tf', join(entryOf(directory, 'osconfig'), 'rootfs.tar')], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    })
      .split('\n')
      .filter((path) => /^\.\/usr\/share\/(?:man|info|locale|doc)\/.*[^/]$/.test(path))
      .filter((path) => !/\/(?:copyright|locale\.alias)$/.test(path));
    expect(documentation.filter((path) => !path.startsWith('./usr/share/doc/'))).toEqual([
      './usr/share/info/dir',
    ]);
    // Links, and what mmdebstrap has unpacked before dpkg was there; there were thousands.
    expect(documentation.length).toBeLessThan(50);
  });

  test('the bill of materials has them by digest', () => {
    const document = JSON.parse(readFileSync(join(entryOf(directory, 'qcow'), 'sbom.spdx.json'), 'utf8'));
    const carried = document.packages.filter(
      ({ primaryPackagePurpose }: { primaryPackagePurpose?: string }) =>
        primaryPackagePurpose === 'CONTAINER',
    );
    expect(
      Object.fromEntries(
        carried.map(({ name, versionInfo }: { name: string; versionInfo: string }) => [name, versionInfo]),
      ),
    ).toEqual(images.digests);
  });

  test('a kubeadm that needs other images than default stands for is found out', async () => {
    const stage = await testStage(0);
    try {
      const tree = await unpackRootfs(join(entryOf(directory, 'osconfig'), 'rootfs.tar'), stage);
      const installed = { kubeadm: { version: '1.37.2-1.1', architecture: 'amd64' } };
      const default136 = { requested: ['default'], release: '1.36.3', mirrors: {} };
      await expect(requireKubeadmImages(default136, tree, installed, stage)).rejects.toThrow(
        /kubeadm v1\.37\.2 needs registry\.k8s\.io\/kube-apiserver:v1\.37\.2, .*registry\.k8s\.io\/etcd:3\.7\.0-0/,
      );
      const default137 = { ...default136, release: '1.37.2' };
      await expect(requireKubeadmImages(default137, tree, installed, stage)).resolves.toBeUndefined();
      const elsewhere = { ...default137, imageRepository: 'registry.example.org/k8s' };
      await expect(requireKubeadmImages(elsewhere, tree, installed, stage)).resolves.toBeUndefined();
    } finally {
      await stage.remove();
    }
  });
});
