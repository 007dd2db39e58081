// Whether an ImageBuilder object fits its JSON Schema: a small part of the code that also tells what does not.
//
// From the source tree Ajv compiles the schema when this module is imported; in the bundled executables and in tests the
// code that Ajv generates takes the place of the module (scripts/compiled-validator.mjs), which spares the compilation.
import { Ajv } from 'ajv';
import { CHECK } from './ajv-input.ts';

export const fitsSchema: (value: unknown) => boolean = new Ajv(CHECK.options).compile(CHECK.schema());
