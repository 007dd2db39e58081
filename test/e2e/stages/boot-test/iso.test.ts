// A live ISO of a real root file system: what is in it, and that it boots and applies its cloud-init data.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type AssembleIsoRequest, assembleIso } from '../../../../image-builder/disk/live-iso.ts';
import { SpecFiles } from '../../../../image-builder/policy/spec-files.ts';
import { resolveIso } from '../../../../image-builder/spec/variables/iso.ts';
import { bootTest } from '../../../../image-builder/stages/boot-test/boot-image.ts';
import { detectImageFormat } from '../../../../image-builder/stages/boot-test/image-format.ts';
import { unpackTree } from '../../../../image-builder/stages/rootfs/archive.ts';
import { bootTreeArchive, SOURCE_DATE_EPOCH } from '../../support/boot-tree.ts';
import { REPORTED, readReport, reportScript } from '../../support/seed.ts';
import { type TestStage, testStage } from '../../support/stage-context.ts';

const TIMEOUT_SECONDS = 600;
const REPORT = `hostname; findmnt -no FSTYPE /; grep -o 'boot=live' /proc/cmdline; blkid -s LABEL -o value /dev/sr0 /dev/vda
ip -4 -o address show scope global | sed -n 's/.* inet \\([^ ]*\\) .*/\\1/p'; grep -rho 192.0.2.53 /etc/netplan /run/systemd/network | head -n 1`;
// Blank lines and a block scalar must arrive as they are.
const USER_DATA = `#cloud-config\n\nhostname: ephemeral\n\nruncmd:\n  - |\n    ${reportScript(REPORT).replaceAll('\n', '\n    ')}\n\n`;
// The address that QEMU gives its card.
const NETWORK_DATA = `${JSON.stringify({
  links: [{ id: 'oam', type: 'phy', ethernet_mac_address: '52:54:00:12:34:56', mtu: 1400 }],
  networks: [
    {
      id: 'oam4',
      type: 'ipv4',
      link: 'oam',
      ip_address: '192.0.2.7',
      netmask: '255.255.255.0',
      network_id: 'oam',
    },
  ],
  services: [{ type: 'dns', address: '192.0.2.53' }],
})}\n`;

let stage: TestStage;
let request: AssembleIsoRequest;
let image: string;

beforeAll(async () => {
  stage = await testStage(SOURCE_DATE_EPOCH);
  const tree = join(stage.directory, 'tree');
  image = join(stage.outputDir, 'ephemeral.iso');
  await unpackTree(await bootTreeArchive(), tree, stage);
  request = {
    tree,
    livecdcontent: {
      mksquashfs_compression: 'zstd',
      mksquashfs_threads: 0,
      squashfs_timeout: 600,
      grub_menu_timeout: 0,
      livecd_cmdline: 'boot=live nomodeset overlay-size=70% ds=ConfigDrive console=tty0 console=ttyS0',
    },
    cloudInit: { userData: USER_DATA, networkData: NETWORK_DATA, metaData: '{"uuid": "7c3a"}\n' },
    identifierSeed: 'iso',
    output: image,
  };
  await assembleIso(request, stage);
});
afterAll(() => stage.remove());

