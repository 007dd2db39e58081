import { oddTexts } from '../../../../image-builder/bundle/profile/odd-texts.ts';

const warnings = (json: string) =>
  oddTexts({ path: '/profiles/profile_a.json', json }).map(({ severity, message, file }) => {
    expect([severity, file]).toEqual(['warning', '/profiles/profile_a.json']);
    return message;
  });

test.each([
  ['{"a": {"b": ["x", "y\\u007f"]}}', 'a.b[1] has the control character U+007F, on which kustomize fails'],
  ['{"a": "\u0085"}', 'a has U+0085, which kustomize treats as a line break'],
  ['{"a": "x\\u2028"}', 'a has U+2028, which kustomize treats as a line break'],
  ['{"a": "\uffff"}', 'a has the control character U+FFFF, on which kustomize fails'],
  ['{"a": "\\ud800x"}', 'a has U+D800, half a character, which is replaced by U+FFFD'],
  ['{"a": "\\uDC00"}', 'a has U+DC00, half a character, which is replaced by U+FFFD'],
  ['{"a\\u009f": 1}', 'the key a\u009f has the control character U+009F, on which kustomize fails'],
  ['{"a": {"<<": {"b": 1}}}', 'a.<< is a merge key for kustomize, which drops it'],
])('%s', (json, message) => expect(warnings(json)).toEqual([message]));

test('what comes back from kustomize as it was is not worth a word', () => {
  expect(warnings('{"a": "\\u0000\\t\\n\\u001b\\r\\ufeff\\ud83d\\ude00\u00a0é\\u0080"}')).toHaveLength(1);
  expect(warnings('{"a": "\\u0000\\t\\n\\u001b\\r\\ufeff\\ud83d\\ude00\u00a0é", "b": "<<"}')).toEqual([]);
});
