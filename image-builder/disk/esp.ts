// The content of an EFI system partition: what UEFI firmware starts, and how that finds GRUB's configuration.
import { join } from 'node:path';
import { ENTER_TREE } from '../sandbox/enter-tree.ts';
import type { StageContext } from '../sandbox/stage-context.ts';
import type { BootPlatform } from './boot-platforms.ts';
import type { Release } from './os-release.ts';

/** What an EFI system partition is filled from. */
export interface EspRequest {
  tree: string;
  platform: BootPlatform;
  release: Release;
  /** GRUB as an EFI application, for images without a signed one. */
  ownLoader: string;
  /** Configuration that leads to grub.cfg. */
  stub: string;
  /** Directory that gets the content. */
  directory: string;
}

/**
 * Fills `directory` for firmware without boot entries of its own: EFI/BOOT/BOOT<ARCH>.EFI (UEFI specification, section
 * 3.5.1.1). Where the image has the distribution's signed shim and GRUB, they are used, so that Secure Boot works;
 * a signed GRUB looks for its configuration in EFI/<ID of os-release>.
 */
export async function fillEsp(request: EspRequest, context: StageContext): Promise<{ signed: boolean }> {
  const { tree, platform, release, ownLoader, stub, directory } = request;
  const { sandbox, signal, workDir } = context;
  const { uefi, efiSuffix } = platform;
  const loader = await sandbox.run(
    ['sh', '-euc', CHOOSE_LOADER, 'sh', tree, ownLoader, directory, uefi, efiSuffix, ENTER_TREE],
    { signal, confined: { writable: [workDir], readable: [tree] } },
  );
  const config = join(directory, 'EFI', release.id, 'grub.cfg');
  await sandbox.run(['sh', '-euc', 'mkdir -p "$(dirname "$1")"; cat > "$1"', 'sh', config], {
    signal,
    input: stub,
  });
  return { signed: loader.trim() === 'signed' };
}

// The signed files may be absolute links (alternatives), hence a process in the tree. Prints which loader it took.
const CHOOSE_LOADER = `
tree=$1; own=$2; boot=$3/EFI/BOOT; enter=$6
inside() { python3 -ISc "$enter" "$tree" "$@"; }
mkdir -p "$boot"
shim=/usr/lib/shim/shim$5.efi.signed
grub=/usr/lib/grub/$4-signed/grub$5.efi.signed
manager=/usr/lib/shim/mm$5.efi.signed
removable=$boot/BOOT$(echo "$5" | tr a-z A-Z).EFI
if [ -e "$tree$grub" ] && { [ -e "$tree$shim" ] || [ -L "$tree$shim" ]; }; then
  inside cat "$shim" > "$removable"
  inside cat "$grub" > "$boot/grub$5.efi"
  if [ -e "$tree$manager" ]; then inside cat "$manager" > "$boot/mm$5.efi"; fi
  echo signed
else
  cp --no-preserve=all "$own" "$removable"
  echo own
fi`;
