// Package files on their way into a container and back.
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepPackages, lendPackages } from '../../../../image-builder/build/container/package-files.ts';

const directory = mkdtempSync(join(tmpdir(), 'image-builder-packages-'));
afterAll(() => rmSync(directory, { recursive: true }));
const [here, there] = [join(directory, 'here'), join(directory, 'inner/packages')];
const signal = new AbortController().signal;
const nameOf = (content: string) => createHash('sha256').update(content).digest('hex');
const put = (place: string, content: string, name = nameOf(content)) => {
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, name), content);
  return name;
};

test('copies go in; what was fetched comes back if it is what it says', async () => {
  const known = put(here, 'known');
  await lendPackages(here, there);
  expect(readFileSync(join(there, known), 'utf8')).toBe('known');
  expect(statSync(join(there, known)).ino).not.toBe(statSync(join(here, known)).ino);

  const fetched = put(there, 'fetched');
  put(there, 'forged', nameOf('another'));
  put(there, 'changed', known);
  writeFileSync(join(there, 'no-package'), '');
  writeFileSync(join(directory, 'secret'), 'secret');
  symlinkSync(join(directory, 'secret'), join(there, nameOf('secret')));
  await keepPackages(there, here, signal);
  expect(readdirSync(here).sort()).toEqual([known, fetched].sort());
  expect(readFileSync(join(here, known), 'utf8')).toBe('known');
});

test('a link for the directory is not followed', async () => {
  const [real, inner] = [join(directory, 'real'), join(directory, 'linked')];
  put(real, 'elsewhere');
  mkdirSync(inner);
  symlinkSync(real, join(inner, 'packages'));
  await keepPackages(join(inner, 'packages'), here, signal);
  expect(readdirSync(real)).toHaveLength(1);
  symlinkSync(directory, join(directory, 'cache-link'));
  await keepPackages(join(directory, 'cache-link/real'), here, signal);
  expect(readdirSync(real)).toHaveLength(1);
});
