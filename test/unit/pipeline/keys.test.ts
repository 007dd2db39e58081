// Keys: canonical JSON and what makes two plans the same.
import { canonicalJson, hashOf } from '../../../image-builder/pipeline/keys.ts';
import { planStages, type StageDefinition } from '../../../image-builder/pipeline/plan.ts';
import { sameCode } from '../../support/same-code.ts';

describe('canonicalJson', () => {
  test('has one form for equal data', () => {
    expect(canonicalJson({ b: [1, 'x', null], a: { d: true, c: undefined } })).toBe(
      '{"a":{"d":true},"b":[1,"x",null]}',
    );
    expect(hashOf({ a: 1, b: 2 })).toBe(hashOf({ b: 2, a: 1 }));
  });

  test('tells apart what differs in type, order or nesting', () => {
    const values = [
      1,
      '1',
      [1],
      ['1'],
      { 1: 1 },
      null,
      [],
      {},
      '',
      [[]],
      [null],
      true,
      'true',
      [1, 2],
      [2, 1],
      1.5,
    ];
    expect(new Set(values.map((value) => hashOf(value))).size).toBe(values.length);
  });

  test('sorts by code unit, whatever the locale', () => {
    expect(canonicalJson({ ä: 1, z: 1, Z: 1, a: 1 })).toBe('{"Z":1,"a":1,"z":1,"ä":1}');
  });

  test.each([
    [Number.NaN],
    [Infinity],
    [() => 1],
    [new Date(0)],
    [new Map()],
    [1n],
    [Symbol('x')],
    [[undefined]],
  ])('refuses %p, which is not data', (value) => {
    expect(() => canonicalJson({ value: [value] })).toThrow(TypeError);
  });
});

describe('planStages', () => {
  const definition = (name: string, parents: string[] = [], changes: Partial<StageDefinition> = {}) => ({
    name,
    kind: 'qcow' as const,
    inputs: { of: name },
    parents,
    tools: [],
    ...changes,
  });
  const chain = (changes: Partial<StageDefinition> = {}) => [
    definition('a', [], changes),
    definition('b', ['a']),
    definition('c'),
    definition('d', ['b', 'c']),
  ];
  const keys = (definitions: StageDefinition[], code = 'p', tools = {}) =>
    Object.fromEntries(planStages(definitions, sameCode(code), tools).map(({ name, key }) => [name, key]));
  const recipes = (definitions: StageDefinition[], code = 'p', tools = {}) =>
    planStages(definitions, sameCode(code), tools).map(({ recipe }) => recipe);
  const changed = (before: Record<string, string>, after: Record<string, string>) =>
    Object.keys(before).filter((name) => before[name] !== after[name]);

  test('an input reaches the stage and all that comes after it', () => {
    expect(changed(keys(chain()), keys(chain({ inputs: 'other' })))).toEqual(['a', 'b', 'd']);
  });

  test('code reaches the stages that run it and all that come after them, names of stages nothing', () => {
    expect(changed(keys(chain()), keys(chain(), 'q'))).toEqual(['a', 'b', 'c', 'd']);
    const packed = [definition('a'), definition('b', ['a'], { kind: 'bundle' }), definition('c')];
    const plan = (bundle: string) =>
      Object.fromEntries(
        planStages(packed, { ...sameCode('p'), bundle }, {}).map(({ name, key }) => [name, key]),
      );
    expect(changed(plan('p'), plan('q'))).toEqual(['b']);
    const renamed = planStages([definition('x', [], { inputs: { of: 'a' } })], sameCode('p'), {});
    expect(renamed[0]?.key).toBe(keys(chain()).a);
  });

  test('a tool changes keys, but not recipes', () => {
    const withTool = chain({ tools: ['tar', 'apt'] });
    const before = keys(withTool, 'p', { tar: '1', apt: '2', other: '3' });
    expect(changed(before, keys(withTool, 'p', { tar: '1', apt: '3', other: '3' }))).toEqual(['a', 'b', 'd']);
    expect(changed(before, keys(withTool, 'p', { tar: '1', apt: '2', other: '4' }))).toEqual([]);
    expect(recipes(withTool, 'p', { tar: '1', apt: '2' })).toEqual(recipes(withTool, 'p', {}));
  });

  test('what stages share counts in each of them, and what has changed since the last plan counts anew', () => {
    const list = [{ name: 'one' }];
    const sharing = (shared: unknown, other: unknown) => [
      definition('a', [], { inputs: { shared, at: 'a' } }),
      definition('b', [], { inputs: { other, at: 'b' } }),
    ];
    const before = keys(sharing(list, list));
    expect(before).toEqual(keys(sharing(list, structuredClone(list))));
    list[0] = { name: 'two' };
    expect(changed(before, keys(sharing(list, list)))).toEqual(['a', 'b']);
    expect(changed(before, keys(sharing(list, [{ name: 'one' }])))).toEqual(['a']);
  });

  test('kinds do not share keys', () => {
    const [qcow] = planStages([definition('a')], sameCode('p'), {});
    const [rootfs] = planStages([definition('a', [], { kind: 'rootfs' })], sameCode('p'), {});
    expect(qcow?.recipe).not.toBe(rootfs?.recipe);
  });

  test('refuses a stage before its parent', () => {
    expect(() => planStages([definition('b', ['a'])], sameCode('p'), {})).toThrow(
      'stage b comes before its parent a',
    );
  });
});
