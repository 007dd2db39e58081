// The contents of package files as dpkg unpacks them, decompressed: xz takes more processor time than everything else about a large
// package. They are kept, so packages of which nothing has changed are not decompressed again when others do; and they are made by
// programs of this machine, on all processors, while dpkg, perhaps an emulated one, installs something else.
//
// dpkg has its own dpkg-deb for that; a program in its PATH stands for it, and gives dpkg what is here.
import { mkdir, readdir, rm, utimes } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { errnoOf } from '../../base/diagnostics/errno.ts';
import { forgetUnused, linkOrCopy } from '../../base/files/kept-entries.ts';
import { makeBeside } from '../../base/files/replace.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { digestFile } from '../../store/entry-files.ts';
import type { ChosenPackage } from './chosen-repository.ts';

/** Smaller package files are decompressed while a program is started. Bytes. */
const SMALL = 256 * 1024;
/** Contents that no build has used for so long are removed: they have some four times the size of the package files. */
const KEPT_DAYS = 7;

/**
 * Makes the tar of the contents of each larger package, `<package file>.tar`, for {@link PLACE_DATA}. One that cannot be made
 * is left to dpkg, which tells what is wrong with the package.
 * @param archives directory of the package files, whose hashes were verified
 * @param cacheDir directory that outlives the build
 * @returns the directory of the tars, below the work directory
 */
export async function decompressPackages(
  packages: readonly ChosenPackage[],
  archives: string,
  cacheDir: string,
  context: StageContext,
): Promise<string> {
  const { sandbox, signal, workDir } = context;
  const [cache, directory] = [join(cacheDir, 'package-data'), join(workDir, 'package-data')];
  for (const path of [cache, directory]) await mkdir(path, { recursive: true });
  const kept = await keptIn(cache);
  const large = packages.filter(({ size }) => size >= SMALL);
  const missing: ChosenPackage[] = [];
  for (const one of large) {
    const found = kept.get(one.sha256);
    if (
      !found ||
      !(await takeKept(join(cache, found.name), found.digest, join(directory, tarOf(one)), signal))
    )
      missing.push(one);
  }
  if (missing.length > 0) {
    await sandbox.run(['sh', '-euc', DECOMPRESS, 'sh', String(availableParallelism()), archives], {
      cwd: directory,
      input: missing.map(({ file }) => `${file}\0`).join(''),
      confined: { writable: [directory], readable: [archives] },
      signal,
    });
  }
  for (const one of missing) {
    const path = join(directory, tarOf(one));
    const digest = await digestFile(path, signal).catch(() => throwIfCancelled(signal));
    if (digest === undefined) continue;
    await makeBeside(join(cache, `${one.sha256}-${digest}`), (temporary) => linkOrCopy(path, temporary));
  }
  await forgetUnused(cache, await readdir(cache), KEPT_DAYS);
  return directory;
}

const tarOf = ({ file }: ChosenPackage) => `${file}.tar`;

// Each by a process of its own; what one of them leaves when it fails is nobody's.
const DECOMPRESS = `
xargs -0 -n 1 -P "$1" sh -c 'dpkg-deb --fsys-tarfile "$1/$2" > "$2.tar" || rm -f "$2.tar"' sh "$2"`;

/** `<SHA-256 of the package file>-<SHA-256 of the tar>` */
const KEPT_NAME = /^([0-9a-f]{64})-([0-9a-f]{64})$/;

async function keptIn(cache: string): Promise<Map<string, { name: string; digest: string }>> {
  const kept = new Map<string, { name: string; digest: string }>();
  for (const name of await readdir(cache)) {
    const [, sha256, digest] = KEPT_NAME.exec(name) ?? [];
    if (sha256 !== undefined && digest !== undefined) kept.set(sha256, { name, digest });
  }
  return kept;
}

/** Links what is kept to where it is used; false when it is damaged or gone. */
async function takeKept(path: string, digest: string, to: string, signal: AbortSignal): Promise<boolean> {
  try {
    await linkOrCopy(path, to);
    if ((await digestFile(to, signal)) === digest) {
      const now = new Date();
      await utimes(path, now, now);
      return true;
    }
  } catch (error) {
    throwIfCancelled(signal);
    if (errnoOf(error) === undefined) throw error;
  }
  for (const wrong of [path, to]) await rm(wrong, { force: true });
  return false;
}

/** Shell lines that put the tars of `$IMAGE_BUILDER_DATA`, and what gives them to dpkg, into `$tree`, from the outside. */
export const PLACE_DATA = `
if [ -n "$IMAGE_BUILDER_DATA" ]; then
  cp -r "$IMAGE_BUILDER_DATA" "$tree/run/image-builder/data"
  cat > "$tree/run/image-builder/bin/dpkg-deb" <<'X'
#!/bin/sh
if [ "$1" = --fsys-tarfile ]; then
  file=$2
  # apt gives dpkg a directory of links, whose names begin with numbers.
  if [ -L "$file" ]; then file=$(readlink "$file"); fi
  data=/run/image-builder/data/\${file##*/}.tar
  if [ -e "$data" ]; then exec cat "$data"; fi
fi
exec /usr/bin/dpkg-deb "$@"
X
  chmod 755 "$tree/run/image-builder/bin/dpkg-deb"
fi
`;
