// The boot menu of an image. Pure.
import type { GrubMenu } from '../../disk/grub-config.ts';
import { kernelArgument } from '../../spec/api/kernel-arguments.ts';
import type { ResolvedOsconfig } from '../../spec/variables/resolved-osconfig.ts';
import type { InstalledPackages } from '../rootfs/rootfs-entry.ts';

/** The boot menu; the crash kernel's memory is set aside only where there is one to use it. */
export function menuOf({ grub, kdump_tools }: ResolvedOsconfig, packages: InstalledPackages): GrubMenu {
  const { crashkernel } = kdump_tools;
  return {
    timeoutSeconds: grub.GRUB_TIMEOUT,
    serialCommand: grub.GRUB_SERIAL_COMMAND,
    kernelArguments: [
      ...grub.GRUB_CMDLINE_LINUX_DEFAULT.map(({ name, value }) => kernelArgument(name, value)),
      ...(crashkernel && packages['kdump-tools'] ? [kernelArgument('crashkernel', crashkernel)] : []),
    ],
  };
}
