// The image-builder image as the predecessor's callers use it, in real containers with default capabilities and without
// a network: airshipctl's phases (contract v1), the make targets (contract v2), and IsoConfiguration as a KRM function.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { runGenericContainer } from '../support/airshipctl.ts';
import { type DockerEngine, run, useDocker } from '../support/docker.ts';
import { prepareImage, sharedImage } from '../support/prepared-image.ts';
import { startRegistry } from '../support/registry.ts';

const USER_DATA = '#cloud-config\n\nhostname: ephemeral\nruncmd:\n- echo "a: b"\n';
const NETWORK_DATA = '{"links": [{"id": "eno1"}],\n\t"networks": [], "services": []}\n';

let engine: DockerEngine;
let image: string;
let directory: string;

beforeAll(async () => {
  engine = await useDocker();
  directory = await mkdtemp(join(tmpdir(), 'image-builder-cut-'));
  ({ image } = await sharedImage(engine));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await engine.stop();
});

async function volume(files: Record<string, string> = {}): Promise<string> {
  const path = await mkdtemp(join(directory, 'volume-'));
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(path, name), text, { mode: 0o600 });
  }
  return path;
}

const md5 = async (path: string) =>
  createHash('md5')
    .update(await readFile(path))
    .digest('hex');

/** Files of an ISO, as xorriso reads them. */
async function isoFile(iso: string, path: string): Promise<string> {
  const target = join(directory, 'extracted');
  await rm(target, { force: true });
  await run('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', path, target]);
  await chmod(target, 0o600);
  return await readFile(target, 'utf8');
}

test('the image has no ENTRYPOINT, the path that callers have hard-coded, and the labels of make', async () => {
  const [inspected] = JSON.parse(await engine.docker(['image', 'inspect', image]));
  expect(inspected.Config.Entrypoint ?? null).toBeNull();
  expect(inspected.Config.Cmd).toEqual(['/usr/bin/local/entrypoint.sh']);
  expect(inspected.Config.Labels).toMatchObject({
    'org.opencontainers.image.licenses': 'Apache-2.0',
    'org.opencontainers.image.revision': 'abc',
    'org.opencontainers.image.title': 'image-builder',
    'org.example.build': 'test',
  });
  // A specification may hold secrets; whoever may look at an image sees its history.
  expect(await engine.docker(['history', '--no-trunc', image])).not.toContain('bookworm');
  expect(await engine.docker(['run', '--rm', image, 'cat', '/etc/image-builder/build.yaml'])).toContain(
    'fast',
  );
});

test('make pushes it', async () => {
  const registry = await startRegistry();
  try {
    // A small one: pushing takes as long as compressing.
    const variables = { IMAGE: `${registry.host}/site/image-builder:v1`, PUSH_IMAGE: 'true' };
    const pushed = await prepareImage(engine, variables, 'function');
    await engine.docker(['image', 'rm', pushed]);
    const inspect = ['inspect', '--tls-verify=false', '--format', '{{.Labels}}', `docker://${pushed}`];
    expect((await run('skopeo', inspect)).stdout).toContain('org.example.build:test');
  } finally {
    await registry.stop();
  }
});

