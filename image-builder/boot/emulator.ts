// What is known of the QEMU that is installed.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export const EMULATOR = 'qemu-system-x86_64';

/** QEMU 7.2 lets recent kernels (seen: Debian 13's 6.12) crash at random, also with one CPU; 10.0 does not. */
const FIRST_RELIABLE_MAJOR = 8;

/** Whether the output of `qemu --version` names a version that emulates recent kernels without crashing them. */
export function isReliable(versionText: string): boolean {
  const major = /version (\d+)\./.exec(versionText)?.[1];
  return major === undefined || Number(major) >= FIRST_RELIABLE_MAJOR;
}

/** {@link isReliable} of the installed QEMU; true when there is none, which starting it will tell. */
export async function emulatesReliably(): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)(EMULATOR, ['--version']);
    return isReliable(stdout);
  } catch {
    return true;
  }
}
