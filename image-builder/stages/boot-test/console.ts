// Follows the serial console of a booting machine: pure, fed with what arrives.

/** What shows that a machine will not boot, from the firmware to the first programs, and how to say it. */
const FAILURES: readonly { pattern: RegExp; meaning: string; crash?: true }[] = [
  { pattern: /Kernel panic - not syncing/, meaning: 'the kernel panicked', crash: true },
  {
    pattern: /\bOops: |\bkernel BUG at |BUG: unable to handle|general protection fault/,
    meaning: 'kernel Oops',
    crash: true,
  },
  { pattern: /^grub( rescue)?> /m, meaning: 'GRUB found no configuration' },
  {
    pattern: /^error: .*(no such|not found|invalid|bad shim|prohibited by secure boot)/m,
    meaning: 'GRUB failed',
  },
  { pattern: /^\(initramfs\)( |$)/m, meaning: 'the initramfs did not find the root file system' },
  {
    // The second is what sulogin(8) says on every console, where the first is only said on the last one.
    pattern: /You are in (emergency|rescue) mode|Cannot open access to console, the root account is locked/,
    meaning: 'systemd entered emergency mode',
  },
  {
    pattern: /^No bootable device/m,
    meaning: 'the firmware found nothing to boot',
  },
  { pattern: /BdsDxe: No bootable option|^Shell> /m, meaning: 'the firmware found nothing to boot' },
  { pattern: /Security Violation|Access Denied/, meaning: 'Secure Boot refused the boot loader' },
];

/** The prompt of agetty: `node1 login: `. */
export const LOGIN_PROMPT = /^\S+ login:/m;

/** What systemd prints of a unit that did not start, or that nobody waits for any longer. */
const UNIT_FAILURE = /^\[(?:FAILED| *TIME *)\] (.*\S)/gm;
/** More than these explain nothing. */
const MAXIMUM_UNIT_FAILURES = 20;

const KEPT_CHARACTERS = 1024 * 1024;
/** A pattern may be split over two arrivals; no pattern spans more than this. */
const OVERLAP_CHARACTERS = 4096;

const ESCAPE = '\u001b';
const LONGEST_SEQUENCE = 16;
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal control sequences are control characters
const CONTROL_SEQUENCES = /\u001b(\[[0-9:;?=]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78cM])/g;

/** What a text shows of a machine that will not boot; undefined: nothing. */
export function findFailure(text: string): { meaning: string; crash: boolean } | undefined {
  const failure = FAILURES.find(({ pattern }) => pattern.test(text));
  return failure && { meaning: failure.meaning, crash: failure.crash ?? false };
}

/** What the console shows by now. */
export type ConsoleVerdict =
  | { state: 'booting' }
  | { state: 'reached' }
  /** `crash`: it was the kernel. */
  | { state: 'failed'; meaning: string; crash: boolean };

/** The text of a serial console, with a verdict on it. */
export class SerialConsole {
  readonly #expected: RegExp;
  #text = '';
  #partial = '';
  #verdict: ConsoleVerdict = { state: 'booting' };
  /** Where the text begins that is judged. */
  #from = 0;

  /** @param expected what shows that the machine is where it should be; matched against the text without control sequences. */
  constructor(expected: RegExp) {
    this.#expected = new RegExp(expected.source, expected.flags.replace(/[gy]/g, ''));
  }

  /** What systemd has said of units that failed, in its words: `Failed to mount data.mount - /data.` */
  get unitFailures(): string[] {
    const failures = Array.from(
      this.#text.replaceAll('\r', '\n').matchAll(UNIT_FAILURE),
      ([, said = '']) => said,
    );
    return [...new Set(failures)].slice(0, MAXIMUM_UNIT_FAILURES);
  }

  /** Takes what has arrived; returns the lines that it completed. */
  write(chunk: string): string[] {
    // A control sequence that is cut in two is cleaned with its other half.
    const raw = this.#partial + chunk;
    const start = raw.lastIndexOf(ESCAPE);
    const incomplete =
      start >= Math.max(0, raw.length - LONGEST_SEQUENCE) &&
      raw.slice(start).replace(CONTROL_SEQUENCES, '').startsWith(ESCAPE);
    this.#partial = incomplete ? raw.slice(start) : '';
    const added = (incomplete ? raw.slice(0, start) : raw)
      .replace(CONTROL_SEQUENCES, '')
      .replace(/\r+\n?/g, (end) => (end.endsWith('\n') ? '\n' : '\r'));
    const from = Math.max(this.#from, this.#text.length - OVERLAP_CHARACTERS);
    const before = this.#text.lastIndexOf('\n') + 1;
    this.#text += added;
    this.#judge(this.#text.slice(from).replaceAll('\r', '\n'));
    const complete = this.#text.slice(before).split('\n').slice(0, -1);
    if (this.#text.length > 2 * KEPT_CHARACTERS) {
      this.#from = Math.max(0, this.#from - (this.#text.length - KEPT_CHARACTERS));
      this.#text = this.#text.slice(-KEPT_CHARACTERS);
    }
    return complete;
  }

  /** The machine starts again, and may fail again. */
  startOver(): void {
    this.#verdict = { state: 'booting' };
    this.#from = this.#text.length;
  }

  #judge(recent: string): void {
    if (this.#verdict.state !== 'booting') return;
    const failure = findFailure(recent);
    if (failure) this.#verdict = { state: 'failed', ...failure };
    else if (this.#expected.test(recent)) this.#verdict = { state: 'reached' };
  }

  get verdict(): ConsoleVerdict {
    return this.#verdict;
  }

  /** The text by now (of a very long one the end), without control sequences. */
  get text(): string {
    return this.#text;
  }

  /** The last `count` lines that are not empty. */
  lastLines(count: number): string[] {
    return this.#text
      .split(/[\r\n]+/)
      .map((line) => line.trimEnd())
      .filter(Boolean)
      .slice(-count);
  }
}
