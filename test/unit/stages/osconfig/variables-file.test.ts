import { parse } from 'yaml';
import { toVariablesFile } from '../../../../image-builder/stages/osconfig/playbook.ts';

test('text that looks like a template is marked, so that Ansible leaves it alone; nothing else changes', () => {
  const variables = {
    plain: 'text',
    mode: '0755',
    switch: 'on',
    version: '1.20',
    multiline: 'a\n\n  b\n',
    template: '{{ x }}',
    nested: [{ file_content: 'line\n{% if y %}\n' }, { file_content: '{# note #}' }],
  };
  const text = toVariablesFile(variables);
  expect(text.match(/!unsafe/g)).toHaveLength(3);
  const customTags = [{ tag: '!unsafe', resolve: (value: string) => value }];
  expect(parse(text, { customTags, version: '1.1' })).toEqual(variables);
});
