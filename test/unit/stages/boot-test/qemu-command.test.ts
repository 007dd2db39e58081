import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KvmMemory } from '../../../../image-builder/stages/boot-test/accelerator.ts';
import { isReliable } from '../../../../image-builder/stages/boot-test/emulator.ts';
import { type Machine, machineArguments } from '../../../../image-builder/stages/boot-test/qemu-command.ts';

const machine: Machine = {
  architecture: 'amd64',
  image: '/images/a.qcow2',
  format: 'qcow2',
  medium: 'disk',
  accelerator: 'tcg',
  memoryMib: 1024,
};

const text = (changes: Partial<Machine>) => machineArguments({ ...machine, ...changes }).join(' ');

test('an emulated machine has one CPU', () => {
  expect(text({})).toContain('-accel tcg -smp 1 ');
});

test('the image is never written to', () => {
  expect(text({})).toContain('format=qcow2,file=/images/a.qcow2,snapshot=on');
  expect(text({ medium: 'cdrom', format: 'raw' })).toContain('media=cdrom,readonly=on');
});

test('a stick is written to an overlay, too', () => {
  expect(text({ medium: 'usb', format: 'raw' })).toMatch(
    /snapshot=on.* -device usb-storage,drive=boot,bootindex=1$/,
  );
});

test('the network has no ways but those that are asked for', () => {
  expect(text({})).toContain('-nic user,model=virtio-net-pci,restrict=on -device');
  const network = ['hostfwd=tcp:127.0.0.1:1-:2', "guestfwd=tcp:10.0.2.100:3-cmd:relay '/a,b'"];
  expect(text({ network })).toContain(
    "-nic user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:1-:2,guestfwd=tcp:10.0.2.100:3-cmd:relay '/a,,b' ",
  );
});

test('a cable takes the place of the network', () => {
  const cable = { socket: '/tmp/a,b', isFirst: true, mac: '52:54:00:12:34:60' };
  expect(text({ cable })).toContain(
    '-netdev stream,id=cable,server=on,addr.type=unix,addr.path=/tmp/a,,b -device virtio-net-pci,netdev=cable,mac=52:54:00:12:34:60',
  );
  expect(text({ cable })).not.toContain('-nic');
  expect(text({ cable: { ...cable, isFirst: false } })).toContain('server=off');
});

test('an arm64 machine has nothing of a PC', () => {
  const uefi = { code: '/code', variables: '/variables', secureBoot: false };
  expect(text({ architecture: 'arm64', uefi })).toMatch(/-machine virt -cpu cortex-a72 .*file=\/code/);
  expect(text({ architecture: 'arm64', uefi })).not.toMatch(/q35|VGA|smm/);
});

test('commas in file names do not become options', () => {
  expect(text({ image: '/a,readonly=off.qcow2' })).toContain('file=/a,,readonly=off.qcow2,');
  const uefi = { code: '/a,b', variables: '/c,d', secureBoot: false };
  expect(text({ uefi })).toContain('file=/a,,b,readonly=on');
});

test('Secure Boot keeps the firmware’s variables out of the guest’s reach', () => {
  const uefi = { code: '/code', variables: '/variables', secureBoot: true };
  expect(text({ uefi })).toContain('q35,graphics=off,smm=on');
  expect(text({ uefi })).toContain('driver=cfi.pflash01,property=secure,value=on');
});

test.each([
  ['QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)', false],
  ['QEMU emulator version 6.2.0', false],
  ['QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)', true],
  ['something else', true],
])('%s is trusted with recent kernels: %s', (text, reliable) => {
  expect(isReliable(text)).toBe(reliable);
});

describe('the verdict on KVM', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'image-builder-test-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  test('is known to later processes', async () => {
    const memory = new KvmMemory(directory);
    await memory.remember('stalls');
    const [file] = await readdir(directory);
    expect(file).toMatch(/^image-builder-kvm-/);
    expect(await memory.verdict()).toBe('stalls');
  });

  test('is not trusted when it is something else', async () => {
    const first = new KvmMemory(directory);
    await first.remember('works');
    const [file = ''] = await readdir(directory);
    await writeFile(join(directory, file), 'rubbish');
    expect(['unknown', 'absent']).toContain(await new KvmMemory(directory).verdict());
  });
});
