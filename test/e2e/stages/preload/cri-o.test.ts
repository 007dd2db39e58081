// A node with `runtime: cri-o`, as far as that goes without CRI-O: its daemon cannot be had for the tests. Its package is one of the
// test, with the files in /etc that the real one has. Everything else is real: the packages of Kubernetes, and skopeo in the image
// that was built, which has the library of CRI-O for registries, signature policies and the store of images.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { podProgram } from '../../../../image-builder/embedded/guest-program.ts';
import { kubeadmImagesOf } from '../../../../image-builder/spec/variables/kubernetes/minors.ts';
import { unpackRootfs } from '../../../../image-builder/stages/osconfig/configure.ts';
import {
  buildPackages,
  FileServer,
  forgetKey,
  makeKey,
  publishFlat,
  type SigningKey,
} from '../../support/apt-repository.ts';
import { type KubernetesImages, serveKubernetesImages } from '../../support/kubernetes-images.ts';
import { buildNode, entryOf, kubernetesNode } from '../../support/kubernetes-node.ts';
import { type KubernetesPackages, serveKubernetesPackages } from '../../support/kubernetes-packages.ts';
import { type TestStage, testStage } from '../../support/stage-context.ts';

const MINOR = '1.37';
const RELEASE = '1.37.2';
const IMAGES = kubeadmImagesOf(RELEASE) ?? [];
const [PAUSE = ''] = IMAGES.filter((reference) => reference.includes('/pause:'));
const EXAMPLE = '/etc/cni/net.d/11-crio-ipv4-bridge.conflist';
const directory = mkdtempSync(join(tmpdir(), 'cri-o-'));
const www = join(directory, 'cri-o');
const server = new FileServer(www);
let key: SigningKey;
let packages: KubernetesPackages;
let images: KubernetesImages;
let url: string;

/** Below a path of the server, in a version. */
function publish(path: string, version: string): void {
  const unit =
    '[Unit]\nBefore=kubelet.service\n[Service]\nExecStart=/usr/bin/crio\n[Install]\nWantedBy=multi-user.target\n';
  const files = {
    '/usr/lib/systemd/system/crio.service': unit,
    '/etc/crio/crio.conf.d/10-crio.conf': '[crio.image]\nsignature_policy = "/etc/crio/policy.json"\n',
    '/etc/crio/policy.json': '{"default": [{"type": "insecureAcceptAnything"}]}\n',
    '/etc/crictl.yaml': 'runtime-endpoint: unix:///example\n',
    [EXAMPLE]: '{"cniVersion": "1.0.0", "name": "crio", "plugins": [{"type": "bridge"}]}\n',
  };
  buildPackages(join(www, path), [{ name: 'cri-o', version, files, control: ['Depends: iptables'] }]);
  publishFlat(join(www, path), key);
}
const repository = (path: string) => ({
  ...{ name: 'cri-o', source: `${url}/${path}`, suite: '/' },
  keyring: key.armoured,
});

beforeAll(async () => {
  key = makeKey(directory, 'cri-o');
  publish('same', '1.37.4-1.1');
  publish('older', '1.36.9-1.1');
  url = await server.start();
  packages = await serveKubernetesPackages(directory, 'trixie');
  images = await serveKubernetesImages(directory, IMAGES);
});
afterAll(async () => {
  await server.stop();
  await packages?.stop();
  await images?.stop();
  forgetKey(key);
  rmSync(directory, { recursive: true, force: true });
});

test.each([
  ['its minor version is not there', {}, 'have 1.36.9-1.1'],
  [
    'another one is named',
    { packages: ['cri-o'] },
    'kubelet 1.37.2-1.1 needs CRI-O of the same minor version, and the repositories give cri-o 1.36.9-1.1',
  ],
])('what the repositories decide is told before anything is fetched: %s', async (_what, named, message) => {
  const repositories = [{ ...repository('older'), ...named }];
  const object = kubernetesNode(packages, MINOR, { version: MINOR, runtime: 'cri-o' }, { repositories });
  const failed = await buildNode(directory, object, ['--dry-run']).catch((error) => error);
  expect(failed.stderr).toContain(message);
});