const run = (tool: string, ...args: string[]) =>
  execFileSync(tool, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
const extract = (path: string) => {
  const file = join(stage.directory, 'extracted');
  run('xorriso', '-osirrox', 'on', '-overwrite', 'on', '-indev', image, '-extract', path, file);
  return file;
};

test('is an ISO for everyone, labelled as a config drive, bootable by BIOS and UEFI, also as a disk', async () => {
  expect(await detectImageFormat(image)).toBe('iso');
  expect(statSync(image).mode & 0o777).toBe(0o644);
  expect(run('blkid', '-p', '-o', 'value', '-s', 'LABEL', image).trim()).toBe('config-2');
  const report = run(
    'xorriso',
    '-indev',
    image,
    '-report_el_torito',
    'plain',
    '-report_system_area',
    'plain',
  );
  expect(report).toMatch(/El Torito boot img :\s+1\s+BIOS\s+y/);
  expect(report).toMatch(/El Torito boot img :\s+2\s+UEFI\s+y/);
  expect(report).toMatch(/System area summary: MBR protective-msdos-label grub2-mbr .*GPT/);
});

test('has the cloud-init data byte for byte, and the marker', () => {
  expect(readFileSync(extract('/openstack/latest/user_data'), 'utf8')).toBe(USER_DATA);
  expect(readFileSync(extract('/openstack/latest/network_data.json'), 'utf8')).toBe(NETWORK_DATA);
  expect(readFileSync(extract('/AIRSHIP'), 'utf8')).toBe('');
});

test('has the root file system, without the kernels that lie beside it', () => {
  const listing = run('unsquashfs', '-lls', extract('/live/filesystem.squashfs'));
  expect(listing).toMatch(/root\/root .*squashfs-root\/usr\/bin\/chsh$/m);
  expect(listing).not.toMatch(/squashfs-root\/boot\/(vmlinuz|initrd)/);
  expect(listing).toContain('2023-11-14');
});

test('leaves neither scratch files nor traces in the tree', () => {
  expect(readdirSync(stage.workDir)).toEqual([]);
  expect(readdirSync(join(request.tree, 'tmp'))).toEqual([]);
});

test('is the same when it is made again', async () => {
  const output = join(stage.outputDir, 'again.iso');
  await assembleIso({ ...request, output }, stage);
  execFileSync('cmp', [output, request.output]);
});

test('a tree without live-boot is told before anything is packed', async () => {
  const empty = join(stage.directory, 'empty');
  await stage.sandbox.run(['mkdir', '-p', join(empty, 'boot'), join(empty, 'tmp')]);
  for (const file of ['vmlinuz-6.1', 'initrd.img-6.1'])
    await stage.sandbox.run(['touch', join(empty, 'boot', file)]);
  await expect(assembleIso({ ...request, tree: empty }, stage)).rejects.toMatchObject({
    code: 'TREE_UNUSABLE',
    hint: expect.stringContaining('live-boot'),
  });
});

test('packing that takes too long is stopped', async () => {
  const slow = { ...request.livecdcontent, mksquashfs_compression: 'xz' as const, squashfs_timeout: 1 };
  const output = join(stage.outputDir, 'slow.iso');
  await expect(assembleIso({ ...request, livecdcontent: slow, output }, stage)).rejects.toMatchObject({
    code: 'TIMEOUT',
    hint: expect.stringContaining('squashfs_timeout'),
  });
  expect(readdirSync(stage.workDir)).toEqual([]);
});

/** The same network, written by hand: with a tab. */
const NETWORK_YAML = `links:
- {id: oam, type: phy, ethernet_mac_address: '52:54:00:12:34:56'}
networks:
- id: oam4
\ttype: ipv4
\tlink: oam
\tip_address: 192.0.2.7
\tnetmask: 255.255.255.0
services:
- {type: dns, address: 192.0.2.53}
`;

async function secondIso(): Promise<string> {
  const spec = { userData: USER_DATA, networkData: NETWORK_YAML };
  const cloudInit = await resolveIso(
    spec,
    { files: new Map(), qcowPrefix: '', source: new SpecFiles('/nowhere') },
    'ephemeral',
  );
  const livecdcontent = { ...request.livecdcontent, mksquashfs_compression: 'lz4' as const };
  const output = join(stage.outputDir, 'lz4.iso');
  await assembleIso({ ...request, livecdcontent, cloudInit, output }, stage);
  return output;
}

test.each([
  ['bios', 'cdrom', false, 'zstd, network data in JSON', () => image],
  ['uefi', 'disk', true, 'lz4, network data in YAML', secondIso],
] as const)(
  'boots under %s as a %s and applies its data',
  async (firmware, medium, secureBoot, _what, make) => {
    const { console } = await bootTest(await make(), {
      format: 'iso',
      firmware,
      medium,
      secureBoot,
      timeoutSeconds: TIMEOUT_SECONDS,
      expect: REPORTED,
    });
    expect(readReport(console)).toEqual([
      ...['ephemeral', 'overlay', 'boot=live', 'config-2', '192.0.2.7/24', '192.0.2.53'],
    ]);
  },
);
