import { InvalidInputError } from '../../../image-builder/base/diagnostics/error.ts';
import type { DiskVariables } from '../../../image-builder/disk/disk-plan.ts';
import { planPartitions } from '../../../image-builder/disk/partition-table.ts';
import { renderSfdiskScript } from '../../../image-builder/disk/sfdisk.ts';
import { MIB } from '../../../image-builder/disk/size.ts';
import type { Partition } from '../../../image-builder/spec/api/types.ts';

const root: Partition = {
  mount: '/',
  part_start: '1284MiB',
  part_end: '100%',
  filesystem: { type: 'ext4', fstab: { options: 'defaults,errors=remount-ro,noatime', dump: 0, fsck: 1 } },
};
const biosGrub: Partition = { mount: 'none', part_start: '1MiB', part_end: '5MiB', flags: ['bios_grub'] };
const esp: Partition = {
  mount: '/boot/efi',
  mount_order: 2,
  part_start: '5MiB',
  part_end: '516MiB',
  flags: ['boot', 'esp'],
  filesystem: { type: 'vfat', fstab: { options: 'umask=0077', dump: '0', fsck: '1' } },
};
const boot: Partition = {
  mount: '/boot',
  mount_order: 1,
  part_start: '516MiB',
  part_end: '1284MiB',
  filesystem: { type: 'ext4' },
};

const disk = (...partitions: Partition[]): DiskVariables => ({ qcow_capacity: '19G', partitions });
const standard = disk(root, biosGrub, esp, boot);

/** Field and message of every finding. */
function findingsOf(variables: DiskVariables): [string, string][] {
  try {
    planPartitions(variables, 'seed', 'amd64');
  } catch (error) {
    if (error instanceof InvalidInputError)
      return error.findings().map(({ field = '', message }) => [field, message]);
    throw error;
  }
  return [];
}
const fieldsOf = (variables: DiskVariables) => findingsOf(variables).map(([field]) => field);

describe('the predecessor’s table', () => {
  const plan = planPartitions(standard, 'seed', 'amd64');

  test('keeps the order of the list as the partition numbers', () => {
    expect(plan.partitions.map(({ number, mount, role }) => [number, mount, role])).toEqual([
      [1, '/', 'data'],
      [2, undefined, 'bios_grub'],
      [3, '/boot/efi', 'esp'],
      [4, '/boot', 'data'],
    ]);
    expect([plan.root.number, plan.boot.number, plan.esp.number, plan.biosGrub?.number]).toEqual([
      1, 4, 3, 2,
    ]);
  });

  test('places the partitions, the last one up to the backup table', () => {
    expect(plan.partitions.map(({ startBytes, sizeBytes }) => [startBytes / MIB, sizeBytes / MIB])).toEqual([
      [1284, 19 * 1024 - 1284 - 1],
      [1, 4],
      [5, 511],
      [516, 768],
    ]);
  });

  test('gives fstab by UUID, parents first', () => {
    const lines = plan.fstab.trim().split('\n').slice(1);
    expect(lines.map((line) => line.split(' ').slice(1).join(' '))).toEqual([
      '/ ext4 defaults,errors=remount-ro,noatime 0 1',
      '/boot ext4 defaults 0 2',
      '/boot/efi vfat umask=0077 0 1',
    ]);
    expect(lines[0]).toContain(`UUID=${plan.root.fileSystem?.uuid} `);
    expect(lines[2]).toMatch(/^UUID=[0-9A-F]{4}-[0-9A-F]{4} /);
  });

  test('writes everything that sfdisk would choose by itself', () => {
    expect(renderSfdiskScript(plan).split('\n')).toEqual([
      'label: gpt',
      `label-id: ${plan.diskGuid.toUpperCase()}`,
      'unit: sectors',
      '',
      expect.stringMatching(/^1 : start=2629632, size=37214208, type=0FC63DAF-\S+, uuid=[0-9A-F-]{36}$/),
      expect.stringMatching(/^2 : start=2048, size=8192, type=21686148-\S+, uuid=[0-9A-F-]{36}$/),
      expect.stringMatching(/^3 : start=10240, size=1046528, type=C12A7328-\S+, uuid=[0-9A-F-]{36}$/),
      expect.stringMatching(/^4 : start=1056768, size=1572864, type=0FC63DAF-\S+, uuid=[0-9A-F-]{36}$/),
      '',
    ]);
  });
});

