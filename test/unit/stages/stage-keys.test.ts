// Every variable changes the keys of exactly the stages that it influences.
import { planStages } from '../../../image-builder/pipeline/plan.ts';
import { Ignored } from '../../../image-builder/spec/api/schema/common.ts';
import { LivecdcontentVariables } from '../../../image-builder/spec/api/schema/livecdcontent.ts';
import { MultistrapVariables } from '../../../image-builder/spec/api/schema/multistrap.ts';
import { OsconfigVariables } from '../../../image-builder/spec/api/schema/osconfig.ts';
import { QcowVariables } from '../../../image-builder/spec/api/schema/qcow.ts';
import { BuildSpec as BuildSchema } from '../../../image-builder/spec/api/schema/spec-build.ts';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import type { ResolvedBuild } from '../../../image-builder/spec/variables/resolved.ts';
import type { LockedPackage, ResolvedLock } from '../../../image-builder/spec/variables/resolved-lock.ts';
import { stagesOf } from '../../../image-builder/stages/index.ts';
import { sameCode } from '../../support/same-code.ts';

const script = '#!/bin/sh\ntrue\n';
/** One item of every list that runs in contexts, for each context. */
const osconfig = {
  kubelet: { extra_systemd_args: [{ name: '--node-ip', value: '192.0.2.1' }] },
  ...Object.fromEntries(
    Object.entries({
      directories: { name: '/d' },
      files: { name: '/f', file_content: 'x' },
      systemd: { name: 'u.service', enabled: true },
      user_scripts: { name: 's', file_content: script },
      file_permissions: { name: '/p', permissions: '0755', owner: 'root', group: 'root' },
      user_management: { name: 'u', password_hash: '$6$x' },
      fetch_from_url: { url: 'https://example.org/x', dest: '/x' },
    }).map(([list, item]) => [
      list,
      (['common', 'qcow'] as const).map((context) => ({
        ...item,
        name:
          'name' in item
            ? `${item.name}-${context}`.replace(/^(.*)\.service-(.*)$/, '$1-$2.service')
            : undefined,
        run_contexts: [context],
      })),
    ]),
  ),
};

const spec = {
  distribution: 'debian-13',
  rootfs: {
    multistrap: {
      k8s_version: '1.34.2-1.1',
      packages: ['vim', 'live-boot', 'kubelet'],
      snapshot: '20261101T000000Z',
      path_exclude: ['/usr/share/man/*'],
      path_include: ['/usr/share/man/man8/*'],
      debconf: [
        { package: 'pkg', question: 'a/b', type: 'string', value: 'x' },
        { package: 'pkg', question: 'a/secret', type: 'password', value: 'hunter2' },
      ],
    },
    osconfig: JSON.parse(JSON.stringify(osconfig)),
  },
  qcows: {
    a: {
      qcow: { qcow_container_runtime_scripts: [{ name: 'r', file_content: script, run_contexts: ['qcow'] }] },
    },
    b: {},
  },
  iso: { userData: '#cloud-config\n', networkData: { links: [] }, metaData: {} },
  bundle: { layout: 'out' },
} as unknown as BuildSpec;

let resolved: ResolvedBuild;
let before: Map<string, string>;
beforeAll(async () => {
  // Copied as text: parts that it shares would change together.
  resolved = JSON.parse(JSON.stringify(await resolveBuild('node', spec, { cwd: '/' })));
  before = keysOf(resolved);
});

const definitionsOf = (build: ResolvedBuild) => stagesOf(build).map(({ definition }) => definition);

const keysOf = (build: ResolvedBuild): Map<string, string> =>
  new Map(planStages(definitionsOf(build), sameCode('code'), {}).map(({ name, key }) => [name, key]));

/** Names of the stages whose keys differ. */
function reachedBy(change: (build: ResolvedBuild) => void): string[] {
  const changed = structuredClone(resolved);
  change(changed);
  const after = keysOf(changed);
  return [...before.keys()].filter((name) => before.get(name) !== after.get(name));
}

