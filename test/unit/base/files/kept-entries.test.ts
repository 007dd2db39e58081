// Caches that several builds use at the same time.
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  forgetUnused,
  keepLastUsed,
  linkOrCopy,
  makeEntry,
} from '../../../../image-builder/base/files/kept-entries.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kept-entries-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('entries that were used longest ago are removed, and nothing else', async () => {
  for (const [age, name] of ['c1', 'c2', 'c3', 'c4', 'other'].entries()) {
    mkdirSync(join(directory, name));
    utimesSync(join(directory, name), 1000 - age, 1000 - age);
  }
  await keepLastUsed(directory, /^c\d$/, 2);
  expect(readdirSync(directory).sort()).toEqual(['c1', 'c2', 'other']);
});

test('an entry that is gone when it is looked at is no failure', async () => {
  mkdirSync(join(directory, 'c1'));
  // Listed, and not there.
  symlinkSync('nowhere', join(directory, 'c2'));
  await keepLastUsed(directory, /^c/, 1);
  expect(readdirSync(directory)).toEqual(['c1']);
});

test('entries that nobody has used for days are forgotten, and those that were not named stay', async () => {
  const daysAgo = (days: number) => Date.now() / 1000 - days * 24 * 3600;
  for (const [name, days] of Object.entries({ old: 8, recent: 6, made: 400 })) {
    writeFileSync(join(directory, name), '');
    utimesSync(join(directory, name), daysAgo(days), daysAgo(days));
  }
  await forgetUnused(directory, ['gone', 'old', 'recent'], 7);
  expect(readdirSync(directory).sort()).toEqual(['made', 'recent']);
});

test('an entry that another build has made meanwhile stays, and what fails otherwise is told', async () => {
  const entry = join(directory, 'entry');
  const make = (text: string) =>
    makeEntry(entry, async (temporary) => {
      await mkdir(temporary);
      writeFileSync(join(temporary, 'text'), text);
    });
  await make('first');
  await make('second');
  expect(readFileSync(join(entry, 'text'), 'utf8')).toBe('first');
  const fails = makeEntry(join(directory, 'another'), () => Promise.reject(new Error('no room')));
  await expect(fails).rejects.toThrow('no room');
  expect(readdirSync(directory)).toEqual(['entry']);
});

test('a file gets a second name, and what has that name stays', async () => {
  const [from, to] = [join(directory, 'from'), join(directory, 'to')];
  writeFileSync(from, 'new');
  await linkOrCopy(from, to);
  expect(readFileSync(to, 'utf8')).toBe('new');
  writeFileSync(join(directory, 'there'), 'old');
  await linkOrCopy(from, join(directory, 'there'));
  expect(readFileSync(join(directory, 'there'), 'utf8')).toBe('old');
});
