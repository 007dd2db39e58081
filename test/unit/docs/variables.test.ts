// docs/reference/variables.md is written by hand: here is what it must not forget.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ignored } from '../../../image-builder/spec/api/schema/common.ts';
import { LivecdcontentVariables } from '../../../image-builder/spec/api/schema/livecdcontent.ts';
import { MultistrapVariables } from '../../../image-builder/spec/api/schema/multistrap.ts';
import { OsconfigVariables } from '../../../image-builder/spec/api/schema/osconfig.ts';
import { QcowVariables } from '../../../image-builder/spec/api/schema/qcow.ts';

const page = readFileSync(join(__dirname, '../../../docs/reference/variables.md'), 'utf8');

test.each([
  ['multistrap', MultistrapVariables],
  ['osconfig', OsconfigVariables],
  ['qcow', QcowVariables],
  ['livecdcontent', LivecdcontentVariables],
])('the page of variables has all of %s', (_, { properties }) => {
  const wordsOf = (field: object) => (field as { description?: string }).description;
  const names = Object.entries(properties)
    .filter(([name, field]) => !name.endsWith('_append') && wordsOf(field) !== wordsOf(Ignored))
    .map(([name]) => name);
  // By itself, or as the beginning of a path: `kernel.modules.load`.
  expect(names.filter((name) => !new RegExp(`\`${name}[\`.[]`).test(page))).toEqual([]);
});
