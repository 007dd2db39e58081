// Disks made of a real root file system, inspected with the tools of others.
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type AssembledDisk, assembleDisk } from '../../../image-builder/disk/assemble.ts';
import { parseIndex } from '../../../image-builder/qcow2/block-index.ts';
import type { Partition } from '../../../image-builder/spec/api/types.ts';
import { unpackTree } from '../../../image-builder/stages/rootfs/archive.ts';
import { bootTreeArchive, SOURCE_DATE_EPOCH } from '../support/boot-tree.ts';
import { runDiskTool } from '../support/disk-tools.ts';
import { inspectByIronic } from '../support/ironic.ts';
import { BIOS_GRUB, BOOT, ESP, MENU, qcowOf, ROOT } from '../support/partitions.ts';
import { type TestStage, testStage } from '../support/stage-context.ts';

const MIB = 1024 * 1024;
const STANDARD = [ROOT, BIOS_GRUB, ESP, BOOT];
const DATA: Partition[] = [
  { mount: 'swap', part_start: '1800MiB', part_end: '1850MiB', filesystem: { type: 'swap' } },
  { mount: '/var/lib/data', part_start: '1850MiB', part_end: '1900MiB', filesystem: { type: 'ext4' } },
  { mount: '/srv', part_start: '1900MiB', part_end: '1910MiB', filesystem: { type: 'vfat' } },
  { mount: '/var/lib/xfs', part_start: '1910MiB', part_end: '2310MiB', filesystem: { type: 'xfs' } },
  { mount: '/var/lib/empty', part_start: '2310MiB', part_end: '2610MiB', filesystem: { type: 'xfs' } },
];

let stage: TestStage;
let tree: string;
let disk: AssembledDisk;
let output: string;
let raw: string;

const run = (tool: string, ...args: string[]) => runDiskTool(tool, args, 'utf8');
const debugfs = (partition: string, request: string) =>
  run('debugfs', '-R', request, `${raw}?offset=${offsetOf(partition)}`);
const offsetOf = (mount: string) =>
  disk.partitions.find((partition) => partition.mount === mount)?.startBytes ?? Number.NaN;

/** A copy of an xfs of the disk. */
function xfsImage(mount: string): string {
  const { startBytes = 0, sizeBytes = 0 } = disk.partitions.find((one) => one.mount === mount) ?? {};
  const image = join(stage.directory, 'xfs.raw');
  const [skip, count] = [startBytes / MIB, sizeBytes / MIB];
  run('dd', `if=${raw}`, `of=${image}`, 'bs=1M', 'conv=sparse', `skip=${skip}`, `count=${count}`);
  return image;
}

function request(partitions: Partition[], file: string, from = tree) {
  return {
    ...{ tree: from, architecture: 'amd64' as const, qcow: qcowOf(partitions), menu: MENU },
    identifierSeed: 'seed',
    output: file,
    index: indexOf(file),
  };
}

/** Where the index of an image goes: not beside it. */
const indexOf = (image: string) => join(stage.directory, `${basename(image)}.index`);

beforeAll(async () => {
  stage = await testStage(SOURCE_DATE_EPOCH);
  tree = join(stage.directory, 'tree');
  await unpackTree(await bootTreeArchive(), tree, stage);
  await stage.sandbox.run(['sh', '-euc', PREPARE, 'sh', tree]);
  output = join(stage.outputDir, 'node.qcow2');
  disk = await assembleDisk(request([...STANDARD, ...DATA], output), stage);
  raw = join(stage.directory, 'disk.raw');
  run('qemu-img', 'convert', '-O', 'raw', output, raw);
});
afterAll(() => stage.remove());

// Content for the other file systems, and what file systems are known to lose.
const PREPARE = `
mkdir -p "$1/var/lib/data/deep" "$1/srv/Some Directory" "$1/boot/efi/EFI/vendor"
echo data > "$1/var/lib/data/deep/file"
chown 12:34 "$1/var/lib/data"; chmod 2750 "$1/var/lib/data"
echo served > "$1/srv/Some Directory/file.txt"
echo firmware > "$1/boot/efi/EFI/vendor/tool.efi"
mkdir -p "$1/var/lib/xfs/deep/er" "$1/var/lib/xfs/many" "$1/var/lib/empty"
head -c 300000 /dev/zero | tr '\\0' x > "$1/var/lib/xfs/deep/er/large"
: > "$1/var/lib/xfs/deep/none"; ln -s ../deep/er/large "$1/var/lib/xfs/many/link"
for i in $(seq 300); do echo $i > "$1/var/lib/xfs/many/file-$i"; done
chown 12:34 "$1/var/lib/xfs/deep"; chmod 3771 "$1/var/lib/xfs/deep"; chmod 4751 "$1/var/lib/xfs/deep/none"
touch -d @1600000000 "$1/var/lib/xfs/deep/er/large"
ln "$1/etc/hostname" "$1/etc/hostname.link"
cp "$1/usr/bin/true" "$1/usr/bin/capable"; setcap cap_net_raw+ep "$1/usr/bin/capable" 2>/dev/null || true`;

