// The program that renders templates, in Python.
//
// From the source tree it is read when this module is imported; in the executables scripts/build.mjs has replaced the module
// by its value.
import { readSource } from './read-tree.ts';

/** Its modules by name, each after those that it imports; the last one is what is run. */
export const templateProgram: readonly (readonly [name: string, source: string])[] = [
  'limits',
  'filters',
  'environment',
  'render',
].map((name) => [name, readSource(`spec/templates/${name}.py`)]);
