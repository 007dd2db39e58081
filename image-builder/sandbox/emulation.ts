// Programs of another architecture run by QEMU's user emulation. The kernel learns of it (binfmt_misc) in a user
// namespace of the command only, which Linux 6.7 and newer allow; so neither privileges nor traces on the machine.
import { findExecutable } from './environment.ts';
import type { SandboxMode } from './sandbox.ts';
import { ToolError } from './tool-error.ts';

/** As Debian calls them. */
export type Architecture = 'amd64' | 'arm64';

const NATIVE: Partial<Record<NodeJS.Architecture, Architecture>> = { x64: 'amd64', arm64: 'arm64' };
const QEMU_NAMES: Record<Architecture, string> = { amd64: 'x86_64', arm64: 'aarch64' };

/**
 * The processor that programs see, as QEMU calls it. For arm64, Debian's baseline. QEMU's own choice has every feature
 * there is, takes a quarter more time (pointer authentication is costly to emulate), and changes with QEMU's version.
 */
const PROCESSORS: Partial<Record<Architecture, string>> = { arm64: 'cortex-a53' };

/** e_machine of ELF, little endian. */
const MACHINES: Record<Architecture, string> = { amd64: '\\x3e\\x00', arm64: '\\xb7\\x00' };
/** 64-bit little-endian ELF of any ABI, executable or shared object. */
const ELF_MAGIC = '\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00';
const ELF_MASK =
  '\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff';

/** Whether this machine runs programs of `architecture` itself. */
export const isNative = (architecture: Architecture): boolean => NATIVE[process.arch] === architecture;

/**
 * Prefix of a command that runs programs of `architecture`.
 * @param path directories to look for QEMU in.
 * @throws ToolError TOOL_MISSING without QEMU's user emulation, and in a container without namespaces
 */
export function emulationPrefix(
  architecture: Architecture,
  mode: SandboxMode,
  path: readonly string[],
): string[] {
  const registered = registrationPrefix(architecture, mode, path);
  return [...USER_NAMESPACE[mode as Exclude<SandboxMode, 'plain'>], ...NAMESPACES, ...registered];
}

/** The part of it that registers QEMU, for the root of a new user and mount namespace. */
export function registrationPrefix(
  architecture: Architecture,
  mode: SandboxMode,
  path: readonly string[],
): string[] {
  const name = QEMU_NAMES[architecture];
  const interpreter = findExecutable(`qemu-${name}-static`, path) ?? findExecutable(`qemu-${name}`, path);
  if (mode === 'plain')
    throw new ToolError(
      'TOOL_MISSING',
      `programs of ${architecture} cannot run in a container without namespaces`,
      {
        hint: 'register QEMU on the container host (package qemu-user-static or qemu-user-binfmt), or build outside a container',
      },
    );
  if (interpreter === undefined)
    throw new ToolError(
      'TOOL_MISSING',
      `programs of ${architecture} need qemu-${name}, which is not installed`,
      {
        hint: 'apt-get install --no-install-recommends qemu-user-static (Debian 12) or qemu-user (Debian 13)',
      },
    );
  // C: with the rights of the program; F: opened now, so that it works in every root directory.
  const registration = `:qemu-${name}:M::${ELF_MAGIC}${MACHINES[architecture]}:${ELF_MASK}:${interpreter}:OCF`;
  const processor = PROCESSORS[architecture];
  const script = processor === undefined ? REGISTER : `export QEMU_CPU=${processor}${REGISTER}`;
  return ['sh', '-euc', script, 'sh', registration];
}

const REGISTER = `
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
printf %s "$1" > /proc/sys/fs/binfmt_misc/register
shift
exec "$@"`;

// newuidmap(1) maps for root, too, only what /etc/subuid grants, so root sees a file of its own there.
const GRANT_ALL = `
mount -t tmpfs -o size=64k grants /mnt
echo root:0:65536 > /mnt/grants
for file in /etc/subuid /etc/subgid; do mount --bind /mnt/grants "$file"; done
umount --lazy /mnt
exec "$@"`;

const USER_NAMESPACE: Record<Exclude<SandboxMode, 'plain'>, readonly string[]> = {
  namespaces: [
    ...['unshare', '--mount', 'sh', '-euc', GRANT_ALL, 'sh'],
    ...[
      'unshare',
      '--user',
      '--map-users=0,0,65536',
      '--map-groups=0,0,65536',
      '--setuid',
      '0',
      '--setgid',
      '0',
    ],
  ],
  'user-namespaces': ['unshare', '--user', '--map-root-user', '--map-auto'],
};
const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child'];
