import { jsonText } from '../../../../image-builder/base/yaml/json.ts';
import { readDocuments } from '../../../../image-builder/base/yaml/read-documents.ts';
import { ExactNumber } from '../../../../image-builder/base/yaml/values.ts';

test('the values of every document that is not empty', () => {
  expect(readDocuments('---\n# nothing\n---\na: 1\n---\n- on\n')).toMatchObject({
    values: [{ a: 1 }, ['on']],
    problems: [],
  });
  expect(readDocuments('')).toEqual({ values: [], sources: [], problems: [] });
  // Not as it should be indented, but read by everybody.
  expect(readDocuments('a: [\n  1\n]\n')).toMatchObject({ values: [{ a: [1] }], problems: [] });
});

test('everything that is wrong, with its place', () => {
  const { problems } = readDocuments('a: !vault |\n  $ANSIBLE_VAULT\nb: {c: !unsafe d}\ne: !!set {}\n', {
    firstLine: 10,
  });
  expect(problems).toEqual([
    expect.stringMatching(/!vault.*ansible-vault decrypt.* at line 10, column 4$/),
    expect.stringMatching(/!unsafe.*raw.* at line 12, column 8$/),
    'an unknown tag at line 13, column 4',
  ]);
  expect(readDocuments('a: [\n').problems).toEqual([expect.stringMatching(/ at line 2, column 1$/)]);
  expect(readDocuments('a: *none\n').problems).toEqual(['its aliases cannot be resolved']);
  expect(readDocuments('a: 1\na: 2\n').problems).toEqual([expect.stringMatching(/unique at line 2, column/)]);
});

test('JSON as JavaScript writes it, but for the digits of numbers', () => {
  const value = { a: [1, 'x', null, [], {}], b: { c: true, d: undefined }, e: 1.5 };
  expect(jsonText(value)).toBe(JSON.stringify(value, undefined, 2));
  const numbers = ['18446744073692774399', '1.20', '0x10', '.inf'].map((text) => new ExactNumber(text));
  expect(jsonText(numbers)).toBe('[\n  18446744073692774399,\n  1.20,\n  16,\n  ".inf"\n]');
});