type Path = (string | number)[];

/** Paths of all values that are neither lists nor maps. */
function leaves(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([name, field]) => leaves(field, [...path, name]));
}

/** Changes the value at a path. */
function alter(build: ResolvedBuild, path: Path): void {
  const parent = path
    .slice(0, -1)
    .reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], build);
  const fields = parent as Record<string, unknown>;
  const name = path.at(-1) as string;
  const value = fields[name];
  fields[name] = typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : `${value}x`;
}

const ALL = ['rootfs', 'osconfig', 'qcow/a', 'qcow/b', 'iso', 'bundle'];
const AFTER_ROOTFS = ALL.slice(1);

/** Contexts of the item that a path leads into, if it is one. */
function contextsOf(path: Path): string[] | undefined {
  const at = path.indexOf('osconfig');
  if (at < 0) return undefined;
  const item = path
    .slice(0, at + 3)
    .reduce<unknown>((node, name) => (node as Record<string, unknown>)?.[name], resolved);
  return typeof item === 'object' && item !== null && 'run_contexts' in item
    ? (item.run_contexts as string[])
    : undefined;
}

function expected(path: Path): string[] {
  const [first, second, third] = path;
  const contexts = contextsOf(path);
  // Moving an item to another context is a change of both.
  switch (first) {
    case 'distribution':
      return ALL;
    case 'rootfs':
      if (second === 'multistrap') return String(third).startsWith('multistrap_retries') ? ['bundle'] : ALL;
      // Threads and patience change no byte; the profile tells them.
      if (third === 'mksquashfs_threads' || third === 'squashfs_timeout') return ['bundle'];
      if (second === 'livecdcontent') return ['iso', 'bundle'];
      if (contexts && !contexts.includes('common')) return ['bundle'];
      return AFTER_ROOTFS;
    case 'qcows':
      if (contexts && !contexts.includes('qcow')) return ['bundle'];
      return [`qcow/${second}`, 'bundle'];
    case 'iso':
      return ['iso'];
    case 'bundle':
      return second === 'base' ? ['bundle'] : [];
    default:
      return [];
  }
}

test('each variable reaches exactly what it influences', () => {
  const paths = leaves(resolved).filter((path) => !path.includes('run_contexts'));
  expect(paths.length).toBeGreaterThan(300);
  const wrong = paths.flatMap((path) => {
    const reached = reachedBy((build) => alter(build, path));
    const wanted = expected(path);
    return reached.join() === wanted.join() ? [] : [`${path.join('.')}: ${reached} instead of ${wanted}`];
  });
  expect(wrong).toEqual([]);
});

test('every variable of the schema is among them', () => {
  const known = new Set(leaves(resolved).flat());
  // What resolution turns into something else: lists that are merged, predecessor's names, what is ignored.
  const merged = new Set(['ubuntu_packages']);
  for (const schema of [MultistrapVariables, OsconfigVariables, LivecdcontentVariables, QcowVariables]) {
    for (const [name, field] of Object.entries(schema.properties)) {
      if (merged.has(name) || name.endsWith('_append') || isIgnored(field)) continue;
      expect([...known]).toContain(name);
    }
  }
});

const IGNORED = (Ignored as { description?: string }).description;
const isIgnored = (schema: object) => 'description' in schema && schema.description === IGNORED;

/** Every field of `spec.build`, and what it has to do with keys. Who adds a field decides here. */
const CLASSIFIED: Record<keyof BuildSpec, 'variables' | 'nothing'> = {
  // What the images are made of; the test above knows each variable of it.
  distribution: 'variables',
  profile: 'variables',
  manifests: 'variables',
  qcowManifests: 'variables',
  kubernetes: 'variables',
  rootfs: 'variables',
  qcows: 'variables',
  iso: 'variables',
  lock: 'variables',
  // Where packages come from, where the result goes, who builds, and when: no byte of an image.
  mirror: 'nothing',
  store: 'nothing',
  // But for its base, which has tests of its own.
  bundle: 'nothing',
  // Its firmware names the stages of the test; the bundle does not depend on them.
  bootTest: 'nothing',
  tests: 'nothing',
  executor: 'nothing',
  whenMissing: 'nothing',
};

