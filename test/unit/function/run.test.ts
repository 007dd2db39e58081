import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { HANDLERS } from '../../../functions/image-builder/engine-command.ts';
import { type Engine, imageBuilderHandler } from '../../../functions/image-builder/handlers/image-builder.ts';
import { ResourceListError } from '../../../functions/image-builder/resource-list.ts';
import { readQuestion, runOnQuestion } from '../../../functions/image-builder/run.ts';
import { findingsOf } from '../../../image-builder/base/diagnostics/error.ts';
import { silentReporter } from '../../../image-builder/base/diagnostics/progress.ts';
import { ForeignValue } from '../../../image-builder/base/yaml/tags.ts';
import type { BundleContents } from '../../../image-builder/bundle/model.ts';
import { parseJson } from '../../../image-builder/bundle/profile/json.ts';
import { RegistryError } from '../../../image-builder/oci/http/registry-error.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'function-test-'));
  mkdirSync(join(directory, 'profiles'));
  const profile =
    '{"k8s_version": "1.21.2-00", "mode": "0755", "flag": "on", "version": "1.20", "number": 1.20, "deep": {"list": ["yes", 1]}}';
  writeFileSync(join(directory, 'profiles/profile_multistrap.json'), profile);
  writeFileSync(join(directory, 'profiles/profile_broken.json'), '{"a": ');
  writeFileSync(join(directory, 'secret.json'), '{"password": "hunter2"}');
});
afterEach(() => rmSync(directory, { recursive: true }));

const context = () => ({
  cwd: directory,
  profilesDirectory: join(directory, 'profiles'),
  report: silentReporter,
  signal: new AbortController().signal,
});

const ITEM = '- {apiVersion: v1, kind: ConfigMap, metadata: {name: kept}, data: {mode: 0755}}\n';
const header =
  'apiVersion: airshipit.org/v1alpha1\nkind: VariableCatalogue\nmetadata:\n  name: mine\n  labels: {a: "1"}\n';

async function run(functionConfig: unknown) {
  const text = `apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n${ITEM}functionConfig: ${JSON.stringify(functionConfig)}\n`;
  const { output, findings } = await runOnQuestion(readQuestion(text), context(), HANDLERS);
  const ok = !findings.some(({ severity }) => severity === 'error');
  // Whatever happens, what came in goes out.
  expect(output).toContain(ITEM);
  return { ok, findings, output, answer: parse(output) };
}
const configMap = (data?: unknown) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c' },
  data,
});

