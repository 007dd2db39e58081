// Boots disks under each firmware and looks around in the running system.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assembleDisk } from '../../../../image-builder/disk/assemble.ts';
import { quoteKernelArguments } from '../../../../image-builder/disk/grub-config.ts';
import { kernelArguments } from '../../../../image-builder/spec/api/kernel-arguments.ts';
import type { OsconfigVariables, Partition } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import type { BootError } from '../../../../image-builder/stages/boot-test/boot-error.ts';
import { bootTest } from '../../../../image-builder/stages/boot-test/boot-image.ts';
import { detectImageFormat } from '../../../../image-builder/stages/boot-test/image-format.ts';
import { runOsconfig } from '../../../../image-builder/stages/osconfig/playbook.ts';
import { menuOf } from '../../../../image-builder/stages/qcow/boot-menu.ts';
import { unpackTree } from '../../../../image-builder/stages/rootfs/archive.ts';
import { bootTreeArchive, SOURCE_DATE_EPOCH } from '../../support/boot-tree.ts';
import { BIOS_GRUB, BOOT, ESP, MENU, qcowOf, ROOT } from '../../support/partitions.ts';
import { REPORTED, readReport, writeSeed } from '../../support/seed.ts';
import { type TestStage, testStage } from '../../support/stage-context.ts';

// Emulated, on a machine that does other things too.
const TIMEOUT_SECONDS = 600;
const GIB = 1024 ** 3;
// Before root, so that root is the last one on the disk and can grow.
const SWAP: Partition = {
  mount: 'swap',
  part_start: '200MiB',
  part_end: '232MiB',
  filesystem: { type: 'swap' },
};
const DATA: Partition = {
  mount: '/var/lib/data',
  part_start: '232MiB',
  part_end: '532MiB',
  filesystem: { type: 'xfs' },
};
const PARTITIONS = [{ ...ROOT, part_start: '532MiB' }, BIOS_GRUB, ESP, BOOT, SWAP, DATA];

let stage: TestStage;
let tree: string;
let image: string;

const assemble = (file: string, menu = MENU) =>
  assembleDisk(
    { tree, architecture: 'amd64', qcow: qcowOf(PARTITIONS), menu, identifierSeed: 'boot', output: file },
    stage,
  );
