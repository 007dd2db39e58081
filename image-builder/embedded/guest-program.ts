// The program that runs tests inside of a booted image, in Python.
//
// From the source tree it is read when this module is imported; in the executables scripts/build.mjs has replaced the module
// by its value.
import { readSource } from './read-tree.ts';

/** Its source. */
export const guestProgram: string = readSource('stages/boot-test/guest/run_tests.py');
