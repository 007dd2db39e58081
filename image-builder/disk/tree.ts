// Takes a root file system tree apart into one directory per file system, without copying it, and puts it together
// again. The tree's files may belong to subordinate ids, so everything here runs in the sandbox.
import { join } from 'node:path';
import type { StageContext } from '../sandbox/stage-context.ts';
import { DiskError } from './disk-error.ts';

/** A directory that becomes the root of a file system, with the attributes that its root inode gets. */
export interface FileSystemSource {
  directory: string;
  /** Octal text: `755`. */
  mode: string;
  uid: number;
  gid: number;
}

/**
 * Fails unless each of `paths` (absolute, in the image) lies in the tree without a symbolic link on the way: a link
 * such as /boot -> /etc would make the builder write to the building machine.
 * @throws DiskError TREE_UNUSABLE
 */
export async function requirePlainPaths(
  tree: string,
  paths: readonly string[],
  context: StageContext,
): Promise<void> {
  const expected = paths.map((path) => join(tree, path));
  const real = await context.sandbox.run(
    ['realpath', '--canonicalize-missing', '--zero', tree, ...expected],
    {
      signal: context.signal,
    },
  );
  const [realTree = tree, ...found] = real.split('\0');
  for (const [index, path] of paths.entries()) {
    if (path !== '/' && found[index] !== join(realTree, path))
      throw new DiskError(
        'TREE_UNUSABLE',
        `${path} in the root file system passes through a symbolic link to ${found[index]?.replace(realTree, '') || '/'}`,
        { hint: 'Make it a directory, or remove its mount point from the partitions.' },
      );
  }
}

/**
 * Calls `use` with the source of each mount point (absolute paths, `/` among them), each without what the others
 * hold; afterwards, also on failure, the tree is whole again. All modification times are clamped to the context's
 * source date, since moving directories changes those of their parents.
 */
export async function withSeparateSources<Result>(
  tree: string,
  mounts: readonly string[],
  context: StageContext,
  use: (sources: ReadonlyMap<string, FileSystemSource>) => Promise<Result>,
): Promise<Result> {
  const { sandbox, signal, sourceDateEpoch } = context;
  // Beside the tree, on the same file system.
  const aside = `${tree}.mounts`;
  // The deepest first: /boot/efi leaves /boot before /boot leaves /.
  const separate = mounts
    .filter((mount) => mount !== '/')
    .sort((a, b) => b.split('/').length - a.split('/').length || (a < b ? -1 : 1));
  const moves = separate.map((mount, index) => ({
    mount,
    from: join(tree, mount),
    to: join(aside, `${index}`),
  }));
  try {
    await sandbox.run(
      ['sh', '-euc', TAKE_APART, 'sh', aside, ...moves.flatMap(({ from, to }) => [from, to])],
      { signal },
    );
    const directories = [tree, ...moves.map(({ to }) => to)];
    const attributes = await sandbox.run(
      ['sh', '-euc', CLAMP_AND_STAT, 'sh', `@${sourceDateEpoch}`, ...directories],
      { signal },
    );
    const lines = attributes.trim().split('\n');
    const sources = new Map(
      ['/', ...separate].map((mount, index) => {
        const [mode = '755', uid, gid] = lines[index]?.split(' ') ?? [];
        const directory = directories[index] as string;
        return [mount, { directory, mode, uid: Number(uid), gid: Number(gid) }];
      }),
    );
    return await use(sources);
  } finally {
    // Without the signal: an aborted build leaves the tree as it was, too.
    const reverse = moves.toReversed().flatMap(({ from, to }) => [from, to]);
    await sandbox.run(['sh', '-euc', PUT_TOGETHER, 'sh', aside, ...reverse]);
  }
}

// The directory that stays behind as the mount point looks like the one that was moved.
const TAKE_APART = `
mkdir -p "$1"; shift
while [ $# -gt 0 ]; do
  mkdir -p "$1"
  mv -T "$1" "$2"
  mkdir "$1"
  chmod --reference="$2" "$1"
  chown --reference="$2" "$1"
  shift 2
done`;

const CLAMP_AND_STAT = `
epoch=$1; shift
find "$@" -newermt "$epoch" -exec touch --no-dereference --date="$epoch" {} +
stat --format='%a %u %g' "$@"`;

const PUT_TOGETHER = `
aside=$1; shift
while [ $# -gt 0 ]; do
  if [ -e "$2" ]; then
    [ ! -e "$1" ] || rmdir "$1"
    mv -T "$2" "$1"
  fi
  shift 2
done
[ ! -d "$aside" ] || rmdir "$aside"`;
