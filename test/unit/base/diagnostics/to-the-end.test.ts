// A process whose event loop is empty ends with status 0: that must not look like success.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const directory = mkdtempSync(join(tmpdir(), 'to-the-end-'));
const root = join(__dirname, '../../../..');
afterAll(() => rmSync(directory, { recursive: true }));

test.each([
  [
    'a program that waits for nothing that comes',
    'new Promise(() => {})',
    1,
    /^error: the program ended before/,
  ],
  ['a program that ends', 'Promise.resolve()', 0, /^$/],
  ['a program that has failed', 'Promise.resolve().then(() => { process.exitCode = 3 })', 3, /^$/],
  ['a program that is ended', 'new Promise(() => process.exit(0))', 0, /^$/],
])('%s', (_, work, status, stderr) => {
  const contents = `import { toTheEnd } from './image-builder/base/diagnostics/to-the-end.ts';\nvoid toTheEnd(() => ${work});\n`;
  const outfile = join(directory, 'program.mjs');
  buildSync({
    stdin: { contents, resolveDir: root },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
  });
  const ended = spawnSync(process.execPath, [outfile], { encoding: 'utf8' });
  expect({ status: ended.status, stdout: ended.stdout }).toEqual({ status, stdout: '' });
  expect(ended.stderr).toMatch(stderr);
});
