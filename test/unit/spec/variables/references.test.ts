// Plain references, and what few lines of them could grow to.
import type { Finding } from '../../../../image-builder/base/diagnostics/error.ts';
import { Budget, References, TooLongError } from '../../../../image-builder/spec/variables/references.ts';
import { referredNames, renderTemplates } from '../../../../image-builder/spec/variables/templates.ts';

const replace = (variables: Record<string, unknown>, template: string) =>
  new References(variables, new Budget()).replace(template)?.value;

// biome-ignore lint/suspicious/noTemplateCurlyInString: bash's own notation
const BASH = 'no template, ${#array[@]} {# nor this #}';

test.each([
  ['{{ a }}', 'x'],
  [' {{a}}\n', ' x\n'],
  ['{{ a }}-{{ n }}', 'x-5'],
  ['{{ n }}', 5],
  ['{{ list }}', ['x', 5, { k: 'v' }]],
  ['{{ map.inner }}', 'deep x'],
  ['{{ chain }}', 'x'],
  [BASH, BASH],
  // For Jinja.
  ['{{ map }}', undefined],
  ['{{ list }} in text', undefined],
  ['{{ a | upper }}', undefined],
  ['{% if a %}{% endif %}', undefined],
  ['{{ unknown }}', undefined],
  ['{{ loop }}', undefined],
  ['{{ filtered }}', undefined],
  ['{{ map.constructor }}', undefined],
  ['{{ __proto__ }}', undefined],
  ['{{ list.length }}', undefined],
])('%j', (template, expected) => {
  const variables = {
    a: 'x',
    n: 5,
    list: ['{{ a }}', '{{ n }}', { k: 'v' }],
    map: { inner: 'deep {{ a }}' },
    chain: '{{ link }}',
    link: '{{ a }}',
    loop: '{{ loop }}',
    filtered: '{{ a | upper }}',
  };
  expect(replace(variables, template)).toEqual(expected);
});

test.each([
  ['text', '{{ x }}{{ x }}', 'y'.repeat(1000)],
  ['lists', ['{{ x }}', '{{ x }}'], ['y']],
])('%s that double at each step are refused before they are made', (_, twice, last) => {
  const steps = 40;
  const variables = Object.fromEntries(
    Array.from({ length: steps }, (_, step) => [
      `v${step}`,
      JSON.parse(JSON.stringify(twice).replaceAll(' x ', ` v${step + 1} `)),
    ]),
  );
  expect(() => replace({ ...variables, [`v${steps}`]: last }, '{{ v0 }}')).toThrow(TooLongError);
});

test('many results that are short enough by themselves are too long together, and the field is named', async () => {
  const files = Array.from({ length: 20 }, () => ({ name: '/x', file_content: '{{ v }}'.repeat(10) }));
  const values = { v: 'x'.repeat(1_000_000), files };
  const layer = { values, field: ['spec', 'build', 'rootfs', 'osconfig'], file: 'vars.yaml' };
  const findings: Finding[] = [];
  await renderTemplates({}, { rootfs: { osconfig: [layer] }, qcows: {} }, findings);
  expect(findings[0]).toEqual({
    severity: 'error',
    field: 'spec.build.rootfs.osconfig.files[6].file_content',
    file: 'vars.yaml',
    message: 'takes all results together beyond 64 MiB',
  });
});

test('names that templates refer to', () => {
  const scopes = (values: Record<string, unknown>) => ({
    rootfs: { osconfig: [{ values, field: [] }] },
    qcows: {},
  });
  const names = referredNames(
    scopes({
      text: "{{ own_mirror ~ 'text' | filter_name }} plain {{ a.attribute }}",
      list: ['{% for x in own_list | sort %}{% endfor %}', 'no_template'],
    }),
  );
  for (const name of ['own_mirror', 'a', 'own_list']) expect(names).toContain(name);
  for (const name of ['text', 'filter_name', 'plain', 'attribute', 'sort', 'no_template'])
    expect(names).not.toContain(name);
  // Linear: a text of opened braces is no reason to wait.
  referredNames(scopes({ text: `${'{{'.repeat(500_000)}${' '.repeat(500_000)}x` }));
});
