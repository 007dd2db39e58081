// Compiles test/fuzz and runs it: npm run fuzz -- [TARGET...] [--seconds N] [--seed N] [--at N]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';

const directory = mkdtempSync(join(tmpdir(), 'fuzz-'));
try {
  const outfile = join(directory, 'fuzz.cjs');
  buildSync({
    entryPoints: ['test/fuzz/main.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    // Of the modules that read the source tree; all lie as deep.
    define: { __dirname: JSON.stringify(resolve('image-builder/runtime')) },
    logLevel: 'error',
  });
  process.exitCode =
    spawnSync(process.execPath, [outfile, ...process.argv.slice(2)], { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(directory, { recursive: true });
}
