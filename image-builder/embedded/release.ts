// Which release of Image Builder this is.
//
// From the source tree it is read when this module is imported; in the bundled executables scripts/build.mjs has replaced
// the module by its value.
import { readSource } from './read-tree.ts';

/** Version of the package: `0.1.0`. */
export const version: string = JSON.parse(readSource('../package.json')).version;
