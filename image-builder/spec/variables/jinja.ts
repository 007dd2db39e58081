// Renders what is more than a plain reference: by a small Python program around Jinja's sandbox, which reads templates from
// standard input and writes values to standard output, and can do nothing else.
import { spawn } from 'node:child_process';
import { cancelled, throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { templateProgram } from '../../embedded/template-program.ts';
import { findExecutable, toolPath } from '../../sandbox/environment.ts';
import { ToolError } from '../../sandbox/tool-error.ts';

/** Templates that see the same variables. */
export interface JinjaRequest {
  /** May be templates themselves. */
  variables: Record<string, unknown>;
  templates: readonly string[];
}

/** What became of a template. */
export type JinjaAnswer =
  | { value: unknown }
  /** Why there is no value: a predicate about the template, without any variable's value. */
  | {
      reason: string;
      /** Of the template's text, from 1. */
      line?: number;
      /** Whether the text may not be meant as a template at all. */
      literal?: boolean;
    };

/** Runs the modules that it gets as its argument; exits with {@link NO_JINJA} before it does. */
const BOOT = `
import json, sys, types
try:
    from jinja2 import pass_context
except ImportError:
    sys.exit(3)
for name, text in json.loads(sys.argv[1]):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
`;
const NO_JINJA = 3;

/** Milliseconds; the program's own limits are far below, in processor time. */
const PATIENCE = 120_000;

/**
 * The answers for all templates, in their order: one process for all of them. After a template that ends the process there
 * are no answers.
 * @throws ToolError TOOL_MISSING when no Python here has Jinja; CancelledError
 */
export async function renderByJinja(
  requests: readonly JinjaRequest[],
  signal?: AbortSignal,
): Promise<JinjaAnswer[]> {
  const expected = requests.reduce((sum, { templates }) => sum + templates.length, 0);
  const input = JSON.stringify({ images: requests });
  for (const python of pythons()) {
    const { answers, status } = await run(python, input, signal);
    if (status === NO_JINJA) continue;
    return answers.length === expected
      ? answers
      : [...answers, { reason: 'takes too much time or memory to render' }];
  }
  throw new ToolError('TOOL_MISSING', 'templates beyond plain references need Python with Jinja 3', {
    hint: 'apt-get install --no-install-recommends python3-jinja2',
  });
}

/** Debian's first: what PATH leads to may be another one, without Debian's packages. */
function pythons(): string[] {
  const found = [
    findExecutable('/usr/bin/python3', []),
    findExecutable('python3', toolPath(process.env.PATH)),
  ];
  return [...new Set(found.filter((path) => path !== undefined))];
}

function run(
  python: string,
  input: string,
  signal: AbortSignal | undefined,
): Promise<{ answers: JinjaAnswer[]; status: number | null }> {
  throwIfCancelled(signal);
  return new Promise((resolve, reject) => {
    // Isolated: neither the environment nor the working directory nor the user's home has a say.
    const argv = ['-I', '-B', '-X', 'utf8', '-c', BOOT, JSON.stringify(templateProgram)];
    const child = spawn(python, argv, {
      env: {},
      cwd: '/',
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
      ...(signal ? { signal } : {}),
    });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    // It has died before it has read everything: its status says more.
    child.stdin.on('error', () => {});
    child.once('error', (error) => reject(signal?.aborted ? cancelled(signal) : error));
    child.once('close', (status) => resolve({ answers: parseLines(Buffer.concat(chunks)), status }));
    child.stdin.end(input);
  });
}

/** A line for each answer; the last one may be cut off. */
function parseLines(output: Buffer): JinjaAnswer[] {
  const answers: JinjaAnswer[] = [];
  for (
    let start = 0, end = output.indexOf('\n');
    end >= 0;
    start = end + 1, end = output.indexOf('\n', start)
  ) {
    answers.push(JSON.parse(output.toString('utf8', start, end)));
  }
  return answers;
}
