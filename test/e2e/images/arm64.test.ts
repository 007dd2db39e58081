// An image for arm64, its packages installed by emulation, from the object to an emulated machine that says what it has
// become. It takes a quarter of an hour, so only `npm run test:images` does it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootTest } from '../../../image-builder/stages/boot-test/boot-image.ts';
import { executable, run } from '../support/executables.ts';
import { REPORTED, readReport, writeSeed } from '../support/seed.ts';

const SPEC = {
  apiVersion: 'airshipit.org/v1alpha1',
  kind: 'ImageBuilder',
  metadata: { name: 'arm64' },
  spec: {
    build: {
      rootfs: {
        multistrap: {
          rootfs_arch: 'arm64',
          kernel_base_pkg: 'linux-image-cloud-arm64',
          packages: ['dbus', 'openssh-server', 'grub-efi-arm64-signed', 'shim-signed'],
        },
        osconfig: { banners: { login: 'Made for arm64.\n' } },
      },
      qcows: { arm64: { qcow: { qcow_capacity: '4G' } } },
      bundle: { layout: 'out' },
    },
  },
};
const GIB = 1024 ** 3;

const REPORT = `
echo "state $(systemctl is-system-running)"
echo "failed $(systemctl list-units --failed --plain --no-legend | cut -d' ' -f1)"
echo "machine $(uname -m) $(dpkg --print-architecture)"
echo "firmware $([ -d /sys/firmware/efi ] && echo uefi || echo none)"
for mount in / /boot /boot/efi; do echo "mount $(findmnt -no TARGET,FSTYPE $mount)"; done
for file in /boot/efi/EFI/BOOT/*; do echo "esp $(basename $file)"; done
echo "fstab $(findmnt --verify 2>&1 | tail -n 1)"
echo "root $(findmnt -bno SIZE /)"
echo "ssh $(systemctl is-active ssh) $(ls /etc/ssh/ssh_host_*_key.pub | wc -l)"
echo "sysctl $(sysctl -n kernel.pid_max)"
echo "dpkg $(dpkg --audit && echo consistent)"
update-grub > /dev/null 2>&1; echo "update-grub $? $(grep -c '^menuentry' /boot/grub/grub.cfg)"`;

jest.setTimeout(60 * 60 * 1000);
(process.env.IMAGES === 'all' ? test : test.skip)('builds, boots, and is what it should be', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'arm64-e2e-'));
  try {
    const env = { ...process.env, IMAGE_BUILDER_STORE: join(directory, 'store') };
    writeFileSync(join(directory, 'image.yaml'), JSON.stringify(SPEC));
    const cli = executable('image-builder');
    const built = run([cli, 'build', 'image.yaml'], { cwd: directory, env });
    expect({ status: built.status, stderr: built.status === 0 ? '' : built.stderr }).toEqual({
      status: 0,
      stderr: '',
    });
    expect(built.stdout).toContain('rootfs_arch: arm64');
    expect(built.stderr).toMatch(/boot-test .*arm64\.qcow2 --architecture arm64$/m);
    expect(run([cli, 'copy', 'oci:out', 'images'], { cwd: directory, env }).status).toBe(0);

    const disk = join(directory, 'disk.qcow2');
    const image = join(directory, 'images/arm64.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', image, disk, '8G']);
    const { console } = await bootTest(disk, {
      ...{ architecture: 'arm64', format: 'qcow2', firmware: 'uefi', timeoutSeconds: 1200 },
      seed: await writeSeed(directory, REPORT, 'started', 'arm64'),
      expect: REPORTED,
    });
    expect(console).toMatch(/^Made for arm64\.$/m);
    expect(console).toMatch(/^seeded login:/m);
    const report = readReport(console).map((line) => line.replace(/\s+/g, ' ').trim());
    expect(report).toEqual(
      expect.arrayContaining([
        ...['state running', 'failed', 'machine aarch64 arm64', 'firmware uefi', 'dpkg consistent'],
        ...['mount / ext4', 'mount /boot ext4', 'mount /boot/efi vfat'],
        ...['esp BOOTAA64.EFI', 'esp grubaa64.efi'],
        expect.stringMatching(/^fstab (0 parse errors, 0 errors, 0 warnings|Success)/),
        expect.stringMatching(/^ssh active [1-9]$/),
        ...['sysctl 4194303', 'update-grub 0 1'],
      ]),
    );
    const rootBytes = Number(report.find((line) => line.startsWith('root '))?.split(' ')[1]);
    expect(rootBytes).toBeGreaterThan(6 * GIB);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
