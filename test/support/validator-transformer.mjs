// Gives tests the validator as the executables have it, compiled; jest keeps the result until the schema changes.
import { createHash } from 'node:crypto';
import { transformSync } from 'esbuild';
import { compiledValidator, validatorInput } from '../../scripts/compiled-validator.mjs';

/** A worker lives for one run, in which the schema does not change. */
let input;

export default {
  getCacheKey() {
    input ??= validatorInput();
    return createHash('sha256').update(input).digest('hex');
  },
  process() {
    const { code } = transformSync(compiledValidator(input), { format: 'cjs' });
    return { code };
  },
};
