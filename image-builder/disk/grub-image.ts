// Makes GRUB's images (core images of BIOS, EFI applications). The GRUB of the image is preferred to that of the
// building machine: what boots then matches what the node updates later, and does not depend on where it was built.
import { ENTER_TREE } from '../sandbox/enter-tree.ts';
import type { StageContext } from '../sandbox/stage-context.ts';
import { DiskError } from './disk-error.ts';

/** GRUB's name of the platform and the package that has its modules. */
const PLATFORM_PACKAGES = {
  'i386-pc': 'grub-pc-bin',
  'x86_64-efi': 'grub-efi-amd64-bin',
  'arm64-efi': 'grub-efi-arm64-bin',
} as const;
export type GrubPlatform = keyof typeof PLATFORM_PACKAGES;

/** What grub-mkimage makes. */
export interface GrubImageRequest {
  tree: string;
  platform: GrubPlatform;
  /** Default: the platform. */
  format?: 'i386-pc-eltorito';
  modules: readonly string[];
  /** Configuration inside of the image, for the simple parser of its core. */
  config: string;
  /** File to write; its directory is made. */
  output: string;
}

/**
 * Makes an image of GRUB.
 * @throws DiskError NO_BOOT_LOADER when neither the image nor this machine has GRUB for the platform
 */
export async function makeGrubImage(request: GrubImageRequest, context: StageContext): Promise<void> {
  const { tree, platform, format = platform, modules, config, output } = request;
  await requireGrub(tree, platform, context);
  await context.sandbox.run(
    ['sh', '-euc', `${FIND_GRUB}${MAKE_IMAGE}`, 'sh', tree, platform, format, output, ENTER_TREE, ...modules],
    { signal: context.signal, input: config, confined: { writable: [tree, context.workDir] } },
  );
}

/** Copies files of the platform's directory, such as `*.mod`; patterns of the shell. */
export async function copyGrubFiles(
  tree: string,
  platform: GrubPlatform,
  patterns: readonly string[],
  directory: string,
  context: StageContext,
): Promise<void> {
  await requireGrub(tree, platform, context);
  const script = `${FIND_GRUB}${COPY_FILES}`;
  await context.sandbox.run(['sh', '-euc', script, 'sh', tree, platform, directory, ...patterns], {
    signal: context.signal,
    confined: { writable: [tree, context.workDir] },
  });
}

async function requireGrub(tree: string, platform: GrubPlatform, context: StageContext): Promise<void> {
  const script = `${FIND_GRUB}if [ -e "$from/kernel.img" ]; then echo found; fi`;
  const answer = await context.sandbox.run(['sh', '-euc', script, 'sh', tree, platform], {
    signal: context.signal,
  });
  if (answer.trim() !== 'found')
    throw new DiskError(
      'NO_BOOT_LOADER',
      `GRUB for ${platform} is neither in the image nor on this machine`,
      {
        hint: `Add ${PLATFORM_PACKAGES[platform]} to the packages of the image, or install it here.`,
      },
    );
}

const FIND_GRUB = `
tree=$1; directory=/usr/lib/grub/$2; from=$directory; own=
if [ -e "$tree/usr/bin/grub-mkimage" ] && [ -e "$tree$directory/kernel.img" ]; then
  from=$tree$directory; own=yes
fi
`;

const COPY_FILES = `
to=$3; shift 3
mkdir -p "$to"
for pattern; do cp --no-preserve=all "$from"/$pattern "$to"; done`;

// In the image's own root grub-mkimage sees only what is there, so the files go through its /tmp.
const MAKE_IMAGE = `
format=$3; output=$4; enter=$5; shift 5
mkdir -p "$(dirname "$output")"
scratch=$(mktemp -d "$tree/tmp/grub.XXXXXXXX")
trap 'rm -rf "$scratch"' EXIT
cat > "$scratch/config"
if [ "$own" ]; then root=$tree; else root=; fi
inside=\${scratch#"$root"}
set -- --directory="$directory" --format="$format" --prefix=/boot/grub --config="$inside/config" \
  --output="$inside/image" "$@"
if [ "$own" ]; then python3 -ISc "$enter" "$tree" grub-mkimage "$@"; else grub-mkimage "$@"; fi
cp --no-preserve=all "$scratch/image" "$output"`;
