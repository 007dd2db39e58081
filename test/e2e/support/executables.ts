// The executables as they are shipped: `npm run build` makes them, scripts/test.sh runs it before the tests.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const dist = join(__dirname, '../../../dist');

/** Path of an executable: of the native one where EXECUTABLES says so. */
export function executable(name: 'image-builder' | 'image-builder-fn'): string {
  if (process.env.EXECUTABLES === 'native') return nativeExecutable(name);
  const path = join(dist, name);
  if (!existsSync(path)) throw new Error(`${path} does not exist: npm run build`);
  return path;
}

/** Path of the native executable under one of its names. */
export function nativeExecutable(name: 'image-builder' | 'image-builder-fn'): string {
  const path = join(dist, 'native', name);
  if (!existsSync(path)) throw new Error(`${path} does not exist: npm run build:native`);
  return path;
}

/** Runs a command to its end. */
export function run(
  [command, ...args]: [string, ...string[]],
  options: { input?: string; cwd?: string; env?: NodeJS.ProcessEnv } = {},
): SpawnSyncReturns<string> {
  return spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
}

/** The command that runs `argv` with `profiles` mounted at /profiles. */
export function inBundle(profiles: string, argv: string[]): [string, ...string[]] {
  return [join(__dirname, 'in-bundle.sh'), profiles, ...argv];
}
