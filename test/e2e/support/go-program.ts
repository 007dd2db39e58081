// Small programs in Go around libraries of others, built once through the Go module proxy and kept in .cache.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';

const cache = join(__dirname, '../../../.cache');

/** Path of the program in a folder beside this file. */
export function goProgram(name: string): string {
  const source = join(__dirname, name);
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(source, file)));
  const path = join(cache, `${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  execFileSync('go', ['build', '-o', unfinished, '.'], { cwd: source, stdio: 'pipe' });
  renameSync(unfinished, path);
  return path;
}
