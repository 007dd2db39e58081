// What is written to a standard output that somebody reads slowly, without blocking, comes in its order.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { run } from '../support/executables.ts';

const directory = mkdtempSync(join(tmpdir(), 'standard-streams-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** More than a pipe holds; while the program is busy, the pipe is emptied; then it writes once more. */
const PROGRAM = `
import { writeOut } from './standard-streams.ts';
writeOut('a'.repeat(300_000));
for (const began = Date.now(); Date.now() - began < 1000; );
writeOut('the end');
`;

const SLOW_READER = `
import os, subprocess, sys, time
reader, writer = os.pipe()
os.set_blocking(writer, False)
child = subprocess.Popen(sys.argv[1:], stdout=writer)
os.close(writer)
time.sleep(0.5)
while block := os.read(reader, 65536):
    sys.stdout.buffer.write(block)
sys.exit(child.wait())
`;

test.each([
  ['Node', process.execPath],
  ['Bun', join(__dirname, '../../../.cache/bun/bun')],
])('by %s', (_, runtime) => {
  const outfile = join(directory, 'program.cjs');
  const resolveDir = join(__dirname, '../../../image-builder/base/diagnostics');
  buildSync({
    stdin: { contents: PROGRAM, resolveDir, loader: 'ts' },
    outfile,
    bundle: true,
    platform: 'node',
  });
  const { stdout, status } = run(['python3', '-c', SLOW_READER, runtime, outfile]);
  expect(status).toBe(0);
  expect(stdout.length).toBe(300_007);
  expect(stdout.endsWith('the end')).toBe(true);
});
