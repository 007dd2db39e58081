// The time stamp of everything that a build writes (https://reproducible-builds.org/specs/source-date-epoch/).
//
// It is that of the newest list of packages: no file of a package is younger, so no time stamp has to be clamped
// (a clamped .py would make Python compile it again at every start), and equal packages give equal bytes. A fixed
// date would be older than the updates, the current time would never give the same image twice.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageBuilderError } from '../diagnostics/error.ts';
import type { Sandbox } from '../executors/sandbox.ts';
import { ToolError } from '../executors/tool-error.ts';

/** What tells the time of a build. */
export class EpochError extends ImageBuilderError<'EPOCH_INVALID' | 'RELEASE_UNREADABLE'> {}

/**
 * The value of SOURCE_DATE_EPOCH in seconds; undefined when it is not set.
 * @throws EpochError when it is not a count of seconds
 */
export function readSourceDateEpoch(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const text = env.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new EpochError(
    'EPOCH_INVALID',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, expected seconds since 1970`,
  );
}

/** An apt repository, as far as its Release file is concerned. */
export interface ReleaseSource {
  /** Base URI without a trailing slash. */
  source: string;
  /** Ends in `/` for a flat repository. */
  suite: string;
}

const APT_HELPER = '/usr/lib/apt/apt-helper';

/**
 * The date of the newest Release file of the repositories, in seconds since the epoch.
 * @throws ToolError when one cannot be fetched, EpochError when it has no date
 */
export async function newestRelease(
  repositories: readonly ReleaseSource[],
  options: { sandbox: Sandbox; workDir: string; signal: AbortSignal },
): Promise<number> {
  const unique = [...new Map(repositories.map((one) => [releaseDirectory(one), one])).keys()];
  const dates = await Promise.all(unique.map((directory, index) => releaseDate(directory, index, options)));
  return Math.max(...dates);
}

/** The URI of the directory with the Release files (https://wiki.debian.org/DebianRepository/Format). */
function releaseDirectory({ source, suite }: ReleaseSource): string {
  return suite.endsWith('/') ? `${source}/${suite.replace(/^\/+/, '')}` : `${source}/dists/${suite}/`;
}

async function releaseDate(
  directory: string,
  index: number,
  { sandbox, workDir, signal }: { sandbox: Sandbox; workDir: string; signal: AbortSignal },
): Promise<number> {
  const file = join(workDir, `release-${index}`);
  const fetch = (name: string) =>
    // apt's own downloader knows every kind of URI and proxy that the repositories can have.
    sandbox.run([APT_HELPER, '-o', 'APT::Sandbox::User=root', 'download-file', `${directory}${name}`, file], {
      signal,
    });
  await fetch('InRelease').catch(async (error) => {
    // Older repositories keep the signature in a file of its own.
    if (
      !(error instanceof ToolError) ||
      !/404|not found|no such file/i.test(error.output?.join('\n') ?? '')
    ) {
      throw unreachable(directory, error);
    }
    await fetch('Release').catch((other) => {
      throw unreachable(directory, other);
    });
  });
  const date = /^Date: *(.+)$/m.exec(await readFile(file, 'utf8'))?.[1];
  const seconds = date === undefined ? Number.NaN : Date.parse(date) / 1000;
  if (Number.isInteger(seconds)) return seconds;
  throw new EpochError('RELEASE_UNREADABLE', `${directory}InRelease has no date`, {
    hint: 'is this an apt repository?',
  });
}

function unreachable(directory: string, error: unknown): unknown {
  if (!(error instanceof ToolError) || error.code === 'ABORTED') return error;
  return new EpochError('RELEASE_UNREADABLE', `cannot fetch the list of packages of ${directory}`, {
    cause: error,
    hint: 'check the mirror and the repositories of the spec, and that the network reaches them',
    ...(error.output && { output: error.output }),
  });
}
