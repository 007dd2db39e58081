// The reference pages tell what the sources say.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodes } from '../../../scripts/reference/errors.ts';
import { referencePages } from '../../../scripts/reference/pages.ts';

const root = join(__dirname, '../../..');

test.each(Object.entries(referencePages(root)))(
  'docs/reference/%s is up to date (npm run docs)',
  (name, text) => {
    expect(readFileSync(join(root, 'docs/reference', name), 'utf8')).toBe(text);
  },
);

test('every error code has a docstring', () => {
  const codes = errorCodes(root, ['image-builder', 'functions']);
  expect(codes.length).toBeGreaterThan(50);
  expect(codes.filter(({ meaning }) => meaning === '')).toEqual([]);
});