describe('contract v1, as airshipctl calls it', () => {
  /** The command that every known site has in its phase; undefined leaves it to the image. */
  const COMMAND = ['/bin/bash', '-c', '/usr/bin/local/entrypoint.sh 1>&2'];
  const phase = (path: string, cmd?: string[]) =>
    runGenericContainer(
      {
        image,
        ...(cmd && { cmd }),
        mounts: [{ src: path, dst: '/config', readWrite: true }],
        envVars: [
          ...['IMAGE_TYPE=iso', 'BUILDER_CONFIG=/config/builder-conf.yaml', 'USER_DATA_FILE=user-data'],
          ...['NET_CONFIG_FILE=network-data', 'OUTPUT_FILE_NAME=ephemerial.iso'],
          ...['OUTPUT_METADATA_FILE_NAME=output-metadata.yaml', 'http_proxy=', 'https_proxy=', 'no_proxy='],
          ...['HTTP_PROXY=', 'HTTPS_PROXY=', 'NO_PROXY=', 'LOG_TO_STDERR=true', 'STRUCTURED_RESULTS=true'],
        ],
      },
      'apiVersion: config.kubernetes.io/v1alpha1\nkind: ResourceList\nitems: []\nfunctionConfig:\n  apiVersion: airshipit.org/v1alpha1\n  kind: DoesNotMatter\n  metadata:\n    name: isogen\n',
      engine.environment,
    );

  test.each([
    ['the command of airshipctl', COMMAND],
    ["no command but the image's own", undefined],
  ])('an ISO with the cloud-init data, its metadata with the path on the host: %s', async (_, cmd) => {
    const path = await volume({
      'builder-conf.yaml':
        'builder:\n  outputFileName: ephemeral.iso\ncontainer:\n  volume: /srv/images:/config\n',
      'user-data': USER_DATA,
      'network-data': NETWORK_DATA,
    });
    const began = performance.now();
    const result = await phase(path, cmd);
    const seconds = (performance.now() - began) / 1000;
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect((await readdir(path)).sort()).toEqual([
      ...['builder-conf.yaml', 'ephemeral.iso', 'network-data', 'output-metadata.yaml'],
      ...['profile_entrypoint.json', 'profile_multistrap.json', 'user-data'],
    ]);
    const iso = join(path, 'ephemeral.iso');
    expect(parse(await readFile(join(path, 'output-metadata.yaml'), 'utf8'))).toEqual({
      bootImagePath: '/srv/images/ephemeral.iso',
      md5sum: await md5(iso),
    });
    expect((await stat(iso)).mode & 0o777).toBe(0o644);
    expect(await isoFile(iso, '/openstack/latest/user_data')).toBe(USER_DATA);
    expect(JSON.parse(await isoFile(iso, '/openstack/latest/network_data.json'))).toEqual(
      JSON.parse(NETWORK_DATA),
    );
    console.info(`an ISO was cut in ${seconds.toFixed(1)} s`);
  });

  test('a mistake fails the phase with its field on standard error', async () => {
    const path = await volume({
      'builder-conf.yaml': 'container:\n  volume: /srv/images:/config\n',
      'user-data': 'x',
    });
    const result = await phase(path, COMMAND);
    expect(result.status).toBe(1);
    expect(result.stdout).toBe('');
    expect(result.stderr).toContain('NET_CONFIG_FILE: /config/network-data does not exist');
    expect(await readdir(path)).toHaveLength(2);
  });
});

