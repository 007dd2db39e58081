// Makes the initramfs, the slowest single step of a build; a build that would make the same one again takes it from
// the cache.
import { mkdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keepLastUsed, makeEntry } from '../../base/files/kept-entries.ts';
import { ENTER_TREE, enterTree } from '../../sandbox/enter-tree.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { ToolError } from '../../sandbox/tool-error.ts';
import { withChroot } from '../rootfs/chroot.ts';
import { fingerprintInitramfs, type InitramfsFingerprint } from './initramfs-fingerprint.ts';
import { OsconfigError } from './osconfig-error.ts';

/** How many initramfs sets the cache keeps; each has some 10 to 60 MiB. */
const KEPT = 4;
const ENTRY = /^[0-9a-f]{64}$/;

/** In the entry of a fingerprint that has left out something that went into the initramfs: another one counts, of everything. */
const INCOMPLETE = 'incomplete';

/**
 * Makes the initramfs of every kernel in the tree.
 * @param cacheDir directory that outlives the build; none: it is always made.
 * @param known the fingerprint of the tree, when somebody has computed it already
 */
export async function makeInitramfs(
  tree: string,
  cacheDir: string | undefined,
  context: StageContext,
  known?: InitramfsFingerprint,
): Promise<void> {
  if (cacheDir === undefined) return updateInitramfs(tree, context);
  const cache = join(cacheDir, 'initramfs');
  await mkdir(cache, { recursive: true });
  const { hash, leftOut } = known ?? (await fingerprintInitramfs(tree, context));
  const named = join(cache, hash);
  const ofAll = async () => join(cache, (await fingerprintInitramfs(tree, context, 'all')).hash);
  if (!(await exists(join(named, INCOMPLETE)))) {
    if (await takeKept(named, tree, context)) return;
    await updateInitramfs(tree, context);
    if (!(await holdsAny(leftOut, tree, context))) return keep(named, tree, cache, context);
    await makeEntry(named, async (partial) => {
      await mkdir(partial);
      await writeFile(join(partial, INCOMPLETE), '');
    });
    return keep(await ofAll(), tree, cache, context);
  }
  await utimes(named, new Date(), new Date());
  const all = await ofAll();
  if (await takeKept(all, tree, context)) return;
  await updateInitramfs(tree, context);
  await keep(all, tree, cache, context);
}

/** False when there is none. */
async function takeKept(entry: string, tree: string, { sandbox, signal }: StageContext): Promise<boolean> {
  if (!(await exists(entry))) return false;
  await utimes(entry, new Date(), new Date());
  await sandbox.run(['sh', '-euc', TAKE, 'sh', entry, tree, ENTER_TREE], {
    signal,
    confined: { writable: [tree], readable: [entry] },
  });
  return true;
}

async function keep(
  entry: string,
  tree: string,
  cache: string,
  { sandbox, signal }: StageContext,
): Promise<void> {
  await makeEntry(entry, async (partial) => {
    await mkdir(partial);
    await sandbox.run(['sh', '-euc', KEEP, 'sh', partial, tree, ENTER_TREE], {
      signal,
      confined: { writable: [partial, tree] },
    });
  });
  await keepLastUsed(cache, ENTRY, KEPT);
}

/**
 * Whether files that the fingerprint leaves out are in the initramfs that was made; also when nobody can tell. A file of another
 * size is another program's: klibc and busybox bring commands of their own.
 */
async function holdsAny(
  leftOut: InitramfsFingerprint['leftOut'],
  tree: string,
  context: StageContext,
): Promise<boolean> {
  if (leftOut.length === 0) return false;
  const { signal } = context;
  const argv = enterTree(tree, [
    'sh',
    '-euc',
    'for file in /boot/initrd.img-*; do lsinitramfs -l "$file"; done',
  ]);
  let listing: string;
  try {
    listing = await withChroot(tree, argv, context, { confined: { writable: [] }, signal });
  } catch (error) {
    if (error instanceof ToolError && error.code === 'TOOL_FAILED') return true;
    throw error;
  }
  const held = new Set(
    [...listing.matchAll(LISTED)].map(([, bytes, path = '']) => identity(path, Number(bytes))),
  );
  return held.size === 0 || leftOut.some(([path, bytes]) => held.has(identity(path, bytes)));
}

/** Size and name of a file or a link, as cpio(1) and ls(1) list them. */
const LISTED = /^[-l]\S+ +\d+ +\S+ +\S+ +(\d+) +\S+ +\S+ +\S+ (.*?)(?: -> .*)?$/gm;

/** `/bin` is `/usr/bin`, in the tree or in the initramfs. */
const identity = (path: string, bytes: number) => `${bytes} ${path.replace(/^(\.?\/)?(usr\/)?/, '')}`;

// By processes in the tree, so that no link leads out of it; what is not a regular file is no initramfs.
const TAKE = `
cd "$1"
tar --create initrd.img-* | python3 -ISc "$3" "$2" tar --extract --no-same-owner --no-overwrite-dir --directory=/boot`;
const KEEP = `
cd "$1"
python3 -ISc "$3" "$2" sh -euc '
cd /boot
for file in initrd.img-*; do if [ ! -f "$file" ] || [ -L "$file" ]; then exit 1; fi; done
tar --create --owner=0 --group=0 initrd.img-*' | tar --extract --no-same-owner
ls initrd.img-* > /dev/null`;

async function updateInitramfs(tree: string, context: StageContext): Promise<void> {
  const { output, signal, sourceDateEpoch } = context;
  try {
    await withChroot(tree, enterTree(tree, ['update-initramfs', '-c', '-k', 'all']), context, {
      confined: { writable: [] },
      env: { SOURCE_DATE_EPOCH: String(sourceDateEpoch), HOME: '/root', LC_ALL: 'C' },
      onLine: output,
      signal,
    });
  } catch (error) {
    if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') throw error;
    throw new OsconfigError('INITRAMFS_FAILED', 'the initramfs could not be made', {
      cause: error,
      ...(error.output ? { output: error.output } : {}),
    });
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
