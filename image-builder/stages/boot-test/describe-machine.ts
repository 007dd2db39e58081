// The virtual machine that an image is booted in, from what its caller wants.
import { resolve } from 'node:path';
import { BootError } from './boot-error.ts';
import type { BootTestOptions } from './boot-test-options.ts';
import { findUefiFirmware } from './firmware.ts';
import type { Machine } from './qemu-command.ts';

/** @throws BootError FIRMWARE_MISSING */
export async function describeMachine(
  image: string,
  options: BootTestOptions & Pick<Machine, 'reports' | 'network' | 'cable'>,
): Promise<Omit<Machine, 'accelerator'>> {
  const { architecture = 'amd64', format, firmware, secureBoot = false, memoryMib = 2048, seed } = options;
  if (secureBoot && firmware === 'bios')
    throw new BootError('FIRMWARE_MISSING', 'Secure Boot is a feature of UEFI, not of BIOS');
  if (architecture === 'arm64' && (firmware === 'bios' || secureBoot))
    throw new BootError(
      'FIRMWARE_MISSING',
      `virtual arm64 machines have no ${firmware === 'bios' ? 'BIOS' : 'Secure Boot'}`,
    );
  const uefi =
    firmware === 'uefi' ? { ...(await findUefiFirmware(architecture, secureBoot)), secureBoot } : undefined;
  return {
    architecture,
    image: resolve(image),
    format: format === 'iso' ? 'raw' : 'qcow2',
    medium: format === 'iso' ? (options.medium ?? 'cdrom') : 'disk',
    memoryMib,
    ...(uefi ? { uefi } : {}),
    ...(seed ? { seed: resolve(seed) } : {}),
    ...(options.reports ? { reports: true } : {}),
    ...(options.network ? { network: options.network } : {}),
    ...(options.cable ? { cable: options.cable } : {}),
  };
}
