// Puts the images into the tree of a disk.
import { join } from 'node:path';
import { requirePlainPaths } from '../../disk/tree.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { LAYOUT_DIRECTORY, LIST_FILE, PRELOAD_DIRECTORY } from '../../spec/variables/kubernetes/preload.ts';

/**
 * Copies the images; what was in their place before is gone.
 * @param tree changed in place; times are those of the copying
 * @throws DiskError TREE_UNUSABLE for a link on the way, ToolError
 */
export async function placeImages(
  { layout, list }: { layout: string; list: string },
  tree: string,
  context: StageContext,
): Promise<void> {
  context.step('copy the images');
  await requirePlainPaths(tree, [PRELOAD_DIRECTORY], context);
  const directory = join(tree, PRELOAD_DIRECTORY);
  const copies = [layout, join(directory, LAYOUT_DIRECTORY), list, join(directory, LIST_FILE)];
  await context.sandbox.run(['sh', '-euc', COPY, 'sh', directory, ...copies], { signal: context.signal });
}

// Files of the store belong to whoever builds, with the permissions that they were made with.
const COPY = `
umask 022
rm -rf "$1"
mkdir -p "$1"
copy() { cp --recursive --reflink=auto --no-preserve=mode,ownership,timestamps "$1" "$2"; }
copy "$2" "$3"
copy "$4" "$5"
find "$1" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +`;
