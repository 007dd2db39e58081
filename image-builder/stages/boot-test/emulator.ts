// What is known of the QEMU that is installed.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Of the machine that boots, as Debian calls it. */
export type Architecture = 'amd64' | 'arm64';

/** QEMU for a machine, and the Debian package that has it. */
export const EMULATORS: Record<Architecture, { command: string; debianPackage: string }> = {
  amd64: { command: 'qemu-system-x86_64', debianPackage: 'qemu-system-x86' },
  arm64: { command: 'qemu-system-aarch64', debianPackage: 'qemu-system-arm' },
};

/** Whether KVM of this machine runs the architecture. */
export const isNative = (architecture: Architecture): boolean =>
  process.arch === (architecture === 'amd64' ? 'x64' : 'arm64');

/** QEMU 7.2 lets recent kernels (seen: Debian 13's 6.12) crash at random, also with one CPU; 10.0 does not. */
const FIRST_RELIABLE_MAJOR = 8;

/** Whether the output of `qemu --version` names a version that emulates recent kernels without crashing them. */
export function isReliable(versionText: string): boolean {
  const major = /version (\d+)\./.exec(versionText)?.[1];
  return major === undefined || Number(major) >= FIRST_RELIABLE_MAJOR;
}

/** {@link isReliable} of the installed QEMU; true when there is none, which starting it will tell. */
export async function emulatesReliably(architecture: Architecture): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)(EMULATORS[architecture].command, ['--version']);
    return isReliable(stdout);
  } catch {
    return true;
  }
}
