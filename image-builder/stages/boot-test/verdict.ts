// What tests inside of a booted image come to. Pure.
import { BootError } from './boot-error.ts';
import type { GuestFindings, GuestReport, UnmetTest } from './guest-tests.ts';

/** @throws BootError TESTS_FAILED with what was expected of each test that is not met */
export function judge(report: GuestReport, console: string): GuestFindings {
  const { node = { state: '', failedUnits: [] }, results, unmet } = report;
  if (unmet.length === 0) return { ...node, results };
  const names = unmet.map(({ name }) => name).join(', ');
  const error = new BootError(
    'TESTS_FAILED',
    `the image boots, and ${unmet.length} of ${report.expected.length} tests inside of it failed: ${names}`,
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
