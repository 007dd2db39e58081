// Everything that does not fit the JSON Schema of the ImageBuilder object.
//
// From the source tree Ajv compiles the schema when this module is imported; in the bundled executables and in tests the
// code that Ajv generates takes the place of the module (scripts/compiled-validator.mjs), which spares the compilation.
import { Ajv, type ErrorObject } from 'ajv';
import { FIND_ERRORS } from './ajv-input.ts';

/** Returns whether `value` fits the schema; what does not is left in `errors`. */
export interface Validator {
  (value: unknown): boolean;
  errors?: ErrorObject[] | null;
}

export const findSchemaErrors: Validator = new Ajv(FIND_ERRORS.options).compile(FIND_ERRORS.schema());
