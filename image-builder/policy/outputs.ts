// Where results of a spec may be written: below the directory that the caller stands in, or what the policy adds; and
// never over something that is not an earlier result.
import { lstat, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AllowedPaths, PathError } from './paths.ts';
import { howToAllow } from './refusal.ts';

/** Judges the places that a spec names for its results. */
export class SpecOutputs {
  readonly #allowed: AllowedPaths;
  readonly #cwd: string;

  /**
   * @param cwd absolute directory that paths are relative to, and that may be written to
   * @param others absolute directories that may be written to besides
   */
  constructor(cwd: string, others: readonly string[]) {
    this.#cwd = cwd;
    this.#allowed = new AllowedPaths([cwd, ...others], (path) =>
      howToAllow({
        option: `--allow-output ${path}`,
        variable: `IMAGE_BUILDER_ALLOW_OUTPUTS=${path}`,
        line: `write: [${path}]`,
      }),
    );
  }

  /**
   * Makes sure that a file may be written.
   * @param isEarlierResult told of a regular file that is there
   * @param kind what an earlier result is
   * @returns its absolute path
   * @throws PathError
   */
  async requireFile(
    path: string,
    isEarlierResult: (path: string) => Promise<boolean>,
    kind: string,
  ): Promise<string> {
    const absolute = resolve(this.#cwd, path);
    await this.#allowed.future(absolute);
    const present = await lstat(absolute).catch(() => undefined);
    if (present && !(present.isFile() && (await isEarlierResult(absolute)))) {
      throw new PathError('OUTPUT_TAKEN', `${absolute} exists and is not an ${kind}, so it is not replaced`, {
        hint: 'remove it, or name another file',
      });
    }
    return absolute;
  }

  /**
   * Makes sure that a directory may be written to, with the directories in it that exist already.
   * @param below paths in it that are written to
   * @returns its absolute path
   * @throws PathError
   */
  async requireDirectory(path: string, below: readonly string[]): Promise<string> {
    const absolute = resolve(this.#cwd, path);
    await this.#allowed.future(absolute);
    for (const one of below) {
      const real = await realpath(resolve(absolute, one)).catch(() => undefined);
      if (real !== undefined && !(await this.#allowed.includes(real)))
        throw this.#allowed.outside(resolve(absolute, one));
    }
    return absolute;
  }
}
