// An initramfs comes out of the cache only when everything that it is made from is the same, byte for byte.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fingerprintInitramfs } from '../../../image-builder/stages/osconfig/initramfs-fingerprint.ts';
import { type TestStage, testStage } from '../support/stage-context.ts';

const EPOCH = 1_700_000_000;
const tree = mkdtempSync(join(tmpdir(), 'fingerprint-'));
let stage: TestStage;
beforeAll(async () => {
  stage = await testStage(EPOCH);
  for (const path of [...RELEVANT, ...IRRELEVANT]) write(path, 'before');
  write('usr/share/initramfs-tools/hooks/known', 'copy_file configuration /etc/named/file');
  write('usr/share/initramfs-tools/hooks/other', 'cp /etc/also-named "$DESTDIR"');
  write('usr/share/initramfs-tools/hooks/programs', HOOK);
  write('usr/bin/kmod', `\x7fELF libkmod.so.2\0`);
  write('usr/bin/script', '#!/usr/bin/interpreter -e\ncalled "$@"');
  symlinkSync('../sbin/behind-link', join(tree, 'usr/bin/link-to'));
});
afterAll(async () => {
  await stage.remove();
  rmSync(tree, { recursive: true });
});

const HOOK = `#!/bin/sh
# unnamed programs are in comments only
copy_exec /usr/sbin/cryptsetup
copy_exec /bin/busybox; link-to
for type in $types; do copy_exec "fsck.\${type}"; done
for library in /usr/lib/*-linux-gnu/libgcc_s.so.[1-9]; do copy_exec "$library"; done
kmod; script
`;
const RELEVANT = [
  ...[
    'usr/lib/modules/6.1/kernel/x.ko',
    'usr/lib/firmware/x.bin',
    'usr/local/sbin/s',
    'usr/bin/busybox',
    'usr/bin/called',
    'usr/bin/interpreter',
  ],
  ...[
    'usr/sbin/cryptsetup',
    'usr/sbin/behind-link',
    'usr/sbin/fsck.ext4',
    'usr/lib/x86_64-linux-gnu/libkmod.so.2',
    'usr/lib/x86_64-linux-gnu/libgcc_s.so.1',
    'usr/lib/x86_64-linux-gnu/plugins/any.so',
    'usr/lib/udev/rules.d/x.rules',
    'boot/config-6.1',
  ],
  ...[
    'etc/modprobe.d/x.conf',
    'etc/crypttab',
    'etc/udev/rules.d/x.rules',
    'etc/named/file',
    'etc/also-named',
    'opt/x',
  ],
];
const IRRELEVANT = [
  ...[
    'usr/bin/unnamed',
    'usr/sbin/daemon',
    'usr/lib/x86_64-linux-gnu/libother.so.1',
    'usr/lib/systemd/system/x.service',
  ],
  ...[
    'etc/sysctl.d/x.conf',
    'etc/motd',
    'etc/example/x',
    'usr/share/doc/x',
    'var/lib/x',
    'root/x',
    'home/x/y',
  ],
  ...['tmp/x', 'boot/initrd.img-6.1', 'etc/default/grub.d/x.cfg'],
];

function write(path: string, text: string): void {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  // The time tells nothing either.
  utimesSync(file, EPOCH - 60, EPOCH - 60);
}
const fingerprint = async () => (await fingerprintInitramfs(tree, stage)).hash;

let before: string;
beforeAll(async () => {
  before = await fingerprint();
});

test.each(RELEVANT)('other content of the same size and time counts: %s', async (path) => {
  write(path, 'aftera');
  expect(await fingerprint()).not.toBe(before);
  write(path, 'before');
});

test('it does not where no hook looks', async () => {
  for (const path of IRRELEVANT) write(path, 'aftera');
  expect(await fingerprint()).toBe(before);
});

test('modes and links count; a file that is a link now is not read through it', async () => {
  const file = join(tree, 'usr/bin/busybox');
  const { mode } = statSync(file);
  chmodSync(file, 0o4755);
  expect(await fingerprint()).not.toBe(before);
  chmodSync(file, mode & 0o7777);
  expect(await fingerprint()).toBe(before);
  symlinkSync('/etc/passwd', join(tree, 'usr/bin/called-by'));
  expect(await fingerprint()).toBe(before);
  symlinkSync('/etc/passwd', join(tree, 'usr/lib/udev/link'));
  expect(await fingerprint()).not.toBe(before);
  rmSync(join(tree, 'usr/lib/udev/link'));
});

test('what is added counts when it is named, and as one more library of a name', async () => {
  for (const path of ['usr/bin/tcpdump', 'usr/lib/x86_64-linux-gnu/libpcap.so.0.8']) write(path, 'added');
  write('etc/ld.so.cache', 'added');
  expect(await fingerprint()).toBe(before);
  write('usr/sbin/fsck.xfs', 'added');
  const withProgram = await fingerprint();
  expect(withProgram).not.toBe(before);
  write('usr/lib/libkmod.so.2', 'added');
  const withLibrary = await fingerprint();
  expect(withLibrary).not.toBe(withProgram);
  // Which of the two is taken, the list of libraries says.
  write('etc/ld.so.cache', 'changed');
  expect(await fingerprint()).not.toBe(withLibrary);
  for (const path of ['usr/sbin/fsck.xfs', 'usr/lib/libkmod.so.2']) rmSync(join(tree, path));
  expect(await fingerprint()).toBe(before);
});

test('it tells what it has left out, and leaves out nothing when everything is to count', async () => {
  const { leftOut } = await fingerprintInitramfs(tree, stage);
  expect(leftOut).toContainEqual(['usr/bin/unnamed', 6]);
  expect(leftOut.map(([path]) => path)).toContain('usr/sbin/daemon');
  expect(leftOut.map(([path]) => path)).not.toContain('usr/bin/busybox');
  const whole = await fingerprintInitramfs(tree, stage, 'all');
  expect(whole.leftOut).toEqual([]);
  write('usr/bin/unnamed', 'changed');
  expect((await fingerprintInitramfs(tree, stage, 'all')).hash).not.toBe(whole.hash);
  expect(await fingerprint()).toBe(before);
});

test('everything counts as soon as somebody has a hook of his own', async () => {
  write('etc/initramfs-tools/hooks/own', 'anything');
  const withHook = await fingerprint();
  for (const path of ['etc/example/x', 'usr/share/doc/x', 'root/x', 'var/lib/x']) {
    write(path, 'withit');
    expect(await fingerprint()).not.toBe(withHook);
    write(path, 'aftera');
  }
});
