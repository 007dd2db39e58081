// Runs QEMU until the console shows what is expected, or that it never will.
import { spawn } from 'node:child_process';
import { SerialConsole } from './console.ts';
import { type Architecture, EMULATORS } from './emulator.ts';
import { BootError } from './error.ts';

/** After a failure shows, the lines that explain it are still to come. */
const AFTERMATH_MILLISECONDS = 2000;
/** A guest that KVM really runs prints something more often than this, until it is up. */
const STALL_MILLISECONDS = 12_000;
const KEPT_LINES = 40;

export interface RunMachineOptions {
  architecture: Architecture;
  expect: RegExp;
  onLine: (line: string) => void;
  /** Gives up when the console is silent for a while. */
  watchForStall: boolean;
  /** On the clock of `performance.now()`. */
  deadline?: number;
  /** What the deadline was made from, for the message. */
  timeoutSeconds?: number;
  signal?: AbortSignal;
}

type End =
  | { reason: 'reached' | 'stalled' | 'timeout' | 'aborted' }
  | { reason: 'failed'; meaning: string; crash: boolean }
  | { reason: 'exited'; how: string };

/**
 * The text of the console when it shows what is expected; undefined when a stall was watched for and found. QEMU has
 * ended in any case.
 * @throws BootError
 */
export async function runMachine(
  machineArguments: readonly string[],
  options: RunMachineOptions,
): Promise<string | undefined> {
  const { signal, deadline } = options;
  if (signal?.aborted) throw new BootError('ABORTED', 'the boot test was stopped');
  const console = new SerialConsole(options.expect);
  const errors: string[] = [];
  const child = spawn(EMULATORS[options.architecture].command, machineArguments, {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const closed = new Promise<void>((done) => child.once('close', () => done()));
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const timers: NodeJS.Timeout[] = [];
  let end: End;
  try {
    end = await new Promise<End>((finish) => {
      const after = (milliseconds: number, result: End) => {
        const timer = setTimeout(finish, milliseconds, result);
        timers.push(timer);
        return timer;
      };
      const stall = options.watchForStall ? after(STALL_MILLISECONDS, { reason: 'stalled' }) : undefined;
      if (deadline !== undefined) after(Math.max(0, deadline - performance.now()), { reason: 'timeout' });
      signal?.addEventListener('abort', () => finish({ reason: 'aborted' }), { once: true });
      child.once('error', (error) =>
        finish({ reason: 'exited', how: `could not be started: ${error.message}` }),
      );
      child.once('close', (code, name) =>
        finish({ reason: 'exited', how: name ? `was killed by ${name}` : `ended with exit status ${code}` }),
      );
      child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(...text.trim().split('\n')));
      // Writing to a machine that has ended is no news.
      child.stdin.on('error', () => {});
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stall?.refresh();
        for (const line of console.write(text)) options.onLine(line);
        const { verdict } = console;
        if (verdict.state === 'reached') finish({ reason: 'reached' });
        if (verdict.state === 'failed')
          after(AFTERMATH_MILLISECONDS, { reason: 'failed', meaning: verdict.meaning, crash: verdict.crash });
      });
    });
  } finally {
    for (const timer of timers) clearTimeout(timer);
    process.removeListener('exit', kill);
    kill();
    if (child.pid !== undefined) await closed;
  }
  const output = console.lastLines(KEPT_LINES);
  switch (end.reason) {
    case 'reached':
      return console.text;
    case 'stalled':
      return undefined;
    case 'aborted':
      throw new BootError('ABORTED', 'the boot test was stopped');
    case 'failed':
      throw new BootError(
        end.crash ? 'KERNEL_CRASHED' : 'BOOT_FAILED',
        `the image does not boot: ${end.meaning}`,
        { output },
      );
    case 'timeout':
      throw new BootError(
        'TIMEOUT',
        `the console did not show ${options.expect} within ${options.timeoutSeconds} s`,
        { output, hint: 'Without a console=ttyS0 on its kernel command line an image is silent.' },
      );
    case 'exited':
      throw exitError(options.architecture, end.how, output, errors);
  }
}

function exitError(architecture: Architecture, how: string, output: string[], errors: string[]): BootError {
  const { command, debianPackage } = EMULATORS[architecture];
  return new BootError('EMULATOR_FAILED', `${command} ${how} before the image had booted`, {
    output: [...output, ...errors.slice(-KEPT_LINES)],
    ...(how.includes('ENOENT')
      ? { hint: `Install it: apt-get install --no-install-recommends ${debianPackage}.` }
      : output.length > 0
        ? { hint: 'The machine was reset or switched off by the guest.' }
        : {}),
  });
}
