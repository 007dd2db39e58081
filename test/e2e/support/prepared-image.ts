// The image-builder image of the tests: a small root file system that can be cut to an ISO and to a QCOW.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { acquireLock } from '../../../image-builder/base/locking/file-lock.ts';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { aptMirror, buildOptions, type DockerEngine, hostCodename, run, TEST_PREFIX } from './docker.ts';
import { UNUSED_FILES } from './unused-files.ts';

const root = resolve(__dirname, '../../..');

/**
 * What its root file system is made of. The repository is named, so that the keys are the same here and in the image,
 * where apt is set up differently.
 */
export async function preparedSpec(): Promise<BuildSpec> {
  const source = await aptMirror(await hostCodename());
  return {
    distribution: 'debian-12',
    mirror: source,
    rootfs: {
      multistrap: {
        packages: ['openssh-server', 'live-boot', 'live-boot-initramfs-tools'],
        kernel_base_pkg: 'linux-image-cloud-amd64',
        kernel_headers_pkg: '',
        path_exclude: UNUSED_FILES,
        repos: [
          {
            name: 'debian',
            source,
            suite: 'bookworm',
            components: 'main',
            keyring_pkg: 'debian-archive-keyring',
          },
        ],
      },
      livecdcontent: { mksquashfs_compression: 'zstd' },
    },
  };
}

/**
 * Builds it with `make docker_build`, from manifests and a profile; the engine's build cache makes that a matter of a
 * second when it was built before.
 * @param variables of make, beside what describes the image
 * @param target of the Dockerfile
 */
export async function prepareImage(
  engine: DockerEngine,
  variables: Record<string, string> = {},
  target = 'image-builder',
): Promise<string> {
  const tag = variables.IMAGE ?? `${TEST_PREFIX}/image-builder:latest`;
  const { mirror, rootfs = {} } = await preparedSpec();
  const directory = await mkdtemp(join(tmpdir(), 'image-builder-manifests-'));
  try {
    const write = async (path: string, content: unknown) => {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), JSON.stringify(content));
    };
    await write('manifests/rootfs/multistrap-vars.yaml', rootfs.multistrap);
    // A QCOW of the manifests is no part of what is cut later.
    await write('manifests/qcow-bundle/other/qcow-vars.yaml', { qcow_capacity: '1M' });
    await write('profiles/fast/manifests/rootfs/livecdcontent-vars.yaml', rootfs.livecdcontent);
    const { client, environment, options } = await buildOptions(engine, 'image-builder');
    const settings = {
      ...{ IMAGE: tag, DISTRO: 'debian_bookworm', WORKDIR: join(directory, 'manifests'), PROFILE: 'fast' },
      ...{ MIRROR: mirror, OUTPUT: directory, COMMIT: 'abc', LABEL: 'org.example.build=test' },
      ...{ DOCKER: client, DOCKER_BUILD_OPTIONS: [...options, '--target', target].join(' ') },
      ...variables,
    };
    const assignments = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    const result = await run('make', ['docker_build', ...assignments], { cwd: root, env: environment });
    if (result.status !== 0) throw new Error(`make docker_build failed:\n${result.stdout}\n${result.stderr}`);
    return tag;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * The image of {@link prepareImage}, made once for all suites: one makes it with its engine, the others load the archive that
 * it has saved, which any engine can. It is made anew on another day, or when what goes into it has changed.
 */
export async function sharedImage(engine: DockerEngine): Promise<{ image: string; archive: string }> {
  const cache = join(root, '.cache/builder-image');
  await mkdir(cache, { recursive: true });
  const lock = await acquireLock(join(cache, 'lock'));
  try {
    const image = `${TEST_PREFIX}/image-builder:latest`;
    const archive = join(cache, `${await identity()}.tar`);
    if (existsSync(archive)) await engine.docker(['load', '--quiet', '--input', archive]);
    else {
      for (const name of await readdir(cache)) if (name !== 'lock') await rm(join(cache, name));
      await prepareImage(engine);
      await engine.docker(['save', '--output', `${archive}.part`, image]);
      await rename(`${archive}.part`, archive);
    }
    return { image, archive };
  } finally {
    await lock.release();
  }
}

/** A hash of what the image is made from and by; the day stands for the packages of its base and its tools. */
async function identity(): Promise<string> {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([await preparedSpec(), process.version, new Date().toISOString().slice(0, 10)]));
  const sources = ['dist', 'Dockerfile', '.dockerignore', 'Makefile', 'scripts/builder-image.sh'];
  for (const path of [...sources, 'test/e2e/support/prepared-image.ts', 'test/e2e/support/docker.ts'])
    for (const file of await filesOf(join(root, path))) hash.update(await readFile(file));
  return hash.digest('hex').slice(0, 16);
}

/** The path of a file, or those of all files of a directory but for the native executable. */
async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.parentPath.startsWith(join(path, 'native')))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
