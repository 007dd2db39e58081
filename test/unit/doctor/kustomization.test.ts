// The doctor's judgement of kustomizations, on data.
import { join } from 'node:path';
import {
  type ConfiguredFunction,
  checkKustomization,
  checkKustomizeVersion,
  type RenderFacts,
} from '../../../image-builder/doctor/kustomization.ts';
import { hasSubordinateRange } from '../../../image-builder/doctor/machine.ts';
import { profileEndOfLife } from '../../../image-builder/doctor/profile-end.ts';

const facts: RenderFacts = {
  kustomizeVersion: '5.5.0',
  hasPlugin: () => false,
  isExecutable: () => true,
  profileEndOfLife: () => undefined,
  today: '2027-03-01',
};

function configured(
  list: ConfiguredFunction['list'],
  functionAnnotation: string | undefined,
  spec: Record<string, unknown> = { bundle: { image: 'oci:out' } },
): ConfiguredFunction {
  const annotations = functionAnnotation && { 'config.kubernetes.io/function': functionAnnotation };
  const object = {
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'ImageBuilder',
    metadata: { name: 'a', annotations },
    spec,
  };
  return { list, index: 0, file: '/k/a.yaml', object };
}

const check = (functions: ConfiguredFunction[], content = {}, other: Partial<RenderFacts> = {}) =>
  checkKustomization({ file: '/k/kustomization.yaml', content, functions }, { ...facts, ...other }).map(
    ({ severity, message, field }) => `${severity} ${field}: ${message}`,
  );

const EXEC = 'exec: {path: image-builder-fn}';

test('exec needs a flag that kustomize does not ask for', () => {
  expect(check([configured('generators', EXEC)])).toEqual([
    expect.stringMatching(/^warning .*--enable-exec/),
  ]);
});

test('the end of life of the Kubernetes that is built, on the day after it', () => {
  const build = (version: unknown) => [
    configured('generators', EXEC, { build: { kubernetes: { version } } }),
  ];
  const findings = (version: unknown, today = '2027-03-01') =>
    check(build(version), {}, { today }).filter((line) => line.includes('end of life'));
  expect(findings('1.35.4')).toEqual([
    'warning spec.build.kubernetes.version: reached its end of life on 2027-02-28: it no longer gets fixes',
  ]);
  expect(findings(1.35)).toHaveLength(1);
  expect(findings('1.35', '2027-02-28')).toEqual([]);
  for (const version of ['1.36', '{{ version }}', undefined, null]) expect(findings(version)).toEqual([]);
});

test('the end of life of a profile, where the object names no version of its own', () => {
  const root = join(__dirname, '../../..');
  const findings = (build: Record<string, unknown>, today = '2027-03-01') =>
    check(
      [configured('generators', EXEC, { build })],
      {},
      {
        today,
        profileEndOfLife: (one) => profileEndOfLife(one, ['/nonexistent', root]),
      },
    ).filter((line) => line.includes('end of life'));
  // By the profile's own file, and by the version of Kubernetes that it sets.
  expect(findings({ profile: 'k8s-1.34' })).toEqual([
    'warning spec.build.profile: reached its end of life on 2026-10-27: the software it installs no longer gets fixes',
  ]);
  expect(findings({ profile: 'k8s-1.35', manifests: 'manifests' })).toEqual([
    'warning spec.build.profile: reached its end of life on 2027-02-28: the software it installs no longer gets fixes',
  ]);
  expect(findings({ profile: 'k8s-1.35' }, '2027-02-28')).toEqual([]);
  expect(findings({ profile: 'k8s-1.35', kubernetes: { version: '1.36' } })).toEqual([]);
  for (const profile of ['none', '../profiles/k8s-1.34', 7, undefined])
    expect(findings({ profile })).toEqual([]);
});

test('validators do not work', () => {
  expect(check([configured('validators', EXEC)])[0]).toMatch(
    /^error validators\[0\]: .*last under transformers/,
  );
});

test('replacements run before transformers, not before generators', () => {
  const content = {
    replacements: [{ source: { kind: 'VariableCatalogue' } }, { source: { kind: 'ConfigMap' } }],
  };
  expect(check([configured('transformers', EXEC)], content)[0]).toMatch(/^error replacements\[0\]\.source: /);
  expect(check([configured('generators', EXEC)], content)).toHaveLength(1);
});

