// Runs QEMU until the console shows what is expected, or that it never will.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { cancelled, throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import type { ImageTest } from '../../spec/variables/resolved-tests.ts';
import { Activity, adviseOnLateUnits } from './activity.ts';
import { BootError } from './boot-error.ts';
import { findFailure, LOGIN_PROMPT, SerialConsole } from './console.ts';
import { type Architecture, EMULATORS } from './emulator.ts';
import type { GuestReport, GuestTestResult } from './guest-tests.ts';
import { Monitor } from './monitor.ts';
import { REPORT_DESCRIPTOR } from './qemu-command.ts';

/** After a failure shows, the lines that explain it are still to come. */
const AFTERMATH_MILLISECONDS = 2000;
/** A guest that KVM really runs prints something more often than this, until it is up. */
const STALL_MILLISECONDS = 12_000;
/** How often the monitor is asked; the screen only when the console has been silent for so long. */
const LOOK_MILLISECONDS = 5000;
/** A machine that did something within this time before its end is making progress. */
const PATIENCE_SECONDS = 30;
/** What QEMU has said last is read within this time after its end. */
const LAST_WORDS_MILLISECONDS = 1000;
const KEPT_LINES = 40;

export interface RunMachineOptions {
  architecture: Architecture;
  expect: RegExp;
  /** Gets what the machine writes to its report port. When that is complete the machine is where it should be, not before. */
  guestReport?: GuestReport;
  /** What the machine has to go through after that, when every test of the report is met. */
  trial?: Trial;
  onLine: (line: string) => void;
  /** Gives up when the console is silent for a while. */
  watchForStall: boolean;
  /** On the clock of `performance.now()`. */
  deadline?: number;
  /** What the deadline was made from, for the message. */
  timeoutSeconds?: number;
  signal?: AbortSignal;
  /** Private directory that QEMU can write to. */
  scratch: string;
  /** File for the screen of a machine that fails. */
  screenshot?: string;
}

/** A machine that runs. */
export interface RunningMachine {
  /**
   * Has the program that ran the tests shut it down in order and start it again; resolves when it has been told.
   * @throws BootError EMULATOR_FAILED
   */
  restart(): Promise<void>;
  /**
   * Has it run one more test, until the machine is restarted. One at a time.
   * @throws BootError EMULATOR_FAILED when the machine ends before
   */
  run(test: ImageTest): Promise<GuestTestResult>;
}

/** What happens to a machine after it has reported. */
export interface Trial {
  /** @param signal the machine has ended */
  run(machine: RunningMachine, signal: AbortSignal): Promise<void>;
  /** What it is at, for people. */
  readonly progress: string;
}

type Success = { reason: 'reached' } | { reason: 'stalled' };
type End =
  | Success
  | { reason: 'aborted'; signal: AbortSignal }
  | { reason: 'timeout' }
  | { reason: 'tried'; error: unknown }
  | { reason: 'failed'; meaning: string; crash: boolean; screen?: string[] }
  | { reason: 'exited'; how: string };

/**
 * The console when it shows what is expected; undefined when a stall was watched for and found. QEMU has ended in any case.
 * @throws BootError, with what was seen; what the signal says
 */
