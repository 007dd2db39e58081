// Makes the initramfs, the slowest single step of a build; a build that would make the same one again takes it from
// the cache.
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBeside, sweepLeftovers } from '../../base/files/replace.ts';
import { ENTER_TREE, enterTree } from '../../sandbox/enter-tree.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { ToolError } from '../../sandbox/tool-error.ts';
import { withChroot } from '../rootfs/chroot.ts';
import { fingerprintInitramfs } from './initramfs-fingerprint.ts';
import { OsconfigError } from './osconfig-error.ts';

/** How many initramfs sets the cache keeps; each has some 10 to 60 MiB. */
const KEPT = 4;

/**
 * Makes the initramfs of every kernel in the tree.
 * @param cacheDir directory that outlives the build; none: it is always made.
 */
export async function makeInitramfs(
  tree: string,
  cacheDir: string | undefined,
  context: StageContext,
): Promise<void> {
  if (cacheDir === undefined) return updateInitramfs(tree, context);
  const { sandbox, signal } = context;
  const cache = join(cacheDir, 'initramfs');
  await mkdir(cache, { recursive: true });
  const entry = join(cache, await fingerprintInitramfs(tree, context));
  if (await exists(entry)) {
    await utimes(entry, new Date(), new Date());
    await sandbox.run(['sh', '-euc', TAKE, 'sh', entry, tree, ENTER_TREE], {
      signal,
      confined: { writable: [tree], readable: [entry] },
    });
    return;
  }
  await updateInitramfs(tree, context);
  try {
    await makeBeside(entry, async (partial) => {
      await mkdir(partial);
      await sandbox.run(['sh', '-euc', KEEP, 'sh', partial, tree, ENTER_TREE], {
        signal,
        confined: { writable: [partial, tree] },
      });
    });
  } catch (error) {
    // Another build has just made the same.
    if (!(await exists(entry))) throw error;
  }
  await prune(cache);
}

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

async function prune(cache: string): Promise<void> {
  await sweepLeftovers(cache);
  const names = (await readdir(cache)).filter((name) => /^[0-9a-f]{64}$/.test(name));
  const entries = await Promise.all(
    names.map(async (name) => ({ path: join(cache, name), used: (await stat(join(cache, name))).mtimeMs })),
  );
  entries.sort((a, b) => b.used - a.used);
  for (const { path } of entries.slice(KEPT)) await rm(path, { recursive: true, force: true });
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
