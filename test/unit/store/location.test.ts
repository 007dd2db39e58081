// Where the store is.
import { storeDirectory } from '../../../image-builder/store/location.ts';
import { fileNameOf } from '../../../image-builder/store/store.ts';

test.each([
  ['asked for', { IMAGE_BUILDER_STORE: '/e', HOME: '/h' }, { store: 'mine', cwd: '/w' }, '/w/mine'],
  ['by the environment', { IMAGE_BUILDER_STORE: '/e', XDG_CACHE_HOME: '/x' }, { cwd: '/w' }, '/e'],
  ['in the cache', { XDG_CACHE_HOME: '/x', HOME: '/h' }, { cwd: '/w' }, '/x/image-builder/store'],
  [
    'XDG forbids relative paths',
    { XDG_CACHE_HOME: 'x', HOME: '/h' },
    { cwd: '/w' },
    '/h/.cache/image-builder/store',
  ],
  [
    'empty is unset',
    { IMAGE_BUILDER_STORE: '', HOME: '/h' },
    { store: '', cwd: '/w' },
    '/h/.cache/image-builder/store',
  ],
])('%s', (_, env, options, expected) => {
  expect(storeDirectory(env, options)).toBe(expected);
});

test('says what to set when nothing tells', () => {
  expect(() => storeDirectory({}, { cwd: '/w' })).toThrow('HOME is not set');
});

test('names become file names that stay in their directory', () => {
  for (const name of ['..', '.', '../x', 'a/b', 'a:b', '.hidden', 'ä']) {
    expect(fileNameOf(name)).toMatch(/^[^./:][^/:]*$/);
  }
  expect(fileNameOf('node-image.v1')).toBe('node-image.v1');
});
