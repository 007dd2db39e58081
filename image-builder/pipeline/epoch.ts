// The time stamp of everything that a build writes (https://reproducible-builds.org/specs/source-date-epoch/).
//
// It is that of the newest list of packages: no file of a package is younger, so no time stamp has to be clamped
// (a clamped .py would make Python compile it again at every start), and equal packages give equal bytes. A fixed
// date would be older than the updates, the current time would never give the same image twice.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageBuilderError } from '../base/diagnostics/error.ts';
import type { Env } from '../base/env.ts';

export type EpochErrorCode =
  /** SOURCE_DATE_EPOCH is not a number of seconds. */
  | 'EPOCH_INVALID'
  /** The package lists of the repositories have no date. */
  | 'RELEASE_WITHOUT_DATE';

/** The time stamp of a build cannot be determined. */
export class EpochError extends ImageBuilderError<EpochErrorCode> {}

/**
 * The value of SOURCE_DATE_EPOCH in seconds; undefined if it is not set.
 * @throws EpochError if it is not a number of seconds
 */
export function readSourceDateEpoch(env: Env): number | undefined {
  const text = env.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new EpochError(
    'EPOCH_INVALID',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, expected seconds since 1970`,
  );
}

/**
 * The date of the newest Release file among apt's lists, in seconds since the epoch. apt has verified them.
 * @throws EpochError when one has no date
 */
export async function newestRelease(listsDirectory: string): Promise<number> {
  const names = (await readdir(listsDirectory)).filter((name) => /_(In)?Release$/.test(name));
  const dates = await Promise.all(
    names.map(async (name) => releaseDate(name, await readFile(join(listsDirectory, name), 'utf8'))),
  );
  if (dates.length > 0) return Math.max(...dates);
  throw new EpochError('RELEASE_WITHOUT_DATE', 'apt has no list of a repository');
}

/** The `Date` of a Release file (https://wiki.debian.org/DebianRepository/Format), in seconds. */
function releaseDate(name: string, text: string): number {
  const date = /^Date: *(.+)$/m.exec(text)?.[1];
  const seconds = date === undefined ? Number.NaN : Date.parse(date) / 1000;
  if (Number.isInteger(seconds)) return seconds;
  throw new EpochError('RELEASE_WITHOUT_DATE', `the repository's ${name} has no date`);
}
