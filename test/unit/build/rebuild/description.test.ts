// A build that is described and read again is the same build: every stage has the same inputs.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { lockOf } from '../../../../image-builder/build/packages/package-lock.ts';
import { readDescription, type Secrets } from '../../../../image-builder/build/rebuild/read-description.ts';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import {
  type BuildDescription,
  describeBuild,
} from '../../../../image-builder/spec/variables/description.ts';
import { newLockFile } from '../../../../image-builder/spec/variables/lock-file.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedBuild } from '../../../../image-builder/spec/variables/resolved.ts';
import { stagesOf } from '../../../../image-builder/stages/index.ts';
import { withPinnedImages } from '../../../../image-builder/stages/preload/pin-images.ts';

const cwd = mkdtempSync(join(tmpdir(), 'image-builder-description-'));
afterAll(() => rmSync(cwd, { recursive: true }));
const write = (path: string, text: string) => {
  mkdirSync(dirname(join(cwd, path)), { recursive: true });
  writeFileSync(join(cwd, path), text);
};

const resolve = async (build: BuildSpec) =>
  await withPinnedImages(
    await resolveBuild('node', build, { cwd, read: ['/'], aptDirectory: '/nonexistent' }),
    {},
  );

const lockFor = (resolved: ResolvedBuild) => ({
  ...lockOf(resolved, {
    packages: [
      {
        name: 'dbus',
        version: '1:1.16.2-2',
        architecture: resolved.rootfs.multistrap.rootfs_arch,
        repository: resolved.rootfs.multistrap.repos[0]?.name ?? '',
        path: 'pool/dbus.deb',
        size: 1,
        sha256: 'a'.repeat(64),
      },
    ],
    keyrings: {},
    sourceDateEpoch: 7,
  }),
});

const describe_ = (resolved: ResolvedBuild) => {
  const lock = resolved.lock ?? lockFor(resolved);
  return describeBuild(resolved, newLockFile(resolved.rootfs.multistrap.rootfs_arch, lock));
};

let count = 0;
async function read(description: unknown, secrets: Secrets = {}) {
  count += 1;
  const directory = join(cwd, `read-${count}`);
  mkdirSync(directory);
  return await readDescription(Buffer.from(JSON.stringify(description)), secrets, directory);
}

const inputsOf = (resolved: ResolvedBuild) =>
  stagesOf(resolved, {}).map(({ definition: { name, inputs } }) => ({ name, inputs }));

const SECRET = '$6$salt$hash';
const USER = { name: 'admin', password_hash: SECRET, ssh_authorized_keys: ['ssh-ed25519 AAAA'] };

const SPECS: [string, BuildSpec, Secrets?][] = [
  ['nothing', {}],
  [
    'a choice of packages and repositories',
    {
      rootfs: {
        multistrap: {
          packages: ['dbus'],
          unapproved_packages: ['exim4'],
          repos_append: [
            {
              name: 'own',
              source: 'https://user:secret@packages.example.org/own',
              suite: 'stable/',
              keyring: '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n',
              packages: ['own-agent'],
            },
          ],
        },
      },
    },
  ],
  [
    'a snapshot with firmware and backports',
    {
      rootfs: { multistrap: { snapshot: '20260901T000000Z', non_free_firmware: true, backports: true } },
    },
  ],
  [
    'arm64 and two disks of their own',
    {
      rootfs: { multistrap: { rootfs_arch: 'arm64' } },
      qcows: {
        a: {
          qcow: { qcow_capacity: '4G' },
          osconfig: { sysctl_append: [{ name: 'vm.swappiness', value: 0 }] },
        },
        b: {},
      },
      bundle: { base: 'none', repository: 'registry.example.org/site/bundle', attest: {} },
    },
  ],
  [
    'texts that look like templates',
    {
      rootfs: {
        osconfig: {
          files: [
            { name: '/etc/motd', file_content: '{% raw %}{{ not_a_variable }} {% if %}{# {% endraw %}' },
          ],
        },
      },
    },
  ],
  ['a Kubernetes node', { kubernetes: { version: '1.37.2' } }],
  [
    'container images on the disks',
    { kubernetes: { version: '1.37.2', preload: [`registry.k8s.io/pause:3.10.2@sha256:${'1'.repeat(64)}`] } },
  ],
  ['Ubuntu', { distribution: 'ubuntu-24.04' }],
  ['manifests with scripts', { manifests: 'manifests' }],
  ['the manifests of the predecessor', { manifests: join(process.cwd(), 'manifests') }],
  [
    'secrets',
    {
      rootfs: {
        multistrap: {
          debconf: [{ package: 'postfix', question: 'postfix/password', type: 'password', value: 'hunter2' }],
        },
        osconfig: {
          user_management: [USER],
          fetch_from_url: [{ url: 'https://user:secret@files.example.org/a', dest: '/opt/a' }],
        },
      },
    },
    {
      'spec.build.rootfs.multistrap.debconf[0].value': 'hunter2',
      'spec.build.rootfs.osconfig.user_management[0].password_hash': SECRET,
      'spec.build.rootfs.osconfig.fetch_from_url[0].url': 'https://user:secret@files.example.org/a',
    },
  ],
];

