import { loginOf, withoutCredentials } from '../../../../image-builder/spec/variables/uri.ts';

test.each([
  ['https://me:secret@host.test/a', 'https://host.test/a', { username: 'me', password: 'secret' }],
  ['https://me:s%40c%2Fr%25t@host.test/a', 'https://host.test/a', { username: 'me', password: 's@c/r%t' }],
  ['https://me:se@cr:et@host.test/a', 'https://host.test/a', { username: 'me', password: 'se@cr:et' }],
  ['https://me:100%@host.test/a', 'https://host.test/a', { username: 'me', password: '100%' }],
  ['https://token@host.test', 'https://host.test', { username: 'token', password: '' }],
  ['https://host.test/a@b', 'https://host.test/a@b', undefined],
  ['https://host.test?a@b', 'https://host.test?a@b', undefined],
])('%s', (uri, without, login) => {
  expect(withoutCredentials(uri)).toBe(without);
  expect(loginOf(uri)).toEqual(login);
});
