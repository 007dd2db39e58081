// Why a stage is built: each change once, at the stage where it enters.
import { type ComparedStage, explainChanges } from '../../../image-builder/build/explain.ts';

const stage = (name: string, key: string, inputs: unknown, parents: string[] = []): ComparedStage => ({
  name,
  key,
  inputs,
  parents,
  tools: { tar: '1' },
});
const build = (keys: string, packages: string, panic: string, capacity: string) => {
  const rootfs = { multistrap: { packages: [packages] }, osconfig: { panic } };
  return [
    stage('rootfs', `${keys}r`, { multistrap: rootfs.multistrap }),
    stage('osconfig', `${keys}o`, { osconfig: rootfs.osconfig }, ['rootfs']),
    stage('qcow/a', `${keys}a`, { osconfig: { panic }, qcow: { capacity } }, ['osconfig']),
    stage('bundle', `${keys}b`, { rootfs, images: { a: { osconfig: { panic }, qcow: { capacity } } } }, [
      'osconfig',
      'qcow/a',
    ]),
  ];
};
const recorded = (stages: readonly ComparedStage[]) =>
  Object.fromEntries(
    stages.map(({ name, key, inputs, tools }) => [
      name,
      { kind: name.split('/')[0] ?? '', key, inputs, tools },
    ]),
  );
const explain = (before: readonly ComparedStage[], after: readonly ComparedStage[]) =>
  Object.fromEntries(explainChanges(recorded(before), after));

test('nothing', () => {
  expect(explain(build('1', 'vim', '3', '4G'), build('1', 'vim', '3', '4G'))).toEqual({});
});

test('each variable where it enters, and the rest follows', () => {
  expect(explain(build('1', 'vim', '3', '4G'), build('2', 'jq', '5', '5G'))).toEqual({
    rootfs: {
      changes: [
        { path: 'multistrap.packages[]', after: 'jq' },
        { path: 'multistrap.packages[]', before: 'vim' },
      ],
      follows: [],
    },
    osconfig: { changes: [{ path: 'osconfig.panic', before: '3', after: '5' }], follows: ['rootfs'] },
    'qcow/a': { changes: [{ path: 'qcow.capacity', before: '4G', after: '5G' }], follows: ['osconfig'] },
    bundle: { changes: [], follows: ['osconfig', 'qcow/a'] },
  });
});

test('a tool once, too', () => {
  const after = build('2', 'vim', '3', '4G').map((one) => ({ ...one, tools: { tar: '2' } }));
  const explained = explain(build('1', 'vim', '3', '4G'), after);
  expect(explained.rootfs?.changes).toEqual([{ path: 'tools.tar', before: '1', after: '2' }]);
  expect(explained.bundle).toEqual({ changes: [], follows: ['osconfig', 'qcow/a'] });
});

test('the same change of another variable is not hidden', () => {
  const before = [stage('a', '1', { x: 1 }), stage('b', '1', { y: { x: 1 }, z: 1 }, ['a'])];
  const after = [stage('a', '2', { x: 2 }), stage('b', '2', { y: { x: 2 }, z: 2 }, ['a'])];
  expect(explain(before, after).b?.changes).toEqual([{ path: 'z', before: 1, after: 2 }]);
});

test('a stage that was not there, and a pipeline that has changed', () => {
  const [rootfs] = build('1', 'vim', '3', '4G');
  if (!rootfs) throw new Error('no stage');
  expect(explain([], [rootfs])).toEqual({
    rootfs: { changes: [{ path: 'stage', after: 'rootfs' }], follows: [] },
  });
  expect(explain([rootfs], [{ ...rootfs, key: 'other' }])).toEqual({ rootfs: { changes: [], follows: [] } });
});
