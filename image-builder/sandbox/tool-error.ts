// The error of everything that runs an external tool.
import { type ErrorOptions, ImageBuilderError } from '../base/diagnostics/error.ts';

export type ToolErrorCode =
  /** Tools are not installed. */
  | 'TOOL_MISSING'
  /** A tool failed or was killed. */
  | 'TOOL_FAILED';

/** A tool could not run or failed; `output` holds its last lines. */
export class ToolError extends ImageBuilderError<ToolErrorCode> {
  /** Exit status of the tool, when it had one. */
  readonly exitCode?: number;

  constructor(code: ToolErrorCode, message: string, options: ErrorOptions & { exitCode?: number } = {}) {
    super(code, message, options);
    if (options.exitCode !== undefined) this.exitCode = options.exitCode;
  }
}
