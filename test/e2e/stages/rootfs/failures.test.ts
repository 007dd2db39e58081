// A build that is stopped or fails half-way leaves no process and no mount, and nothing in its output directory.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StageContext } from '../../../../image-builder/sandbox/stage-context.ts';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { configureRootfs } from '../../../../image-builder/stages/osconfig/configure.ts';
import { OsconfigError } from '../../../../image-builder/stages/osconfig/osconfig-error.ts';
import { unpackTree } from '../../../../image-builder/stages/rootfs/archive.ts';
import { buildRootfs } from '../../../../image-builder/stages/rootfs/build-rootfs.ts';
import { cleanTree } from '../../../../image-builder/stages/rootfs/clean.ts';
import type { RootfsError } from '../../../../image-builder/stages/rootfs/rootfs-error.ts';
import { buildPackages, FileServer, forgetKey, makeKey, publishFlat } from '../../support/apt-repository.ts';
import { type Observed, stageContext } from '../../support/stage.ts';

const directory = mkdtempSync(join(tmpdir(), 'failures-'));
let parent: string;

afterAll(async () => {
  const { sandbox } = await stageContext(directory, 'end');
  await sandbox.run(['rm', '-rf', '--', directory]);
});

/** Processes and mounts that have to do with the test's directory. */
const leftovers = () => [
  ...execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(directory)),
  ...readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(directory)),
];

async function expectNothingLeft(context: StageContext): Promise<void> {
  for (let attempt = 0; leftovers().length > 0 && attempt < 100; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(leftovers()).toEqual([]);
  expect(readdirSync(context.outputDir)).toEqual([]);
}

type Repositories = NonNullable<NonNullable<NonNullable<BuildSpec['rootfs']>['multistrap']>['repos']>;

const inputsOf = async (repos_append: Repositories = []) => {
  const multistrap = { kernel_base_pkg: 'bash', packages: ['python3', 'systemd'], repos_append };
  const spec: BuildSpec = { rootfs: { multistrap } };
  const { distribution, mirror, origins, rootfs } = await resolveBuild('node', spec, { cwd: directory });
  return {
    distribution: { ...distribution, boot_packages: [] },
    mirror,
    origins,
    multistrap: rootfs.multistrap,
  };
};

test('a build that is stopped while packages are being installed', async () => {
  const controller = new AbortController();
  const context = await stageContext(directory, 'stopped', { signal: controller.signal });
  const watching = {
    ...context,
    output: (line: string) => {
      if (/^Setting up /.test(line)) controller.abort();
    },
  };
  await expect(buildRootfs(await inputsOf(), watching)).rejects.toMatchObject({ code: 'CANCELLED' });
  await expectNothingLeft(context);
});

test("a package whose own script fails: the script's lines are part of the error", async () => {
  const www = join(directory, 'broken');
  const key = makeKey(directory, 'broken');
  buildPackages(www, [
    { name: 'broken-test', version: '1', postinst: '#!/bin/sh\necho this package is broken >&2\nexit 1\n' },
  ]);
  publishFlat(www, key);
  forgetKey(key);
  const server = new FileServer(www);
  try {
    const source = await server.start();
    const repository = { name: 'own', source, suite: '/', keyring: key.armoured, packages: ['broken-test'] };
    const context = await stageContext(directory, 'broken-package');
    const error = await buildRootfs(await inputsOf([repository]), context).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'INSTALLATION_FAILED' });
    expect((error as RootfsError).output?.join('\n')).toContain('this package is broken');
    await expectNothingLeft(context);
  } finally {
    await server.stop();
  }
});

describe('osconfig', () => {
  // The smallest tree that Ansible works in, made of a real Debian.
  beforeAll(async () => {
    const context = await stageContext(directory, 'base');
    await buildRootfs(await inputsOf(), context);
    parent = join(context.outputDir, 'rootfs.tar');
  });

  const configure = async (
    name: string,
    osconfig: NonNullable<BuildSpec['rootfs']>['osconfig'] = {},
    observed: Observed = { steps: [], lines: [] },
  ) => {
    const build: BuildSpec = { rootfs: { osconfig } };
    const resolved = await resolveBuild('node', build, { cwd: directory });
    const context = await stageContext(directory, name, { observed });
    const error = await configureRootfs(
      { parent, osconfig: resolved.rootfs.osconfig, scripts: [] },
      context,
    ).catch((caught: unknown) => caught);
    await expectNothingLeft(context);
    expect(error).toBeInstanceOf(OsconfigError);
    return error as OsconfigError;
  };

  test('a script that fails: it is named, with its own last lines', async () => {
    const error = await configure('script', {
      user_scripts: [
        {
          name: 'broken',
          file_content: '#!/bin/sh\necho before the end; echo why >&2; sleep 3600 & exit 3\n',
        },
      ],
    });
    expect(error).toMatchObject({
      code: 'TASK_FAILED',
      message: 'osconfig failed at "Run scripts": user_scripts[0] (broken) ended with status 3',
      output: ['why', 'before the end'],
    });
  });

  test('a unit that does not exist', async () => {
    const error = await configure('unit', { systemd: [{ name: 'no-such-unit', enabled: true }] });
    expect(error.output?.join('\n')).toMatch(/no-such-unit|systemctl/);
  });

  test('a download with another checksum', async () => {
    mkdirSync(join(directory, 'www'), { recursive: true });
    writeFileSync(join(directory, 'www/tool'), 'tool');
    const server = new FileServer(join(directory, 'www'));
    try {
      // Of a password like that Ansible takes what follows the first @ for the host, and asks for its address.
      server.logins.set('/', 'ci:F3tch@Passw0rd/1');
      const observed: Observed = { steps: [], lines: [] };
      const url = `${(await server.start()).replace('//', '//ci:F3tch@Passw0rd%2F1@')}/tool`;
      const error = await configure(
        'download',
        { fetch_from_url: [{ url, dest: '/opt/tool', checksum: `sha256:${'0'.repeat(64)}` }] },
        observed,
      );
      expect(error.output?.join('\n')).toMatch(/checksum/i);
      expect(JSON.stringify([error.findings(), observed])).not.toMatch(/F3tch|Passw0rd/);
    } finally {
      await server.stop();
    }
  });

  test('a link in the tree leads nowhere else: what it names on this machine is not cleaned', async () => {
    const context = await stageContext(directory, 'link');
    const tree = join(context.workDir, 'tree');
    await unpackTree(parent, tree, context);
    const victim = join(directory, 'victim');
    mkdirSync(victim);
    writeFileSync(join(victim, 'machine-id'), 'mine');
    await context.sandbox.run(['ln', '-sfT', victim, join(tree, 'var/lib/dbus')]);
    await cleanTree(tree, context);
    expect(readFileSync(join(victim, 'machine-id'), 'utf8')).toBe('mine');
  });
});
