// Each group of fuzzed parts is run by a suite.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { GROUPS } from '../../fuzz/targets.ts';

test('every group has a suite', () => {
  const suites = readdirSync(join(__dirname, '../../e2e/fuzz'));
  expect(Object.keys(GROUPS).filter((group) => !suites.includes(`${group}.test.ts`))).toEqual([]);
});