describe('the disk', () => {
  test('is a qcow2 of the planned size, which Ironic would deploy', async () => {
    const info = JSON.parse(run('qemu-img', 'info', '--output=json', output));
    expect(info).toMatchObject({ format: 'qcow2', 'virtual-size': 3 * 1024 * MIB });
    expect(info['format-specific'].data['compression-type']).toBe('zstd');
    expect(disk.virtualSize).toBe(3 * 1024 * MIB);
    expect(run('qemu-img', 'check', output)).toContain('No errors');
    expect(statSync(output).mode & 0o777).toBe(0o644);
    expect(await inspectByIronic(output)).toEqual({ format: 'qcow2', virtualSize: 3 * 1024 * MIB });
  });

  test('has the partition table that was planned', () => {
    const { partitiontable: table } = JSON.parse(run('sfdisk', '-J', raw));
    expect(table.label).toBe('gpt');
    expect(table.partitions.map(({ start, size }: Record<string, number>) => [start, size])).toEqual(
      disk.partitions.map(({ startBytes, sizeBytes }) => [startBytes / 512, sizeBytes / 512]),
    );
    expect(table.partitions[0].uuid.toLowerCase()).toBe(disk.partitions[0]?.guid);
    expect(run('sfdisk', '--verify', raw)).toMatch(/No errors/);
  });

  test.each(['/', '/boot', '/var/lib/data'])('has a clean ext4 at %s', (mount) => {
    expect(run('e2fsck', '-fn', `${raw}?offset=${offsetOf(mount)}`)).toMatch(/files \(.*blocks\n?$/);
  });

  test('does not tell how often the caches of mke2fs were written back', () => {
    // s_kbytes_written of the superblock and of its first backup: https://docs.kernel.org/filesystems/ext4/super.html
    for (const superblock of [1024, 128 * MIB]) {
      const start = offsetOf('/') + superblock;
      const counter = run('sh', '-c', `tail -c +${start + 0x178 + 1} "$0" | head -c 8 | od -An -tx8`, raw);
      expect(counter.trim()).toBe('0'.repeat(16));
    }
  });

  test.each(['/boot/efi', '/srv'])('has a clean vfat at %s', (mount) => {
    const partition = disk.partitions.find((one) => one.mount === mount);
    const file = join(stage.directory, 'fat.raw');
    run(
      ...(['dd', `if=${raw}`, `of=${file}`, 'bs=1M', `skip=${offsetOf(mount) / MIB}`] as const),
      `count=${(partition?.sizeBytes ?? 0) / MIB}`,
    );
    expect(run('fsck.vfat', '-n', file)).toMatch(/files, /);
    expect(run('blkid', '-p', '-o', 'value', '-s', 'UUID', file).trim()).toBe(partition?.fileSystem?.uuid);
  });

  test('has a clean xfs with everything in it', () => {
    const image = xfsImage('/var/lib/xfs');
    expect(run('xfs_repair', '-n', image)).toContain('No modify flag set');
    const uuid = disk.partitions.find((one) => one.mount === '/var/lib/xfs')?.fileSystem?.uuid;
    expect(run('blkid', '-p', '-o', 'value', '-s', 'UUID', image).trim()).toBe(uuid);
    const print = (path: string, ...fields: string[]) =>
      run('xfs_db', '-r', '-c', `path ${path}`, '-c', `print ${fields.join(' ')}`, image);
    const times = ['core.mtime.sec', 'core.ctime.sec', 'v3.crtime.sec', 'core.atime.sec', 'core.ctime.nsec'];
    for (const path of ['/', '/deep/none', '/many/link', '/many'])
      expect([path, print(path, ...times).match(/Nov 14 22:13:20 2023/g)?.length]).toEqual([path, 4]);
    expect(print('/deep/er/large', 'core.size', 'core.mtime.sec')).toMatch(/300000\n.*Sep 13 12:26:40 2020/);
    expect(print('/deep', 'core.mode', 'core.uid', 'core.gid')).toMatch(/043771\n.* 12\n.* 34\n/);
    expect(print('/deep/none', 'core.mode')).toContain('0104751');
    expect(print('/many/link', 'u3.symlink')).toContain('../deep/er/large');
    expect(print('/many/file-300', 'core.size')).toContain('= 4');
    expect(run('xfs_repair', '-n', xfsImage('/var/lib/empty'))).toContain('No modify flag set');
  });

  test('has swap', () => {
    const { startBytes = 0, fileSystem } = disk.partitions[4] ?? {};
    const found = run('blkid', '-p', '-O', `${startBytes}`, '-S', `${50 * MIB}`, '-o', 'export', raw);
    expect(found).toContain('TYPE=swap');
    expect(found).toContain(`UUID=${fileSystem?.uuid}`);
  });

  test('has fstab by UUID', () => {
    const fstab = debugfs('/', 'cat /etc/fstab');
    for (const { fileSystem } of disk.partitions)
      if (fileSystem) expect(fstab).toContain(`UUID=${fileSystem.uuid} `);
  });

  test('has each directory on its own file system, the mount points empty', () => {
    expect(debugfs('/boot', 'ls -p /')).toContain('/vmlinuz-');
    expect(debugfs('/', 'ls -p /boot').trim().split('\n')).toHaveLength(2);
    expect(debugfs('/var/lib/data', 'cat /deep/file')).toBe('data\n');
    expect(debugfs('/', 'ls -p /var/lib/data').trim().split('\n')).toHaveLength(2);
    const listing = run('mdir', '-b', '-/', '-i', `${raw}@@${offsetOf('/srv')}`, '::');
    expect(listing).toContain('::/Some Directory/file.txt');
  });

  test('keeps the owner and the mode of a mount point, on both sides', () => {
    const expected = /Mode:\s+02750[\s\S]*User:\s+12\s+Group:\s+34/;
    expect(debugfs('/var/lib/data', 'stat /')).toMatch(expected);
    expect(debugfs('/', 'stat /var/lib/data')).toMatch(expected);
  });

  test('keeps hard links and file capabilities', () => {
    expect(debugfs('/', 'stat /etc/hostname')).toMatch(/Links: 2/);
    if (run('getcap', join(tree, 'usr/bin/capable')).includes('cap_net_raw'))
      expect(debugfs('/', 'ea_list /usr/bin/capable')).toContain('security.capability');
  });

  test('has nothing of the time at which it was made', () => {
    const stat = debugfs('/', 'stat /etc/fstab');
    for (const time of ['ctime', 'atime', 'mtime', 'crtime'])
      expect(stat).toMatch(new RegExp(`\\b${time}: 0x6553f100:`));
    const header = run('dumpe2fs', '-h', `${raw}?offset=${offsetOf('/')}`);
    expect(header).toMatch(/Last write time:\s+Tue Nov 14 /);
    expect(header).toMatch(/Filesystem created:\s+Tue Nov 14 /);
  });

  test('has boot loaders for both firmwares, the signed ones of the image for UEFI', () => {
    expect(disk.secureBoot).toBe(true);
    const listing = run('mdir', '-b', '-/', '-i', `${raw}@@${offsetOf('/boot/efi')}`, '::');
    for (const file of ['BOOT/BOOTX64.EFI', 'BOOT/grubx64.efi', 'debian/grub.cfg', 'vendor/tool.efi'])
      expect(listing).toContain(`::/EFI/${file}`);
    expect(debugfs('/boot', 'cat /grub/grub.cfg')).toMatch(/^ {2}linux \/vmlinuz-\S+ root=UUID=/m);
    expect(debugfs('/boot', 'ls -p /grub/x86_64-efi')).toContain('/ext2.mod/');
  });
});

test('the tree is whole afterwards and the work directory is empty', () => {
  expect(existsSync(join(tree, 'boot/efi/EFI/vendor/tool.efi'))).toBe(true);
  expect(existsSync(join(tree, 'srv/Some Directory/file.txt'))).toBe(true);
  expect(readdirSync(stage.workDir)).toEqual([]);
  expect(readdirSync(stage.outputDir)).toEqual(['node.qcow2']);
  expect(readdirSync(join(tree, 'tmp'))).toEqual([]);
});

test('the same tree, unpacked elsewhere and later, gives the same bytes', async () => {
  const other = await testStage(SOURCE_DATE_EPOCH);
  try {
    const copy = join(other.directory, 'tree');
    await unpackTree(await bootTreeArchive(), copy, other);
    await other.sandbox.run(['sh', '-euc', PREPARE, 'sh', copy]);
    const again = join(other.outputDir, 'x.qcow2');
    await assembleDisk(request([...STANDARD, ...DATA], again, copy), other);
    run('cmp', again, output);
    run('cmp', indexOf(again), indexOf(output));
  } finally {
    await other.remove();
  }
});

test('the index is of the image, and small', () => {
  const index = readFileSync(disk.index ?? '');
  const { size } = statSync(output);
  expect(parseIndex(index)).toMatchObject({ fileBytes: size, diskBytes: disk.virtualSize });
  expect(index.length).toBeLessThan(size * 0.01);
});

test('zlib, for old QEMUs, and a disk without a separate /boot', async () => {
  const file = join(stage.directory, 'zlib.qcow2');
  const { qcow, ...rest } = request([{ ...ROOT, part_start: '80MiB' }, BIOS_GRUB, ESP], file);
  const { index } = await assembleDisk({ ...rest, qcow: { ...qcow, qcow_compression_type: 'zlib' } }, stage);
  expect(index).toBeUndefined();
  const info = JSON.parse(run('qemu-img', 'info', '--output=json', file));
  expect(info['format-specific'].data['compression-type']).toBe('zlib');
  expect(await inspectByIronic(file)).toMatchObject({ format: 'qcow2' });
  rmSync(file);
});

describe('what goes wrong', () => {
  const file = () => join(stage.outputDir, 'failed.qcow2');
  const nothingIsLeft = () => {
    expect(readdirSync(stage.workDir)).toEqual([]);
    expect(readdirSync(stage.outputDir)).toEqual(['node.qcow2']);
    expect(existsSync(join(tree, 'boot/grub/grub.cfg'))).toBe(true);
  };
  afterEach(nothingIsLeft);

  test('a tree that is larger than its partition', async () => {
    const small = [{ ...ROOT, part_end: '400MiB' }, BIOS_GRUB, ESP, BOOT];
    await expect(assembleDisk(request(small, file()), stage)).rejects.toMatchObject({
      code: 'DOES_NOT_FIT',
      message: expect.stringMatching(/^\/ needs \d+\S* MiB, its partition \(number 1\) has 200 MiB$/),
    });
  });

  test('what an xfs cannot be filled with is named, with its file', async () => {
    const linked = join(tree, 'var/lib/xfs/many/linked');
    const spaced = join(tree, 'var/lib/xfs/a name');
    await stage.sandbox.run(['ln', join(tree, 'var/lib/xfs/many/file-1'), linked]);
    await stage.sandbox.run(['touch', spaced]);
    await expect(assembleDisk(request([...STANDARD, ...DATA], file()), stage)).rejects.toMatchObject({
      code: 'TREE_UNUSABLE',
      message:
        'mkfs.xfs cannot store the content of /var/lib/xfs: /var/lib/xfs/a name has white space or quotes in its ' +
        'name or target; /var/lib/xfs/many/file-1 has hard links; /var/lib/xfs/many/linked has hard links',
      hint: 'Use ext4 for /var/lib/xfs.',
    });
    await stage.sandbox.run(['rm', linked, spaced]);
  });

  test('an impossible table, before anything is made', async () => {
    const overlapping = [ROOT, BIOS_GRUB, ESP, { ...BOOT, part_start: '79MiB' }];
    await expect(assembleDisk(request(overlapping, file()), stage)).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('partitions[3].part_start: 79MiB to 200MiB overlaps partitions[2]'),
    });
  });

  test('a link that leads out of the tree', async () => {
    const outside = join(stage.directory, 'outside');
    const hostile = join(stage.directory, 'hostile');
    await stage.sandbox.run([
      'sh',
      '-euc',
      'mkdir -p "$1" "$2/boot" "$2/tmp"; ln -s "$1" "$2/etc"; : > "$2/boot/vmlinuz-6"',
      ...['sh', outside, hostile],
    ]);
    await expect(assembleDisk(request(STANDARD, file(), hostile), stage)).rejects.toMatchObject({
      code: 'TREE_UNUSABLE',
      message: expect.stringMatching(/^\/etc in the root file system passes through a symbolic link/),
    });
    expect(readdirSync(outside)).toEqual([]);
  });

  test('a tree without a kernel', async () => {
    const empty = join(stage.directory, 'empty');
    await stage.sandbox.run(['mkdir', '-p', join(empty, 'etc'), join(empty, 'boot'), join(empty, 'tmp')]);
    await expect(assembleDisk(request(STANDARD, file(), empty), stage)).rejects.toMatchObject({
      code: 'TREE_UNUSABLE',
      message: expect.stringContaining('no kernel'),
    });
  });

  test.each(['partition the disk', 'make file system 1', 'compress the disk'])(
    'an abort at "%s" leaves nothing behind',
    async (message) => {
      const abort = new AbortController();
      const aborted = assembleDisk(request(STANDARD, file()), {
        ...stage,
        signal: abort.signal,
        step: (said) => {
          if (said.startsWith(message)) setTimeout(() => abort.abort(), 50);
        },
      });
      await expect(aborted).rejects.toMatchObject({ code: 'CANCELLED' });
    },
  );
});
