import { functionDefinition, openApiSchema } from '../../../functions/image-builder/definition.ts';
import { help } from '../../../functions/image-builder/help.ts';

test('the definition holds the whole schema, in the dialect of OpenAPI', () => {
  const text = JSON.stringify(functionDefinition());
  expect(text).toContain('"part_end"');
  expect(text).not.toMatch(/"const":|"patternProperties":|"type":\[|"\$ref"/);
});

test.each([
  [
    { type: 'string', const: 'a' },
    { type: 'string', enum: ['a'] },
  ],
  [{ anyOf: [{ const: 'a' }, { const: 'b' }] }, { type: 'string', enum: ['a', 'b'] }],
  [
    { type: ['string', 'number'], pattern: 'x', description: 'd' },
    { description: 'd', anyOf: [{ type: 'string', pattern: 'x' }, { type: 'number' }] },
  ],
  [
    { type: ['string', 'boolean'], enum: [true, 'on'] },
    {
      anyOf: [
        { type: 'string', enum: ['on'] },
        { type: 'boolean', enum: [true] },
      ],
    },
  ],
  [
    {
      type: 'object',
      patternProperties: { '^a': { type: 'string', const: 'x' } },
      additionalProperties: false,
    },
    { type: 'object', additionalProperties: { type: 'string', enum: ['x'] } },
  ],
  [
    { type: 'array', items: { const: 1, type: 'number' } },
    { type: 'array', items: { type: 'number', enum: [1] } },
  ],
])('%j', (schema, expected) => expect(openApiSchema(schema)).toEqual(expected));

test('the help names both kinds and fits a terminal', () => {
  const lines = help().split('\n');
  expect(help()).toContain('kind: ImageBuilder');
  expect(help()).toContain('kind: ConfigMap');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(120);
});
