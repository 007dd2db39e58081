// Gives tests the validators as the executables have them, compiled; jest keeps the result until the schema or what
// compiles it changes.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';
import { compiledValidator, validatorInput } from '../../scripts/compiled-validator.mjs';

const root = resolve(fileURLToPath(import.meta.url), '../../..');
const compiler = ['scripts/compiled-validator.mjs', 'node_modules/ajv/package.json'].map((file) =>
  readFileSync(resolve(root, file), 'utf8'),
);
/** A worker lives for one run, in which the schema does not change. */
let input;

export default {
  getCacheKey(_source, path) {
    input ??= validatorInput();
    return createHash('sha256')
      .update(`${relative(root, path)}\n${compiler.join()}\n${input}`)
      .digest('hex');
  },
  process(_source, path) {
    const { code } = transformSync(compiledValidator(relative(root, path), input), { format: 'cjs' });
    return { code };
  },
};