const qemuProcesses = () =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.startsWith('qemu-system') && line.includes(stage.directory));
/** The scratch directory of the machine that this file has started; others run meanwhile. */
async function scratchDirectory(): Promise<string> {
  for (;;) {
    const [directory] = qemuProcesses().flatMap(
      (line) => /[^\s=,]*\/image-builder-boot-\w+/.exec(line) ?? [],
    );
    if (directory) return directory;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

beforeAll(async () => {
  stage = await testStage(SOURCE_DATE_EPOCH);
  tree = join(stage.directory, 'tree');
  image = join(stage.outputDir, 'node.qcow2');
  await unpackTree(await bootTreeArchive(), tree, stage);
  await stage.sandbox.run(['sh', '-euc', WRITE_DATA, 'sh', join(tree, 'var/lib/data')]);
  const resolved = await resolveBuild('node', { rootfs: { osconfig: OSCONFIG } }, { cwd: stage.directory });
  const { osconfig } = resolved.rootfs;
  await runOsconfig({ tree, context: 'common', osconfig, scripts: [] }, stage);
  await assemble(image, { ...MENU, kernelArguments: menuOf(osconfig, {}).kernelArguments });
});
afterAll(() => stage.remove());

/** Says how it was started. */
const KUBELET = `#!/bin/sh
printf '<%s>' "$@" > /run/kubelet.arguments
`;

const OSCONFIG: OsconfigVariables = {
  // The small kernel has none of the default ones.
  kernel: { modules: { load: [] } },
  sysctl: [],
  kubelet: {
    extra_systemd_args: [
      { name: 'reserved-cpus', value: '0-3' },
      { name: 'node-labels', value: 'a="b c",d=%p\\$e' },
    ],
  },
  files: [{ name: '/usr/local/bin/kubelet', file_content: KUBELET, permissions: '0755' }],
  systemd: [
    {
      name: 'kubelet',
      file_content: '[Service]\nType=oneshot\nExecStart=/usr/local/bin/kubelet $KUBELET_EXTRA_ARGS\n',
    },
  ],
  grub: {
    GRUB_CMDLINE_LINUX_DEFAULT: [
      { name: 'acpi_osi', value: '"!Windows 2012"' },
      { name: 'dyndbg', value: 'file drivers/net/* +p; func none -p' },
      { name: 'memmap', value: '1M$3G' },
      { name: 'config.url', value: `http://192.0.2.1/?id=\${uuid}&x=\`y\`` },
      { name: 'braces', value: '{a,b}' },
      { name: 'console', value: 'tty0' },
      { name: 'console', value: 'ttyS0,115200n8' },
    ],
  },
};
const COMMAND_LINE =
  '"acpi_osi=!Windows 2012" "dyndbg=file drivers/net/* +p; func none -p" memmap=1M$3G ' +
  `config.url=http://192.0.2.1/?id=\${uuid}&x=\`y\` braces={a,b} console=tty0 console=ttyS0,115200n8`;

const GRUB_WORDS = quoteKernelArguments(kernelArguments(COMMAND_LINE));

const WRITE_DATA = `mkdir -p "$1/some/where"; echo kept > "$1/some/file"; seq 100000 > "$1/some/where/numbers"
ln -s ../file "$1/some/where/link"; chown 12:34 "$1/some/file"; chmod 640 "$1/some/file"`;

afterEach(() => expect(qemuProcesses()).toEqual([]));

test('BIOS: file systems, an xfs with its files, swap, the grown root, and update-grub in the running system', async () => {
  const before = execFileSync('sha256sum', [image], { encoding: 'utf8' });
  const seed = await writeSeed(
    stage.directory,
    `echo "cmdline $(sed 's/.* ro //' /proc/cmdline)"
    systemctl start kubelet; echo "kubelet $(cat /run/kubelet.arguments)"
    arguments() { sed -n 's/^ *\\t*linux.* ro *//p' /boot/grub/grub.cfg | sed 's/ *$//' | grep console | sort -u; }
    echo "grub $(arguments)"
    for mount in / /boot /boot/efi; do echo "mount $(findmnt -no TARGET,FSTYPE,SOURCE $mount)"; done
    data=/var/lib/data
    echo "data $(findmnt -no FSTYPE,SOURCE $data), $(stat -c '%u:%g %a' $data/some/file), $(cat $data/some/where/link)"
    echo "numbers $(sha256sum < $data/some/where/numbers | cut -c1-16), written $(echo new > $data/new && cat $data/new)"
    echo "swap $(swapon --noheadings --show=NAME)"
    echo "root $(findmnt -bno SIZE /)"
    echo "failed $(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1)"
    echo "firmware $([ -d /sys/firmware/efi ] && echo uefi || echo bios)"
    update-grub > /dev/null 2>&1; echo "update-grub $?"
    echo "updated $(arguments)"
    grep -c '^menuentry' /boot/grub/grub.cfg
    grep -o 'root=UUID=[0-9a-f-]*' /boot/grub/grub.cfg | sort -u`,
  );
  const { console } = await bootTest(image, {
    format: await detectImageFormat(image),
    firmware: 'bios',
    timeoutSeconds: TIMEOUT_SECONDS,
    seed,
    expect: REPORTED,
  });
  const report = readReport(console).map((line) => line.replace(/\s+/g, ' ').trim());
  expect(report).toEqual(
    expect.arrayContaining([
      'mount / ext4 /dev/vda1',
      'mount /boot ext4 /dev/vda4',
      'mount /boot/efi vfat /dev/vda3',
      'swap /dev/vda5',
      'data xfs /dev/vda6, 12:34 640, kept',
      `numbers ${execFileSync('sh', ['-c', 'seq 100000 | sha256sum | cut -c1-16'], { encoding: 'utf8' }).trim()}, written new`,
      'firmware bios',
      'failed',
      `cmdline ${COMMAND_LINE}`,
      `grub ${GRUB_WORDS}`,
      String.raw`kubelet <--reserved-cpus=0-3><--node-labels=a="b c",d=%p\$e>`,
      'update-grub 0',
      `updated ${GRUB_WORDS}`,
      expect.stringMatching(/^root=UUID=[0-9a-f-]{36}$/),
    ]),
  );
  const rootBytes = Number(report.find((line) => line.startsWith('root '))?.split(' ')[1]);
  // The partition was made with 1268 MiB; growpart and resize2fs gave it the rest of 3 GiB.
  expect(rootBytes).toBeGreaterThan(2.2 * GIB);
  expect(execFileSync('sha256sum', [image], { encoding: 'utf8' })).toBe(before);
});

test('UEFI with Secure Boot, through the signed shim and GRUB of the image', async () => {
  const seed = await writeSeed(stage.directory, 'mokutil --sb-state; ls /boot/efi/EFI/BOOT');
  const { console } = await bootTest(image, {
    format: 'qcow2',
    firmware: 'uefi',
    secureBoot: true,
    timeoutSeconds: TIMEOUT_SECONDS,
    seed,
    expect: REPORTED,
  });
  expect(readReport(console)).toEqual(expect.arrayContaining(['SecureBoot enabled', 'BOOTX64.EFI']));
});

describe('with a GRUB of our own making', () => {
  beforeAll(async () => {
    const signed = ['usr/lib/shim', 'usr/lib/grub/x86_64-efi-signed'].map((path) => join(tree, path));
    await stage.sandbox.run(['rm', '-rf', ...signed]);
  });

  test('UEFI to the login prompt', async () => {
    const own = join(stage.outputDir, 'own.qcow2');
    expect(await assemble(own)).toMatchObject({ secureBoot: false });
    const result = await bootTest(own, {
      format: 'qcow2',
      firmware: 'uefi',
      timeoutSeconds: TIMEOUT_SECONDS,
    });
    expect(result.console).toMatch(/^\S+ login:/m);
  });

  test('a kernel panic ends the test at once, with the last lines', async () => {
    const broken = join(stage.outputDir, 'broken.qcow2');
    await assemble(broken, { ...MENU, kernelArguments: [...MENU.kernelArguments, 'rdinit=/bin/false'] });
    const error = await bootTest(broken, {
      format: 'qcow2',
      firmware: 'bios',
      timeoutSeconds: TIMEOUT_SECONDS,
    }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'KERNEL_CRASHED', message: expect.stringContaining('panicked') });
    expect((error as { output: string[] }).output.join('\n')).toContain('Kernel panic - not syncing');
  });
});

// The predecessor's command line, and the product's: what does not come from the kernel goes to the screen.
describe('with the screen as its last console', () => {
  const SCREEN_LAST = 'console=ttyS0,115200n8 console=tty0';
  const UNIT = '[Mount]\nWhat=/dev/vda3\nWhere=/data\nType=ext4\n';
  const screenshotOf = (name: string) => join(stage.outputDir, `${name}.png`);
  const failureOf = async (name: string, kernelCommandLine: string, firmware: 'bios' | 'uefi') => {
    const disk = join(stage.outputDir, `${name}.qcow2`);
    await assemble(disk, { ...MENU, kernelArguments: kernelArguments(kernelCommandLine) });
    const screenshot = screenshotOf(name);
    const options = { format: 'qcow2' as const, firmware, timeoutSeconds: TIMEOUT_SECONDS, screenshot };
    const error = await bootTest(disk, options).catch((caught: unknown) => caught);
    const png = readFileSync(screenshot).subarray(1, 4).toString();
    return { error: error as BootError, png };
  };

  test('a unit that cannot be mounted is named, at once', async () => {
    const wants = join(tree, 'etc/systemd/system/local-fs.target.requires');
    const script = `mkdir -p "$1" && printf '%s' "$2" > "$1/../data.mount" && ln -s ../data.mount "$1"`;
    await stage.sandbox.run(['sh', '-euc', script, 'sh', wants, UNIT]);
    const { error, png } = await failureOf('unmountable', SCREEN_LAST, 'uefi');
    await stage.sandbox.run(['rm', join(wants, 'data.mount')]);
    expect(error).toMatchObject({
      code: 'BOOT_FAILED',
      message: expect.stringMatching(/systemd entered emergency mode: Failed to mount data\.mount/),
      evidence: {
        console: expect.stringContaining('Linux version'),
        screenshot: screenshotOf('unmountable'),
      },
    });
    expect(error.findings()[0]?.message).toContain(`screen: ${screenshotOf('unmountable')}`);
    expect(png).toBe('PNG');
  });

  test('a root file system that is not there is read from the screen', async () => {
    const noRoot = `${SCREEN_LAST} root=UUID=00000000-1111-2222-3333-444444444444 rootdelay=1`;
    const { error } = await failureOf('rootless', noRoot, 'bios');
    expect(error).toMatchObject({
      code: 'BOOT_FAILED',
      message: 'the image does not boot: the initramfs did not find the root file system',
      output: expect.arrayContaining([expect.stringMatching(/^ALERT! .*does not exist/)]),
    });
  });
});

describe('an image that does not boot', () => {
  let empty: string;
  beforeAll(() => {
    empty = join(stage.directory, 'empty.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', empty, '64M']);
  });
  const options = { format: 'qcow2' as const, firmware: 'bios' as const, timeoutSeconds: 120 };

  test('is told by the firmware', async () => {
    await expect(bootTest(empty, options)).rejects.toMatchObject({ code: 'BOOT_FAILED' });
  });

  test('is given up after the time-out, without leaving anything', async () => {
    const never = { ...options, firmware: 'uefi' as const, timeoutSeconds: 2 };
    const given = expect(bootTest(empty, never)).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('within 2 s'),
    });
    const scratch = await scratchDirectory();
    expect(existsSync(scratch)).toBe(true);
    await given;
    expect(existsSync(scratch)).toBe(false);
    expect(qemuProcesses()).toEqual([]);
  });

  test('is given up when the caller says so, without leaving anything', async () => {
    const abort = new AbortController();
    const given = expect(
      bootTest(empty, { ...options, firmware: 'uefi', timeoutSeconds: 0, signal: abort.signal }),
    ).rejects.toMatchObject({ code: 'CANCELLED' });
    const scratch = await scratchDirectory();
    expect(existsSync(scratch)).toBe(true);
    abort.abort();
    await given;
    expect(existsSync(scratch)).toBe(false);
    expect(qemuProcesses()).toEqual([]);
  });

  test('is told when it is none', async () => {
    await expect(detectImageFormat(join(stage.directory, 'none'))).rejects.toMatchObject({
      code: 'IMAGE_UNREADABLE',
      message: expect.stringContaining('ENOENT'),
    });
    await expect(detectImageFormat('/etc/hostname')).rejects.toMatchObject({
      message: '/etc/hostname is neither a qcow2 image nor an ISO',
    });
  });
});
