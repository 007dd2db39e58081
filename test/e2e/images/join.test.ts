// A node that joins a cluster: the real kubelet, kubeadm, containerd and runc in an image, whose bundle is published because it has
// joined; and an image of the same packages that kubeadm is content with, though no Pod runs on it. Ten minutes
// and more where machines are emulated: `npm run test:images`.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubeadmImagesOf } from '../../../image-builder/spec/variables/kubernetes/minors.ts';
import type { GuestTestResult } from '../../../image-builder/stages/boot-test/guest-tests.ts';
import { type KubernetesImages, serveKubernetesImages } from '../support/kubernetes-images.ts';
import { buildNode, entryOf, kubernetesNode } from '../support/kubernetes-node.ts';
import {
  controlPlaneDirectories,
  type KubernetesPackages,
  serveKubernetesPackages,
} from '../support/kubernetes-packages.ts';

const MINOR = '1.37';
const SANDBOX_IMAGE = kubeadmImagesOf('1.37.2')?.find((image) => image.includes('/pause:')) ?? '';
const everything = process.env.IMAGES === 'all';

// No such plugin is anywhere.
const BROKEN_NETWORK = JSON.stringify({
  cniVersion: '1.0.0',
  name: 'broken',
  plugins: [{ type: 'no-such-plugin' }],
});

(everything ? describe : describe.skip)('a node joins a cluster', () => {
  const directory = mkdtempSync(join(tmpdir(), 'join-'));
  let packages: KubernetesPackages;
  let images: KubernetesImages;

  const build = (osconfig: object, preloaded: object = {}) => {
    const bootTest = { kubernetes: 'join', firmware: ['bios'] };
    const kubernetes = { version: MINOR, ...preloaded };
    const object = kubernetesNode(packages, MINOR, kubernetes, { osconfig, build: { bootTest } });
    const env = { IMAGE_BUILDER_CONTROL_PLANE: controlPlaneDirectories(MINOR).join(':') };
    return buildNode(directory, object, [], env);
  };

  beforeAll(async () => {
    packages = await serveKubernetesPackages(directory, 'trixie');
    images = await serveKubernetesImages(directory, [SANDBOX_IMAGE]);
  });
  afterAll(async () => {
    await packages?.stop();
    await images?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('an image on which no Pod runs is not published, and the kubelet says why', async () => {
    const files_append = [{ name: '/etc/cni/net.d/10-broken.conflist', file_content: BROKEN_NETWORK }];
    const { stderr } = await build({ files_append }).catch((error) => error);
    expect(stderr).toMatch(/tests inside of it failed: a Pod runs, .*\[TESTS_FAILED\]/);
    expect(stderr).toMatch(/Warning +FailedCreatePodSandBox .*no-such-plugin/);
    expect(stderr).toContain('the node is Ready after a reboot: it did not run');
    expect(existsSync(join(directory, 'out'))).toBe(false);
  }, 2_700_000);

  test('an image that joins is published, with what was met; its sandboxes are of the image that it carries', async () => {
    const { mirrors, digests } = images;
    const { stderr } = await build({}, { mirrors, preload: [`${SANDBOX_IMAGE}@${digests[SANDBOX_IMAGE]}`] });
    expect(stderr).toContain('[WARNING Network]: no network is configured');
    expect(stderr).not.toContain('[WARNING Sandbox]');
    const entry = entryOf(directory, 'boot-test');
    const { results } = JSON.parse(readFileSync(join(entry, 'tests.json'), 'utf8')) as {
      results: GuestTestResult[];
    };
    expect(results.filter(({ isMet }) => !isMet)).toEqual([]);
    expect(results.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['kubeadm join', 'exec in it', 'a Pod runs after the reboot']),
    );
    const { facts } = JSON.parse(readFileSync(join(entry, 'entry.json'), 'utf8'));
    expect(facts.readySeconds).toBeLessThan(facts.seconds);
    expect(existsSync(join(directory, 'out'))).toBe(true);
  }, 2_700_000);
});
