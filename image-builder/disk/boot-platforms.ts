// What differs between the architectures of machines: the platforms of GRUB and the names of UEFI.
import type { Architecture } from '../base/architecture.ts';
import type { GrubPlatform } from './grub-image.ts';

/** How machines of an architecture boot. */
export interface BootPlatform {
  /** GRUB's platform for UEFI. */
  uefi: Extract<GrubPlatform, `${string}-efi`>;
  /** GRUB's platform for BIOS; absent where machines have only UEFI. */
  bios?: 'i386-pc';
  /** Suffix of UEFI's file names (UEFI specification, section 3.5.1.1): `BOOTX64.EFI`. */
  efiSuffix: 'x64' | 'aa64';
}

/** By architecture of the machine. */
export const BOOT_PLATFORMS: Record<Architecture, BootPlatform> = {
  amd64: { uefi: 'x86_64-efi', bios: 'i386-pc', efiSuffix: 'x64' },
  arm64: { uefi: 'arm64-efi', efiSuffix: 'aa64' },
};
