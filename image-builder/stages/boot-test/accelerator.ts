// Whether KVM is of use here. That /dev/kvm opens says little: on some machines guests stall early in their boot. So
// the first guest is watched, and the verdict is kept until the machine boots again.
import { access, constants, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { replaceFile } from '../../base/files/replace.ts';

export type Accelerator = 'kvm' | 'tcg';

/** What is known of KVM on this machine. */
export type KvmVerdict = 'works' | 'stalls' | 'unknown' | 'absent';

/** Remembers the verdict, for this process and for the later ones. */
export class KvmMemory {
  #verdict: KvmVerdict | undefined;
  readonly #directory: string;

  /** @param directory where the verdict is kept. */
  constructor(directory = tmpdir()) {
    this.#directory = directory;
  }

  async verdict(): Promise<KvmVerdict> {
    this.#verdict ??= await this.#recall();
    return this.#verdict;
  }

  async remember(verdict: 'works' | 'stalls'): Promise<void> {
    if (this.#verdict === verdict) return;
    this.#verdict = verdict;
    const file = await this.#file();
    // A verdict that cannot be kept only costs the next process some seconds.
    await replaceFile(file, verdict, { mode: 0o600 }).catch(() => {});
  }

  async #recall(): Promise<KvmVerdict> {
    try {
      await access('/dev/kvm', constants.R_OK | constants.W_OK);
    } catch {
      return 'absent';
    }
    const kept = await readFile(await this.#file(), 'utf8').catch(() => '');
    return kept === 'works' || kept === 'stalls' ? kept : 'unknown';
  }

  /** One file per boot of the machine and user: /tmp belongs to everyone. */
  async #file(): Promise<string> {
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown');
    return join(this.#directory, `image-builder-kvm-${bootId.trim()}-${process.getuid?.() ?? 0}`);
  }
}

/**
 * Whether QEMU has ended because KVM lacks the system management mode that firmware with Secure Boot needs, as it does where
 * another hypervisor runs this machine.
 * @param output what QEMU has said last
 */
export const lacksSystemManagement = (output: readonly string[] = []): boolean =>
  output.some((line) => line.includes('System Management Mode not supported'));