export async function runMachine(
  machineArguments: readonly string[],
  options: RunMachineOptions,
): Promise<SerialConsole | undefined> {
  const { signal, deadline, guestReport, trial } = options;
  throwIfCancelled(signal);
  const console = new SerialConsole(options.expect);
  const activity = new Activity();
  const errors: string[] = [];
  const child = spawn(EMULATORS[options.architecture].command, machineArguments, {
    // The last ones are MONITOR_DESCRIPTOR and REPORT_DESCRIPTOR.
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', guestReport ? 'pipe' : 'ignore'],
    detached: true,
  });
  const monitor = new Monitor(child.stdio[3] as Duplex, options.scratch);
  const ended = endOf(child);
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const timers: NodeJS.Timeout[] = [];
  let isOver = false;
  const machineEnds = new AbortController();
  let tried: Promise<void> | undefined;
  let end: End;
  let screenshot: string | undefined;
  const machine: RunningMachine = {
    async restart() {
      if (!(await monitor.allowReboots()))
        throw new BootError('EMULATOR_FAILED', 'QEMU does not let the machine start again', {
          hint: 'It takes QEMU 6 or newer.',
        });
      console.startOver();
      (child.stdio[REPORT_DESCRIPTOR] as Duplex).write('reboot\n');
    },
    run(test) {
      return new Promise((done, fail) => {
        const end = () => fail(new BootError('EMULATOR_FAILED', `the machine has ended: ${test.name}`));
        machineEnds.signal.addEventListener('abort', end, { once: true });
        void guestReport?.answerTo(test).then((result) => {
          machineEnds.signal.removeEventListener('abort', end);
          done(result);
        });
        (child.stdio[REPORT_DESCRIPTOR] as Duplex).write(`${JSON.stringify(test)}\n`);
      });
    },
  };
  try {
    end = await new Promise<End>((finish) => {
      const after = (milliseconds: number, result: End) => {
        const timer = setTimeout(finish, milliseconds, result);
        timers.push(timer);
        return timer;
      };
      const stall = options.watchForStall ? after(STALL_MILLISECONDS, { reason: 'stalled' }) : undefined;
      if (deadline !== undefined) after(Math.max(0, deadline - performance.now()), { reason: 'timeout' });
      signal?.addEventListener('abort', () => finish({ reason: 'aborted', signal }), { once: true });
      child.once('error', (error) =>
        finish({ reason: 'exited', how: `could not be started: ${error.message}` }),
      );
      void ended.then((how) => {
        const { verdict } = console;
        // A machine that panics may reset itself before everything has been said.
        if (verdict.state === 'failed') finish({ ...verdict, reason: 'failed' });
        else finish({ reason: 'exited', how });
      });
      child.stderr?.setEncoding('utf8').on('data', (text: string) => errors.push(...text.trim().split('\n')));
      // Writing to a machine that has ended needs no report.
      child.stdin?.on('error', () => {});
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        activity.notePrinted();
        for (const line of console.write(text)) options.onLine(line);
        const { verdict } = console;
        // What has come up may be silent.
        if (verdict.state === 'reached') clearTimeout(stall);
        else stall?.refresh();
        if (verdict.state === 'reached' && !guestReport) finish({ reason: 'reached' });
        if (verdict.state === 'failed') after(AFTERMATH_MILLISECONDS, { ...verdict, reason: 'failed' });
      });
      if (guestReport) {
        const port = child.stdio[REPORT_DESCRIPTOR] as Duplex;
        port.setEncoding('utf8').on('error', () => {});
        port.on('data', (text: string) => {
          guestReport.write(text);
          if (!guestReport.isComplete || tried) return;
          tried = guestReport.isMet ? trial?.run(machine, machineEnds.signal) : undefined;
          if (tried === undefined) finish({ reason: 'reached' });
          tried?.then(
            () => finish({ reason: 'reached' }),
            (error) => finish({ reason: 'tried', error }),
          );
        });
      }
      const look = async () => {
        await activity.look(monitor);
        // The initramfs says on the last console of the command line only that it gives up.
        const isSilent = (activity.silence ?? Infinity) * 1000 >= LOOK_MILLISECONDS;
        const screen = isSilent ? await monitor.textScreen() : [];
        const last = screen.findLastIndex((line) => findFailure(line));
        const failure = findFailure(screen[last] ?? '');
        if (failure) finish({ reason: 'failed', ...failure, screen: screen.slice(0, last + 1) });
        else if (!isOver) timers.push(setTimeout(look, LOOK_MILLISECONDS));
      };
      timers.push(setTimeout(look, LOOK_MILLISECONDS));
    });
    const { screenshot: file } = options;
    const hasFailed = end.reason === 'failed' || end.reason === 'timeout';
    if (file !== undefined && hasFailed && (await monitor.screenshot(file))) screenshot = file;
  } finally {
    isOver = true;
    for (const timer of timers) clearTimeout(timer);
    process.removeListener('exit', kill);
    kill();
    machineEnds.abort();
    if (child.pid !== undefined) await ended;
    await tried?.catch(() => {});
  }
  if (end.reason === 'reached') return console;
  if (end.reason === 'stalled') return undefined;
  if (end.reason === 'aborted') throw cancelled(end.signal);
  if (end.reason === 'tried') throw end.error;
  const error = errorOf(end, options, console, activity, errors);
  error.evidence = { console: console.text, ...(screenshot !== undefined && { screenshot }) };
  throw error;
}

/** How QEMU has ended, once all is read that it has said. Bun does not always tell that its streams are closed, too. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((done) => {
    const say = (code: number | null, name: string | null) =>
      done(name ? `was killed by ${name}` : `ended with exit status ${code}`);
    let timer: NodeJS.Timeout | undefined;
    child.once('exit', (code, name) => {
      timer = setTimeout(say, LAST_WORDS_MILLISECONDS, code, name);
    });
    child.once('close', (code, name) => {
      clearTimeout(timer);
      say(code, name);
    });
  });
}

function errorOf(
  end: Exclude<End, Success | { reason: 'aborted' | 'tried' }>,
  options: RunMachineOptions,
  console: SerialConsole,
  activity: Activity,
  errors: string[],
): BootError {
  const output = console.lastLines(KEPT_LINES);
  switch (end.reason) {
    case 'failed': {
      const units = console.unitFailures;
      const why = units.length > 0 ? `: ${units.join(' ')}` : '';
      const hint = adviseOnLateUnits(units);
      return new BootError(
        end.crash ? 'KERNEL_CRASHED' : 'BOOT_FAILED',
        `the image does not boot: ${end.meaning}${why}`,
        { output: end.screen?.slice(-KEPT_LINES) ?? output, ...(hint !== undefined && { hint }) },
      );
    }
    case 'timeout': {
      const expected = options.expect === LOGIN_PROMPT ? 'a login prompt' : String(options.expect);
      const { guestReport, trial } = options;
      const message = guestReport
        ? `the tests inside of the machine had not ended within ${options.timeoutSeconds} s: ${(guestReport.isMet && trial?.progress) || guestReport.progress}`
        : `the console did not show ${expected} within ${options.timeoutSeconds} s`;
      return new BootError('TIMEOUT', message, { output, hint: activity.advise(PATIENCE_SECONDS) });
    }
    case 'exited':
      return exitError(options.architecture, end.how, output, errors);
  }
}

function exitError(architecture: Architecture, how: string, output: string[], errors: string[]): BootError {
  const { command, debianPackage } = EMULATORS[architecture];
  return new BootError('EMULATOR_FAILED', `${command} ${how} before the image had booted`, {
    output: [...output, ...errors.slice(-KEPT_LINES)],
    ...(how.includes('ENOENT')
      ? { hint: `Install it: apt-get install --no-install-recommends ${debianPackage}.` }
      : how.startsWith('was killed')
        ? { hint: 'Something on this host ended it: was there enough memory?' }
        : output.length > 0
          ? { hint: 'The machine was reset or switched off by the guest.' }
          : {}),
  });
}
