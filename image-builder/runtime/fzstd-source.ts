// The text of the library fzstd, for a thread: the executables are single files, and a thread starts from a file or from text.
//
// From the source tree it is read when this module is imported; in the executables scripts/build.mjs has replaced the module
// by its value.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A CommonJS module. */
export const fzstdSource: string = readFileSync(
  join(__dirname, '../../node_modules/fzstd/lib/index.js'),
  'utf8',
);