describe('a node', () => {
  let stage: TestStage;
  let tree: string;

  // The disk has them from its own stage. Mounts are gone with the process.
  const carried = () => join(tree, 'var/lib/image-builder/preload');
  /** Runs a script in the image, as root of the node would. */
  const inside = (script: string) =>
    execFileSync(
      'unshare',
      [
        ...['--mount', '--pid', '--fork', '--kill-child', 'sh', '-euc'],
        'mount --rbind "$0" "$0"; mount -t proc proc "$0/proc"; mount -t tmpfs tmpfs "$0/run"; mount --rbind /dev "$0/dev"; mount --bind "$1" "$2"; exec chroot "$0" sh -euc "$3"',
        ...[tree, entryOf(directory, 'preload'), carried(), script],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
  /** Of the host, on the same store. */
  const podman = (...args: string[]) =>
    execFileSync(
      'podman',
      ['--root', join(tree, 'var/lib/containers/storage'), '--runroot', join(directory, 'run'), ...args],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
  const namesOf = (reference: string) => [
    reference,
    `${reference.replace(/:[^:]*$/, '')}@${images.digests[reference]}`,
  ];

  beforeAll(async () => {
    const cni = { '20-pods': { cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'bridge' }] } };
    const { mirrors } = images;
    const kubernetes = { version: RELEASE, runtime: 'cri-o', preload: ['default'], mirrors, cni };
    const repositories = [repository('same')];
    await buildNode(directory, kubernetesNode(packages, MINOR, kubernetes, { repositories }));
    stage = await testStage(0);
    tree = await unpackRootfs(join(entryOf(directory, 'osconfig'), 'rootfs.tar'), stage);
    mkdirSync(carried(), { recursive: true });
  }, 1_800_000);
  afterAll(() => stage?.remove());

  test('its runtime is CRI-O, held, enabled and configured', () => {
    expect(inside('apt-mark showhold')).toMatch(/^cri-o$/m);
    expect(inside('dpkg-query -W')).not.toMatch(/^containerd/m);
    expect(inside('systemctl is-enabled crio kubelet image-builder-preload')).toBe(
      'enabled\nenabled\nenabled\n',
    );
    expect(readFileSync(join(tree, 'etc/crictl.yaml'), 'utf8')).toContain('unix:///var/run/crio/crio.sock');
    const config = join(tree, 'etc/crio/crio.conf.d/50-image-builder.conf');
    expect(parseToml(readFileSync(config, 'utf8'))).toMatchObject({
      crio: { image: { pause_image: PAUSE } },
    });
  });

  test('the example network of its package is gone, and stays so when that is configured again', () => {
    expect(existsSync(join(tree, EXAMPLE))).toBe(false);
    expect(existsSync(join(tree, 'etc/cni/net.d/20-pods.conflist'))).toBe(true);
    // The package keeps what else it brought.
    expect(existsSync(join(tree, 'etc/crio/policy.json'))).toBe(true);
  });

  test('its mirrors are those that the library of CRI-O asks', () => {
    const image = JSON.parse(inside(`skopeo inspect --no-tags docker://${PAUSE}`));
    expect(image.Digest).toBe(images.digests[PAUSE]);
  });

  test('the images of the disk are in the store of CRI-O by tag and by digest, and are not imported twice', () => {
    inside('/usr/lib/image-builder/import-images');
    for (const reference of IMAGES) {
      const [stored] = JSON.parse(podman('image', 'inspect', reference));
      expect(stored.RepoTags).toEqual([reference]);
      expect(stored.RepoDigests).toContain(namesOf(reference)[1]);
      for (const name of namesOf(reference)) podman('image', 'exists', name);
    }
    const list = join(tree, 'var/lib/containers/storage/overlay-images/images.json');
    const { mtimeMs } = statSync(list);
    inside('/usr/lib/image-builder/import-images');
    expect(statSync(list).mtimeMs).toBe(mtimeMs);
    podman('image', 'rm', PAUSE);
    inside('/usr/lib/image-builder/import-images');
    podman('image', 'exists', PAUSE);
  });

  test('CRI-O is told to keep all of them, in a file that it reads after its own', () => {
    inside('/usr/lib/image-builder/pin-images');
    const pins = join(tree, 'etc/crio/crio.conf.d/60-image-builder-preload.conf');
    expect(parseToml(readFileSync(pins, 'utf8'))).toEqual({
      crio: { image: { pinned_images: expect.arrayContaining(IMAGES.flatMap(namesOf)) } },
    });
    expect(inside('ls /etc/crio')).toBe('crio.conf.d\npolicy.json\n');
  });

  test('a boot test can give it the image of its Pod', () => {
    const add = `import_image(Crio(), "image-builder.invalid/node-programs:test", programs_layer(), ["/bin/sh"])`;
    writeFileSync(join(tree, 'add.py'), podProgram.replace('main(*sys.argv[1:])', add));
    inside('mkdir /run/image-builder-tests; python3 -I /add.py; rm /add.py');
    const [image] = JSON.parse(podman('image', 'inspect', 'image-builder.invalid/node-programs:test'));
    expect(image.Config.Entrypoint).toEqual(['/bin/sh']);
  });
});
