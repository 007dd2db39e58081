// Package files that were fetched earlier: what counts is what they are now.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { putIntoCache, takeFromCache } from '../../../../image-builder/stages/rootfs/package-cache.ts';

const directory = mkdtempSync(join(tmpdir(), 'package-cache-'));
afterAll(() => rmSync(directory, { recursive: true }));

const packageFile = (name: string, content: string) => ({
  ...{ name, version: '1', architecture: 'all', url: `http://mirror.test/${name}.deb`, size: content.length },
  file: `${name}_1_all.deb`,
  sha256: createHash('sha256').update(content).digest('hex'),
});

test('a damaged file is not taken, and is kept again once it was fetched again', async () => {
  const [cache, fetched, archives] = ['cache', 'fetched', 'archives'].map((name) => join(directory, name));
  if (!cache || !fetched || !archives) throw new Error('three directories');
  for (const path of [fetched, archives]) mkdirSync(path);
  const [good, bad] = [packageFile('good', 'g'), packageFile('bad', 'b')];
  for (const [file, content] of [[good, 'g'] as const, [bad, 'b'] as const]) {
    writeFileSync(join(fetched, file.file), content);
  }
  const signal = new AbortController().signal;
  // The first build of all.
  await takeFromCache(cache, [good, bad], archives, signal);
  await putIntoCache(cache, [good, bad], fetched);
  rmSync(join(cache, bad.sha256));
  writeFileSync(join(cache, bad.sha256), 'B');

  const { sha256: _, ...withoutHash } = packageFile('unhashed', 'u');
  await takeFromCache(cache, [good, bad, withoutHash], archives, signal);
  expect(readdirSync(archives)).toEqual([good.file]);
  expect(readFileSync(join(archives, good.file), 'utf8')).toBe('g');

  await putIntoCache(cache, [good, bad], fetched);
  await takeFromCache(cache, [good, bad], archives, signal);
  expect(readFileSync(join(archives, bad.file), 'utf8')).toBe('b');
});