describe('identifiers', () => {
  const identifiers = (seed: string) => {
    const { diskGuid, partitions } = planPartitions(standard, seed, 'amd64');
    return [diskGuid, ...partitions.flatMap(({ guid, fileSystem }) => [guid, fileSystem?.uuid ?? ''])];
  };

  test('are a function of the seed, and different from each other', () => {
    expect(identifiers('a')).toEqual(identifiers('a'));
    const [a, b] = [identifiers('a').filter(Boolean), identifiers('b').filter(Boolean)];
    expect(new Set([...a, ...b]).size).toBe(a.length + b.length);
  });

  test('are UUIDs of version 8', () => {
    for (const id of identifiers('a').filter((value) => value.length === 36))
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

test('a machine without BIOS needs no bios_grub partition, and may have one', () => {
  expect(planPartitions(disk(root, esp), 'seed', 'arm64').biosGrub).toBeUndefined();
  expect(planPartitions(standard, 'seed', 'arm64').biosGrub?.number).toBe(2);
});

describe('sizes', () => {
  const rootFrom = (part_start: string, part_end: string, qcow_capacity = '10G') => {
    const plan = planPartitions(
      { qcow_capacity, partitions: [{ ...root, part_start, part_end }, biosGrub, esp] },
      'seed',
      'amd64',
    );
    return [plan.root.startBytes / MIB, (plan.root.startBytes + plan.root.sizeBytes) / MIB];
  };

  test.each([
    ['516MiB', '2GiB', [516, 2048]],
    ['0.75GiB', '1.5GiB', [768, 1536]],
    ['10%', '50%', [1024, 5120]],
    ['516.5MiB', '1000.5MiB', [517, 1000]],
    ['516MiB', '100%', [516, 10239]],
    ['516MiB', '10GiB', [516, 10239]],
  ])('%s to %s', (start, end, expected) => {
    expect(rootFrom(start, end)).toEqual(expected);
  });

  test.each([
    ['10240M', 10240],
    ['3T', 3 * 1024 * 1024],
    ['20480MiB', 20480],
  ])('capacity %s', (capacity, mib) => {
    expect(
      planPartitions({ ...standard, qcow_capacity: capacity }, 'seed', 'amd64').capacityBytes / MIB,
    ).toBe(mib);
  });
});

describe('more file systems', () => {
  test('swap comes last in fstab and has its own partition type', () => {
    const swap: Partition = {
      mount: 'swap',
      part_start: '2GiB',
      part_end: '3GiB',
      filesystem: { type: 'swap' },
    };
    const plan = planPartitions(
      disk({ ...root, part_start: '3GiB' }, biosGrub, swap, esp, boot),
      'seed',
      'amd64',
    );
    expect(plan.partitions[2]?.typeGuid).toMatch(/^0657FD6D/);
    expect(plan.fstab.trim().split('\n').at(-1)).toMatch(/^UUID=\S+ none swap sw 0 0$/);
  });

  test('mount points with blanks are escaped in fstab', () => {
    const data: Partition = {
      mount: '/srv/my data',
      part_start: '2GiB',
      part_end: '3GiB',
      filesystem: { type: 'ext4' },
    };
    const plan = planPartitions(
      disk({ ...root, part_start: '3GiB' }, biosGrub, data, esp, boot),
      'seed',
      'amd64',
    );
    expect(plan.fstab).toContain(' /srv/my\\040data ext4 ');
  });

  test('/boot may be a directory of the root file system', () => {
    const plan = planPartitions(disk(root, biosGrub, esp), 'seed', 'amd64');
    expect(plan.boot).toBe(plan.root);
  });
});

describe('what is wrong', () => {
  test.each<[string, DiskVariables, string, RegExp]>([
    ['capacity', { ...standard, qcow_capacity: '19X' }, 'qcow_capacity', /"19X"/],
    ['capacity beyond numbers', { ...standard, qcow_capacity: '99999999999T' }, 'qcow_capacity', /9T"/],
    ['no root', disk(biosGrub, esp, boot), 'partitions', /no partition is mounted at "\/"/],
    ['no ESP', disk(root, biosGrub, boot), 'partitions', /no EFI system partition/],
    ['no bios_grub', disk(root, esp, boot), 'partitions', /no bios_grub partition/],
    ['too large', { ...standard, qcow_capacity: '1G' }, 'partitions[0].part_end', /"100%"/],
    [
      'beyond the end',
      disk({ ...root, part_end: '30GiB' }, biosGrub, esp, boot),
      'partitions[0].part_end',
      /"30GiB" is beyond the end of the disk \(qcow_capacity is "19G"\)/,
    ],
    [
      'more than all',
      disk({ ...root, part_end: '101%' }, biosGrub, esp, boot),
      'partitions[0].part_end',
      /"101%"/,
    ],
    [
      'end before start',
      disk({ ...root, part_end: '1283MiB' }, biosGrub, esp, boot),
      'partitions[0].part_end',
      /"1283MiB" leaves no room after part_start "1284MiB"/,
    ],
    [
      'in the table',
      disk(root, { ...biosGrub, part_start: '0MiB' }, esp, boot),
      'partitions[1].part_start',
      /"0MiB" is inside the partition table/,
    ],
    [
      'overlap',
      disk(root, biosGrub, esp, { ...boot, part_start: '515MiB' }),
      'partitions[3].part_start',
      /515MiB to 1284MiB overlaps partitions\[2\], which is 5MiB to 516MiB/,
    ],
    [
      'contained',
      disk(root, biosGrub, esp, boot, { ...boot, mount: '/srv', part_start: '5GiB', part_end: '6GiB' }),
      'partitions[4].part_start',
      /overlaps partitions\[0\]/,
    ],
    [
      'duplicate mount',
      disk(root, biosGrub, esp, { ...boot, mount: '/' }),
      'partitions[3].mount',
      /"\/" is already the mount point of partitions\[0\]/,
    ],
    [
      'second ESP',
      disk(root, biosGrub, esp, { ...boot, flags: ['esp'], filesystem: { type: 'vfat' } }),
      'partitions[3].flags',
      /partitions\[2\] is already the esp partition/,
    ],
    [
      'ESP of another type',
      disk(root, biosGrub, { ...esp, filesystem: { type: 'ext4' } }, boot),
      'partitions[2].filesystem',
      /"ext4"/,
    ],
    [
      'root on vfat',
      disk({ ...root, filesystem: { type: 'vfat' } }, biosGrub, esp, boot),
      'partitions[0].filesystem.type',
      /"vfat" cannot contain the root/,
    ],
    [
      'no file system',
      disk(root, biosGrub, esp, { mount: '/boot', part_start: '516MiB', part_end: '1284MiB' }),
      'partitions[3].filesystem',
      /"\/boot" needs a file system/,
    ],
    [
      'options that break the line',
      disk(root, biosGrub, esp, {
        ...boot,
        filesystem: { type: 'ext4', fstab: { options: 'defaults 0 0\n/dev/sdb / ext4 suid' } },
      }),
      'partitions[3].filesystem.fstab.options',
      /white space/,
    ],
    [
      'a path that climbs',
      disk(root, biosGrub, esp, { ...boot, mount: '/boot/../../etc' }),
      'partitions[3].mount',
      /not a plain absolute path/,
    ],
    [
      'a mount over /etc',
      disk(root, biosGrub, esp, { ...boot, mount: '/etc' }),
      'partitions[3].mount',
      /"\/etc"/,
    ],
    [
      'xfs',
      disk(root, biosGrub, esp, { ...boot, filesystem: { type: 'xfs' } }),
      'partitions[3].filesystem.type',
      /"xfs" cannot be filled with \/boot without privileges/,
    ],
    [
      'a tiny file system',
      disk(root, biosGrub, esp, { ...boot, part_end: '517MiB' }),
      'partitions[3].part_end',
      /ext4 needs 8 MiB/,
    ],
    [
      'swap that is mounted',
      disk(root, biosGrub, esp, { ...boot, filesystem: { type: 'swap' } }),
      'partitions[3].filesystem.type',
      /"swap" cannot be mounted/,
    ],
    [
      'bios_grub with a file system',
      disk(root, { ...biosGrub, filesystem: { type: 'ext4' } }, esp, boot),
      'partitions[1].flags',
      /no filesystem/,
    ],
  ])('%s', (_name, variables, field, message) => {
    expect(findingsOf(variables)).toContainEqual([field, expect.stringMatching(message)]);
  });

  test('everything is told at once', () => {
    const variables = disk({ ...root, part_end: '40GiB' }, { ...esp, part_start: '1x' }, boot, boot);
    expect(fieldsOf(variables)).toEqual(
      expect.arrayContaining([
        'partitions[0].part_end',
        'partitions[1].part_start',
        'partitions[3].part_start',
        'partitions[3].mount',
        'partitions',
      ]),
    );
  });

  test('a partition that is placed nowhere overlaps nothing', () => {
    const fields = fieldsOf(disk(root, biosGrub, esp, { ...boot, part_start: 'x', part_end: '9%%' }));
    expect(fields).toEqual(['partitions[3].part_start', 'partitions[3].part_end']);
  });

  test('more partitions than a GPT has', () => {
    const many = Array.from({ length: 130 }, (_, index) => ({
      mount: 'none',
      part_start: `${2000 + index * 10}MiB`,
      part_end: `${2010 + index * 10}MiB`,
    }));
    expect(findingsOf(disk({ ...root, part_start: '4000MiB' }, biosGrub, esp, ...many))).toContainEqual([
      'partitions',
      expect.stringMatching(/^133 partitions/),
    ]);
  });
});
