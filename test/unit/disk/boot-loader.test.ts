import { bootSector, embeddedCoreImage } from '../../../image-builder/disk/grub-bios.ts';
import { renderGrubConfig, renderLoaderStub } from '../../../image-builder/disk/grub-config.ts';
import { renderIsoGrubConfig } from '../../../image-builder/disk/iso-config.ts';
import { kernelsOf } from '../../../image-builder/disk/kernels.ts';

const location = {
  bootUuid: 'aaaa-boot',
  bootPath: '' as const,
  rootUuid: 'bbbb-root',
  rootPartUuid: 'cccc-partition',
};
const menu = {
  timeoutSeconds: 5,
  serialCommand: 'serial --unit=0 --speed=115200',
  kernelArguments: ['console=tty0', 'console=ttyS0,115200n8'],
};

describe('kernels in /boot', () => {
  test('are ordered by version, the newest first, with their initramfs', () => {
    const names = [
      ...['vmlinuz-6.1.0-9-amd64', 'vmlinuz-6.1.0-40-amd64', 'vmlinuz-6.12.107+deb13-cloud-amd64'],
      ...['initrd.img-6.1.0-40-amd64', 'System.map-6.1.0-9-amd64', 'config-6.1.0-9-amd64', 'grub'],
    ];
    expect(kernelsOf(names)).toEqual([
      { version: '6.12.107+deb13-cloud-amd64', file: 'vmlinuz-6.12.107+deb13-cloud-amd64' },
      {
        version: '6.1.0-40-amd64',
        file: 'vmlinuz-6.1.0-40-amd64',
        initramfs: 'initrd.img-6.1.0-40-amd64',
      },
      { version: '6.1.0-9-amd64', file: 'vmlinuz-6.1.0-9-amd64' },
    ]);
  });

  test('with names that could break out of the menu are left alone', () => {
    expect(kernelsOf(["vmlinuz-1'; reboot; '", 'vmlinuz-', 'vmlinuz-2 3', 'vmlinuz-../x'])).toEqual([]);
  });
});

describe('grub.cfg', () => {
  const kernels = kernelsOf(['vmlinuz-6.12', 'initrd.img-6.12', 'vmlinuz-6.1']);
  const config = renderGrubConfig(location, menu, kernels, "Debian's own");

  test('starts the newest kernel after the time-out', () => {
    expect(config).toContain('set timeout=5\n');
    expect(config.indexOf('with Linux 6.12')).toBeLessThan(config.indexOf("with Linux 6.1'"));
  });

  test('finds the root file system by UUID, and by PARTUUID when there is no initramfs', () => {
    expect(config).toContain(
      'linux /vmlinuz-6.12 root=UUID=bbbb-root ro console=tty0 console=ttyS0,115200n8\n  initrd /initrd.img-6.12\n',
    );
    expect(config).toContain('linux /vmlinuz-6.1 root=PARTUUID=cccc-partition ro console=tty0');
  });

  test('quotes what GRUB would interpret', () => {
    expect(config).toContain("menuentry 'Debian'\\''s own, with Linux 6.12'");
    const hostile = { ...menu, kernelArguments: ['a=1;reboot', 'b=c $d', 'x={y}', 'memmap=1M$3G'] };
    expect(renderGrubConfig(location, hostile, kernels, 'x')).toContain(
      `ro 'a=1;reboot' 'b=c $d' 'x={y}' 'memmap=1M$3G'\n`,
    );
  });

  test('on the ISO keeps what the kernel would keep together', () => {
    const kernelCommandLine = 'boot=live  dyndbg="file a.c +p"\tquiet';
    expect(renderIsoGrubConfig({ title: 'x', timeoutSeconds: 0, kernelCommandLine })).toContain(
      "linux /live/vmlinuz boot=live 'dyndbg=file a.c +p' quiet\n",
    );
  });

  test('has a serial console only where a command for it is given', () => {
    expect(config).toContain('if serial --unit=0 --speed=115200; then\n  terminal_input console serial\n');
    expect(renderGrubConfig(location, { ...menu, serialCommand: '' }, kernels, 'x')).not.toContain(
      'terminal',
    );
  });

  test('follows /boot when it is a directory of the root file system', () => {
    const inRoot = { ...location, bootPath: '/boot' as const };
    expect(renderGrubConfig(inRoot, menu, kernels, 'x')).toContain('linux /boot/vmlinuz-6.12 ');
    expect(renderLoaderStub(inRoot, 'configfile')).toBe(
      'search.fs_uuid aaaa-boot root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n',
    );
  });
});

describe('GRUB for BIOS', () => {
  test('the boot sector knows where the core image is', () => {
    const sector = bootSector(Buffer.alloc(512, 0xff), 2048);
    expect(sector.length).toBe(440);
    expect(sector.readBigUInt64LE(0x5c)).toBe(2048n);
    expect([...sector.subarray(0x65, 0x69)]).toEqual([0xff, 0x90, 0x90, 0xff]);
  });

  test('the core image knows where its other sectors are', () => {
    const core = embeddedCoreImage(Buffer.alloc(512 * 3 + 1, 0xee), 2048);
    expect(core.length).toBe(2048);
    expect(core.readBigUInt64LE(500)).toBe(2049n);
    expect(core.readUInt16LE(508)).toBe(3);
    expect(core.readUInt16LE(510)).toBe(0x820);
    expect(core.subarray(512 * 3 + 1).every((byte) => byte === 0)).toBe(true);
  });
});