describe('functionConfig of kind ConfigMap, ImageBuilder', () => {
  test('answers with the profile below the header', async () => {
    const { ok, output } = await run(configMap({ configPath: '/profiles/profile_multistrap.json', header }));
    expect(ok).toBe(true);
    expect(output).toContain(`- apiVersion: airshipit.org/v1alpha1
  kind: VariableCatalogue
  metadata:
    name: mine
    labels: {a: "1"}
  k8s_version: "1.21.2-00"
  mode: "0755"
  flag: "on"
  version: "1.20"
  number: 1.20
  deep:
    list:
    - "yes"
    - 1
`);
    expect(output).not.toContain('results');
  });

  test.each([undefined, null, {}, { configPath: '', header: ' ' }])('has defaults: %j', async (data) => {
    const { ok, answer } = await run(configMap(data));
    expect(ok).toBe(true);
    expect(answer.items[1]).toMatchObject({
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'VariableCatalogue',
      metadata: { name: 'profile_multistrap' },
      mode: '0755',
    });
  });

  test.each([
    'profiles/profile_multistrap.json',
    './profiles/profile_multistrap.json',
    'profile_multistrap.json',
    '/profiles/../profiles/profile_multistrap.json',
  ])('finds %s', async (configPath) => {
    const { ok, answer } = await run(configMap({ configPath }));
    expect(ok).toBe(true);
    expect(answer.items[1]).toMatchObject({ metadata: { name: 'profile_multistrap' }, mode: '0755' });
  });

  test.each(['---\n', '...\n', '# end', '---\n---\n'])('takes a header that ends in %j', async (end) => {
    const { ok, answer } = await run(configMap({ header: `${header}${end}` }));
    expect(ok).toBe(true);
    expect(answer.items[1]).toMatchObject({ metadata: { name: 'mine' }, mode: '0755' });
  });

  test.each([{ kind: 'ProfileRequest' }, { kind: 'toString' }, {}])(
    'an object of any kind may ask for a profile, as before: %j',
    async (object) => {
      const { ok, answer } = await run({
        ...object,
        data: { configPath: '/profiles/profile_multistrap.json' },
      });
      expect(ok).toBe(true);
      expect(answer.items[1]).toMatchObject({ mode: '0755' });
    },
  );

  test('warns of texts that kustomize spoils', async () => {
    writeFileSync(join(directory, 'profiles/profile_odd.json'), '{"a": ["\\u0007", "\\u007f"]}');
    const { ok, findings } = await run(configMap({ configPath: '/profiles/profile_odd.json' }));
    expect(ok).toBe(true);
    expect(findings.map(({ message }) => message)).toEqual([
      'a[1] has the control character U+007F, on which kustomize fails',
    ]);
  });

  test('takes no profile in another encoding', async () => {
    writeFileSync(join(directory, 'profiles/profile_latin.json'), Buffer.from('{"a": "\xe4"}', 'latin1'));
    const { ok, findings } = await run(configMap({ configPath: '/profiles/profile_latin.json' }));
    expect(ok).toBe(false);
    expect(findings).toMatchObject([
      { field: 'data.configPath', message: expect.stringContaining('not UTF-8') },
    ]);
  });

  test('warns of fields that it does not use', async () => {
    const { ok, findings } = await run(configMap({ configpath: '/profiles/x' }));
    expect(ok).toBe(true);
    expect(findings).toEqual([expect.objectContaining({ severity: 'warning', field: 'data.configpath' })]);
  });

  test.each([
    [{ configPath: '/etc/passwd' }, 'data.configPath', 'is outside /profiles'],
    [{ configPath: '/profiles/../secret.json' }, 'data.configPath', 'is outside /profiles'],
    [{ configPath: '../../secret.json' }, 'data.configPath', 'is outside /profiles'],
    [{ configPath: '/profilesx/a.json' }, 'data.configPath', 'is outside /profiles'],
    [{ configPath: '/profiles' }, 'data.configPath', 'is outside /profiles'],
    [{ configPath: '/profiles/link.json' }, 'data.configPath', 'is outside /profiles'],
    [{ configPath: '/profiles/links/secret.json' }, 'data.configPath', 'is outside /profiles'],
    [
      { configPath: '/profiles/nothing.json' },
      'data.configPath',
      'does not exist; /profiles has profile_broken.json, profile_multistrap.json',
    ],
    [{ configPath: '/profiles/a\u0000b' }, 'data.configPath', 'cannot be read'],
    [{ configPath: 5, header: true }, 'data.configPath', 'is not a string'],
    [['x'], 'data', 'is not an object'],
    [{ header: 'a: [' }, 'data.header', 'is not valid YAML'],
    [{ header: '- a' }, 'data.header', 'is not a YAML mapping'],
    [{ header: `${header}---\n${header}` }, 'data.header', 'contains 2 YAML documents'],
    [{ header: 'kind: X\n' }, 'data.header', 'lacks apiVersion, metadata.name'],
    [{ header: `${header}mode: mine\n` }, 'data.header', 'repeats keys of the profile: mode'],
    [{ configPath: '/profiles/profile_broken.json' }, undefined, '/profiles/profile_broken.json is not JSON'],
  ])('refuses %j', async (data, field, message) => {
    symlinkSync('../secret.json', join(directory, 'profiles/link.json'));
    symlinkSync('..', join(directory, 'profiles/links'));
    const { ok, answer, output } = await run(configMap(data));
    expect(ok).toBe(false);
    expect(answer.items).toHaveLength(1);
    expect(answer.results[0]).toMatchObject({ severity: 'error', message: expect.stringContaining(message) });
    expect(answer.results[0].field?.path).toBe(field);
    expect(output).not.toContain('hunter2');
  });

  test('says so when it does not run in a bundle', async () => {
    rmSync(join(directory, 'profiles'), { recursive: true });
    const { answer } = await run(configMap());
    expect(answer.results[0].message).toContain('there is no /profiles here');
  });

  test('a link inside of /profiles is fine', async () => {
    symlinkSync('profile_multistrap.json', join(directory, 'profiles/profile_link.json'));
    expect((await run(configMap({ configPath: '/profiles/profile_link.json' }))).ok).toBe(true);
  });
});

