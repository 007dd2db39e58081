// A disk for arm64 of real packages of that architecture, with just enough in it to run its own GRUB by emulation; and
// its firmware, shim and GRUB up to the menu, in a machine. A system behind that is test/e2e/images/arm64.test.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askRepositories } from '../../../image-builder/build/packages/resolution.ts';
import { type AssembledDisk, assembleDisk } from '../../../image-builder/disk/assemble.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import { bootTest } from '../../../image-builder/stages/boot-test/boot-image.ts';
import { SOURCE_DATE_EPOCH } from '../support/boot-tree.ts';
import { runDiskTool } from '../support/disk-tools.ts';
import { executable, run as runCommand } from '../support/executables.ts';
import { BOOT, ESP, MENU, qcowOf, ROOT } from '../support/partitions.ts';
import { type TestStage, testStage } from '../support/stage-context.ts';

/** What grub-mkimage loads, and what goes to the EFI system partition. */
const PACKAGES = [
  ...['base-files', 'busybox-static', 'grub-common', 'grub-efi-arm64-bin', 'grub-efi-arm64-signed'],
  ...['shim-signed', 'shim-helpers-arm64-signed', 'libc6', 'libdevmapper1.02.1', 'liblzma5'],
  ...['libpcre2-8-0', 'libselinux1', 'libudev1', 'libcap2'],
];
const MENU_ENTRY = 'Debian GNU/Linux 13 (trixie), with Linux 6.12-arm64';

let stage: TestStage;
let tree: string;
let disk: AssembledDisk;
let output: string;
let raw: string;

const run = (tool: string, ...args: string[]) => runDiskTool(tool, args, 'latin1');

/** Fetches and extracts packages, without running anything of theirs. */
async function extractPackages(): Promise<void> {
  const multistrap = { rootfs_arch: 'arm64' as const, packages: PACKAGES };
  const resolved = await resolveBuild('node', { rootfs: { multistrap } }, { cwd: stage.directory });
  const { packages } = await askRepositories({ ...resolved, ...resolved.rootfs }, stage);
  for (const name of PACKAGES) {
    const found = packages.find((one) => one.name === name);
    const repository = resolved.rootfs.multistrap.repos.find((one) => one.name === found?.repository);
    const response = await fetch(`${repository?.source}/${found?.path}`);
    const archive = join(stage.directory, `${name}.deb`);
    writeFileSync(archive, Buffer.from(await response.arrayBuffer()));
    await stage.sandbox.run(['sh', '-euc', EXTRACT, 'sh', archive, tree]);
  }
  await stage.sandbox.run(['sh', '-euc', FINISH, 'sh', tree]);
}

// Not dpkg-deb --extract, which would replace the links of the merged /usr.
const EXTRACT = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --directory="$2" --keep-directory-symlink';
const FINISH = `
cd "$1"; mkdir -p boot/efi tmp etc
ln -s busybox usr/bin/cat
echo kernel > boot/vmlinuz-6.12-arm64`;

beforeAll(async () => {
  stage = await testStage(SOURCE_DATE_EPOCH, 'arm64');
  tree = join(stage.directory, 'tree');
  await stage.sandbox.run(['sh', '-euc', 'mkdir -p "$1/usr/lib"; ln -s usr/lib "$1/lib"', 'sh', tree]);
  await extractPackages();
  output = join(stage.outputDir, 'node.qcow2');
  disk = await assembleDisk(
    {
      ...{ tree, architecture: 'arm64', qcow: qcowOf([ROOT, ESP, BOOT]), identifierSeed: 'arm64', output },
      // The menu stays: the kernel is none.
      menu: { ...MENU, timeoutSeconds: 300 },
    },
    stage,
  );
  raw = join(stage.directory, 'disk.raw');
  run('qemu-img', 'convert', '-O', 'raw', output, raw);
});
afterAll(() => stage.remove());

const offsetOf = (mount: string) => disk.partitions.find((one) => one.mount === mount)?.startBytes ?? 0;
const onEsp = (tool: string, ...args: string[]) =>
  run(tool, '-i', `${raw}@@${offsetOf('/boot/efi')}`, ...args);

test('firmware finds the signed shim of arm64, and that finds GRUB and its configuration', () => {
  expect(disk.secureBoot).toBe(true);
  const files = onEsp('mdir', '-/', '-b', '::').trim().split('\n');
  expect(files).toEqual(
    expect.arrayContaining(
      ['BOOTAA64.EFI', 'grubaa64.efi', 'mmaa64.efi'].map((name) => `::/EFI/BOOT/${name}`),
    ),
  );
  expect(files.join()).not.toMatch(/x64/i);
  for (const [name, source] of [
    ['BOOTAA64.EFI', 'shim/shimaa64.efi.signed'],
    ['grubaa64.efi', 'grub/arm64-efi-signed/grubaa64.efi.signed'],
  ]) {
    const program = Buffer.from(onEsp('mtype', `::/EFI/BOOT/${name}`), 'latin1');
    expect(program.equals(readFileSync(join(tree, 'usr/lib', source as string)))).toBe(true);
    // IMAGE_FILE_HEADER.Machine of Microsoft's PE format: IMAGE_FILE_MACHINE_ARM64.
    expect(program.readUInt16LE(program.readUInt32LE(0x3c) + 4)).toBe(0xaa64);
  }
  const boot = disk.partitions.find(({ mount }) => mount === '/boot');
  expect(onEsp('mtype', '::/EFI/debian/grub.cfg')).toContain(boot?.fileSystem?.uuid);
});

test('GRUB has its modules for arm64, and nothing is for BIOS', () => {
  const debugfs = (request: string) => run('debugfs', '-R', request, `${raw}?offset=${offsetOf('/boot')}`);
  expect(debugfs('ls -p /grub')).toContain('/arm64-efi/');
  expect(debugfs('ls -p /grub')).not.toContain('i386-pc');
  expect(debugfs('ls -p /grub/arm64-efi')).toContain('/normal.mod/');
  expect(debugfs('cat /grub/grub.cfg')).toContain(`menuentry '${MENU_ENTRY}'`);
  const bootCode = Buffer.from(run('head', '-c', '440', raw), 'latin1');
  expect(bootCode.every((byte) => byte === 0)).toBe(true);
});

test('a machine comes to the menu', async () => {
  const expected = new RegExp(MENU_ENTRY.replace(/[()]/g, '\\$&'));
  await bootTest(output, {
    ...{ architecture: 'arm64', format: 'qcow2', firmware: 'uefi', timeoutSeconds: 300, expect: expected },
  });
});

test('on the command line its machine has UEFI without being told so', () => {
  const argv = ['boot-test', output, '--architecture', 'arm64', '--timeout', '1'];
  const { status, stderr } = runCommand([executable('image-builder'), ...argv]);
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining('within 1 s') });
});
