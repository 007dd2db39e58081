// Gathers the findings of several steps, so that a user sees all mistakes at once.
import { type Finding, InvalidInputError } from '../base/diagnostics/error.ts';

/** Runs a step, moving the findings of an InvalidInputError to the others so that all are reported at once. */
export function collect<Result>(findings: Finding[], step: () => Result): Result | undefined {
  try {
    return step();
  } catch (thrown) {
    if (!(thrown instanceof InvalidInputError)) throw thrown;
    findings.push(...thrown.findings());
    return undefined;
  }
}
