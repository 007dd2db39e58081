// What a render does when the store does not have the result: `spec.build.whenMissing` other than `Build`.
import { type Finding, ImageBuilderError } from '../base/diagnostics/error.ts';
import { formatBuildCommand, type SpecSource } from './spec-source.ts';

export type MissingCode =
  /** No store has the result, and the render must not build it. */
  | 'RESULT_MISSING'
  /** The build was started in the background; a later render will find its result. */
  | 'BUILD_TRIGGERED'
  /** The build is running in the background. */
  | 'BUILD_RUNNING'
  /** The build in the background has failed. */
  | 'TRIGGERED_BUILD_FAILED';

/** The result is not there, and the spec does not want to wait for it; the message says where it is to come from. */
export class MissingResultError extends ImageBuilderError<MissingCode> {
  readonly #finding: Finding;
  readonly #causes: readonly Finding[];

  /**
   * @param tags machine-readable facts: the log, the key
   * @param causes what the triggered build has failed with
   */
  constructor(
    code: MissingCode,
    message: string,
    tags: Readonly<Record<string, string>> = {},
    causes: readonly Finding[] = [],
  ) {
    super(code, message);
    this.#finding = {
      severity: 'error',
      field: 'spec.build.whenMissing',
      message,
      tags: { code, ...tags },
    };
    this.#causes = causes;
  }

  override findings(): Finding[] {
    return [this.#finding, ...this.#causes];
  }
}

/** The error of a render with `whenMissing: Fail`. */
export function refuseToBuild(key: string, source: SpecSource): MissingResultError {
  return new MissingResultError(
    'RESULT_MISSING',
    `the bundle is not built yet, and whenMissing is Fail; build it with: ${formatBuildCommand(source)}`,
    { key },
  );
}
