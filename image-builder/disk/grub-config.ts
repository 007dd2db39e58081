// The configuration files of GRUB (https://www.gnu.org/software/grub/manual/grub/html_node/Configuration.html).
// grub.cfg is written as text and not by update-grub: that needs the image's disks to be devices of the building
// machine. It only stands until the first update-grub in the running node, which finds everything in its usual place.
import type { Kernel } from './kernels.ts';

/** What the node's owner decides about the menu. */
export interface GrubMenu {
  /** Seconds until the first entry starts; 0 starts it at once. */
  timeoutSeconds: number;
  /** GRUB's command that sets up the serial port; empty: no serial console in the boot menu. */
  serialCommand: string;
  /** The arguments of the kernel but the root file system: one text each, without quotes of the kernel. */
  kernelArguments: readonly string[];
}

/** Where GRUB and the kernels lie. */
export interface BootLocation {
  /** UUID of the file system with the kernels. */
  bootUuid: string;
  /** Path of the kernels' directory on that file system: empty when /boot is a file system of its own. */
  bootPath: '' | '/boot';
  rootUuid: string;
  /** PARTUUID of the root partition: a kernel without an initramfs knows no file system UUIDs. */
  rootPartUuid: string;
}

/**
 * The few lines that lead from a core image, or from the EFI system partition, to grub.cfg. The first two are simple
 * enough for the parser of the core image.
 */
export function renderLoaderStub(location: BootLocation, next: 'core' | 'configfile'): string {
  const lines = [
    `search.fs_uuid ${location.bootUuid} root`,
    `set prefix=($root)${location.bootPath}/grub`,
    ...(next === 'configfile' ? ['configfile $prefix/grub.cfg'] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** Text of grub.cfg: one entry per kernel, the newest first. `title` is the name of the distribution. */
export function renderGrubConfig(
  location: BootLocation,
  menu: GrubMenu,
  kernels: readonly Kernel[],
  title: string,
): string {
  const { bootUuid, bootPath } = location;
  const lines = [
    '# Written by image-builder; update-grub replaces it with the one that /etc/default/grub describes.',
    'set default=0',
    `set timeout=${menu.timeoutSeconds}`,
    'set timeout_style=menu',
    // A machine without a serial port fails here, and the menu stays on its screen.
    ...(menu.serialCommand
      ? [
          `if ${menu.serialCommand}; then`,
          '  terminal_input console serial',
          '  terminal_output console serial',
          'fi',
        ]
      : []),
    `search --no-floppy --fs-uuid --set=root ${bootUuid}`,
    ...kernels.flatMap((kernel) => [
      `menuentry ${quote(`${title}, with Linux ${kernel.version}`)} --class gnu-linux --class os {`,
      `  search --no-floppy --fs-uuid --set=root ${bootUuid}`,
      `  linux ${bootPath}/${kernel.file} ${kernelArguments(location, menu, kernel)}`,
      ...(kernel.initramfs ? [`  initrd ${bootPath}/${kernel.initramfs}`] : []),
      '}',
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

function kernelArguments(location: BootLocation, menu: GrubMenu, kernel: Kernel): string {
  const root = kernel.initramfs ? `root=UUID=${location.rootUuid}` : `root=PARTUUID=${location.rootPartUuid}`;
  return [root, 'ro', quoteKernelArguments(menu.kernelArguments)].join(' ').trimEnd();
}

/**
 * The arguments as words of GRUB's shell-like language, which passes each on as it is; one with a space in it gets the
 * quotes that the kernel wants.
 */
export function quoteKernelArguments(args: readonly string[]): string {
  return args.map(quoteIfNeeded).join(' ');
}

/** One word of that language. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function quoteIfNeeded(word: string): string {
  return /^[A-Za-z0-9_.,:=/@%+-]+$/.test(word) ? word : quote(word);
}
