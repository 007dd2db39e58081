// The configuration files of GRUB on the ISO.
import { kernelArguments } from '../spec/api/kernel-arguments.ts';
import { quoteKernelArguments } from './grub-config.ts';

/** A file that only our ISO has: GRUB finds its medium by it, whatever the firmware calls the drive. */
export const MARKER_FILE = '/AIRSHIP';

/** From a core image, or from the EFI partition, to grub.cfg on the ISO. */
export function renderIsoStub(next: 'core' | 'configfile'): string {
  const lines = [
    `search.file ${MARKER_FILE} root`,
    'set prefix=($root)/boot/grub',
    ...(next === 'configfile' ? ['configfile $prefix/grub.cfg'] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** Text of grub.cfg: one entry, that of the live system. `timeoutSeconds` 0 starts it at once. */
export function renderIsoGrubConfig(options: {
  title: string;
  timeoutSeconds: number;
  kernelCommandLine: string;
}): string {
  const lines = [
    'set default=0',
    `set timeout=${options.timeoutSeconds}`,
    'set timeout_style=menu',
    'if serial --unit=0 --speed=115200; then',
    '  terminal_input console serial',
    '  terminal_output console serial',
    'fi',
    `search --no-floppy --file --set=root ${MARKER_FILE}`,
    `menuentry '${options.title.replaceAll("'", '')} (live)' {`,
    `  linux /live/vmlinuz ${quoteKernelArguments(kernelArguments(options.kernelCommandLine))}`,
    '  initrd /live/initrd.img',
    '}',
  ];
  return `${lines.join('\n')}\n`;
}
