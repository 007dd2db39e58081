// The same build on every engine that can run here, from wherever it is reached, gives the same bundle; and whoever is
// killed on the way, nothing is left that the next build does not clear away.
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { ensureImage } from '../../../image-builder/engines/builder-image.ts';
import { type EngineCommand, engineCommand } from '../../../image-builder/engines/command.ts';
import { findEngine } from '../../../image-builder/engines/find-engine.ts';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { containedObject, digestIn, eventually, start } from '../support/contained-build.ts';
import { buildTarget, type DockerEngine, nodeBase, run, TEST_PREFIX, useDocker } from '../support/docker.ts';
import { type EngineTls, startEngineTls } from '../support/engine-tls.ts';
import { executable } from '../support/executables.ts';
import { kustomizes } from '../support/kustomize.ts';
import { ordinaryUser } from '../support/ordinary-user.ts';
import { type Podman, usePodman } from '../support/podman.ts';
import { sharedImage } from '../support/prepared-image.ts';
import { startRegistry } from '../support/registry.ts';
import { testRenders } from './renders.ts';

let engine: DockerEngine;
let image: string;
let directory: string;
let pristineStore: string;
let program: string;
/** The same in an archive that an ordinary user can read, for other engines. */
let archive: string;
/** What the docker command has built on this machine, in a store that has an entry besides those that are needed. */
let first: Awaited<ReturnType<typeof cliBuild>> & { store: string; commands: string[] };
/** Of its bundle: every other build gives the same. */
let digest: string;

const VOLUMES = ['image-builder-store', 'image-builder-store-of-renders'];
type Container = NonNullable<NonNullable<BuildSpec['executor']>['container']>;
const executor = (container: Partial<Container>) => ({ container: { image, network: 'host', ...container } });

beforeAll(async () => {
  engine = await useDocker();
  directory = await mkdtemp(join(tmpdir(), 'image-builder-engines-'));
  await chmod(directory, 0o755);
  const shared = await sharedImage(engine);
  image = shared.image;
  archive = join(directory, 'image.tar');
  await copyFile(shared.archive, archive);
  await chmod(archive, 0o644);
  pristineStore = join(directory, 'pristine');
  const container = (await engine.docker(['create', image])).trim();
  await engine.docker(['cp', `${container}:/var/lib/image-builder/store`, pristineStore]);
  await engine.docker(['rm', container]);
  // Where an ordinary user can start it.
  program = join(directory, 'image-builder');
  await copyFile(executable('image-builder'), program);
  await chmod(program, 0o755);
  first = await firstBuild();
  digest = digestIn(first);
});

afterAll(async () => {
  await run('docker', ['volume', 'rm', '--force', ...VOLUMES], { env: engine.environment });
  await rm(directory, { recursive: true, force: true });
  await engine.stop();
});

async function storeCopy(): Promise<string> {
  const path = await mkdtemp(join(directory, 'store-'));
  await cp(pristineStore, path, { recursive: true, preserveTimestamps: true });
  return path;
}

/** A directory with the object in it, to build in. */
async function workplace(container: Partial<Container>): Promise<string> {
  const path = await mkdtemp(join(directory, 'work-'));
  await writeFile(
    join(path, 'image.yaml'),
    await containedObject({ executor: executor(container), layout: 'out' }),
  );
  return path;
}

async function cliBuild(
  container: Partial<Container>,
  environment: NodeJS.ProcessEnv,
  store: string,
  cwd?: string,
) {
  const path = cwd ?? (await workplace(container));
  const result = await run(process.execPath, [program, '--log-format', 'json', 'build', 'image.yaml'], {
    cwd: path,
    env: { ...environment, IMAGE_BUILDER_STORE: store },
  });
  return { ...result, cwd: path };
}

