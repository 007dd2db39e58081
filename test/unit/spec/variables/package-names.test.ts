import {
  isPackageName,
  isPackageRequest,
  nameOfRequest,
} from '../../../../image-builder/spec/variables/package-names.ts';

test.each(['vim', 'g++', 'memtest86+', 'libstdc++6', '0ad', 'linux-image-6.12.48-cloud-amd64', 'a.b'])(
  '%s is a name',
  (name) => {
    expect(isPackageName(name)).toBe(true);
    expect(isPackageRequest(name)).toBe(true);
  },
);

test.each([
  'vim=2:9.1.1230-2',
  'kubelet=1.37.2-*',
  'libc6:i386',
  'libc6:i386=2.41-12',
  'vim/trixie-backports',
  'g++=4:14.2.0-1',
])('%s asks for a package, and is no name', (request) => {
  expect(isPackageRequest(request)).toBe(true);
  expect(isPackageName(request)).toBe(false);
});

// Options of apt and dpkg, removals, patterns, tasks, files, several at once.
test.each([
  ...[
    '-o=Dir=/',
    '--yes',
    '-oAptCli::Hooks::Install::=id',
    'vim-',
    'vim-=1',
    'vim-:amd64',
    '?essential',
    '~n.',
  ],
  ...[
    './x.deb',
    '/x.deb',
    'a,b',
    'a b',
    'a\n-o',
    'a\n',
    'ssh-server^',
    'vim*',
    'Vim',
    'a',
    '',
    'vim=',
    'vim/',
    'vim=-o x',
  ],
])('%j is neither', (text) => {
  expect(isPackageRequest(text)).toBe(false);
  expect(isPackageName(text)).toBe(false);
});

test('the name of a request', () => {
  expect(['vim=1', 'vim:i386=1', 'vim/sid', 'g++'].map(nameOfRequest)).toEqual(['vim', 'vim', 'vim', 'g++']);
});