beforeAll(() => {
  write('manifests/scripts/common/10-tune.sh', '#!/bin/sh\necho {{ tune }}\n');
  write('manifests/scripts/qcow/20-mark.sh', '#!/bin/sh\ntouch /mark\n');
  write('manifests/rootfs/osconfig-vars.yaml', 'banners: {login: "{{ site }}\\n"}\nsite: north\n');
  write('manifests/qcow-bundle/node/qcow-vars.yaml', 'qcow_capacity: 5G\n');
});

describe.each(SPECS)('%s', (_, spec, secrets) => {
  test.each(['with a lock of its own', 'with what the repositories had'])('%s', async (how) => {
    const unlocked = await resolve(spec);
    const given = how === 'with a lock of its own' ? { ...unlocked, lock: lockFor(unlocked) } : unlocked;
    const description = describe_(given);
    const { resolved } = await read(description, secrets);
    expect(inputsOf(resolved)).toEqual(inputsOf(given));
    expect((resolved.lock ?? resolved.replay)?.packages).toHaveLength(1);
    expect(resolved.bundle.repository).toBeUndefined();
    expect(JSON.stringify(description)).not.toMatch(/hunter2|secret@|\$6\$salt/);
  });
});

describe('refused', () => {
  let good: BuildDescription;
  beforeAll(async () => {
    good = describe_(await resolve({ rootfs: { osconfig: { user_management: [USER] } } }));
  });
  const FIELD = 'spec.build.rootfs.osconfig.user_management[0].password_hash';
  const given = { [FIELD]: SECRET };

  test('without its secrets, which are named', async () => {
    await expect(read(good)).rejects.toMatchObject({ code: 'REBUILD_NEEDS_SECRETS', output: [FIELD] });
  });

  test.each<[string, (build: NonNullable<BuildSpec>) => object]>([
    [
      'a place for the result',
      (build) => ({ ...build, bundle: { ...build.bundle, repository: 'r.example.org/a' } }),
    ],
    ['files of the machine', (build) => ({ ...build, manifests: '/etc' })],
    ['a container', (build) => ({ ...build, executor: { container: { image: 'r.example.org/a' } } })],
    ['a shared store', (build) => ({ ...build, store: { repository: 'r.example.org/a' } })],
  ])('one that says what is the caller’s to say: %s', async (_, change) => {
    const { metadata, spec, ...rest } = good.object;
    const object = { ...rest, metadata, spec: { build: change(spec.build ?? {}) } };
    await expect(read({ ...good, object }, given)).rejects.toMatchObject({ code: 'REBUILD_UNDESCRIBED' });
  });

  test.each([
    ['no object', []],
    ['no lock', { lock: undefined }],
    ['a script outside', { scripts: { common: [{ name: '../../evil', content: '' }], qcow: [] } }],
    ['a script of no name', { scripts: { common: [{ name: '..', content: '' }], qcow: [] } }],
    ['a secret for nothing', { withheld: [FIELD, '__proto__.polluted'] }],
    ['a time that is none', { sourceDateEpoch: 1.5 }],
    [
      'an image of this machine',
      { images: [{ reference: 'oci:/tmp/x', digest: `sha256:${'1'.repeat(64)}` }] },
    ],
    ['an image without a digest', { images: [{ reference: 'registry.k8s.io/pause:3' }] }],
  ])('%s', async (_, change) => {
    const broken = Array.isArray(change) ? change : { ...good, ...change };
    await expect(read(broken, { ...given, '__proto__.polluted': 'x', ...{} })).rejects.toMatchObject({
      code: expect.stringMatching(/^REBUILD_/),
    });
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('what the schema refuses, and a key file of the machine', async () => {
    const { object } = good;
    const multistrap = {
      ...object.spec.build?.rootfs?.multistrap,
      repos: [{ name: 'x', source: 'https://x.example.org', suite: '/', keyring_file: '/etc/passwd' }],
    };
    const changed = {
      ...object,
      spec: { build: { ...object.spec.build, rootfs: { ...object.spec.build?.rootfs, multistrap } } },
    };
    await expect(read({ ...good, object: changed }, given)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});
