import { parse, parseDocument, type YAMLMap } from 'yaml';
import { ResourceList, ResourceListError } from '../../../functions/image-builder/resource-list.ts';
import { toNode } from '../../../image-builder/yaml/values.ts';

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

    const inKustomize = ResourceList.parse(
      list(item("internal.config.kubernetes.io/path: 'x.yaml', kustomize.config.k8s.io/id: 'x'")),
    );
    inKustomize.upsert(object('a'));
    expect(parse(inKustomize.toString()).items[1].metadata).toEqual({ name: 'a' });
  });
});

describe('results', () => {
  test('hold the findings, and replace those of an earlier run', () => {
    const resourceList = ResourceList.parse(list('- kind: X\n', 'results:\n- message: old\n'));
    const config = { apiVersion: 'v1', kind: 'ConfigMap', name: 'c', value: {} };
    resourceList.report(
      [{ severity: 'error', message: 'wrong: 0755', field: 'spec.a[0]', tags: { code: 'X' } }],
      config,
    );
    expect(parse(resourceList.toString()).results).toEqual([
      {
        message: 'wrong: 0755',
        severity: 'error',
        resourceRef: { apiVersion: 'v1', kind: 'ConfigMap', name: 'c' },
        field: { path: 'spec.a[0]' },
        tags: { code: 'X' },
      },
    ]);
    resourceList.report([]);
    expect(resourceList.toString()).toBe(list('- kind: X\n'));
  });
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
    ['\u0000\u0001\u0002', 'NOT_A_RESOURCE_LIST'],
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
      value: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { mode: 755 } },
    });
    expect(withConfig('{kind: [x], metadata: text}')).toMatchObject({ kind: '', name: '' });
    expect(() => withConfig('text')).toThrow(expect.objectContaining({ code: 'NOT_A_RESOURCE_LIST' }));
  });
});

test('items of kinds that YAML readers spoil stay what they are', () => {
  const document = parseDocument(list('- {kind: X, on: off, 1: 2}\n'), { schema: 'failsafe' });
  expect(ResourceList.parse(String(document)).toString()).toContain('{kind: X, on: off, 1: 2}');
});