describe('contract v2, as the make targets call it', () => {
  const indent = (text: string) => text.replace(/^/gm, '    ');
  const cut = (path: string, imageType: string, input: string, flags: readonly string[] = []) =>
    run(
      'docker',
      [
        ...['run', '--interactive', '--rm', '--network', 'none', '--volume', `${path}:/config`],
        ...[
          '--env',
          `IMAGE_TYPE=${imageType}`,
          '--env',
          'VERSION=v2',
          '--env',
          'http_proxy=',
          '--env',
          `IMAGE=${image}`,
        ],
        ...flags,
        image,
      ],
      { env: engine.environment, input },
    );

  test('an ISO of these cloud-init files, byte for byte', async () => {
    const path = await volume();
    const input = `user_data:\n${indent(USER_DATA)}\nnetwork_config:\n${indent(NETWORK_DATA)}\noutputFileName: site.iso\n`;
    const result = await cut(path, 'iso', input);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect((await readdir(path)).sort()).toEqual([
      ...['profile_entrypoint.json', 'profile_multistrap.json', 'site.iso', 'site.iso.md5sum'],
    ]);
    const iso = join(path, 'site.iso');
    expect(await readFile(`${iso}.md5sum`, 'utf8')).toBe(`${await md5(iso)}\n`);
    // The blank line stays: the predecessor lost it.
    expect(await isoFile(iso, '/openstack/latest/user_data')).toBe(USER_DATA);
    expect(JSON.parse(await isoFile(iso, '/openstack/latest/network_data.json'))).toEqual(
      JSON.parse(NETWORK_DATA),
    );
    expect(await isoFile(iso, '/AIRSHIP')).toBeDefined();
    // The same input gives the same bytes, whoever calls.
    const again = await volume();
    expect((await cut(again, 'iso', input)).status).toBe(0);
    expect(await md5(join(again, 'site.iso'))).toBe(await md5(iso));
  });

  test('a QCOW of these variables', async () => {
    const path = await volume();
    const osconfig = indent('banners:\n  login: hello from v2');
    const qcow = indent('img_name: ignored-for-outputFileName\nqcow_capacity: 3G');
    const input = `osconfig:\n${osconfig}\nqcow:\n${qcow}\noutputFileName: control-plane.qcow2\n`;
    const result = await cut(path, 'qcow', input);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect((await readdir(path)).sort()).toEqual([
      ...['control-plane.qcow2', 'control-plane.qcow2.md5sum'],
      ...['profile_entrypoint.json', 'profile_multistrap.json'],
    ]);
    const qcow2 = join(path, 'control-plane.qcow2');
    expect(await readFile(`${qcow2}.md5sum`, 'utf8')).toBe(`${await md5(qcow2)}\n`);
    const info = JSON.parse((await run('qemu-img', ['info', '--output=json', qcow2])).stdout);
    expect(info).toMatchObject({ format: 'qcow2', 'virtual-size': 3 * 1024 ** 3 });
    const profile = JSON.parse(await readFile(join(path, 'profile_entrypoint.json'), 'utf8'));
    expect(profile).toMatchObject({
      qcow_capacity: '3G',
      image_builder_image: image,
      banners: { login: expect.stringContaining('hello from v2') },
    });
    // As cut_image.sh of the predecessor starts it: with more rights, and with a /proc in which our ids are those of others.
    // Its --privileged is more than an engine can give that has not every capability itself.
    const privileged = await volume();
    const rights = ['--cap-add', 'SYS_ADMIN', '--security-opt', 'seccomp=unconfined'];
    const flags = [...rights, '--volume', '/proc:/proc:rw'];
    expect(await cut(privileged, 'qcow', input, flags)).toMatchObject({ status: 0, stdout: '' });
    expect(await md5(join(privileged, 'control-plane.qcow2'))).toBe(await md5(qcow2));
  });

  test.each([
    ['iso', `user_data:\n    x\n`, 'network_config: is missing or empty'],
    ['qcow', `qcow:\n    qcow_capcity: 3G\n`, 'qcow.qcow_capcity'],
    ['raw', '', 'IMAGE_TYPE: is "raw"'],
  ])('an error for a wrong %s', async (imageType, input, message) => {
    const path = await volume();
    const result = await cut(path, imageType, input);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(message);
    expect(result.stdout).toBe('');
    expect(await readdir(path)).toEqual([]);
  });

  test('a container that is stopped on the way leaves nothing behind', async () => {
    const path = await volume();
    const name = `image-builder-test-${process.pid}`;
    const child = spawn(
      'docker',
      [
        ...[
          'run',
          '--interactive',
          '--rm',
          '--name',
          name,
          '--network',
          'none',
          '--volume',
          `${path}:/config`,
        ],
        ...['--env', 'IMAGE_TYPE=qcow', '--env', 'VERSION=v2', image],
      ],
      { env: engine.environment, stdio: ['pipe', 'ignore', 'pipe'] },
    );
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const exited = new Promise<number | null>((done) => child.once('exit', done));
    child.stdin.end('qcow:\n    qcow_capacity: 3G\n');
    while (!stderr.includes('qcow/') && child.exitCode === null) await sleep(100);
    await engine.docker(['stop', '--time', '30', name]);
    expect(await exited).not.toBe(0);
    expect(await readdir(path)).toEqual([]);
  });
});

describe('IsoConfiguration as a KRM function', () => {
  test('one run makes the ISO from the Secret and the BareMetalHost among the items', async () => {
    const path = await volume();
    const functionConfig = {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'IsoConfiguration',
      metadata: { name: 'isogen' },
      builder: { outputFileName: 'ephemeral.iso' },
      container: { volume: `${path}:/config` },
    };
    const items = [
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'user-data', labels: { 'airshipit.org/ephemeral-user-data': 'true' } },
        data: { userData: Buffer.from(USER_DATA).toString('base64') },
      },
      {
        apiVersion: 'metal3.io/v1alpha1',
        kind: 'BareMetalHost',
        metadata: { name: 'node01', labels: { 'airshipit.org/ephemeral-node': 'true' } },
        spec: { networkData: { name: 'network', namespace: 'default' } },
      },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'network' },
        stringData: { networkData: NETWORK_DATA },
      },
    ];
    const list = { apiVersion: 'config.kubernetes.io/v1', kind: 'ResourceList', functionConfig, items };
    const result = await run(
      'docker',
      ['run', '--rm', '-i', '--network', 'none', '--mount', `type=bind,source=${path},target=/config`, image],
      { env: engine.environment, input: JSON.stringify(list) },
    );
    expect(result).toMatchObject({ status: 0 });
    // airshipctl prints what comes back: no Secret is among it.
    expect(parse(result.stdout).items).toEqual([]);
    expect(await isoFile(join(path, 'ephemeral.iso'), '/openstack/latest/user_data')).toBe(USER_DATA);
    expect(parse(await readFile(join(path, 'output-metadata.yaml'), 'utf8')).bootImagePath).toBe(
      join(path, 'ephemeral.iso'),
    );
    // The data is in the ISO, not in what is printed.
    expect(result.stderr + result.stdout).not.toContain('hostname');
  });
});
