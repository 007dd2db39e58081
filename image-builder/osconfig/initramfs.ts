// Makes the initramfs, the slowest single step of a build; a build that would make the same one again takes it from
// the cache.
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../executors/stage.ts';
import { ToolError } from '../executors/tool-error.ts';
import { makeBeside, sweepLeftovers } from '../files/replace.ts';
import { withChroot } from '../rootfs/chroot.ts';
import { OsconfigError } from './error.ts';

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
    await sandbox.run(['sh', '-euc', TAKE, 'sh', entry, tree], { signal });
    return;
  }
  await updateInitramfs(tree, context);
  try {
    await makeBeside(entry, async (partial) => {
      await mkdir(partial);
      await sandbox.run(['sh', '-euc', KEEP, 'sh', partial, tree], { signal });
    });
  } catch (error) {
    // Another build has just made the same.
    if (!(await exists(entry))) throw error;
  }
  await prune(cache);
}

/**
 * Hash of what goes into an initramfs: the installed packages, the configuration, and the directories of which it is
 * collected, as far as somebody may have changed them after the packages were installed.
 */
export async function fingerprintInitramfs(
  tree: string,
  { sandbox, signal, sourceDateEpoch }: StageContext,
): Promise<string> {
  const output = await sandbox.run(['sh', '-euc', FINGERPRINT, 'sh', tree, String(sourceDateEpoch)], {
    signal,
  });
  return output.trim().slice(0, 64);
}

// A directory's size tells its history, not its content: it never shrinks.
const FINGERPRINT = `
cd "$1"
{
  echo "$2"
  sha256sum var/lib/dpkg/status
  find etc/initramfs-tools etc/modprobe.d etc/modules etc/modules-load.d etc/udev etc/systemd/network etc/default \\
    etc/crypttab etc/mdadm etc/lvm etc/iscsi etc/multipath* etc/cryptsetup-initramfs etc/console-setup etc/fstab \\
    etc/ld.so.conf etc/ld.so.conf.d etc/kernel usr/share/initramfs-tools \\( -type f -o -type l \\) \\
    ! -path 'etc/default/grub*' 2>/dev/null |
    LC_ALL=C sort | while IFS= read -r file; do
      if [ -L "$file" ]; then echo "$file -> $(readlink "$file")"; else sha256sum "$file"; fi
    done
  find usr/lib/modules usr/lib/firmware usr/lib/udev usr/local/lib/modules usr/local/sbin usr/local/bin \\
    \\( -type d -printf '%p\\n' \\) -o -printf '%p %s %y %l\\n' 2>/dev/null | LC_ALL=C sort
} | sha256sum`;

const TAKE = 'cp --preserve=mode,timestamps "$1"/initrd.img-* "$2/boot/"';
const KEEP = 'cp --preserve=mode,timestamps "$2"/boot/initrd.img-* "$1/"';

async function updateInitramfs(tree: string, context: StageContext): Promise<void> {
  const { report, stage, signal, sourceDateEpoch } = context;
  try {
    await withChroot(tree, ['chroot', tree, 'update-initramfs', '-c', '-k', 'all'], context, {
      env: { SOURCE_DATE_EPOCH: String(sourceDateEpoch), HOME: '/root', LC_ALL: 'C' },
      onLine: (line) => report({ type: 'output', stage, line }),
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
