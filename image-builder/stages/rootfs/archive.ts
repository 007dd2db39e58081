// A root file system tree as a tar, and back. Both run in the sandbox: the files may belong to subordinate ids.

import { makeBeside } from '../../base/files/replace.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';

/**
 * Writes `tree` to `output`, which appears by rename. The same tree gives the same bytes: entries sorted, no later
 * time stamps than the build's, numeric ids. File capabilities and other extended attributes are kept. Device nodes
 * are left out: an ordinary user could not unpack them, and the kernel makes its own (devtmpfs).
 */
export async function packTree(tree: string, output: string, context: StageContext): Promise<void> {
  await pack(tree, output, ['--sort=name', `--mtime=@${context.sourceDateEpoch}`, '--clamp-mtime'], context);
}

/**
 * The same for a tree that is not finished: every file keeps its time, since what comes next may look at it, and the time
 * of the finished tree is not known to its base.
 */
export async function packBase(tree: string, output: string, context: StageContext): Promise<void> {
  await pack(tree, output, [], context);
}

async function pack(
  tree: string,
  output: string,
  options: readonly string[],
  { sandbox, signal }: StageContext,
): Promise<void> {
  await makeBeside(output, (partial) =>
    sandbox.run(
      [
        'tar',
        '--create',
        `--file=${partial}`,
        `--directory=${tree}`,
        '--format=pax',
        '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
        ...options,
        '--numeric-owner',
        '--xattrs',
        '--xattrs-include=security.capability',
        '--xattrs-include=user.*',
        '--one-file-system',
        '--exclude=./dev/*',
        '.',
      ],
      { signal },
    ),
  );
}

/**
 * Removes what {@link packTree} leaves out, so that going on with a tree and unpacking it again lead to the same: access
 * control lists. Packages set some only where /proc is there while they are installed; systemd-tmpfiles sets them at boot.
 */
export async function dropAccessLists(tree: string, { sandbox, signal }: StageContext): Promise<void> {
  await sandbox.run(['python3', '-ISc', DROP_ACCESS_LISTS, tree], { signal });
}

const DROP_ACCESS_LISTS = `
import os, sys
for directory, directories, files in os.walk(os.fsencode(sys.argv[1])):
    for name in [b"."] + directories + files:
        path = os.path.join(directory, name)
        for attribute in os.listxattr(path, follow_symlinks=False):
            if attribute.startswith("system.posix_acl_"):
                os.removexattr(path, attribute, follow_symlinks=False)`;

/** Unpacks what {@link packTree} has written into the directory `tree`, which is made. */
export async function unpackTree(
  archive: string,
  tree: string,
  { sandbox, signal }: StageContext,
): Promise<void> {
  await sandbox.run(['mkdir', tree], { signal });
  await sandbox.run(
    [
      'tar',
      '--extract',
      `--file=${archive}`,
      `--directory=${tree}`,
      '--same-owner',
      '--same-permissions',
      '--numeric-owner',
      '--xattrs',
      '--xattrs-include=*',
    ],
    { signal },
  );
}
