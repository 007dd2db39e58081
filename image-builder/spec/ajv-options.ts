// How Ajv compiles our schemas; one place, for the source tree and for the bundled executables.
import type { Options } from 'ajv';

/** All findings at once, each with the schema and the value that it is about. */
export const ajvOptions: Options = { allErrors: true, verbose: true, strict: true, allowUnionTypes: true };
