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
});
afterAll(async () => {
  await stage.remove();
  rmSync(tree, { recursive: true });
});

const RELEVANT = [
  ...[
    'usr/lib/modules/6.1/kernel/x.ko',
    'usr/lib/firmware/x.bin',
    'usr/local/sbin/s',
    'usr/bin/busybox',
    'usr/bin/kmod',
  ],
  ...[
    'usr/sbin/cryptsetup',
    'usr/lib/x86_64-linux-gnu/libc.so.6',
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
const fingerprint = () => fingerprintInitramfs(tree, stage);

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
  const file = join(tree, 'usr/bin/kmod');
  const { mode } = statSync(file);
  chmodSync(file, 0o4755);
  expect(await fingerprint()).not.toBe(before);
  chmodSync(file, mode & 0o7777);
  expect(await fingerprint()).toBe(before);
  symlinkSync('/etc/passwd', join(tree, 'usr/bin/link'));
  expect(await fingerprint()).not.toBe(before);
  rmSync(join(tree, 'usr/bin/link'));
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