/** A build by the command line of the engine, which is noted on its way. */
async function firstBuild(): Promise<typeof first> {
  const store = await storeCopy();
  const bystander = join(store, 'entries', `rootfs-${'0'.repeat(64)}`);
  await mkdir(bystander);
  await writeFile(join(bystander, 'entry.json'), '{}');
  const bin = await mkdtemp(join(directory, 'noting-'));
  const docker = (await run('which', ['docker'])).stdout.trim();
  await writeFile(join(bin, 'docker'), `#!/bin/sh\necho "$@" >> ${bin}/noted\nexec ${docker} "$@"\n`, {
    mode: 0o755,
  });
  const environment = { PATH: `${bin}:${process.env.PATH}`, no_proxy: 'secret.test' };
  const built = await cliBuild({}, { ...engine.environment, ...environment }, store);
  const noted = await readFile(join(bin, 'noted'), 'utf8');
  return { ...built, store, commands: noted.split('\n') };
}

/** What the layout itself says, every blob checked by skopeo. */
async function digestOfLayout(layout: string): Promise<string> {
  const copied = await run('skopeo', [
    'copy',
    '--quiet',
    `oci:${layout}:v1`,
    `dir:${join(directory, 'checked')}`,
  ]);
  expect(copied).toMatchObject({ status: 0 });
  await rm(join(directory, 'checked'), { recursive: true });
  return JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')).manifests[0].digest;
}

const leftContainers = async () =>
  await engine.docker(['ps', '--all', '--format', '{{.Names}}', '--filter', 'name=image-builder-']);

/** PATH without any engine's command line. */
async function pathWithoutEngines(): Promise<string> {
  const path = await mkdtemp(join(directory, 'bin-'));
  const tools = ['flock', 'sh', 'tar'];
  for (const tool of tools) await symlink((await run('which', [tool])).stdout.trim(), join(path, tool));
  return path;
}

