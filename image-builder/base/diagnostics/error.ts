// The errors of Image Builder: every error that a user can meet carries a closed code, and a hint at the next step.
import { printableLines } from './printable.ts';
import { redactCredentials } from './redact.ts';
import { describeSystemError } from './system-error.ts';

/** How bad a {@link Finding} is; the names are those of a KRM function result. */
export type Severity = 'error' | 'warning' | 'info';

/**
 * One thing to tell the user about the input or about what was done with it.
 * It maps one to one to a KRM function result
 * (https://github.com/kubernetes-sigs/kustomize/blob/master/cmd/config/docs/api-conventions/functions-spec.md).
 */
export interface Finding {
  severity: Severity;
  /** Says what is wrong, the value that was met and what was expected, in one line. */
  message: string;
  /** The object that it is about, where several are worked on: `ImageBuilder/node`. */
  object?: string;
  /** Exact path of the field, for example `spec.qcows[0].qcow.partitions[2].part_end`. */
  field?: string;
  /** The file that the field was read from. */
  file?: string;
  /** The line of the field in the file, from 1. */
  line?: number;
  /** That line with carets below, as two lines; without values that may be secrets. */
  excerpt?: string;
  /** Machine-readable extras: `code`, which every error and every finding of the doctor has; the cost of a read, ... */
  tags?: Record<string, string>;
}

/** Codes of errors that no class of ours stands for. */
export type UnclassifiedCode =
  /** The operating system refused something: no space, no permission, too many open files, ... */
  | 'SYSTEM_ERROR'
  /** A fault of the program; the message has the stack. */
  | 'UNEXPECTED';

/** Options of {@link ImageBuilderError}. */
export interface ErrorOptions {
  /** The error that this one was made of. */
  cause?: unknown;
  /** What the user can do about it, one sentence. */
  hint?: string;
  /** The last output lines of the tool that failed. */
  output?: string[];
}

/** Base of all errors that are meant for users. `Code` is a closed union in each subsystem. */
export class ImageBuilderError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly hint?: string;
  readonly output?: string[];
  /** File with everything that the failed stage has said; whoever keeps it sets it. */
  log?: string;

  constructor(code: Code, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.output !== undefined) this.output = options.output;
  }

  /** What to report; one finding unless a subclass knows more. */
  findings(): Finding[] {
    const lines = [this.message];
    if (this.output?.length) lines.push(...this.output.map((line) => `  | ${line}`));
    if (this.log) lines.push(`log: ${this.log}`);
    if (this.hint) lines.push(`hint: ${this.hint}`);
    return [{ severity: 'error', message: lines.join('\n'), tags: { code: this.code } }];
  }
}

/** The user's input is invalid; carries every finding at once, not just the first. */
export class InvalidInputError extends ImageBuilderError<'INVALID_INPUT'> {
  readonly #findings: Finding[];

  constructor(findings: Finding[], options: ErrorOptions = {}) {
    super('INVALID_INPUT', findings.map(formatFinding).join('\n'), options);
    this.#findings = findings;
  }

  override findings(): Finding[] {
    return this.#findings.map((finding) =>
      finding.severity === 'error' ? { ...finding, tags: { code: this.code, ...finding.tags } } : finding,
    );
  }
}

/**
 * The error for one finding.
 * @param where exact path of the field, or the file, or both
 */
export function invalidInput(
  where: string | Pick<Finding, 'field' | 'file'>,
  message: string,
  options: ErrorOptions = {},
): InvalidInputError {
  const place = typeof where === 'string' ? { field: where } : where;
  return new InvalidInputError([{ severity: 'error', message, ...place }], options);
}

/** One finding for people: `error: spec.build.qcows: ... (in image.yaml:12) [INVALID_INPUT]`, with its excerpt below. */
export function formatFinding(finding: Finding): string {
  return `${finding.severity}: ${describeFinding(finding)}`;
}

/** What a finding says, without its severity; its text may come from strangers. What has a code ends its first line with it. */
export function describeFinding(finding: Finding): string {
  const { message, object, field, file, line, excerpt } = finding;
  const place = file && `${file}${line === undefined ? '' : `:${line}`}`;
  const [first = '', ...others] = message.split('\n');
  // A finding about a file as a whole has the file as its subject.
  const subject = field || place;
  const code = finding.tags?.code ? ` [${finding.tags.code}]` : '';
  const head = `${object ? `${object}: ` : ''}${subject ? `${subject}: ` : ''}${first}${field && place ? ` (in ${place})` : ''}${code}`;
  return printableLines([head, ...(excerpt === undefined ? [] : [excerpt]), ...others].join('\n'));
}

/** The findings that describe any thrown value, each with a code; unexpected errors keep their stack in the message. */
export function findingsOf(error: unknown): Finding[] {
  if (error instanceof ImageBuilderError) return error.findings().map(withoutCredentials);
  const known = describeSystemError(error);
  if (known !== undefined) return [unclassified('SYSTEM_ERROR', known)];
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return [unclassified('UNEXPECTED', `unexpected error: ${message}`)];
}

function unclassified(code: UnclassifiedCode, message: string): Finding {
  return withoutCredentials({ severity: 'error', message, tags: { code } });
}

/** Applied here because every message to a user passes here, and may contain the URL of a mirror with a password. */
function withoutCredentials(finding: Finding): Finding {
  const tags = Object.entries(finding.tags ?? {}).map(([name, value]) => [name, redactCredentials(value)]);
  return {
    ...finding,
    message: redactCredentials(finding.message),
    ...(finding.tags && { tags: Object.fromEntries(tags) }),
  };
}
