// spec.build.tests as scripts: each runs here against programs that answer as those of a node do.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageTests } from '../../../../image-builder/spec/api/types.ts';
import { contradictions, imageTests } from '../../../../image-builder/spec/variables/image-tests.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';

const directory = mkdtempSync(join(tmpdir(), 'image-tests-'));
const file = join(directory, "it's a file");
const PROGRAMS = {
  sysctl: `printf '4096\\t131072  6291456\\n'`,
  systemctl: `case "$*" in
    *list-units*) printf 'broken.service loaded failed failed Broken\\nother.service loaded failed failed Other\\n' ;;
    *is-active*kubelet.service) exit 0 ;;
    *FinishTimestampMonotonic*) echo 41000001 ;;
    *) exit 3 ;;
  esac`,
  ss: `case "$*" in *22) echo 'LISTEN 0 128 0.0.0.0:22 0.0.0.0:*' ;; esac`,
  findmnt: `case "$*" in *FSTYPE*/) echo ext4 ;; *TARGET*/boot) echo /boot ;; *) exit 1 ;; esac`,
  'cloud-init': `printf '....\\nstatus: done\\nextended_status: done\\n'`,
};
beforeAll(() => {
  mkdirSync(join(directory, 'bin'));
  for (const [name, script] of Object.entries(PROGRAMS)) {
    writeFileSync(join(directory, 'bin', name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(directory, 'bin', name), 0o755);
  }
  writeFileSync(file, 'one\ntwo $HOME words\n');
  chmodSync(file, 0o640);
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Names of the tests that are not met. */
function unmet(tests: ImageTests): string[] {
  const env = { ...process.env, PATH: `${directory}/bin:${process.env.PATH}` };
  return imageTests(tests).flatMap(({ name, script, expected }) => {
    if (name === 'no unit has failed' && !('failedUnits' in tests)) return [];
    try {
      const output = execFileSync('/bin/sh', ['-c', script], { env, encoding: 'utf8', stdio: 'pipe' });
      return expected === undefined || output.trim() === expected ? [] : [name];
    } catch {
      return [name];
    }
  });
}

const owner = { owner: process.getuid?.() ?? 0, group: process.getgid?.() ?? 0 };

test.each<[string, ImageTests, ImageTests, string]>([
  [
    'failed units',
    { failedUnits: ['broken', 'other.service'] },
    { failedUnits: ['broken'] },
    'no unit has failed',
  ],
  [
    'sysctl, whatever separates its numbers',
    { sysctl: [{ name: 'net.ipv4.tcp_rmem', value: '4096 131072 6291456' }] },
    { sysctl: [{ name: 'net.ipv4.tcp_rmem', value: 1 }] },
    'sysctl net.ipv4.tcp_rmem',
  ],
  [
    'units that are active',
    {
      units: [
        { name: 'kubelet', active: true },
        { name: 'ssh', active: false },
      ],
    },
    { units: [{ name: 'ssh', active: true }] },
    'unit ssh.service is active',
  ],
  [
    'files',
    {
      files: [
        { path: file, mode: '0640', contains: 'two $HOME', ...owner },
        { path: '/none', exists: false },
      ],
    },
    { files: [{ path: file, mode: '0600' }] },
    `mode of file ${file}`,
  ],
  ['files that are missing', {}, { files: [{ path: '/none' }] }, 'file /none'],
  ['text of files', {}, { files: [{ path: file, contains: 'three' }] }, `text "three" in file ${file}`],
  [
    'ports',
    { ports: [{ port: 22 }, { port: 23, listening: false }] },
    { ports: [{ port: 23 }] },
    'tcp port 23',
  ],
  [
    'mounts',
    { mounts: [{ path: '/', type: 'ext4' }, { path: '/boot' }] },
    { mounts: [{ path: '/srv' }] },
    'mount /srv',
  ],
  ['seconds to boot, of which one has begun', { bootSeconds: 42 }, { bootSeconds: 41 }, 'seconds to boot'],
  ['cloud-init', { cloudInit: 'done' }, { cloudInit: 'disabled' }, 'cloud-init'],
  [
    'commands',
    { commands: [{ command: 'echo "  yes"', output: 'yes' }, { command: 'true' }] },
    { commands: [{ command: 'exit 3', name: 'three' }] },
    'command three',
  ],
  ['kernel arguments', {}, { kernelArguments: ['no.such=argument'] }, 'kernel argument no.such=argument'],
  [
    'packages',
    { packages: [{ name: 'bash' }, { name: 'no-such-package', installed: false }] },
    { packages: [{ name: 'bash', version: '0' }] },
    'package bash',
  ],
  ['packages that are there', {}, { packages: [{ name: 'bash', installed: false }] }, 'package bash'],
])('%s', (_what, met, broken, name) => {
  expect(unmet(met)).toEqual([]);
  expect(unmet(broken)).toEqual([name]);
});

test('a name is no command and no option', () => {
  const marker = join(directory, 'marker');
  unmet({
    sysctl: [{ name: `$(touch\${IFS}${marker})`, value: 1 }],
    files: [{ path: `/x';touch ${marker};'`, contains: `'; touch ${marker}; '` }],
    kernelArguments: [`--help'; touch ${marker}; '`],
  });
  expect(() => execFileSync('test', ['-e', marker])).toThrow();
});

test('what cannot be met together is refused; what is written twice is tested once', async () => {
  const sysctl = (value: number) => ({ name: 'vm.swappiness', value });
  expect(contradictions(imageTests({ sysctl: [sysctl(1), sysctl(2)] }))).toEqual([
    {
      severity: 'error',
      field: 'spec.build.tests',
      message: 'contradicts itself: sysctl vm.swappiness is to be "1" and "2"',
    },
  ]);
  const messages = (tests: ImageTests) => contradictions(imageTests(tests)).map(({ message }) => message);
  expect(messages({ files: [{ path: '/x', exists: false, mode: '0640', contains: 'y' }] })).toEqual([
    'contradicts itself: file /x is to be "absent", and mode of file /x is to be "640"',
    'contradicts itself: file /x is to be "absent", and text "y" in file /x is to be "there"',
  ]);
  expect(
    messages({
      files: [
        { path: '/x', exists: false },
        { path: '/y/x', mode: '0640' },
      ],
    }),
  ).toEqual([]);
  expect(messages({ packages: [{ name: 'bash', installed: false, version: '5' }] })).toEqual([
    'contradicts itself: package bash is to be "absent" and "installed 5"',
  ]);
  const { bootTest } = await resolveBuild(
    'node',
    { tests: { sysctl: [sysctl(1), sysctl(1)] } },
    { cwd: '/', aptDirectory: '/nonexistent' },
  );
  expect(bootTest.tests?.map(({ name }) => name)).toEqual(['no unit has failed', 'sysctl vm.swappiness']);
  expect(bootTest.timeout).toBe(1200);
  const joining = { bootTest: { kubernetes: 'join' as const } };
  const { bootTest: ofJoining } = await resolveBuild('node', joining, {
    cwd: '/',
    aptDirectory: '/nonexistent',
  });
  expect(ofJoining.timeout).toBe(2400);
});

test('tests that nothing is booted for are no tests', async () => {
  const options = { cwd: '/', aptDirectory: '/nonexistent' };
  for (const build of [
    { tests: {}, bootTest: { timeout: 0 } },
    { bootTest: { timeout: 0, kubernetes: 'preflight' as const } },
    { bootTest: { timeout: 0, kubernetes: 'join' as const } },
  ])
    await expect(resolveBuild('node', build, options)).rejects.toThrow(
      /spec\.build\.bootTest\.timeout: is 0, so nothing would be booted for spec\.build\./,
    );
});