const socketOf = () =>
  (engine.environment.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace('unix://', '');

test('the executor local gives the same with these tools: those of the image', async () => {
  const local = await run(
    'docker',
    ['run', '--rm', '-i', '--network', 'none', image, 'image-builder', 'build', '-'],
    {
      env: engine.environment,
      input: await containedObject({ layout: 'out' }),
    },
  );
  expect(digestIn(local)).toBe(digest);
});

test('a second build is answered from the store, by one container without a network', async () => {
  expect(first.stderr).toContain('"stage":"qcow/node","status":"finished"');
  expect(first.stdout).toContain(`image_builder_image: ${image}`);
  const second = await cliBuild({}, engine.environment, first.store, first.cwd);
  expect(digestIn(second)).toBe(digest);
  expect(second.stderr).not.toContain('"type":"step"');
  expect(await leftContainers()).toBe('');
});

test('the container sees what it starts from, read-only, and nothing else of the store', () => {
  const runs = first.commands.filter((line) => line.startsWith('run '));
  expect(runs).toHaveLength(2);
  const mounts = runs.flatMap((line) => line.match(/--mount \S+/g) ?? []);
  const inStore = (path: string) => `target=/var/lib/image-builder/store${path}`;
  expect(mounts).toEqual([
    expect.stringMatching(new RegExp(`source=${first.store}/work/[^/]+/store,${inStore('')}$`)),
    expect.stringMatching(
      new RegExp(
        `source=${first.store}/entries/osconfig-[0-9a-f]{64},${inStore('/entries/osconfig-[0-9a-f]{64}')},readonly$`,
      ),
    ),
  ]);
  expect(runs.join('\n')).not.toContain('secret.test');
});

test('a render starts no image, and gives no network, that nobody has allowed', async () => {
  const functionConfig = parse(await containedObject({ executor: executor({}), layout: 'out' }));
  const list = { apiVersion: 'config.kubernetes.io/v1', kind: 'ResourceList', items: [], functionConfig };
  const cwd = await mkdtemp(join(directory, 'work-'));
  const store = await storeCopy();
  await rm(join(store, 'entries'), { recursive: true });
  const render = async (env: NodeJS.ProcessEnv) =>
    (
      await run(process.execPath, [executable('image-builder-fn')], {
        cwd,
        env: { ...engine.environment, IMAGE_BUILDER_STORE: store, ...env },
        input: JSON.stringify(list),
      })
    ).stderr;
  expect(await render({})).toContain(
    `executor.container.image: starting ${image} needs permission; allow it with IMAGE_BUILDER_IMAGES=${image}`,
  );
  expect(await render({ IMAGE_BUILDER_IMAGES: image })).toContain(
    'executor.container.network: stages that fetch need permission for the network host',
  );
});

test('a caller that sends something else gets findings', async () => {
  const answer = await run(
    'docker',
    ['run', '--rm', '--network', 'none', '-i', image, 'image-builder', 'run-build'],
    { env: engine.environment, input: 'not JSON\n' },
  );
  expect(answer.status).toBe(1);
  expect(JSON.parse(answer.stdout).findings).toHaveLength(1);
});

test('the socket serves where there is no command line', async () => {
  const environment = {
    ...engine.environment,
    DOCKER_HOST: `unix://${socketOf()}`,
    PATH: await pathWithoutEngines(),
  };
  const built = await cliBuild({}, environment, await storeCopy());
  expect(digestIn(built)).toBe(digest);
  expect(built.stderr).toContain('qcow/node');
  expect(await leftContainers()).toBe('');
});

test('an image that is not there is pulled, with progress, and pinned by its digest', async () => {
  const registry = await startRegistry();
  const reference = `${registry.host}/site/tools:v1`;
  try {
    await engine.docker(['tag', await nodeBase(engine), reference]);
    await engine.docker(['push', '--quiet', reference]);
    const [{ RepoDigests }] = JSON.parse(await engine.docker(['image', 'inspect', reference]));
    const pushed = RepoDigests.find((one: string) => one.startsWith(registry.host)).split('@')[1];
    const noCommand: EngineCommand = async () => ({ status: 127, stdout: '', lastLines: [] });
    const environment = { ...engine.environment, DOCKER_HOST: `unix://${socketOf()}` };
    for (const command of [engineCommand(environment), noCommand]) {
      await engine.docker(['image', 'rm', reference]);
      const lines: string[] = [];
      const found = await findEngine('docker', environment, command);
      const pinned = await ensureImage(found, reference, (line) => lines.push(line));
      expect(pinned).toBe(`${reference}@${pushed}`);
      expect(lines[0]).toBe(`pull ${reference}`);
      const absent = ensureImage(found, `${registry.host}/site/nothing:v1`, () => {});
      await expect(absent).rejects.toMatchObject({ code: 'IMAGE_MISSING' });
    }
  } finally {
    await run('docker', ['image', 'rm', '--force', reference], { env: engine.environment });
    await registry.stop();
  }
});

describe('a remote engine behind TLS', () => {
  let remote: EngineTls;
  beforeAll(async () => {
    await run('docker', ['volume', 'rm', '--force', ...VOLUMES], { env: engine.environment });
    remote = await startEngineTls(socketOf(), join(directory, 'tls'));
  });
  afterAll(() => remote.stop());

  test('builds in a volume of its own and sends the bundle, by its command line and by its port alone', async () => {
    const path = await pathWithoutEngines();
    for (const environment of [
      { ...process.env, ...remote.environment },
      { ...process.env, ...remote.environment, PATH: path },
    ]) {
      const store = await mkdtemp(join(directory, 'unused-'));
      const built = await cliBuild({ engine: 'docker' }, environment, store);
      expect(digestIn(built)).toBe(digest);
      expect(await digestOfLayout(join(built.cwd, 'out'))).toBe(digest);
      expect(await readdir(join(built.cwd, 'out/blobs'))).toEqual(['sha256']);
      expect(await readdir(store)).toEqual([]);
    }
    expect(await leftContainers()).toBe('');
  });

  test('refuses who has no certificate', async () => {
    const { DOCKER_CERT_PATH: _, ...environment } = remote.environment;
    const built = await cliBuild({}, { ...environment, PATH: await pathWithoutEngines() }, directory);
    expect(built.status).toBe(1);
    expect(built.stderr).toContain('no container engine answers');
  });
});

describe.each([
  ['root', undefined],
  ['an ordinary user', ordinaryUser()],
] as const)('podman as %s', (_, user) => {
  let podman: Podman;
  beforeAll(async () => {
    podman = await usePodman(join(directory, `podman-${user?.name ?? 'root'}`), user);
    expect(await podman.run(['podman', 'load', '--input', archive])).toMatchObject({ status: 0 });
  });
  afterAll(() => podman.dispose());

  test('has no container left when the caller is killed; the next build is the same, and belongs to its user', async () => {
    const [store, cwd] = [await storeCopy(), await workplace({ engine: 'podman' })];
    if (user) await run('chown', ['-R', `${user.uid}:${user.gid}`, store, cwd]);
    const { argv, environment } = podman.command([process.execPath, program, 'build', 'image.yaml']);
    const caller = start(argv, { ...environment, IMAGE_BUILDER_STORE: store }, cwd);
    await caller.prints('qcow/node');
    caller.child.kill('SIGKILL');
    await eventually(async () => expect(await podman.containers()).toBe(''));
    const next = await podman.run([process.execPath, program, 'build', 'image.yaml'], {
      cwd,
      environment: { IMAGE_BUILDER_STORE: store },
    });
    expect(digestIn(next)).toBe(digest);
    expect(await podman.containers()).toBe('');
    // It has cleared away what the other has worked in.
    expect(await readdir(join(store, 'work'))).toEqual([]);
    const foreign = await run('find', [cwd, '!', '-uid', String(user?.uid ?? 0)]);
    expect(foreign.stdout).toBe('');
  });
});

describe('whoever is killed in mid-build', () => {
  // One store for all: each finds what the one before has left.
  let store: string;
  beforeAll(async () => {
    store = await storeCopy();
  });
  const begin = async () =>
    start(
      [process.execPath, program, 'build', 'image.yaml'],
      { ...engine.environment, IMAGE_BUILDER_STORE: store },
      await workplace({ engine: 'docker' }),
    );

  test('the container: its caller says so', async () => {
    const caller = await begin();
    await caller.prints('qcow/node');
    const [name = ''] = (await leftContainers()).trim().split('\n');
    await engine.docker(['kill', '--signal', 'KILL', name]);
    const { status, stderr } = await caller.exited;
    expect(status).toBe(1);
    expect(stderr).toContain('the container was killed');
    expect(await leftContainers()).toBe('');
    expect((await readFile('/proc/self/mounts', 'utf8')).includes(store)).toBe(false);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGKILL', null],
  ] as const)('the caller by %s: the container goes with it', async (signal, status) => {
    const caller = await begin();
    await caller.prints('qcow/node');
    caller.child.kill(signal);
    expect((await caller.exited).status).toBe(status);
    await eventually(async () => expect(await leftContainers()).toBe(''));
    if (signal !== 'SIGKILL') expect(await readdir(join(store, 'work'))).toEqual([]);
  });

  test('the next build clears away what they have worked in, and gives the bundle', async () => {
    expect(digestIn(await cliBuild({ engine: 'docker' }, engine.environment, store))).toBe(digest);
    expect(await readdir(join(store, 'work'))).toEqual([]);
  });
});

describe('the function in its own container, under kustomize', () => {
  const functionImage = `${TEST_PREFIX}/function:builds`;
  beforeAll(async () => {
    await buildTarget(engine, 'function', { tag: functionImage });
  });
  afterAll(async () => {
    await run('docker', ['image', 'rm', '--force', functionImage], { env: engine.environment });
  });

  /** A kustomization whose generator is the function's image; `container` is laid over the annotation. */
  async function kustomization(container: Record<string, unknown>, layout?: string): Promise<string> {
    const path = await mkdtemp(join(directory, 'kustomization-'));
    await mkdir(join(path, 'out'), { mode: 0o777 });
    const annotation = stringify({ container: { image: functionImage, ...container } });
    await writeFile(
      join(path, 'image.yaml'),
      await containedObject({ executor: executor({}), layout, annotation }),
    );
    await writeFile(join(path, 'kustomization.yaml'), 'generators: [image.yaml]\n');
    return path;
  }
  // A render starts no image, and gives no network, that nobody has allowed.
  const allowed = () => ['--env', `IMAGE_BUILDER_IMAGES=${image}`, '--env', 'IMAGE_BUILDER_NETWORKS=host'];
  const render = (kustomize: string, path: string, ...flags: string[]) =>
    run(kustomize, ['build', '--enable-alpha-plugins', ...allowed(), ...flags, path], {
      env: engine.environment,
    });
  const socketMount = () => `type=bind,src=${socketOf()},dst=/var/run/docker.sock,rw=true`;

  test('builds through the socket that is mounted, and copies the bundle out', async () => {
    for (const [version, kustomize] of await kustomizes()) {
      const path = await kustomization({}, '/out');
      const flags = [
        ...['--as-current-user', '--mount', socketMount()],
        ...['--mount', `type=bind,src=${join(path, 'out')},dst=/out,rw=true`],
      ];
      const built = await render(kustomize, path, ...flags);
      expect([version, digestIn(built)]).toEqual([version, digest]);
      expect(await digestOfLayout(join(path, 'out'))).toBe(digest);
      // The second render finds everything where it is.
      expect(digestIn(await render(kustomize, path, ...flags))).toBe(digest);
    }
    expect(await leftContainers()).toBe('');
  });

  test('builds on an engine of another machine', async () => {
    const remote = await startEngineTls(socketOf(), join(directory, 'tls-function'));
    try {
      const { DOCKER_HOST, DOCKER_TLS_VERIFY } = remote.environment;
      const path = await kustomization(
        {
          network: true,
          mounts: [{ type: 'bind', src: './out', dst: '/out', rw: true }],
          envs: [
            `DOCKER_HOST=${DOCKER_HOST}`,
            `DOCKER_TLS_VERIFY=${DOCKER_TLS_VERIFY}`,
            'DOCKER_CERT_PATH=/certs',
          ],
        },
        '/out',
      );
      // Only the newer one takes the mount of the annotation.
      const [[, kustomize = ''] = []] = (await kustomizes()).reverse();
      const built = await render(
        kustomize,
        path,
        ...[
          '--network',
          '--as-current-user',
          '--mount',
          `type=bind,src=${remote.environment.DOCKER_CERT_PATH},dst=/certs`,
        ],
      );
      expect(digestIn(built)).toBe(digest);
    } finally {
      await remote.stop();
    }
  });

  test.each<[string, () => string[], string | undefined, string]>([
    ['no engine', () => [], '/out', '--mount type=bind,src=/var/run/docker.sock'],
    ['the socket, but as nobody', () => ['--mount', socketMount()], '/out', '--as-current-user'],
    [
      'no place for the bundle',
      () => ['--as-current-user', '--mount', socketMount()],
      undefined,
      'mounts: [{type: bind, src: ./out, dst: /out, rw: true}]',
    ],
  ])('with %s says what would make it possible', async (_, flags, layout, advice) => {
    for (const [version, kustomize] of await kustomizes()) {
      const refused = await render(kustomize, await kustomization({}, layout), ...flags());
      expect([version, refused.status]).toEqual([version, 1]);
      expect(refused.stderr).toContain(advice);
    }
  });
});

describe('renders', () =>
  testRenders(() => ({ engine, directory, executor: executor({}), storeCopy, containers: leftContainers })));
