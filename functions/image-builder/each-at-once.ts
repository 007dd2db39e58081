// Many pieces of work, some at a time: everything is tried, and what fails is told together.
import { throwIfCancelled } from '../../image-builder/base/diagnostics/cancelled.ts';
import { findingsOf, InvalidInputError } from '../../image-builder/base/diagnostics/error.ts';

/** Results in the order of the inputs. @throws InvalidInputError with the findings of all that have failed; what the signal says */
export async function eachAtOnce<Input, Result>(
  inputs: readonly Input[],
  atOnce: number,
  signal: AbortSignal,
  work: (input: Input) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const failures: [number, unknown][] = [];
  const waiting = inputs.entries();
  const worker = async () => {
    for (const [index, input] of waiting) {
      if (signal.aborted) return;
      await work(input).then(
        (result) => {
          results[index] = result;
        },
        (error) => failures.push([index, error]),
      );
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  throwIfCancelled(signal);
  const [first, ...others] = failures.sort(([a], [b]) => a - b).map(([, error]) => error);
  if (first === undefined) return results;
  if (others.length === 0) throw first;
  throw new InvalidInputError([first, ...others].flatMap(findingsOf), { cause: first });
}
