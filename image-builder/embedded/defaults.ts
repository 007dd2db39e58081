// The assets that are read as data at every start, parsed: defaults of the Ansible roles, and the distributions. A
// render needs some of them, and parsing YAML is what costs most in it.
//
// From the source tree they are parsed when this module is imported; in the bundled executables scripts/build.mjs has
// replaced the module by its value.
import { parse } from 'yaml';
import { assets } from './assets.ts';

const IS_DATA = /^(spec\/distributions\/.*|stages\/osconfig\/ansible\/roles\/[^/]+\/defaults\/main)\.yaml$/;

/** The content by path: `spec/distributions/debian-13.yaml`. Shared by all callers, who must not change it. */
export const defaults: Readonly<Record<string, unknown>> = Object.fromEntries(
  assets.filter(({ path }) => IS_DATA.test(path)).map(({ path, content }) => [path, parse(content)]),
);
