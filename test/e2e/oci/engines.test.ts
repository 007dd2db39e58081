// docker-daemon: against engines that run: Docker's own, and Podman's service.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { copyBundle } from '../../../image-builder/bundle/copy/copy-disks.ts';
import { readBundle } from '../../../image-builder/bundle/read/read-bundle.ts';
import { MULTISTRAP_PROFILE, ownBundle, predecessorBundle, QCOW_PROFILE } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import { type DockerEngine, useDocker } from '../support/docker.ts';
import { startEngineTls } from '../support/engine-tls.ts';
import { skopeoCopy } from '../support/registry.ts';

const run = promisify(execFile);
let directory: string;
const at = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'engines-'));
  await writeLayout(at('own'), ownBundle());
  await writeLayout(at('predecessor'), predecessorBundle());
  for (const name of ['own', 'predecessor']) {
    await skopeoCopy(`oci:${at(name)}:v1`, `docker-archive:${at(name)}.tar:test.example/${name}:v1`);
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What has to hold for every engine. */
async function expectBundles(environment: Record<string, string>): Promise<void> {
  for (const name of ['own', 'predecessor']) {
    const reference = `docker-daemon:test.example/${name}:v1`;
    for (const verify of ['partial', 'full'] as const) {
      const reading = await readBundle(reference, { environment, verify });
      expect(reading.profiles.map(({ json }) => json)).toEqual([MULTISTRAP_PROFILE, QCOW_PROFILE]);
    }
    const target = mkdtempSync(at('copied-'));
    const { files } = await copyBundle(reference, target, [], { environment });
    expect(files.map(({ path }) => path)).toContain(join(target, 'control-plane.qcow2'));
    expect(readFileSync(join(target, 'control-plane.qcow2'))).toHaveLength(2_000_000);
  }
  await expect(readBundle('docker-daemon:test.example/nothing:v1', { environment })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
}

describe('Docker', () => {
  let engine: DockerEngine;
  beforeAll(async () => {
    engine = await useDocker();
    for (const name of ['own', 'predecessor']) await engine.docker(['load', '--input', `${at(name)}.tar`]);
  });
  afterAll(async () => {
    for (const name of ['own', 'predecessor']) await engine.docker(['rmi', `test.example/${name}:v1`]);
    await engine.stop();
  });

  it('gives bundles', () => expectBundles({ DOCKER_HOST: engine.environment.DOCKER_HOST ?? '' }));

  it('gives them by TLS', async () => {
    const socket = (engine.environment.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace('unix://', '');
    const behind = await startEngineTls(socket, at('tls'));
    try {
      await expectBundles(behind.environment);
    } finally {
      await behind.stop();
    }
  });
});

describe('Podman', () => {
  let service: ChildProcess;
  const socket = () => at('podman.sock');
  const storage = () => ['--root', at('podman'), '--runroot', at('podman-run'), '--storage-driver', 'vfs'];
  beforeAll(async () => {
    for (const name of ['own', 'predecessor']) {
      await run('podman', [...storage(), 'load', '--input', `${at(name)}.tar`]);
    }
    const args = [...storage(), 'system', 'service', '--time', '0', `unix://${socket()}`];
    service = spawn('podman', args, { stdio: 'ignore' });
    for (let attempt = 0; attempt < 200 && !existsSync(socket()); attempt++) await sleep(50);
  });
  afterAll(async () => {
    const exited = new Promise((done) => service.once('exit', done));
    service.kill('SIGTERM');
    await exited;
  });

  it('gives bundles', () => expectBundles({ DOCKER_HOST: `unix://${socket()}` }));
});
