// What is found in a tree, whatever is laid into it, and what the readers of bills of materials make of the result.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseStatus } from '../../../image-builder/sbom/installed-packages.ts';
import { takeInventory } from '../../../image-builder/sbom/inventory.ts';
import { spdxDocument } from '../../../image-builder/sbom/spdx.ts';
import { readBySyft, readByTrivy, validateSpdx } from '../support/sbom-readers.ts';
import { type TestStage, testStage } from '../support/stage-context.ts';

let stage: TestStage;
let tree: string;

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function put(path: string, content: string, mode = 0o644): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), content, { mode });
}

beforeAll(async () => {
  stage = await testStage(1_700_000_000);
  // In the sandbox's own place: an ordinary user's tree belongs to it.
  tree = join(stage.directory, 'tree');
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  symlinkSync('usr/bin', join(tree, 'bin'));
  put('/usr/lib/os-release', 'ID=debian\nVERSION_ID="13"\n');
  mkdirSync(join(tree, 'etc'));
  symlinkSync('../usr/lib/os-release', join(tree, 'etc/os-release'));
  put(
    '/var/lib/dpkg/status',
    [
      'Package: tool\nStatus: install ok installed\nMaintainer: A B <a@example.org>\nArchitecture: amd64\nSource: tools (2:1.0+b1)\nVersion: 2:1.0+b1~1\nDepends: lib++\n',
      'Package: lib++\nStatus: install ok installed\nMaintainer: A B <a@example.org>\nArchitecture: all\nVersion: 3-1\n',
    ].join('\n'),
  );
  // As packages from before the merge of /usr name it, and one that was moved aside.
  put('/var/lib/dpkg/info/tool.list', '/.\n/bin\n/bin/tool\n/usr/share/doc/tool/copyright\n/usr/bin/which\n');
  // A list may leave directories out.
  put(
    '/var/lib/dpkg/info/lib++.list',
    '/usr/share/doc/lib++/copyright\n/usr/share/doc/odd/copyright\n/lib/deep/part\n',
  );
  symlinkSync('usr/lib', join(tree, 'lib'));
  put('/usr/lib/deep/part', 'part');
  put('/var/lib/dpkg/diversions', '/usr/bin/which\n/usr/bin/which.distrib\nother\n');
  for (const name of ['tool', 'which', 'which.distrib']) put(`/usr/bin/${name}`, name);
  put(
    '/usr/share/doc/tool/copyright',
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: me\nLicense: GPL-2+ or Artistic\n text\n\nLicense: Never\n text\n',
  );
  // Names of fields in any case, lines that are not quite empty, a licence for all, and no end of the last line.
  put(
    '/usr/share/doc/odd/copyright',
    'FORMAT: https://example.org/\nLicense: GPL-1\n \t\nFILES: a\nLICENSE:Zlib\n text\n \nLicense: Never\n\r\nFiles: b\nCopyright: me\nlicense: Expat',
  );
  put('/usr/share/doc/lib++/copyright', 'Copyright me, all rights reserved\nLicense: none of those\n');
  // What belongs to nobody.
  put('/opt/agent', 'agent');
  put('/opt/large', 'large'.repeat(1 << 18));
  put('/etc/secret', 'password', 0o600);
  put('/etc/zeile\n', 'odd');
  put('/usr/lib/python3/__pycache__/x.pyc', 'x');
  put('/usr/lib/python3/y.pyc', 'y');
  put('/boot/grub/i386-pc/normal.mod', 'x');
  put('/usr/lib/tmp/kept', 'kept');
  put('/var/cache/apt/pkgcache.bin', 'x');
  execFileSync('mkfifo', [join(tree, 'etc/fifo')]);
  symlinkSync('/etc/shadow', join(tree, 'opt/link'));
  // What would be read outside of the tree if links were followed there.
  writeFileSync(join(stage.directory, 'outside'), 'outside');
  symlinkSync(join(stage.directory, 'outside'), join(tree, 'opt/escape'));
  put(
    '/var/lib/containers/storage/overlay-images/images.json',
    JSON.stringify([
      { digest: `sha256:${'1'.repeat(64)}`, names: ['quay.io/coreos/etcd:v3', 7] },
      null,
      { digest: 4 },
    ]),
  );
  put(
    '/var/lib/docker/image/overlay2/repositories.json',
    JSON.stringify({
      Repositories: { pause: { 'pause:3': 'sha256:x', [`pause@sha256:${'2'.repeat(64)}`]: 'x' }, odd: [] },
    }),
  );
  put(
    `/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/${'3'.repeat(64)}`,
    JSON.stringify({ config: {}, layers: [] }),
  );
  const carried = { digest: `sha256:${'4'.repeat(64)}` };
  const named = (name: unknown) => ({
    ...carried,
    annotations: { 'org.opencontainers.image.ref.name': name },
  });
  put(
    '/var/lib/image-builder/preload/layout/index.json',
    JSON.stringify({
      manifests: [
        named('registry.k8s.io/pause:3'),
        named(`registry.k8s.io/pause@${carried.digest}`),
        named(7),
        7,
      ],
    }),
  );
});

