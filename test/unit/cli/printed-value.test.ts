import { parse } from 'yaml';
import { printable, printableLines } from '../../../image-builder/base/diagnostics/printable.ts';
import { printedValue } from '../../../image-builder/cli/printed-value.ts';

const HOSTILE = '\x1b[2J\x07\x7f\x85\x9b31m\u2028\u202e\u2066';
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

it.each(['json', 'yaml'] as const)('values in %s say the same, and nothing to a terminal', async (format) => {
  const value = { [`key ${HOSTILE}`]: [`text ${HOSTILE}`, 'on', '0755', 'a\nb'], plain: { n: 1 } };
  const text = await printedValue(value, format);
  expect(text.replaceAll('\n', '')).not.toMatch(UNPRINTABLE);
  expect(format === 'json' ? JSON.parse(text) : parse(text)).toEqual(value);
});

it('texts show what they hold', () => {
  expect(printable(`a\n${HOSTILE}`)).toBe('a\\x0a\\x1b[2J\\x07\\x7f\\x85\\x9b31m\\u2028\\u202e\\u2066');
  expect(printableLines('a\n\tb\rc')).toBe('a\n\tb\\x0dc');
});
