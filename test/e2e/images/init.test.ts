// A cluster of two machines from one image: `kubeadm init` in the one, with the real control plane from the images that the disk
// carries, and `kubeadm join` in the other, by a cable between them. `npm run test:images` tries the cable; the cluster is for
// machines where KVM works (KVM=works): kubeadm does not wait for an API server that is emulated.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubeadmImagesOf } from '../../../image-builder/spec/variables/kubernetes/minors.ts';
import type { ImageTest } from '../../../image-builder/spec/variables/resolved-tests.ts';
import { KvmMemory } from '../../../image-builder/stages/boot-test/accelerator.ts';
import {
  type MachineIdentity,
  writeConfigDrive,
} from '../../../image-builder/stages/boot-test/config-drive.ts';
import { LOGIN_PROMPT } from '../../../image-builder/stages/boot-test/console.ts';
import { GuestReport, type GuestTestResult } from '../../../image-builder/stages/boot-test/guest-tests.ts';
import { CONTROL_PLANE, WORKER } from '../../../image-builder/stages/boot-test/init/guest-tests.ts';
import { machineArguments } from '../../../image-builder/stages/boot-test/qemu-command.ts';
import { runMachine, type Trial } from '../../../image-builder/stages/boot-test/run-machine.ts';
import { type KubernetesImages, serveKubernetesImages } from '../support/kubernetes-images.ts';
import { buildNode, diskOf, imageBuilderIn, kubernetesNode } from '../support/kubernetes-node.ts';
import {
  controlPlaneDirectories,
  type KubernetesPackages,
  serveKubernetesPackages,
} from '../support/kubernetes-packages.ts';

const RELEASE = '1.37.2';
const MINOR = '1.37';
const everything = process.env.IMAGES === 'all';
const cluster = process.env.KVM === 'works' ? test : test.skip;

(everything ? describe : describe.skip)('two machines', () => {
  const directory = mkdtempSync(join(tmpdir(), 'init-'));
  let packages: KubernetesPackages;
  let images: KubernetesImages;
  let disk: string;

  beforeAll(async () => {
    packages = await serveKubernetesPackages(directory, 'trixie');
    const [programs = '', etcd = ''] = controlPlaneDirectories(MINOR);
    const names = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];
    images = await serveKubernetesImages(directory, kubeadmImagesOf(RELEASE) ?? [], {
      ...Object.fromEntries(names.map((name) => [name, join(programs, name)])),
      etcd: join(etcd, 'etcd'),
    });
    const { mirrors } = images;
    const object = kubernetesNode(packages, MINOR, { version: RELEASE, preload: ['default'], mirrors });
    await buildNode(directory, object);
    disk = diskOf(directory);
  }, 1_800_000);
  afterAll(async () => {
    await packages?.stop();
    await images?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** One end of the cable; its machine has an image of the test. */
  async function start(identity: MachineIdentity, tests: ImageTest[], isFirst: boolean, trial?: Trial) {
    const scratch = join(directory, identity.name);
    mkdirSync(scratch);
    const report = new GuestReport(tests);
    const machine = machineArguments({
      architecture: 'amd64',
      image: disk,
      format: 'qcow2',
      medium: 'disk',
      accelerator: (await new KvmMemory().verdict()) === 'works' ? 'kvm' : 'tcg',
      memoryMib: 1024,
      seed: await writeConfigDrive(scratch, tests, identity),
      reports: true,
      cable: { socket: join(directory, 'cable'), isFirst, mac: identity.mac },
    });
    await runMachine(machine, {
      architecture: 'amd64',
      expect: LOGIN_PROMPT,
      guestReport: report,
      ...(trial && { trial }),
      onLine: () => {},
      watchForStall: false,
      scratch,
    });
    return report;
  }

  test('two machines reach each other by the cable, and the first one is asked meanwhile', async () => {
    const serve = `python3 -m http.server 8080 --bind ${CONTROL_PLANE.address}`;
    const ask = `python3 -c 'from urllib.request import urlopen; print(urlopen("http://${CONTROL_PLANE.address}:8080/", timeout=60).status)'`;
    let answered: GuestTestResult | undefined;
    let asked: GuestReport | undefined;
    const trial: Trial = {
      progress: 'the second machine asks',
      async run(machine) {
        asked = await start(
          WORKER,
          [{ name: 'ask', script: ask, timeoutSeconds: 120, expected: '200' }],
          false,
        );
        answered = await machine.run({
          name: 'log',
          script: 'journalctl --unit=serve --output=cat',
          timeoutSeconds: 120,
        });
      },
    };
    const served = { name: 'serve', script: `systemd-run --unit=serve ${serve}`, timeoutSeconds: 60 };
    const report = await start(CONTROL_PLANE, [served], true, trial);
    expect(report.unmet).toEqual([]);
    expect(asked?.unmet).toEqual([]);
    expect(answered?.output).toContain(`${WORKER.address} - - `);
  }, 2_700_000);

  cluster(
    'the second one joins the cluster of the first',
    async () => {
      const options = ['--kubernetes', 'init', '--memory', '3072', '--timeout', '7200'];
      const { stdout } = await imageBuilderIn(directory, ['boot-test', disk, ...options]);
      expect(stdout).toMatch(/^kubeadm init: met after /m);
      expect(stdout).toMatch(/^worker-under-test: kubeadm join: met after /m);
      expect(stdout).toMatch(/^worker-under-test: a Pod runs after the reboot: met after /m);
      expect(stdout).toMatch(/^Ready in a cluster after /m);
    },
    9_000_000,
  );
});
