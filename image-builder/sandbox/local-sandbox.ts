// The sandbox of the local executor: the machine's own tools, as root of the namespaces that the kernel grants.
//
// Namespaces are made by unshare(1) for each command and end with it: mounts vanish, and --kill-child makes the
// kernel kill every process of the PID namespace when its first one dies. In `plain` mode there is no namespace, so
// the process group is killed instead.

import { closeSync, openSync, readlinkSync } from 'node:fs';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { redactCredentials } from '../base/diagnostics/redact.ts';
import type { Env } from '../base/env.ts';
import { confinedNamespaces, confinedPrefix, isVisible } from './confinement.ts';
import { type Architecture, emulationPrefix, isNative, registrationPrefix } from './emulation.ts';
import { findExecutable, toolEnvironment, toolPath } from './environment.ts';
import { Lines } from './lines.ts';
import { runsPrograms } from './probe.ts';
import type { Sandbox, SandboxCommandOptions, SandboxMode } from './sandbox.ts';
import { ToolError } from './tool-error.ts';

/** The namespaces that keep mounts private, for each mode that has some. */
const HOLDERS: Record<Exclude<SandboxMode, 'plain'>, readonly string[]> = {
  namespaces: ['unshare', '--mount'],
  'user-namespaces': ['unshare', '--user', '--map-root-user', '--map-auto', '--mount'],
};

const WITH_PROCESSES = ['--pid', '--fork', '--kill-child'];

/** Prefix of a command in each mode. */
const PREFIXES: Record<SandboxMode, readonly string[]> = {
  namespaces: [...HOLDERS.namespaces, ...WITH_PROCESSES],
  'user-namespaces': [...HOLDERS['user-namespaces'], ...WITH_PROCESSES],
  plain: [],
};

/**
 * Dies with this process even if that is killed: the kernel sends the signal, and what unshare has started follows
 * it. Otherwise a killed build would leave a running one behind.
 */
const DIES_WITH_US: readonly string[] = ['setpriv', '--pdeathsig', 'KILL', '--'];

/** Lines of a tool's output that an error keeps. */
const KEPT_LINES = 25;

export interface LocalSandboxOptions {
  /** Environment that PATH, HOME, TMPDIR and the proxies are taken from. */
  environment?: Env;
  /** Skips the trial. */
  mode?: SandboxMode;
  /** Programs of this architecture run, too; default: this machine's own. */
  architecture?: Architecture;
}

/**
 * A sandbox with the most isolation that works here; found out by trial, since capabilities, sysctls, seccomp and
 * LSMs all have a say.
 * @throws ToolError when this is an ordinary user and user namespaces do not work.
 */
export async function createLocalSandbox(options: LocalSandboxOptions = {}): Promise<Sandbox> {
  const environment = options.environment ?? process.env;
  const mode = options.mode ?? (await detectMode(environment));
  const { architecture } = options;
  const emulated =
    architecture !== undefined && !isNative(architecture) && !(await runsPrograms(architecture));
  const prefix = emulated ? await emulate(architecture, mode, environment) : PREFIXES[mode];
  const inside = emulated ? registrationPrefix(architecture, mode, toolPath(environment.PATH)) : [];
  return {
    // Emulation needs a user namespace, whose root cannot make devices.
    mode: emulated ? 'user-namespaces' : mode,
    emulates: emulated,
    hostPath: (path) => path,
    run: (argv, commandOptions = {}) => {
      const confined = confine(argv, mode, PREFIXES[mode], commandOptions, environment);
      if (!confined) return run([...DIES_WITH_US, ...prefix, ...argv], argv, environment, commandOptions);
      const { cwd: _, ...others } = commandOptions;
      return run([...DIES_WITH_US, ...confined, ...inside, ...argv], argv, environment, others);
    },
  };
}

/** The namespaces of a running process, as files that are open: its id may become that of another. */
export interface Namespaces {
  mode: Exclude<SandboxMode, 'plain'>;
  /** File descriptors of its root directory and its namespaces. */
  root: number;
  mount: number;
  user?: number;
}

/**
 * The namespaces of a child that {@link holderCommand} has started.
 * @returns undefined when /proc is that of another PID namespace (`docker run --volume /proc:/proc`): the process that
 *   has the id there is somebody else
 */
export function namespacesOf(mode: Exclude<SandboxMode, 'plain'>, pid: number): Namespaces | undefined {
  if (readlinkSync('/proc/self') !== String(process.pid)) return undefined;
  return {
    mode,
    root: openSync(`/proc/${pid}/root`, 'r'),
    mount: openSync(`/proc/${pid}/ns/mnt`, 'r'),
    ...(mode === 'user-namespaces' && { user: openSync(`/proc/${pid}/ns/user`, 'r') }),
  };
}

/** Closes what {@link namespacesOf} has opened. */
export function closeNamespaces({ root, mount, user }: Namespaces): void {
  for (const descriptor of [root, mount, user]) if (descriptor !== undefined) closeSync(descriptor);
}

/** A sandbox whose commands share mounts that outlive each of them. */
export function joinSandbox({ mode, root, mount, user }: Namespaces): Sandbox {
  const file = (descriptor: number) => `/proc/${process.pid}/fd/${descriptor}`;
  const enter = [
    'nsenter',
    `--mount=${file(mount)}`,
    ...(user === undefined ? [] : [`--user=${file(user)}`]),
  ];
  return {
    mode,
    hostPath: (path) => `${file(root)}${path}`,
    run: (argv, options = {}) => {
      // Entering a mount namespace leads to its root directory.
      const { cwd = process.cwd(), ...others } = options;
      const confined = confine(argv, mode, PREFIXES.namespaces, options, process.env);
      const prefix = confined ?? [...PREFIXES.namespaces, `--wd=${cwd}`];
      return run([...DIES_WITH_US, ...enter, ...prefix, ...argv], argv, process.env, others);
    },
  };
}

