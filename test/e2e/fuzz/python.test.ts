// What Python writes is read as Python reads it, and Python reads what is written here.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Random } from '../../fuzz/random.ts';
import { byStream, readAll } from '../../fuzz/targets/tar.ts';
import { anyValue, catalogueText } from '../../fuzz/targets/yaml.ts';

/** Debian's, which has PyYAML. */
const python = (script: string, args: string[], input = ''): string =>
  execFileSync('/usr/bin/python3', ['-I', join(__dirname, '../../fuzz/python', script), ...args], {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });

const withoutSlash = <Entry extends { path: string }>(entry: Entry): Entry => ({
  ...entry,
  path: entry.path.replace(/\/+$/, ''),
});

test('archives of tarfile', async () => {
  const lines = python('archives.py', ['1', '1000']).trimEnd().split('\n');
  expect(lines).toHaveLength(1000);
  for (const line of lines) {
    const { tar, entries } = JSON.parse(line);
    const read = await readAll(byStream(Buffer.from(tar, 'base64')));
    expect(read.map(withoutSlash)).toEqual(entries.map(withoutSlash));
  }
});

test('data in catalogues, by PyYAML', () => {
  const values = Array.from({ length: 4000 }, (_, index) => ({ k: anyValue(new Random(index), 4) }));
  const read = JSON.parse(python('load.py', [], JSON.stringify(values.map(catalogueText))));
  const wrong = values.filter(
    (value, index) => JSON.stringify(read[index]) !== JSON.stringify({ kind: 'K', ...value }),
  );
  expect(wrong.slice(0, 3)).toEqual([]);
});
