// Finds UEFI firmware for virtual machines (OVMF), which every distribution puts elsewhere.
import { access } from 'node:fs/promises';
import { BootError } from './boot-error.ts';
import type { Architecture } from './emulator.ts';

/** A firmware: read-only code, and the variables that a machine starts with, which must be copied. */
export interface UefiFirmware {
  code: string;
  variables: string;
}

type Candidates = readonly (readonly [code: string, variables: string])[];

/** Of the virtual machine `virt`. */
const ARM64: Candidates = [
  ['/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd'],
  ['/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw', '/usr/share/edk2/aarch64/vars-template-pflash.raw'],
  ['/usr/share/qemu/aavmf-aarch64-code.bin', '/usr/share/qemu/aavmf-aarch64-vars.bin'],
];

const PLAIN: Candidates = [
  ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
  ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
  ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
  ['/usr/share/qemu/ovmf-x86_64-4m-code.bin', '/usr/share/qemu/ovmf-x86_64-4m-vars.bin'],
];

/** With Secure Boot enforced and Microsoft's keys enrolled, as machines are sold. */
const SECURE_BOOT: Candidates = [
  ['/usr/share/OVMF/OVMF_CODE_4M.ms.fd', '/usr/share/OVMF/OVMF_VARS_4M.ms.fd'],
  ['/usr/share/OVMF/OVMF_CODE_4M.secboot.fd', '/usr/share/OVMF/OVMF_VARS_4M.ms.fd'],
  ['/usr/share/OVMF/OVMF_CODE.ms.fd', '/usr/share/OVMF/OVMF_VARS.ms.fd'],
  ['/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd', '/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd'],
  ['/usr/share/qemu/ovmf-x86_64-smm-ms-code.bin', '/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin'],
];

/** @throws BootError FIRMWARE_MISSING */
export async function findUefiFirmware(
  architecture: Architecture,
  secureBoot: boolean,
): Promise<UefiFirmware> {
  const candidates = architecture === 'arm64' ? ARM64 : secureBoot ? SECURE_BOOT : PLAIN;
  for (const [code, variables] of candidates) {
    try {
      await access(code);
      await access(variables);
      return { code, variables };
    } catch {
      // The next place.
    }
  }
  throw new BootError(
    'FIRMWARE_MISSING',
    `no UEFI firmware for virtual ${architecture} machines was found${secureBoot ? ' that enforces Secure Boot' : ''}`,
    {
      hint: `Install it: apt-get install --no-install-recommends ${architecture === 'arm64' ? 'qemu-efi-aarch64' : 'ovmf'}.`,
    },
  );
}
