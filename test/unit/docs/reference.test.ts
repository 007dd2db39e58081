// The reference pages tell what the sources say.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { doctorCodes, errorCodes } from '../../../scripts/reference/errors.ts';
import { referencePages } from '../../../scripts/reference/pages.ts';

const root = join(__dirname, '../../..');

test.each(Object.entries(referencePages(root)))(
  'docs/reference/%s is up to date (npm run docs)',
  (name, text) => {
    expect(readFileSync(join(root, 'docs/reference', name), 'utf8')).toBe(text);
  },
);

const sources = ['image-builder', 'functions'].flatMap((directory) =>
  readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(root, directory, path), 'utf8')),
);

/** Codes where errors are made: `new StoreError('STORE_FULL'`, `code: 'DISK_FULL'`. */
function usedCodes(): string[] {
  return sources.flatMap((source) =>
    [...source.matchAll(/(?:new \w*Error\(|\bcode: )\s*'([A-Z][A-Z0-9_]+)'/g)].map(([, code = '']) => code),
  );
}

test('every code that an error is made with is documented', () => {
  const documented = new Set(errorCodes(root, ['image-builder', 'functions']).map(({ code }) => code));
  const used = usedCodes();
  expect(used.length).toBeGreaterThan(100);
  expect(used.filter((code) => !documented.has(code))).toEqual([]);
});

test('every documented code occurs where something goes wrong, not in its list alone', () => {
  const whole = sources.join('\n');
  const codes = [...errorCodes(root, ['image-builder', 'functions']), ...doctorCodes(root)].map(
    ({ code }) => code,
  );
  expect([...new Set(codes)].filter((code) => whole.split(`'${code}'`).length < 3)).toEqual([]);
});

test('every code has a docstring', () => {
  const codes = [...errorCodes(root, ['image-builder', 'functions']), ...doctorCodes(root)];
  expect(codes.length).toBeGreaterThan(50);
  expect(codes.filter(({ meaning }) => meaning === '')).toEqual([]);
});
