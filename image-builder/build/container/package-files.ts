// Package files for a build in a container: copies of those that are here go in, and what it has fetched comes back, each
// only if it is what its name says. A link would let the container change what other builds use.
import { constants, copyFile, lstat, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { digestFile } from '../../store/entry-files.ts';

/** SHA-256 of the file. */
const NAME = /^[0-9a-f]{64}$/;

/** More is not copied (bytes): a root file system has a quarter of it. */
const LIMIT = 1 << 30;

/** Copies the package files that were used last. */
export async function lendPackages(from: string, to: string): Promise<void> {
  const names = (await readdir(from).catch(() => [])).filter((name) => NAME.test(name));
  if (names.length === 0) return;
  const files = await Promise.all(
    names.map(async (name) => ({
      name,
      ...(await stat(join(from, name)).then(({ size, mtimeMs }) => ({ size, mtimeMs }))),
    })),
  );
  await mkdir(to, { recursive: true });
  let total = 0;
  for (const { name, size } of files.sort((a, b) => b.mtimeMs - a.mtimeMs)) {
    total += size;
    if (total > LIMIT) return;
    await copyFile(join(from, name), join(to, name), constants.COPYFILE_FICLONE);
  }
}

/** Keeps the package files that were fetched. */
export async function keepPackages(from: string, to: string, signal: AbortSignal): Promise<void> {
  for (const directory of [join(from, '..'), from]) {
    const facts = await lstat(directory).catch(() => undefined);
    if (!facts?.isDirectory()) return;
  }
  await mkdir(to, { recursive: true });
  const known = new Set(await readdir(to));
  for (const name of await readdir(from)) {
    const path = join(from, name);
    if (!NAME.test(name) || known.has(name) || !(await lstat(path)).isFile()) continue;
    if ((await digestFile(path, signal)) === name) await rename(path, join(to, name));
  }
}
