// What is newer than a lock: the repository of Kubernetes moves on after the build was locked, and has a later minor version;
// the tag of an image that the disks carry moves, too.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { writeLayout } from '../../support/images.ts';
import { buildPackages, FileServer, forgetKey, makeKey, publishFlat } from '../support/apt-repository.ts';
import { executable } from '../support/executables.ts';
import { skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';

const directory = mkdtempSync(join(tmpdir(), 'outdated-'));
const www = join(directory, 'www');
const key = makeKey(directory, 'kubernetes');
const cli = executable('image-builder');
let server: FileServer;
let registry: TestRegistry;
let agent: string;

function publish(minor: string, versions: string[]): void {
  const flat = join(www, `v${minor}/deb`);
  mkdirSync(flat, { recursive: true });
  const names = ['kubelet', 'kubeadm', 'kubectl'];
  buildPackages(flat, [
    ...versions.flatMap((version) => names.map((name) => ({ name, version, files: {} }))),
    ...['cri-tools', 'kubernetes-cni'].map((name) => ({ name, version: '1.0-1.1', files: {} })),
  ]);
  publishFlat(flat, key);
}

/** Pushes an image under the one tag; returns its digest. */
async function push(content: string): Promise<string> {
  const layout = join(directory, `agent-${content}`);
  const { digest } = await writeLayout(layout, { layers: [{ entries: [{ name: 'agent', content }] }] });
  await skopeoCopy(`oci:${layout}:latest`, `docker://${agent}`, '--preserve-digests');
  return digest;
}

/** Not the synchronous form: the repositories are served by this process. */
async function run(...argv: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const env = { ...process.env, IMAGE_BUILDER_STORE: join(directory, 'store') };
  return await promisify(execFile)(cli, argv, { cwd: directory, env, maxBuffer: 1 << 26 }).then(
    (output) => ({ status: 0, ...output }),
    (error) => ({ status: error.code, stdout: error.stdout, stderr: error.stderr }),
  );
}

beforeAll(async () => {
  publish('1.35', ['1.35.2-1.1']);
  publish('1.36', ['1.36.0-1.1', '1.36.10-1.1', '1.36.9-1.1']);
  server = new FileServer(www);
  const url = await server.start();
  registry = await startRegistry();
  agent = `${registry.host}/agent:v1`;
  const build = {
    distribution: 'debian-13',
    lock: 'node.lock.yaml',
    kubernetes: { version: '1.35', source: `${url}/v1.35/deb`, keyring: key.armoured, preload: [agent] },
    rootfs: {
      multistrap: { packages: ['dbus'], kernel_base_pkg: 'linux-image-cloud-amd64', multistrap_retries: 0 },
    },
  };
  writeFileSync(
    join(directory, 'node.yaml'),
    JSON.stringify({
      ...{ apiVersion: 'airshipit.org/v1alpha1', kind: 'ImageBuilder', metadata: { name: 'node' } },
      spec: { build },
    }),
  );
});
afterAll(async () => {
  await server?.stop();
  await registry?.stop();
  forgetKey(key);
  rmSync(directory, { recursive: true, force: true });
});

test('nothing but a later minor version is newer than a fresh lock, then a release of the own one', async () => {
  const before = await push('one');
  expect(await run('lock', 'node.yaml')).toMatchObject({ status: 0 });
  const lock = parse(readFileSync(join(directory, 'node.lock.yaml'), 'utf8'));
  expect(lock.architectures.amd64.images).toEqual({ [agent]: before });
  const fresh = await run('outdated', 'node.yaml', '--exit-code');
  expect(fresh).toMatchObject({ status: 0 });
  expect(fresh.stdout).toBe(
    [
      'kubernetes: 1.35.2-1.1, end of life 2027-02-28',
      'kubernetes 1.36: 1.36.10-1.1, end of life 2027-06-28',
      'Nothing is newer.\n',
    ].join('\n'),
  );
  publish('1.35', ['1.35.2-1.1', '1.35.3-1.1']);
  const after = await push('other');
  const { status, stdout } = await run('outdated', 'node.yaml', '--exit-code', '--output', 'json');
  expect(status).toBe(2);
  expect(JSON.parse(stdout)).toEqual({
    ...{ name: 'node', architecture: 'amd64', locked: true },
    kubernetes: {
      ...{ version: '1.35.2-1.1', newest: '1.35.3-1.1' },
      ...{ endOfLife: '2027-02-28', isPastEndOfLife: false },
      later: [{ minor: '1.36', version: '1.36.10-1.1', endOfLife: '2027-06-28' }],
    },
    packages: ['kubeadm', 'kubectl', 'kubelet'].map((name) => ({
      ...{ name, role: 'kubernetes', before: '1.35.2-1.1', after: '1.35.3-1.1', security: false },
    })),
    images: [{ reference: agent, before, after }],
  });
});

test('a repository that cannot be read is an error, not nothing that is newer', async () => {
  await server.stop();
  const { status, stdout, stderr } = await run('outdated', 'node.yaml', '--exit-code');
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toContain('spec.build.kubernetes.source');
});
