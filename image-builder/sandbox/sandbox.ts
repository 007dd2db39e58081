// Runs a tool as root of a sandbox: private mount and PID namespaces where the kernel allows them, so that nothing
// that the tool mounts or starts can outlive it.

import type { Confinement } from './confinement.ts';

/** How much isolation the machine allows. */
export type SandboxMode =
  /** Real root with CAP_SYS_ADMIN: private mount and PID namespaces. */
  | 'namespaces'
  /** An ordinary user: root of a user namespace with the user's subuids and subgids. */
  | 'user-namespaces'
  /** Root without CAP_SYS_ADMIN (a container with the engine's default capabilities): no namespaces, no mounts. */
  | 'plain';

/** How a command runs in the sandbox. */
export interface SandboxCommandOptions {
  cwd?: string;
  /** The whole environment; nothing is inherited but PATH, HOME, TMPDIR, LANG and the proxy variables. */
  env?: Record<string, string>;
  /** Text for standard input; none by default. */
  input?: string;
  /** Receives each line of standard output and standard error as it is printed. */
  onLine?: (line: string) => void;
  /** Kills the command with everything that it started. */
  signal?: AbortSignal;
  /** For commands that run programs of an image: what they see and may do, where the mode allows to limit it. */
  confined?: Confinement;
}

/** Runs commands as root of the sandbox. */
export interface Sandbox {
  readonly mode: SandboxMode;
  /** Programs of another architecture run in it, which no namespace of another process knows of. */
  readonly emulates?: boolean;
  /** Where this process finds what commands know as `path`: they may see mounts that it does not. */
  hostPath(path: string): string;
  /**
   * Runs `argv` to its end and returns its standard output.
   * @throws ToolError when the tool is missing or exits non-zero; carries the last lines of its output.
   */
  run(argv: readonly string[], options?: SandboxCommandOptions): Promise<string>;
}
