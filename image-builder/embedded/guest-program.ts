// The programs that run inside of a booted image, in Python.
//
// From the source tree it is read when this module is imported; in the executables scripts/build.mjs has replaced the module
// by its value.
import { readSource } from './read-tree.ts';

/** The source of the one that runs tests. */
export const guestProgram: string = readSource('stages/boot-test/guest/run_tests.py');

/** The source of the one that gives a node what a Pod needs. */
export const podProgram: string = readSource('stages/boot-test/guest/prepare_pod.py');
