// The two ways of a node from one minor version of Kubernetes to the next, each against a real control plane of the newer one: the
// machine deployed anew with the next image under the same name, as Metal3 does, and the packages in the machine by `kubeadm
// upgrade node`. Two builds and three boots: `npm run test:images`.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { controlPlanePrograms } from '../../../image-builder/sandbox/control-plane-programs.ts';
import type { ImageTest } from '../../../image-builder/spec/variables/resolved-tests.ts';
import { KvmMemory } from '../../../image-builder/stages/boot-test/accelerator.ts';
import { NODE_NAME, writeConfigDrive } from '../../../image-builder/stages/boot-test/config-drive.ts';
import { LOGIN_PROMPT } from '../../../image-builder/stages/boot-test/console.ts';
import { GuestReport } from '../../../image-builder/stages/boot-test/guest-tests.ts';
import { ControlPlane } from '../../../image-builder/stages/boot-test/join/control-plane.ts';
import { joinTests } from '../../../image-builder/stages/boot-test/join/guest-tests.ts';
import { forward, NODE_ADDRESS } from '../../../image-builder/stages/boot-test/join/network.ts';
import { NodeProof } from '../../../image-builder/stages/boot-test/join/node-proof.ts';
import { machineArguments } from '../../../image-builder/stages/boot-test/qemu-command.ts';
import { runMachine, type Trial } from '../../../image-builder/stages/boot-test/run-machine.ts';
import { judge } from '../../../image-builder/stages/boot-test/verdict.ts';
import { buildNode, diskOf, kubernetesNode } from '../support/kubernetes-node.ts';
import {
  controlPlaneDirectories,
  type KubernetesPackages,
  serveKubernetesPackages,
} from '../support/kubernetes-packages.ts';

const [OLD, NEW] = ['1.36', '1.37'] as const;
/** Of the packages that the tests have made. */
const RELEASES = { [OLD]: 'v1.36.3', [NEW]: 'v1.37.2' };
/** Where a machine finds the repositories. */
const PACKAGES_ADDRESS = '10.0.2.101';
const KUBELET = ['--kubeconfig', '/etc/kubernetes/kubelet.conf'];
const everything = process.env.IMAGES === 'all';

