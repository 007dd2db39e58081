// A bundle is built again from its provenance alone: by the name of an image in an index, the same bytes; and other bytes when
// what it was built from has changed since. Three builds, so only with IMAGES=all (npm run test:images).
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { parse } from 'yaml';
import { temporaryDirectory } from '../bundle/support.ts';
import { executable } from '../support/executables.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

jest.setTimeout(1_800_000);

const cwd = temporaryDirectory();
const everything = process.env.IMAGES === 'all' ? test : test.skip;

let registry: TestRegistry;
let files: Server;
/** What the server has for the build to fetch. */
let content = 'one';

beforeAll(async () => {
  registry = await startRegistry();
  files = createServer((_, response) => response.end(content));
  await new Promise<void>((listening) => files.listen(0, '127.0.0.1', listening));
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(cwd, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(cwd, 'key.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
});
afterAll(async () => {
  await registry.stop();
  files.closeAllConnections();
  files.close();
});

/** Runs the command; the servers of this process answer meanwhile. */
async function imageBuilder(...args: string[]) {
  const env = {
    IMAGE_BUILDER_STORE: join(cwd, 'store'),
    IMAGE_BUILDER_CACHE: join(cwd, 'cache'),
    IMAGE_BUILDER_SIGNING_KEY: join(cwd, 'key.pem'),
  };
  return await execa(executable('image-builder'), args, { cwd, env, reject: false });
}

everything('the image of an index, the same; and otherwise when what is fetched has changed', async () => {
  const repository = `${registry.host}/site/bundle`;
  const url = `http://127.0.0.1:${(files.address() as AddressInfo).port}/agent`;
  writeFileSync(
    join(cwd, 'image.yaml'),
    JSON.stringify({
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name: 'small' },
      spec: {
        build: {
          distribution: 'debian-13',
          rootfs: {
            multistrap: {
              kernel_base_pkg: 'linux-image-cloud-amd64',
              kernel_headers_pkg: '',
              packages: ['systemd-sysv', 'dbus'],
            },
            // Nobody has said what it has to be.
            osconfig: { fetch_from_url: [{ url, dest: '/opt/agent' }] },
          },
          qcows: { node: { qcow: { qcow_capacity: '4G' } } },
          bundle: { repository, tag: 'v1', disks: true, attest: { signature: true, provenance: true } },
        },
      },
    }),
  );
  const built = await imageBuilder('build', 'image.yaml');
  expect({ exitCode: built.exitCode, stderr: built.exitCode === 0 ? '' : built.stderr }).toEqual({
    exitCode: 0,
    stderr: '',
  });

  const index = await execa('skopeo', [
    'inspect',
    '--raw',
    '--tls-verify=false',
    `docker://${repository}:v1`,
  ]);
  const { manifests } = JSON.parse(index.stdout);
  const isDisk = ({ annotations = {} }: { annotations?: object }) => 'disktype' in annotations;
  const bundle = manifests.find((one: object) => !isDisk(one));
  const child = `${repository}@${bundle.digest}`;
  const rebuild = ['verify', child, '--key', 'key.pub', '--rebuild'];
  const same = await imageBuilder(...rebuild, '--output', 'yaml');
  expect({ exitCode: same.exitCode, stderr: same.exitCode === 0 ? '' : same.stderr }).toEqual({
    exitCode: 0,
    stderr: '',
  });
  expect(parse(same.stdout).rebuild).toMatchObject({ different: [], tools: [] });

  const disk = manifests.find(isDisk);
  const ofDisk = await imageBuilder(
    'verify',
    `${repository}@${disk.digest}`,
    '--key',
    'key.pub',
    '--rebuild',
  );
  expect(ofDisk.stderr).toContain('[REBUILD_UNDESCRIBED]');

  content = 'two';
  const other = await imageBuilder(...rebuild);
  expect(other.exitCode).toBe(1);
  expect(other.stderr).toContain('[REBUILD_DIFFERS]');
  expect(other.stderr).toContain('The tools are the same: somebody has built it from something else');
  expect(other.stderr).toMatch(/ {2}\| disk node\.qcow2: sha256:[0-9a-f]{64} → sha256:[0-9a-f]{64}\n/);
  // What has changed inside, as `diff` tells it.
  expect(other.stdout).toMatch(/built again: \d+ of \d+ digests differ/);
  expect(other.stdout).toMatch(
    /\n {2}download {2}\/opt\/agent {2}sha256:[0-9a-f]{64} {2}sha256:[0-9a-f]{64}\n/,
  );
});
