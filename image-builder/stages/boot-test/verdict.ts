// What tests inside of a booted image come to. Pure.
import { BootError } from './boot-error.ts';
import type { GuestFindings, GuestReport, GuestTestResult, UnmetTest } from './guest-tests.ts';

/**
 * @param joined how the node has done in a cluster
 * @throws BootError TESTS_FAILED with what was expected of each test that is not met
 */
export function judge(
  report: GuestReport,
  console: string,
  joined: { results: readonly GuestTestResult[]; unmet: readonly UnmetTest[] } = { results: [], unmet: [] },
): GuestFindings {
  const { node = { state: '', failedUnits: [] } } = report;
  const unmet = [...report.unmet, ...joined.unmet];
  const results = [...report.results, ...joined.results];
  if (unmet.length === 0) return { ...node, results };
  const names = unmet.map(({ name }) => name).join(', ');
  const met = results.filter(({ isMet }) => isMet).length;
  const error = new BootError(
    'TESTS_FAILED',
    `the image boots, and ${unmet.length} of ${met + unmet.length} tests inside of it failed: ${names}`,
    { output: unmet.flatMap(explain) },
  );
  error.evidence = { console };
  throw error;
}

const KEPT_LINES = 40;
/** Characters of what a test has printed in the place of what was expected. */
const KEPT_CHARACTERS = 200;

/** What was expected and what was met, or the last lines of what has failed. */
function explain({ name, status, timeoutSeconds, expected, output }: UnmetTest): string[] {
  const printed = (output ?? '').trim();
  if (output === undefined) return [`${name}: it did not run`];
  if (status !== undefined && expected !== undefined)
    return [
      `${name}: expected ${JSON.stringify(expected)}, met ${JSON.stringify(printed.slice(0, KEPT_CHARACTERS))}`,
    ];
  const how = status === undefined ? `had not ended after ${timeoutSeconds} s` : `exit status ${status}`;
  const lines = printed.split('\n').filter((line) => line.trim() !== '');
  return [...lines.slice(-KEPT_LINES), `${name}: ${how}`];
}