(everything ? describe : describe.skip)('from one minor version to the next', () => {
  const directory = mkdtempSync(join(tmpdir(), 'upgrade-'));
  let packages: KubernetesPackages;
  let cluster: ControlPlane;

  async function build(minor: string): Promise<string> {
    const place = join(directory, minor);
    mkdirSync(place);
    const kubernetes = { version: minor, kubeletConfiguration: { maxPods: 42 } };
    await buildNode(place, kubernetesNode(packages, minor, kubernetes));
    return diskOf(place);
  }

  /** Boots an image, has it join, and puts it through the rest. */
  async function boot(name: string, image: string, tests: readonly ImageTest[], trial: Trial): Promise<void> {
    const scratch = join(directory, name);
    mkdirSync(scratch);
    const expected = [...joinTests(cluster.invitation, { name: NODE_NAME, address: NODE_ADDRESS }), ...tests];
    const guestReport = new GuestReport(expected);
    const url = new URL(packages.source(NEW).source);
    const console = await runMachine(
      machineArguments({
        architecture: 'amd64',
        image,
        format: 'qcow2',
        medium: 'disk',
        accelerator: (await new KvmMemory().verdict()) === 'works' ? 'kvm' : 'tcg',
        memoryMib: 2048,
        seed: await writeConfigDrive(scratch, expected),
        reports: true,
        network: [
          ...cluster.networkOptions,
          await forward(scratch, `${PACKAGES_ADDRESS}:${url.port}`, Number(url.port)),
        ],
      }),
      {
        architecture: 'amd64',
        expect: LOGIN_PROMPT,
        guestReport,
        trial,
        onLine: () => {},
        watchForStall: false,
        scratch,
      },
    );
    judge(guestReport, console?.text ?? '', trial instanceof NodeProof ? trial : undefined);
  }

  async function kubectl(...args: string[]): Promise<string> {
    const { signal } = new AbortController();
    const { status, stdout, output } = await cluster.kubectl(args, { seconds: 660, signal });
    if (status !== 0) throw new Error(output);
    return stdout.trim();
  }

  async function ready(): Promise<void> {
    // kubeadm is content before the kubelet has registered it.
    for (const event of ['create', 'condition=Ready'])
      await kubectl('wait', `--for=${event}`, `node/${NODE_NAME}`, '--timeout=600s');
  }
  const fact = (path: string) => kubectl('get', 'node', NODE_NAME, '--output', `jsonpath={${path}}`);
  const kubeletVersion = () => fact('.status.nodeInfo.kubeletVersion');

  /** What becomes of a node of the old image before it is deployed anew. */
  const retire: Trial = {
    progress: 'the node is retired',
    async run() {
      await ready();
      expect(await kubeletVersion()).toBe(RELEASES[OLD]);
      await kubectl('drain', NODE_NAME, '--force', '--ignore-daemonsets', '--delete-emptydir-data');
    },
  };

  let images: Record<typeof OLD | typeof NEW, string>;

  beforeAll(async () => {
    packages = await serveKubernetesPackages(directory, 'trixie', [OLD, NEW]);
    images = { [OLD]: await build(OLD), [NEW]: await build(NEW) };
    cluster = await ControlPlane.start(controlPlanePrograms(controlPlaneDirectories(NEW)), () => {});
  }, 1_800_000);
  afterAll(async () => {
    await cluster?.stop();
    await packages?.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  afterEach(() => cluster?.forgetNode(NODE_NAME));

  test('a node is replaced by one of the next image under the same name', async () => {
    await boot('old', images[OLD], [], retire);
    const before = await fact('.metadata.uid');
    await cluster.forgetNode(NODE_NAME);
    const proof = new NodeProof(cluster, NODE_NAME, () => {});
    await boot('new', images[NEW], [], proof);
    expect(await kubeletVersion()).toBe(RELEASES[NEW]);
    expect(await fact('.metadata.uid')).not.toBe(before);
  }, 2_700_000);

  test('a node is upgraded to the packages of the next one, and keeps what its image has said of the kubelet', async () => {
    const proof = new NodeProof(cluster, NODE_NAME, () => {});
    await boot('upgraded', images[OLD], [...upgradeTests(packages)], proof);
    expect(await kubeletVersion()).toBe(RELEASES[NEW]);
    expect(await fact('.status.capacity.pods')).toBe('42');
  }, 2_700_000);
});

/** What docs/how-to/kubernetes-nodes.md says, in the machine. */
function upgradeTests(packages: KubernetesPackages): ImageTest[] {
  const [from, to] = [OLD, NEW].map((minor) => packages.source(minor).source) as [string, string];
  const there = to.replace('127.0.0.1', PACKAGES_ADDRESS);
  const kubectl = `kubectl ${KUBELET.join(' ')}`;
  const step = (name: string, script: string, more: Partial<ImageTest> = {}): ImageTest => ({
    name,
    script: `set -eu\n${script}\n`,
    timeoutSeconds: 900,
    ...more,
  });
  return [
    step(
      'it is Ready',
      `for event in create condition=Ready; do
  ${kubectl} wait --for=$event node/${NODE_NAME} --timeout=600s
done`,
    ),
    step(
      'its version',
      `${kubectl} get node ${NODE_NAME} --output 'jsonpath={.status.nodeInfo.kubeletVersion}'`,
      { expected: RELEASES[OLD] },
    ),
    step(
      'the source of its packages',
      `sed -i 's|${from}|${there}|' /etc/apt/sources.list.d/kubernetes.sources
apt-get update -o Dir::Etc::sourcelist=sources.list.d/kubernetes.sources -o Dir::Etc::sourceparts=-`,
    ),
    step(
      'kubeadm upgrade node',
      `apt-mark unhold kubeadm kubelet kubectl
apt-get install --yes kubeadm
kubeadm upgrade node`,
    ),
    step(
      'kubelet and kubectl',
      `apt-get install --yes kubelet kubectl
apt-mark hold kubeadm kubelet kubectl
systemctl daemon-reload
systemctl restart kubelet`,
    ),
    step(
      'its version after the upgrade',
      `${kubectl} wait node/${NODE_NAME} --for='jsonpath={.status.nodeInfo.kubeletVersion}=${RELEASES[NEW]}' --timeout=600s`,
    ),
  ];
}
