// The validators of the ImageBuilder object as code, without Ajv's compiler: for the executables, and for tests, where
// Ajv would take a third of a second in each file.
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import standaloneCode from 'ajv/dist/standalone/index.js';
import { buildSync } from 'esbuild';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);

/** The modules that this code takes the place of: what each exports, and the name of what Ajv gets for it. */
export const VALIDATORS = {
  'image-builder/spec/api/find-schema-errors.ts': { exported: 'findSchemaErrors', input: 'FIND_ERRORS' },
  'image-builder/spec/api/fits-schema.ts': { exported: 'fitsSchema', input: 'CHECK' },
};

/** What Ajv compiles them from, as the text of a CommonJS module. */
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

/**
 * @param name a module of {@link VALIDATORS}
 * @param inputs of {@link validatorInput}
 * @returns the text of an ES module with the exports of that one
 */
export function compiledValidator(name, inputs = validatorInput()) {
  const { exported, input } = VALIDATORS[name];
  const module = { exports: {} };
  new Function('module', 'exports', 'require', inputs)(module, module.exports, require);
  const { options, schema } = module.exports[input];
  const ajv = new Ajv({ ...options, code: { source: true, esm: true } });
  const generated = standaloneCode.default(ajv, ajv.compile(schema()));
  const code = options.allErrors ? generated : withoutErrors(generated);
  return code
    .replace('export const validate =', `export const ${exported} =`)
    .replace(/export default \w+;/, '');
}

/** `validate3.errors = [{instancePath, params: {limit: 1}, ...}];` */
const ERRORS = new RegExp(
  String.raw`\b(validate\d+)\.errors = \[\{(?:STRING|\{(?:STRING|[^"{}])*\}|[^"{}])*\}\];`.replaceAll(
    'STRING',
    String.raw`"(?:[^"\\]|\\.)*"`,
  ),
  'g',
);

/** Generated code that counts errors and does not describe them, a third of its size; Ajv has no option for that. */
const withoutErrors = (code) => code.replace(ERRORS, '$1.errors = [0];');
