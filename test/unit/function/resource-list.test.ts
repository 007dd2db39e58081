import { parse, parseDocument, type YAMLMap } from 'yaml';
import { ResourceList, ResourceListError } from '../../../functions/image-builder/resource-list.ts';
import { ExactNumber, toNode } from '../../../image-builder/base/yaml/values.ts';

const list = (items: string, rest = '') =>
  `apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n${items}${rest}`;
const object = (name: string, data: Record<string, unknown> = {}) =>
  toNode({ apiVersion: 'a/v1', kind: 'K', metadata: { name }, ...data }) as YAMLMap;

describe('what passes through keeps its text', () => {
  test.each(['v1', 'v1beta1', 'v1alpha1'])('%s', (version) => {
    const text = `# before
apiVersion: config.kubernetes.io/${version}
kind: ResourceList
unknown: field
items:
# of the item
- apiVersion: v1 # beside
  kind: ConfigMap
  metadata:
    name: a
    annotations:
      internal.config.kubernetes.io/path: a.yaml
      example.org/unknown: "1"
  zulu: last first
  data:
    mode: 0755
    version: 1.20
    count: 1e3
    quoted: '0755'
    double: "on"
    yes: no
    null: ~
    empty:
    date: 2024-01-01
    octal: 0o17
    big: 9223372036854775807123
    flow: {a: [1, 2.50], b: "x"}
    literal: |
      line 1

        line 2
    keep: |+
      x

    strip: |-
      x
    tagged: !!binary aGVsbG8=
    dated: !!timestamp 2020-01-01
    ordered: !!omap [{a: 1}, {b: 2}]
    distinct: !!set {x, y}
    odd: !!set [a]
    custom: !thing {a: 1}
    anchored: &anchor {x: 0644}
    aliased: *anchor
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: a}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: a}
  # at the foot
functionConfig:
  kind: X # of the config
`;
    expect(ResourceList.parse(text).toString()).toBe(text);
  });

  test('a ResourceList in JSON', () => {
    const text =
      '{"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "items": [{"kind": "X", "v": "1.20"}]}';
    const resourceList = ResourceList.parse(text);
    resourceList.upsert(object('new', { mode: '0755' }));
    const answer = parse(resourceList.toString());
    expect(answer.items).toHaveLength(2);
    expect(answer.items[0]).toEqual({ kind: 'X', v: '1.20' });
    expect(answer.items[1]).toMatchObject({ mode: '0755' });
  });

  test.each(['', 'items:\n', 'items: null\n', 'items: []\n', 'items: ~\n'])('no items as %j', (items) => {
    const resourceList = ResourceList.parse(
      `apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n${items}`,
    );
    resourceList.upsert(object('new'));
    expect(parse(resourceList.toString()).items).toHaveLength(1);
  });

  test('comments go from items that the caller has marked by an id, for it puts them back', () => {
    const marked = (id: string) =>
      `# gone\n- kind: X # gone\n  # gone\n  metadata:\n    annotations:\n      ${id}: "1" # gone\n  mode: 0755\n`;
    for (const id of ['config.k8s.io/id', 'config.kubernetes.io/id', 'internal.config.kubernetes.io/id']) {
      const answer = ResourceList.parse(list(`${marked(id)}- kind: Y # kept\n`)).toString();
      expect(answer).not.toContain('gone');
      expect(answer).toContain('kind: Y # kept');
      expect(answer).toContain('mode: 0755');
    }
  });

  test('long lines and many items come back whole', () => {
    const items = Array.from(
      { length: 2000 },
      (_, n) => `- kind: X\n  name: n${n}\n  text: ${'word '.repeat(40)}end\n`,
    );
    const text = list(items.join(''));
    expect(ResourceList.parse(text).toString()).toBe(text);
  });
});