test('every field of the build is classified, and those that reach nothing are no input of any stage', () => {
  expect(Object.keys(BuildSchema.properties).sort()).toEqual(Object.keys(CLASSIFIED).sort());
  const used = usedFields();
  // What a resolved build has beside the fields of the spec: its name, where packages are fetched from and are written.
  const beside = ['name', 'securityMirror', 'sources', 'origins'];
  const nothing = Object.keys(CLASSIFIED).filter((name) => CLASSIFIED[name as keyof BuildSpec] === 'nothing');
  expect([...nothing, ...beside].filter((name) => used.has(name))).toEqual([]);
  const known = new Set([...Object.keys(CLASSIFIED), ...beside]);
  expect(Object.keys(resolved).filter((name) => !known.has(name))).toEqual([]);
});

/** Fields of the resolved build whose change reaches a key. */
function usedFields(): Set<string> {
  const fields = Object.keys(resolved).filter((name) => {
    const paths = leaves(resolved[name as keyof ResolvedBuild], [name]);
    // Lists of a boot test name stages; a stage more or less is no other key.
    return paths.some(
      (path) => path.at(-1) !== 'base' && reachedBy((build) => alter(build, path)).length > 0,
    );
  });
  return new Set(fields);
}

test('names, places and tests reach nothing', () => {
  const nothing = (change: (build: ResolvedBuild) => void) => expect(reachedBy(change)).toEqual([]);
  nothing((build) => Object.assign(build, { name: 'other', mirror: 'http://elsewhere.example.org/debian' }));
  nothing((build) => Object.assign(build.bundle, { layout: '/x', tag: 'x', repository: 'r', push: true }));
  nothing((build) => Object.assign(build.bootTest, { timeout: 300 }));
  for (const whenMissing of ['Trigger', 'Fail']) nothing((build) => Object.assign(build, { whenMissing }));
});

describe('the images that disks carry', () => {
  const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
  const carrying = (preload: NonNullable<ResolvedBuild['preload']>) => keysOf({ ...resolved, preload });
  const image = { reference: 'registry.k8s.io/pause:3.10.2', digest: digest('1') };
  const preload = { requested: ['default'], release: '1.37.2', mirrors: {}, images: [image] };
  const changedBy = (changes: Partial<typeof preload>) => {
    const [one, other] = [carrying(preload), carrying({ ...preload, ...changes })];
    return [...one.keys()].filter((name) => one.get(name) !== other.get(name));
  };

  test('reach the disks and the bundle, and neither the root file system nor the ISO', () => {
    const carried = carrying(preload);
    const changed = [...before.keys()].filter((name) => before.get(name) !== carried.get(name));
    expect(changed).toEqual(['qcow/a', 'qcow/b', 'bundle']);
    expect(changedBy({ images: [{ ...image, digest: digest('2') }] })).toEqual(['preload', ...changed]);
  });

  test('are their names and digests: not how they were asked for, nor where they are pulled from', () => {
    expect(changedBy({ requested: [image.reference] })).toEqual([]);
    expect(changedBy({ mirrors: { 'registry.k8s.io': ['https://mirror.example.org'] } as never })).toEqual(
      [],
    );
  });
});