describe('other functionConfigs', () => {
  test.each([
    [null, 'functionConfig', 'is missing, expected an object of kind ConfigMap, ImageBuilder'],
    [{ kind: 'DoesNotMatter' }, 'kind', 'is DoesNotMatter, expected one of ConfigMap, ImageBuilder'],
    [{ kind: 'toString' }, 'kind', 'is toString'],
    [{}, 'kind', 'is missing'],
  ])('%j', async (config, field, message) => {
    const { ok, answer } = await run(config);
    expect(ok).toBe(false);
    expect(answer.results).toEqual([
      expect.objectContaining({ field: { path: field }, message: expect.stringContaining(message) }),
    ]);
  });

  test('an ImageBuilder with errors gets all of them as results', async () => {
    const { ok, answer } = await run({
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name: 'x' },
      spec: { bundle: { imge: 'x' }, build: {} },
    });
    expect(ok).toBe(false);
    expect(answer.results.map((result: { field: { path: string } }) => result.field.path).sort()).toEqual([
      'spec',
      'spec.bundle.image',
      'spec.bundle.imge',
    ]);
    expect(answer.results[0].resourceRef).toEqual({
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      name: 'x',
    });
  });
});

describe('what people and programs are told', () => {
  const ask = async (functionConfig: unknown, items = ITEM) => {
    const text = `apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n${items}functionConfig: ${JSON.stringify(functionConfig)}\n`;
    const { lines, output } = await runOnQuestion(readQuestion(text), context(), HANDLERS);
    return { lines, answer: parse(output) };
  };

  test('an error names the object and, where the caller has noted it, its file; its code is in the tags', async () => {
    const annotations = { 'internal.config.kubernetes.io/path': 'site/catalogue.yaml' };
    const object = { ...configMap({ configPath: '/etc/passwd' }), metadata: { name: 'c', annotations } };
    const { lines, answer } = await ask(object);
    expect(lines).toEqual([
      'error: ConfigMap/c: data.configPath: /etc/passwd is outside /profiles, the only directory that is read (in site/catalogue.yaml) [INVALID_INPUT]',
    ]);
    expect(answer.results[0]).toMatchObject({
      tags: { code: 'INVALID_INPUT' },
      file: { path: 'site/catalogue.yaml' },
    });
    expect((await ask({ kind: 'X' })).lines[0]).toMatch(/^error: X: kind: is X, expected/);
    expect((await ask({ kind: 'X\u001b[2J' })).lines[0]).toMatch(/^error: X\\x1b\[2J: kind: is X\\x1b/);
    expect((await ask(null)).lines[0]).toMatch(/^error: functionConfig: is missing/);
  });

  test('what only another program could read is named, and passes among the items', async () => {
    const item = '- {apiVersion: v1, kind: X, metadata: {name: x}, a: !Ref b}\n';
    const config = `kind: ImageBuilder
  apiVersion: airshipit.org/v1alpha1
  metadata: {name: x}
  spec:
    build: &build
      rootfs: {osconfig: {files: [{name: /a, file_content: !vault ciphertext}, {name: /b, file_content: !unsafe "{{"}]}}
      qcows: !Ref {a: {}}
`;
    const text = `apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n${item}functionConfig:\n  ${config}`;
    const { lines, output } = await runOnQuestion(readQuestion(text), context(), HANDLERS);
    expect(lines).toEqual([
      expect.stringMatching(
        /^error: .*osconfig\.files\[0\]\.file_content: has Ansible's tag !vault, .*ansible-vault/,
      ),
      expect.stringMatching(
        /^error: .*osconfig\.files\[1\]\.file_content: has Ansible's tag !unsafe, .*\{% raw %\}/,
      ),
      'error: ImageBuilder/x: spec.build.qcows: has an unknown tag [INVALID_INPUT]',
    ]);
    expect(output).toContain(item);
  });

  test('one that cannot be written is a ResourceList with the error', async () => {
    const question = readQuestion('apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\n');
    const broken = new ResourceListError('UNWRITABLE', 'the items cannot be written as YAML: x');
    question.list.toString = () => {
      throw broken;
    };
    const { output, findings } = await runOnQuestion(question, context(), HANDLERS);
    expect(parse(output)).toMatchObject({ kind: 'ResourceList', items: [] });
    expect(findings.map(({ tags }) => tags?.code)).toContain('UNWRITABLE');
  });

  test.each([
    ['airshipctl', "{config.kubernetes.io/index: '0'}", 0],
    ['kpt', "{internal.config.kubernetes.io/path: 'a.yaml'}", 1],
    ['kustomize', "{kustomize.config.k8s.io/id: 'x'}", 1],
  ])('an IsoConfiguration gives %s no Secret that it would print', async (_caller, annotations, count) => {
    const secret = `- {apiVersion: v1, kind: Secret, metadata: {name: s, annotations: ${annotations}}}\n`;
    const { answer } = await ask({ kind: 'IsoConfiguration', apiVersion: 'airshipit.org/v1alpha1' }, secret);
    expect(answer.results[0].severity).toBe('error');
    expect(answer.items).toHaveLength(count);
  });
});

describe('input that cannot be read', () => {
  test.each(['', 'kind: X\n', 'a: [', 'kind: A\n---\nkind: B\n'])(
    '%j gives a ResourceList with the error',
    async (text) => {
      const { output } = await runOnQuestion(readQuestion(text), context(), HANDLERS);
      expect(parse(output)).toMatchObject({
        kind: 'ResourceList',
        items: [],
        results: [{ severity: 'error' }],
      });
    },
  );
});

describe('the ImageBuilder handler', () => {
  const contents: BundleContents = {
    reference: { image: 'oci:/x:v1@sha256:aa', digest: 'sha256:aa' },
    profiles: [
      {
        path: '/profiles/profile_multistrap.json',
        name: 'profile_multistrap',
        json: '{"k8s_version": "1.34.2-1.1"}',
      },
    ],
    artifacts: { qcows: { cp: { file: 'cp.qcow2', format: 'qcow2' } } },
  };
  const READ = { cost: { requests: 3, bytes: 2048, milliseconds: 12 }, warnings: ['no digest'] };
  const engine = (overrides: Partial<Engine> = {}): Engine => ({
    readBundle: async () => ({ ...contents, ...READ }),
    build: async () => ({ ...contents, warnings: [] }),
    ...overrides,
  });
  const handle = async (
    spec: unknown,
    overrides: Partial<Engine> = {},
    items: Record<string, unknown>[] = [],
  ) => {
    const value = {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name: 'node', annotations: { 'config.kubernetes.io/local-config': 'true' } },
      spec,
    };
    const config = { apiVersion: value.apiVersion, kind: value.kind, name: 'node', value };
    const handler = imageBuilderHandler(engine(overrides));
    const { objects, findings } = await handler(config, { ...context(), readItems: () => items });
    return { objects: objects.map((object) => parse(String(object))), findings };
  };

  test('extracts, with the profiles and names that were asked for', async () => {
    const calls: unknown[][] = [];
    const readBundle: Engine['readBundle'] = async (...args) => {
      calls.push(args);
      return { ...contents, ...READ };
    };
    const bundle = {
      image: 'oci:./x',
      profiles: [{ path: '/profiles/profile_multistrap.json', name: 'mine' }],
      verify: 'full',
    };
    const { objects, findings } = await handle({ bundle }, { readBundle });
    expect(calls).toEqual([
      [
        'oci:./x',
        expect.objectContaining({ profiles: ['/profiles/profile_multistrap.json'], verify: 'full' }),
      ],
    ]);
    expect(objects.map(({ metadata }) => metadata)).toEqual([{ name: 'mine' }, { name: 'node-artifacts' }]);
    expect(objects[0].kubernetes).toEqual({ version: 'v1.34.2' });
    expect(findings).toEqual([
      { severity: 'warning', message: 'no digest' },
      {
        severity: 'info',
        message: 'read oci:/x:v1@sha256:aa: 3 requests, 2.0 KiB, 12 ms',
        tags: { requests: '3', bytes: '2048', milliseconds: '12' },
      },
    ]);
  });

  describe('many bundles', () => {
    const names = Array.from({ length: 20 }, (_, index) => `site-${index}`);
    const bundles = Object.fromEntries(names.map((name) => [name, { image: `oci:./${name}` }]));
    const of = (image: string) => ({
      ...contents,
      ...READ,
      warnings: [image],
      reference: { image, digest: '' },
    });

    test('are read side by side, and answered in the order of the object', async () => {
      let running = 0;
      let most = 0;
      const readBundle: Engine['readBundle'] = async (image) => {
        most = Math.max(most, ++running);
        // The first ends last.
        await new Promise((done) => setTimeout(done, image.endsWith('-0') ? 50 : 1));
        running--;
        return of(image);
      };
      const { objects, findings } = await handle(
        { bundles, catalogue: { namePrefix: 'x-' } },
        { readBundle },
      );
      expect(objects.map(({ metadata }) => metadata.name)).toEqual(
        names.flatMap((name) => [`x-${name}-profile_multistrap`, `x-${name}-artifacts`]),
      );
      expect(objects.filter(({ bundle }) => bundle).map(({ bundle }) => bundle.image)).toEqual(
        names.map((name) => `oci:./${name}`),
      );
      expect(findings.filter(({ severity }) => severity === 'warning').map(({ message }) => message)).toEqual(
        names.map((name) => `oci:./${name}`),
      );
      expect(most).toBe(8);
    });

    test('have the names of profiles that the object gives', async () => {
      const profiles = [{ path: '/profiles/profile_multistrap.json', name: 'mine' }];
      const { objects } = await handle({ bundles: { a: { image: 'oci:./a', profiles } } });
      expect(objects.map(({ metadata }) => metadata.name)).toEqual(['mine', 'a-artifacts']);
      const twice = { a: { image: 'oci:./a', profiles }, b: { image: 'oci:./b', profiles } };
      const findings = await handle({ bundles: twice }).then(() => [], findingsOf);
      expect(findings[0]?.message).toContain('two catalogues the name mine');
    });

    test('tell of every one that cannot be read, and answer nothing then', async () => {
      const readBundle: Engine['readBundle'] = async (image) => {
        if (/-(3|11)$/.test(image)) throw new RegistryError('UNAUTHORIZED', `${image} is private`);
        return of(image);
      };
      const findings = await handle({ bundles }, { readBundle }).then(() => [], findingsOf);
      expect(findings.map(({ field, message }) => [field, message])).toEqual([
        ['spec.bundles.site-3.image', 'oci:./site-3 is private'],
        ['spec.bundles.site-11.image', 'oci:./site-11 is private'],
      ]);
    });
  });

  describe('items', () => {
    const item = (name: string, spec: object, more: object = {}) => ({
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name, ...more },
      spec,
    });
    const bundle = (name: string) => ({
      bundle: { image: `oci:./${name}` },
      catalogue: { namePrefix: `${name}-` },
    });
    const stranger = { apiVersion: 'v1', kind: 'ImageBuilder', metadata: { name: 'stranger' } };
    const names = Array.from({ length: 20 }, (_, index) => `site-${index}`);

    test('are done what they say, in their order, those that build one after another', async () => {
      let [building, most] = [0, 0];
      const build: Engine['build'] = async (name) => {
        most = Math.max(most, ++building);
        await new Promise((done) => setTimeout(done, 5));
        building--;
        return { ...contents, reference: { image: `built ${name}`, digest: '' }, warnings: [] };
      };
      const readBundle: Engine['readBundle'] = async (image) => {
        await new Promise((done) => setTimeout(done, image.endsWith('-1') ? 50 : 1));
        return { ...contents, ...READ, reference: { image, digest: '' } };
      };
      const items = [
        stranger,
        ...names.map((name, index) =>
          item(name, index % 5 === 0 ? { build: {}, catalogue: { namePrefix: `${name}-` } } : bundle(name)),
        ),
      ];
      const labels = { tier: 'edge' };
      const { objects } = await handle({ items: {}, catalogue: { labels } }, { build, readBundle }, items);
      expect(objects.filter(({ bundle }) => bundle).map(({ bundle }) => bundle.image)).toEqual(
        names.map((name, index) => (index % 5 === 0 ? `built ${name}` : `oci:./${name}`)),
      );
      expect(objects.map(({ metadata }) => metadata)).toEqual(
        names.flatMap((name) => [
          { name: `${name}-profile_multistrap`, labels },
          { name: `${name}-${name}-artifacts`, labels },
        ]),
      );
      expect(most).toBe(1);
    });

    test('are selected by labels, and their own catalogue counts for more', async () => {
      const items = [
        item('a', { ...bundle('a'), catalogue: { labels: { own: 'yes' } } }, { labels: { tier: 'edge' } }),
        item('b', bundle('b')),
      ];
      const spec = {
        items: { labelSelector: 'tier=edge' },
        catalogue: { labels: { own: 'no' }, namePrefix: 'x-' },
      };
      const { objects } = await handle(spec, {}, items);
      expect(objects.map(({ metadata }) => metadata)).toEqual([
        { name: 'x-profile_multistrap', labels: { own: 'yes' } },
        { name: 'x-a-artifacts', labels: { own: 'yes' } },
      ]);
    });

    test('that are not valid are all told, with their objects and files, before anything is read', async () => {
      const readBundle = jest.fn<ReturnType<Engine['readBundle']>, []>();
      const annotations = { 'internal.config.kubernetes.io/path': 'sites/b.yaml' };
      const items = [
        item('a', bundle('a')),
        item('b', { bundle: { image: 'oci:./b', extra: 1 } }, { annotations }),
        item('c', { items: {} }),
        item('d', { bundle: { image: new ForeignValue('!secret') } }),
      ];
      const findings = await handle({ items: {} }, { readBundle }, items).then(() => [], findingsOf);
      expect(findings).toEqual([
        expect.objectContaining({
          object: 'ImageBuilder/b',
          field: 'spec.bundle.extra',
          file: 'sites/b.yaml',
        }),
        expect.objectContaining({ object: 'ImageBuilder/c', field: 'spec.items' }),
        expect.objectContaining({ object: 'ImageBuilder/d', field: 'spec.bundle.image' }),
      ]);
      expect(readBundle).not.toHaveBeenCalled();
    });

    test('that fail are all told, and the others are done all the same', async () => {
      const built: string[] = [];
      const build: Engine['build'] = async (name) => {
        built.push(name);
        if (name !== 'c') throw new RegistryError('UNAUTHORIZED', `${name} is private`);
        return { ...contents, warnings: [] };
      };
      const items = ['a', 'b', 'c'].map((name) => item(name, { build: {} }));
      const findings = await handle({ items: {} }, { build }, items).then(() => [], findingsOf);
      expect(findings.map(({ object, message }) => [object, message])).toEqual([
        ['ImageBuilder/a', 'a is private'],
        ['ImageBuilder/b', 'b is private'],
      ]);
      expect(built).toEqual(['a', 'b', 'c']);
    });

    test.each([
      ['no object', [stranger], {}, 'spec.items', 'no ImageBuilder object among the items'],
      [
        'none with the labels',
        [item('a', bundle('a'))],
        { labelSelector: 'a=b' },
        'spec.items.labelSelector',
        'none of the 1',
      ],
      [
        'a selector that is none',
        [item('a', bundle('a'))],
        { labelSelector: 'a b' },
        'spec.items.labelSelector',
        'requirement',
      ],
      [
        'names that come twice',
        [item('a', { bundle: { image: 'oci:./a' } }), item('b', { bundle: { image: 'oci:./b' } })],
        {},
        'metadata.name',
        'catalogue.namePrefix of one object',
      ],
    ])('refuses %s', async (_what, items, selector, field, message) => {
      const [finding] = await handle({ items: selector }, {}, items).then(() => [], findingsOf);
      expect(finding).toMatchObject({ field, message: expect.stringContaining(message) });
    });
  });

  test('builds', async () => {
    const calls: unknown[][] = [];
    const build: Engine['build'] = async (...args) => {
      calls.push(args);
      return { ...contents, warnings: ['too old'] };
    };
    const { objects, findings } = await handle({ build: { profile: 'k8s' } }, { build });
    expect(findings).toEqual([{ severity: 'warning', message: 'too old' }]);
    expect(calls).toEqual([['node', { profile: 'k8s' }, expect.objectContaining({ cwd: directory })]]);
    expect(objects).toHaveLength(2);
  });

  test.each([
    ['a bundle without profiles', { ...contents, profiles: [] }, 'is not a qcow bundle'],
    [
      'a profile that is not JSON',
      { ...contents, profiles: [{ path: '/profiles/a.json', name: 'a', json: 'x' }] },
      '/profiles/a.json is not JSON',
    ],
    [
      'two catalogues of one name',
      { ...contents, profiles: [{ path: '/profiles/a.json', name: 'node-artifacts', json: '{}' }] },
      'two catalogues the name node-artifacts',
    ],
  ])('refuses %s', async (_what, broken, message) => {
    const failure = handle(
      { bundle: { image: 'oci:./x' } },
      { readBundle: async () => ({ ...broken, ...READ }) },
    );
    const findings = await failure.then(() => [], findingsOf);
    expect(findings[0]?.message).toContain(message);
  });
});

test('a profile that is megabytes of text is no problem for the JSON reader', () => {
  const text = JSON.stringify({ a: 'x"1.20'.repeat(200_000), b: 1 });
  expect(parseJson(text)).toEqual(JSON.parse(text));
});