describe('generated objects', () => {
  test('are added at the end', () => {
    const resourceList = ResourceList.parse(list('- kind: X\n'));
    resourceList.upsert(object('a', { v: '1.20' }));
    expect(resourceList.toString()).toBe(
      list('- kind: X\n- apiVersion: a/v1\n  kind: K\n  metadata:\n    name: a\n  v: "1.20"\n'),
    );
  });

  test('take the place, and the bookkeeping, of the item of the same identity', () => {
    const old = `- apiVersion: a/v1
  kind: K
  metadata:
    name: a
    labels: {old: x}
    annotations:
      config.kubernetes.io/path: dir/file.yaml
      config.kubernetes.io/index: "3"
      internal.config.kubernetes.io/path: dir/file.yaml
      config.k8s.io/id: "7"
      kustomize.config.k8s.io/id: |
        kind: K
      example.org/mine: gone
      config.kubernetes.io/local-config: "true"
  stale: 1
`;
    const resourceList = ResourceList.parse(list(`${old}- kind: Y\n`));
    resourceList.upsert(object('a', { fresh: 1 }));
    const { items } = parse(resourceList.toString());
    expect(items).toHaveLength(2);
    expect(items[0]).toEqual({
      apiVersion: 'a/v1',
      kind: 'K',
      metadata: {
        name: 'a',
        annotations: {
          'config.kubernetes.io/path': 'dir/file.yaml',
          'config.kubernetes.io/index': '3',
          'internal.config.kubernetes.io/path': 'dir/file.yaml',
          'config.k8s.io/id': '7',
          'kustomize.config.k8s.io/id': 'kind: K\n',
        },
      },
      fresh: 1,
    });
  });

  test.each([
    ['another name', '{apiVersion: a/v1, kind: K, metadata: {name: b}}'],
    ['another kind', '{apiVersion: a/v1, kind: L, metadata: {name: a}}'],
    ['another namespace', '{apiVersion: a/v1, kind: K, metadata: {name: a, namespace: n}}'],
    ['no metadata', '{apiVersion: a/v1, kind: K}'],
  ])('do not replace an item of %s', (_what, item) => {
    const resourceList = ResourceList.parse(list(`- ${item}\n`));
    resourceList.upsert(object('a'));
    expect(parse(resourceList.toString()).items).toHaveLength(2);
  });

  test('get a path and an index of their own in a kpt package, and none in kustomize', () => {
    const item = (annotations: string) => `- {kind: X, metadata: {annotations: {${annotations}}}}\n`;
    const inPackage = ResourceList.parse(list(item("internal.config.kubernetes.io/path: 'x.yaml'")));
    inPackage.upsert(object('a'));
    inPackage.upsert(object('b'));
    const paths = parse(inPackage.toString())
      .items.slice(1)
      .map((added: { metadata: { annotations: Record<string, string> } }) => added.metadata.annotations);
    expect(paths[0]).toMatchObject({
      'internal.config.kubernetes.io/path': 'k_a.yaml',
      'config.kubernetes.io/index': '0',
    });
    expect(paths[1]).toMatchObject({
      'internal.config.kubernetes.io/path': 'k_b.yaml',
      'config.kubernetes.io/path': 'k_b.yaml',
    });

    const hostile = ResourceList.parse(list(item("internal.config.kubernetes.io/path: 'x.yaml'")));
    hostile.upsert(object('../../evil'));
    expect(parse(hostile.toString()).items[1].metadata.annotations).toMatchObject({
      'config.kubernetes.io/path': 'k_..-..-evil.yaml',
      'internal.config.kubernetes.io/path': 'k_..-..-evil.yaml',
    });

    const inKustomize = ResourceList.parse(
      list(item("internal.config.kubernetes.io/path: 'x.yaml', kustomize.config.k8s.io/id: 'x'")),
    );
    inKustomize.upsert(object('a'));
    expect(parse(inKustomize.toString()).items[1].metadata).toEqual({ name: 'a' });
  });
});