test.each([
  [
    'a missing executable',
    EXEC,
    {},
    { isExecutable: () => false },
    'image-builder-fn is not an executable on PATH',
  ],
  ['arguments of exec', 'exec: {path: a, args: [b]}', undefined, {}, 'args exist from kustomize 5.7'],
  ['an annotation that is no YAML', 'exec: [', undefined, {}, 'exactly one of exec and container'],
  ['both', 'exec: {path: a}\ncontainer: {image: b}', undefined, {}, 'exactly one of exec and container'],
  ['no annotation', undefined, undefined, {}, 'no plugin is installed'],
  [
    'a registry without a network',
    'container: {image: b}',
    { bundle: { image: 'quay.io/a/b:c' } },
    {},
    'add `network: true`',
  ],
  ['a build in a container', 'container: {image: b}', { build: {} }, {}, 'has no tools'],
  [
    'a mount that kustomize refuses',
    'container: {image: b, mounts: [{type: bind, src: /srv, dst: /srv}]}',
    undefined,
    {},
    'use `kustomize build --mount`',
  ],
])('an error for %s', (_, annotation, spec, other, message) => {
  const findings = check([configured('generators', annotation, spec)], {}, other);
  expect(findings.filter((finding) => finding.startsWith('error'))).toEqual([
    expect.stringContaining(message),
  ]);
});

test('no error for what works', () => {
  const healthy = [
    configured('generators', 'container: {image: b, network: true}', { bundle: { image: 'quay.io/a/b:c' } }),
    configured('generators', 'container: {image: b}', { bundle: { image: 'oci:out' } }),
    configured('generators', 'container: {image: b, mounts: [{type: bind, src: ./out, dst: /out}]}', {
      build: { executor: { container: { image: 'c' } } },
    }),
    { ...configured('generators', undefined), object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} } },
  ];
  expect(check(healthy).filter((finding) => finding.startsWith('error'))).toEqual([]);
  expect(check([configured('generators', undefined)], {}, { hasPlugin: () => true })).toEqual([]);
});

test.each([
  ['4.4.1', 'error'],
  ['4.5.4', 'warning'],
  ['5.0.0', 'info'],
  ['10.1.0', 'info'],
])('kustomize %s: %s', (version, severity) => {
  expect(checkKustomizeVersion(version).severity).toBe(severity);
});

test('subuid(5) names users by name or number', () => {
  const text = '# a comment\nroot:0:1\nbuilder:100000:65536\n1002:200000:65535\n';
  expect(hasSubordinateRange(text, 'builder', 1001)).toBe(true);
  expect(hasSubordinateRange(text, 'other', 1002)).toBe(false);
  expect(hasSubordinateRange(text, 'root', 0)).toBe(false);
});

test('images that are run are wanted by digest', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const image = (reference: string) => ({ build: { executor: { container: { image: reference } } } });
  const told = (annotation: string, spec: Record<string, unknown>) =>
    check([configured('generators', annotation, spec)]).filter((line) => line.includes('no digest'));
  expect(told(EXEC, image('r.test/builder:v1'))).toEqual([
    'warning spec.build.executor.container.image: r.test/builder:v1 has no digest: whoever may push it decides what is run; name it as r.test/builder:v1@sha256:...',
  ]);
  expect(told('container: {image: r.test/function:v1}', image(`r.test/builder:v1@${digest}`))).toEqual([
    expect.stringMatching(/^info metadata\.annotations\[.*\]\.container\.image: r\.test\/function:v1 has no/),
  ]);
  expect(told(`container: {image: 'b@${digest}'}`, image(`c@${digest}`))).toEqual([]);
  for (const executor of [null, { container: null }, { container: { image: 7 } }])
    expect(told(EXEC, { build: { executor } })).toEqual([]);
});

test.each<[string, Record<string, unknown>, boolean]>([
  ['a tag', { image: 'quay.io/a/b:c', trust: { keys: ['k'] } }, true],
  ['no tag', { image: 'quay.io/a/b', trust: { keys: ['k'] } }, true],
  ['a tag and an age', { image: 'quay.io/a/b:c', trust: { keys: ['k'], maxAge: '90d' } }, false],
  ['a digest', { image: `quay.io/a/b:c@sha256:${'a'.repeat(64)}`, trust: { keys: ['k'] } }, false],
  ['a layout', { image: 'oci:out:v1', trust: { keys: ['k'] } }, false],
  ['no trust', { image: 'quay.io/a/b:c' }, false],
])('a signature of any age is enough for an older bundle under the same tag: %s', (_, bundle, told) => {
  const findings = checkKustomization(
    { file: '/k/kustomization.yaml', content: {}, functions: [configured('generators', EXEC, { bundle })] },
    facts,
  );
  const found = findings.filter(({ tags }) => tags?.code === 'TRUST_WITHOUT_MAX_AGE');
  expect(found.map(({ severity, field }) => [severity, field])).toEqual(
    told ? [['warning', 'spec.bundle.trust']] : [],
  );
});

test('each of many bundles is looked at', () => {
  const bundles = { a: { image: 'oci:out' }, b: { image: 'quay.io/a/b:c', trust: { keys: ['k'] } } };
  const said = check([configured('generators', 'container: {image: r.test/function:v1}', { bundles })]);
  expect(said.filter((line) => line.includes('signature for a tag'))).toEqual([
    expect.stringMatching(/^warning spec\.bundles\.b\.trust: .* in spec\.bundles\.b\.image$/),
  ]);
  expect(said.filter((line) => line.includes('add `network: true`'))).toHaveLength(1);
});