/** Prefix of a command that is to be confined, undefined for others. */
function confine(
  [tool = '']: readonly string[],
  mode: SandboxMode,
  namespaces: readonly string[],
  { confined, cwd }: SandboxCommandOptions,
  environment: Env,
): string[] | undefined {
  if (confined === undefined || mode === 'plain') return undefined;
  const path = toolPath(environment.PATH);
  const seen = path.filter(isVisible);
  // Not one of the user's own, which a confined command does not see.
  const python = findExecutable('python3', seen) ?? notVisible('python3', path);
  if (findExecutable(tool, seen) === undefined && findExecutable(tool, path) !== undefined)
    notVisible(tool, path);
  return [...namespaces, ...confinedNamespaces(confined), ...confinedPrefix(confined, python, cwd)];
}

function notVisible(tool: string, path: readonly string[]): never {
  const found = findExecutable(tool, path);
  throw new ToolError(
    'TOOL_MISSING',
    found === undefined ? `${tool} is not installed` : `${found} is not visible to confined commands`,
    { hint: `install ${tool} for the whole system, for example with apt-get install` },
  );
}

/** What starts a process that {@link joinSandbox} can join; it ends with this one. */
export function holderCommand(mode: Exclude<SandboxMode, 'plain'>): string[] {
  return [...DIES_WITH_US, ...HOLDERS[mode]];
}

async function emulate(
  architecture: Architecture,
  mode: SandboxMode,
  environment: Env,
): Promise<readonly string[]> {
  const prefix = emulationPrefix(architecture, mode, toolPath(environment.PATH));
  try {
    await run([...prefix, 'true'], ['true'], environment, {});
    return prefix;
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    throw new ToolError('TOOL_FAILED', `programs of ${architecture} cannot run here`, {
      cause: error,
      hint:
        'Linux before 6.7 cannot emulate in a single namespace: register QEMU for the whole machine ' +
        '(package qemu-user-static with binfmt-support, or qemu-user-binfmt)',
      ...(error.output ? { output: error.output } : {}),
    });
  }
}

/** Whether what runs in a tree here gets mounts; an ordinary user builds with them or not at all. */
export async function canMount(environment: Env): Promise<boolean> {
  return process.getuid?.() !== 0 || (await detectMode(environment)) !== 'plain';
}

async function detectMode(environment: Env): Promise<SandboxMode> {
  const root = process.getuid?.() === 0;
  const mode: SandboxMode = root ? 'namespaces' : 'user-namespaces';
  try {
    // Mounting is what the namespaces are for; a mount namespace in which it is forbidden is of no use.
    const trial = ['mount', '-t', 'tmpfs', 'trial', '/tmp'];
    await run([...PREFIXES[mode], ...trial], trial, environment, {});
    return mode;
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    if (root) return 'plain';
    throw new ToolError('TOOL_FAILED', 'this user cannot use user namespaces with subordinate ids', {
      cause: error,
      hint:
        'install uidmap, give the user a range in /etc/subuid and /etc/subgid (usermod --add-subuids 100000-165535 ' +
        '--add-subgids 100000-165535 USER), and allow unprivileged user namespaces; or build as root or in a container',
      ...(error.output ? { output: error.output } : {}),
    });
  }
}

/** @param argv what to start; @param shown what the caller asked for, named in errors. */
async function run(
  argv: readonly string[],
  shown: readonly string[],
  from: Env,
  options: SandboxCommandOptions,
): Promise<string> {
  const { signal } = options;
  const tool = shown[0] ?? '';
  throwIfCancelled(signal);
  const environment = toolEnvironment(from, options.env);
  const path = toolPath(environment.PATH);
  const file = findExecutable(argv[0] ?? '', path);
  if (file === undefined || findExecutable(tool, path) === undefined) {
    throw new ToolError('TOOL_MISSING', `${file === undefined ? argv[0] : tool} is not installed`, {
      hint: 'install it, for example with apt-get install',
    });
  }
  const { execa } = await import('execa');
  const lines = new Lines((line) => options.onLine?.(redactCredentials(line)), KEPT_LINES);
  // Detached: a process group of its own, so that all of it can be killed, and Ctrl-C reaches us, not the tool.
  const child = execa(file, argv.slice(1), {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: environment,
    extendEnv: false,
    detached: true,
    cleanup: false,
    reject: false,
    stripFinalNewline: false,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    buffer: { stdout: true, stderr: false },
    maxBuffer: 256 * 1024 * 1024,
  });
  const kill = () => killGroup(child.pid);
  signal?.addEventListener('abort', kill, { once: true });
  process.once('exit', kill);
  child.stdout?.on('data', (chunk: Buffer) => lines.write('stdout', chunk));
  child.stderr?.on('data', (chunk: Buffer) => lines.write('stderr', chunk));
  try {
    const result = await child;
    lines.end();
    throwIfCancelled(signal);
    if (result.failed) {
      const how = result.signal
        ? `was killed by ${result.signal}`
        : `failed with exit status ${result.exitCode}`;
      throw new ToolError(
        'TOOL_FAILED',
        `${tool} ${result.exitCode === undefined && !result.signal ? 'could not be started' : how}`,
        {
          cause: result.originalMessage ?? undefined,
          output: lines.last().map(redactCredentials),
          ...(result.exitCode === undefined ? {} : { exitCode: result.exitCode }),
        },
      );
    }
    return result.stdout ?? '';
  } finally {
    signal?.removeEventListener('abort', kill);
    process.removeListener('exit', kill);
  }
}

/** SIGKILL: in the namespace modes unshare dies with its group, and the kernel then ends the PID namespace. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