describe('results', () => {
  test('hold the findings, after those of functions before', () => {
    const resourceList = ResourceList.parse(list('- kind: X\n', 'results:\n- message: old\n'));
    const config = { apiVersion: 'v1', kind: 'ConfigMap', name: 'c', value: {} };
    resourceList.report(
      [{ severity: 'error', message: 'wrong: 0755', field: 'spec.a[0]', tags: { code: 'X' } }],
      config,
    );
    expect(parse(resourceList.toString()).results).toEqual([
      { message: 'old' },
      {
        message: 'wrong: 0755',
        severity: 'error',
        resourceRef: { apiVersion: 'v1', kind: 'ConfigMap', name: 'c' },
        field: { path: 'spec.a[0]' },
        tags: { code: 'X' },
      },
    ]);
  });

  test('of earlier functions stay when there is nothing to report', () => {
    const text = list('- kind: X\n', 'results:\n- message: old\n');
    const resourceList = ResourceList.parse(text);
    resourceList.report([]);
    expect(resourceList.toString()).toBe(text);
  });

  test.each(['', ', "results": []', ', "results": [{"message": "old"}]'])(
    'are JSON in a list that is JSON%s',
    (results) => {
      const resourceList = ResourceList.parse(
        `{"apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "items": [{"n": 1, "s": "it's\\u0085"}]${results}}`,
      );
      resourceList.upsert(object('a', { text: "it's", list: ['\n\tb\n', 'on', 1.5, null, true], map: {} }));
      resourceList.report([{ severity: 'info', message: "it's: 0755", tags: { requests: '3' } }]);
      const answer = JSON.parse(resourceList.toString());
      expect(answer.items[0]).toEqual({ n: 1, s: "it's\u0085" });
      expect(answer.items[1].list).toEqual(['\n\tb\n', 'on', 1.5, null, true]);
      expect(answer.results.at(-1)).toEqual({
        message: "it's: 0755",
        severity: 'info',
        tags: { requests: '3' },
      });
      expect(answer.results).toHaveLength(results.includes('old') ? 2 : 1);
    },
  );
});

describe('what no two writers write alike comes back as the same values', () => {
  test.each([
    ['an empty block with a comment', '- s: | # c\n  k: v\n', '- s: "" # c\n  k: v\n'],
    ['an empty folded block', '- s: >\n  # c\n  k: v\n', '- s: ""\n  # c\n  k: v\n'],
    ['a block of line breaks', '- s: |+\n\n  k: v\n', '- s: "\\n"\n  k: v\n'],
    ['a block that begins with a tab', '- s: |-\n    \tx\n', '- s: "\\tx"\n'],
    ['a key without a value', '- k: v\n? key\n', '- k: v\nkey:\n'],
    [
      'escapes of YAML alone',
      '- s: "\\x7f\\N\\L\\_\\e\\0"\n',
      '- s: "\\u007f\\u0085\\u2028\\u00a0\\u001b\\u0000"\n',
    ],
    ['control characters as they are', '- s: "\u007f\u0080\ufffe"\n', '- s: "\\u007f\\u0080\\ufffe"\n'],
    ['half a surrogate pair', '- s: "\\ud800"\n', '- s: "\ufffd"\n'],
    ['a tag without a value', '- s: !!null\n', '- s: !!null \n'],
  ])('%s', (_what, items, expected) => {
    const resourceList = ResourceList.parse(list(items));
    expect(resourceList.toString()).toBe(list(expected));
    expect(ResourceList.parse(list(expected)).toString()).toBe(list(expected));
  });
});

test.each(['\n---\n', '---\n...\n', '\n---\n---\n# end\n'])(
  'documents without contents at the end: %j',
  (end) => {
    expect(ResourceList.parse(`---\n${list('- kind: X\n')}${end}`).toString()).toContain(list('- kind: X\n'));
  },
);

describe('thousands of items', () => {
  const milliseconds = (work: () => unknown) => {
    const start = performance.now();
    work();
    return performance.now() - start;
  };
  const items = (count: number, extra = '') =>
    Array.from({ length: count }, (_, n) => `- kind: X\n  metadata: {name: n${n}}\n${extra}`).join('');

  test.each([
    ['written as documents', (count: number) => ResourceList.parse(list(items(count))).itemsToString()],
    [
      'with aliases',
      (count: number) => {
        const resourceList = ResourceList.parse(
          list(items(count, '  a: *a\n').replace('- kind', '- a: &a {b: 1}\n- kind')),
        );
        return resourceList.readItems();
      },
    ],
  ])('%s: four times as many take no more than about four times as long', (_what, work) => {
    work(500);
    // The better of two, since other work takes the processor away.
    const best = (count: number) => Math.min(...[1, 2].map(() => milliseconds(() => work(count))));
    const [few, many] = [best(500), best(2000)];
    // It was 16 times.
    expect(many / few).toBeLessThan(10);
  });
});