test('what kubeadm has to prove reaches the boot tests alone', () => {
  const booted = keysOf({ ...resolved, bootTest: { ...resolved.bootTest, timeout: 60 } });
  const proven = keysOf({
    ...resolved,
    bootTest: { ...resolved.bootTest, timeout: 60, kubernetes: 'preflight' },
  });
  const changed = [...booted.keys()].filter((name) => booted.get(name) !== proven.get(name));
  expect(changed).toEqual([...booted.keys()].filter((name) => name.startsWith('boot-test/')));
  expect(changed).not.toEqual([]);
});

test('a base image reaches the bundle, by its digest alone', () => {
  const keyWith = (base: ResolvedBuild['bundle']['base']) =>
    keysOf({ ...resolved, bundle: { ...resolved.bundle, base } }).get('bundle');
  const [a, b] = ['1', '2'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];
  const key = keyWith({ image: 'registry.example.org/function:a', digest: a });
  expect(keyWith({ image: 'registry.example.org/function:b', digest: a })).toBe(key);
  const others = [keyWith({ image: 'registry.example.org/function:a', digest: b }), before.get('bundle')];
  expect(new Set([key, keyWith('none'), ...others]).size).toBe(4);
});

test("the function's base is a tool of the bundle: another one gives another key of the same recipe", () => {
  const planned = (base: ResolvedBuild['bundle']['base'], digest: string) =>
    planStages(definitionsOf({ ...resolved, bundle: { ...resolved.bundle, base } }), sameCode('code'), {
      'function-base': digest,
    });
  const bundleOf = (stages: ReturnType<typeof planned>) => stages.find(({ name }) => name === 'bundle');
  const [one, other] = [planned('function', 'one'), planned('function', 'other')];
  expect(bundleOf(one)?.toolVersions).toEqual({ 'function-base': 'one' });
  expect(bundleOf(other)?.recipe).toBe(bundleOf(one)?.recipe);
  const changed = one.filter(({ key }, index) => key !== other[index]?.key);
  expect(changed.map(({ name }) => name)).toEqual(['bundle']);
  expect(planned('none', 'one')).toEqual(planned('none', 'other'));
});

test('what is secret is in no record of the inputs', () => {
  expect(JSON.stringify(stagesOf(resolved).map(({ definition }) => definition.inputs))).not.toMatch(
    /hunter2/,
  );
});

describe('a lock', () => {
  const lock: ResolvedLock = {
    distribution: 'debian-13',
    mirrors: { archive: 'http://mirror.example.org/debian' },
    sourceDateEpoch: 1,
    requested: ['vim'],
    unapproved: [],
    keyrings: {},
    packages: [
      { name: 'vim', version: '1', architecture: 'all', repository: 'r', path: 'p', size: 1, sha256: 'a' },
    ],
  };
  const [vim] = lock.packages as [LockedPackage];
  const rootfsKey = (changes: Partial<ResolvedLock>) =>
    keysOf({ ...resolved, lock: { ...lock, ...changes } }).get('rootfs');

  test('decides the key of the root file system by what it installs', () => {
    expect(rootfsKey({})).not.toBe(before.get('rootfs'));
    for (const changes of [
      { sourceDateEpoch: 2 },
      { keyrings: { r: 'key' } },
      { packages: [{ ...vim, sha256: 'b' }] },
      { packages: [{ ...vim, version: '2' }] },
    ]) {
      expect([changes, rootfsKey(changes)]).not.toEqual([changes, rootfsKey({})]);
    }
  });

  test('where a package lies and where it is fetched from do not', () => {
    expect(rootfsKey({ packages: [{ ...vim, path: 'q', size: 2, repository: 's' }] })).toBe(rootfsKey({}));
  });
});

test('a boot test is a stage of its own, whatever its patience', () => {
  const named = (timeout: number) =>
    [...keysOf({ ...resolved, bootTest: { timeout, firmware: ['bios', 'uefi'] } })].filter(([name]) =>
      name.startsWith('boot-test/'),
    );
  expect(named(0)).toEqual([]);
  expect(named(300)).toHaveLength(4);
  expect(named(300)).toEqual(named(600));
});
