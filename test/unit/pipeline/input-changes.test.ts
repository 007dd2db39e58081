// What `image-builder plan` says has changed.
import { changesBetween } from '../../../image-builder/pipeline/input-changes.ts';

test.each([
  ['nothing', { a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }, []],
  ['a value', { a: { b: 1 } }, { a: { b: 2 } }, [{ path: 'a.b', before: 1, after: 2 }]],
  ['a new field', {}, { a: 'x' }, [{ path: 'a', after: 'x' }]],
  ['a field less', { a: 'x' }, {}, [{ path: 'a', before: 'x' }]],
  ['a type', { a: [] }, { a: {} }, [{ path: 'a', before: [], after: {} }]],
  [
    'words, as a set',
    { packages: ['vim', 'curl'] },
    { packages: ['curl', 'jq'] },
    [
      { path: 'packages[]', after: 'jq' },
      { path: 'packages[]', before: 'vim' },
    ],
  ],
  [
    'named things, by name',
    {
      sysctl: [
        { name: 'a', value: '1' },
        { name: 'b', value: '1' },
      ],
    },
    { sysctl: [{ name: 'b', value: '2' }] },
    [
      { path: 'sysctl[name=a]', before: { name: 'a', value: '1' } },
      { path: 'sysctl[name=b].value', before: '1', after: '2' },
    ],
  ],
  [
    'other things, by position',
    { a: [1, 2] },
    { a: [1, 3, 4] },
    [
      { path: 'a[1]', before: 2, after: 3 },
      { path: 'a[2]', after: 4 },
    ],
  ],
  [
    'secrets, without telling them',
    { users: [{ name: 'u', password_hash: '$6$old' }] },
    { users: [{ name: 'u', password_hash: '$6$new' }] },
    [{ path: 'users[name=u].password_hash', before: '(hidden)', after: '(hidden)' }],
  ],
])('%s', (_, before, after, expected) => {
  expect(changesBetween(before, after)).toEqual(expected);
});

test('a whole user that was added does not tell its secrets either', () => {
  const changes = changesBetween({ users: [] }, { users: [{ name: 'u', password_hash: '$6$new' }] });
  expect(JSON.stringify(changes)).not.toContain('$6$');
});
