// Where the base of bundles lies that this program carries with it; it is too large to be in the executable itself.
import { basename, dirname, join } from 'node:path';
import { ownFile } from '#runtime';

/**
 * Directories to look into, in their order: beside the program, where packages of a system keep such files, and where
 * `npm run build` puts it, for code that runs from the source tree.
 */
export function functionBaseDirectories(): string[] {
  const beside = dirname(ownFile());
  const isSource = typeof __dirname === 'string' && basename(__dirname) === 'embedded';
  return [
    join(beside, 'function-base'),
    join(beside, '../share/image-builder/function-base'),
    ...(isSource ? [join(__dirname, '../../dist/function-base')] : []),
  ];
}
