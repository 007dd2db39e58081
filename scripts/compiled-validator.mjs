// The validator of the ImageBuilder object as code, without Ajv's compiler: for the executables, and for tests, where
// Ajv would take a third of a second in each file.
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import standaloneCode from 'ajv/dist/standalone/index.js';
import { buildSync } from 'esbuild';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);

/** The module that this code takes the place of. */
export const VALIDATOR = 'image-builder/spec/api/validator.ts';

/** What Ajv compiles it from, as the text of a CommonJS module. */
export function validatorInput() {
  const { outputFiles } = buildSync({
    entryPoints: [join(root, 'image-builder/spec/api/ajv-input.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    logLevel: 'error',
  });
  return outputFiles[0].text;
}

/** @param input of {@link validatorInput}; @returns the text of an ES module with the exports of VALIDATOR */
export function compiledValidator(input = validatorInput()) {
  const module = { exports: {} };
  new Function('module', 'exports', 'require', input)(module, module.exports, require);
  const { ajvOptions, ajvSchema } = module.exports;
  const ajv = new Ajv({ ...ajvOptions, code: { source: true, esm: true } });
  return standaloneCode
    .default(ajv, ajv.compile(ajvSchema()))
    .replace('export const validate =', 'export const validateImageBuilderSchema =')
    .replace(/export default \w+;/, '');
}