afterAll(() => stage.remove());

test('finds what the tree has, and nothing outside of it', async () => {
  const found = await takeInventory(tree, ['/opt/agent', '/opt/escape', '/opt/missing', '/etc'], stage);
  expect(found.files.map(({ path }) => path)).toEqual([
    '/etc/zeile\n',
    '/opt/agent',
    '/opt/large',
    '/usr/lib/os-release',
    '/usr/lib/tmp/kept',
  ]);
  expect(found.files[1]).toEqual({
    path: '/opt/agent',
    sha1: createHash('sha1').update('agent').digest('hex'),
    sha256: sha256('agent'),
  });
  expect(found.files[2]).toEqual({ path: '/opt/large', sha256: sha256('large'.repeat(1 << 18)) });
  expect(found.wanted).toEqual(new Map([['/opt/agent', sha256('agent')]]));
  expect(found.licences).toEqual(
    new Map([
      ['odd', ['Expat', 'GPL-1', 'Zlib']],
      ['tool', ['GPL-2+ or Artistic']],
    ]),
  );
  expect(parseStatus(found.status)).toHaveLength(2);
  expect(found.osRelease).toContain('ID=debian');
  expect(found.images).toEqual([
    { digest: `sha256:${'1'.repeat(64)}`, names: ['quay.io/coreos/etcd:v3'] },
    { digest: `sha256:${'2'.repeat(64)}`, names: ['pause'] },
    { digest: `sha256:${'3'.repeat(64)}`, names: [] },
    { digest: `sha256:${'4'.repeat(64)}`, names: ['registry.k8s.io/pause:3'] },
  ]);
  expect(JSON.stringify(found)).not.toContain(sha256('password'));
});

test('trivy, syft and the validator of SPDX understand all of it', async () => {
  const inventory = await takeInventory(tree, ['/opt/agent'], stage);
  const document = spdxDocument({
    disk: { file: 'node.qcow2', sha256: 'a'.repeat(64) },
    created: stage.sourceDateEpoch,
    inventory,
    archives: [],
    fetched: [{ url: 'https://example.org/agent', path: '/opt/agent' }],
    scripts: [{ label: 'user_scripts[0]', content: 'true' }],
  });
  const file = join(stage.directory, 'node.spdx.json');
  writeFileSync(file, document);
  expect(validateSpdx(file)).toBe('');
  const trivy = readByTrivy(readFileSync(file, 'utf8'));
  expect(trivy.os).toMatchObject({ Family: 'debian', Name: '13' });
  expect(trivy.packages).toEqual([
    { name: 'lib++', version: '3-1', source: 'lib++' },
    { name: 'tool', version: '2:1.0+b1~1', source: 'tools' },
  ]);
  const syft = readBySyft(file);
  expect(syft.distro).toMatchObject({ id: 'debian', versionID: '13' });
  expect(syft.packages.map(({ name, version }) => `${name} ${version}`).sort()).toEqual([
    'lib++ 3-1',
    'tool 2:1.0+b1~1',
  ]);
});
