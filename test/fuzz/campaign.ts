// Runs a target on input after input, for as long as it may take, and shows the first one that breaks a rule.
import { ImageBuilderError } from '../../image-builder/base/diagnostics/error.ts';
import { Random } from './random.ts';

/** A part of the program that reads what others have written. */
export interface Target<Input = unknown> {
  name: string;
  /** Seconds of processor time that one input may take; default {@link LONGEST}. */
  longest?: number;
  /** The same choices give the same input. */
  generate(random: Random): Input;
  /**
   * Feeds the program. Its own errors are fine.
   * @throws anything else when a rule is broken
   */
  check(input: Input): void | Promise<void>;
}

/** A rule that an input has broken; the message says which. */
export class Violation extends Error {}

/** Seconds of processor time for one input. */
const LONGEST = 2;
/** Bytes by which the process may grow. */
const GROWTH = 512 << 20;

export interface Campaign {
  /** Of processor time, so that a busy machine tries as much. */
  seconds: number;
  seed: number;
  /** Only this input. */
  at?: number;
}

/** How many inputs were read, and how many refused. */
export interface Result {
  inputs: number;
  refused: number;
}

/** @throws Error with the input, and how to have it again */
export async function run(target: Target, { seconds, seed, at }: Campaign): Promise<Result> {
  const result: Result = { inputs: 0, refused: 0 };
  const before = process.memoryUsage.rss();
  const begun = processorTime();
  for (let index = at ?? 0; at === undefined ? processorTime() - begun < seconds : index === at; index++) {
    const input = target.generate(new Random(Math.imul(seed, 0x9e3779b1) + index));
    const from = processorTime();
    try {
      await target.check(input);
    } catch (error) {
      if (!(error instanceof ImageBuilderError)) throw failure(target, input, seed, index, error);
      result.refused++;
    }
    const took = processorTime() - from;
    if (took > (target.longest ?? LONGEST))
      throw failure(target, input, seed, index, new Violation(`took ${took.toFixed(1)} s`));
    const grown = process.memoryUsage.rss() - before;
    if (grown > GROWTH) {
      throw failure(target, input, seed, index, new Violation(`the process has grown by ${grown >> 20} MiB`));
    }
    result.inputs++;
  }
  return result;
}

const processorTime = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

function failure({ name }: Target, input: unknown, seed: number, index: number, cause: unknown): Error {
  const reason = cause instanceof Violation ? cause.message : String((cause as Error)?.stack ?? cause);
  const shown = Buffer.isBuffer(input) ? `base64 ${input.toString('base64')}` : JSON.stringify(input);
  return new Error(
    `${reason}\n\nnpm run fuzz -- ${name} --seed ${seed} --at ${index}\n\ninput: ${shown.slice(0, 20_000)}`,
    { cause },
  );
}