test('an alias stands for the last anchor before it', () => {
  const items = '- {a: &x 1, b: *x, c: &x {d: 2}}\n- {e: *x}\n';
  expect(ResourceList.parse(list(items)).readItems()).toEqual([{ a: 1, b: 1, c: { d: 2 } }, { e: { d: 2 } }]);
  expect(() => ResourceList.parse(list('- &x {d: *x}\n')).readItems()).toThrow(
    'the alias *x is part of its own target',
  );
});

describe('input that is not one ResourceList', () => {
  test.each([
    ['', 'EMPTY_INPUT'],
    ['  \n\n', 'EMPTY_INPUT'],
    ['# only a comment\n', 'EMPTY_INPUT'],
    ['just text', 'NOT_A_RESOURCE_LIST'],
    ['- a\n- b\n', 'NOT_A_RESOURCE_LIST'],
    ['apiVersion: v1\nkind: ConfigMap\n', 'NOT_A_RESOURCE_LIST'],
    ['apiVersion: v1\nkind: List\nitems: []\n', 'NOT_A_RESOURCE_LIST'],
    ['kind: ResourceList\nitems: []\n', 'UNSUPPORTED_VERSION'],
    ['apiVersion: config.kubernetes.io/v2\nkind: ResourceList\n', 'UNSUPPORTED_VERSION'],
    [list('- kind: X\n', '---\nkind: Y\n'), 'SEVERAL_DOCUMENTS'],
    [`${list('- kind: X\n')}---\n${list('- kind: X\n')}`, 'SEVERAL_DOCUMENTS'],
    ['apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: {a: b}\n', 'NOT_A_RESOURCE_LIST'],
    ['apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: text\n', 'NOT_A_RESOURCE_LIST'],
    [list('- text\n'), 'NOT_A_RESOURCE_LIST'],
    ['a: [unclosed', 'INVALID_YAML'],
    ['a: 1\na: 2\n', 'INVALID_YAML'],
    ['\tkind: ResourceList', 'INVALID_YAML'],
    ['a: *missing\n', 'INVALID_YAML'],
    ['\u0000\u0001\u0002', 'INVALID_YAML'],
    [list('- kind: "\u0007"\n'), 'INVALID_YAML'],
    [list('- kind: X # a\rb\n'), 'INVALID_YAML'],
    [list('- kind: &x X\n  other: *y\n'), 'INVALID_YAML'],
    ['user_data: |\n    #cloud-config\nnetwork_config:\n', 'NOT_A_RESOURCE_LIST'],
  ])('%j', (text, code) => {
    const parseText = () => ResourceList.parse(text);
    expect(parseText).toThrow(ResourceListError);
    expect(parseText).toThrow(expect.objectContaining({ code }));
  });

  test('functionConfig', () => {
    const withConfig = (config: string) =>
      ResourceList.parse(list('- kind: X\n', `functionConfig: ${config}\n`)).functionConfig;
    expect(withConfig('')).toBeUndefined();
    expect(withConfig('{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {mode: 0755}}')).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'a',
      value: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'a' },
        data: { mode: new ExactNumber('0755') },
      },
    });
    expect(withConfig('{kind: [x], metadata: text}')).toMatchObject({ kind: '', name: '' });
    expect(() => withConfig('text')).toThrow(expect.objectContaining({ code: 'NOT_A_RESOURCE_LIST' }));
  });
});

test('items of kinds that YAML readers spoil stay what they are', () => {
  const document = parseDocument(list('- {kind: X, on: off, 1: 2}\n'), { schema: 'failsafe' });
  expect(ResourceList.parse(String(document)).toString()).toContain('{kind: X, on: off, 1: 2}');
});

test.each([
  ['a comment that begins with the line break of another YAML', '- a: | # \u2028of the block\n\n  b: 1\n'],
  ['text with a line break of YAML 1.1', '- a: {b: x\u0085y}\n  c: p\u0085q\n'],
])('%s comes back as what can be read, and stays so', (_, items) => {
  const once = ResourceList.parse(list(items));
  const text = once.toString();
  const again = ResourceList.parse(text);
  expect(again.readItems()).toEqual(once.readItems());
  expect(again.toString()).toBe(text);
});
