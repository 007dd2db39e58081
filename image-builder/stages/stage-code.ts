// What each kind of stage runs, as one hash: a part of its key, so that an image that other code made is not taken for one
// that this code would make, and so that code which a stage does not run leaves its results where they are.
//
// From the source tree it is computed when this module is imported; in the executables scripts/build.mjs has replaced the
// module by its value.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { readTree, SOURCE_ROOT } from '../embedded/read-tree.ts';
import { STAGES } from './index.ts';
import type { Stage } from './stage.ts';

/** Where the code that confines tools starts, and the name that the runner takes from it. */
const SANDBOX = { 'sandbox/local-sandbox.ts': 'createLocalSandbox' };

/**
 * Modules whose code is no part of a key, though stages refer to them: what they carry is in `data`, or starts tools
 * without a say in what these write.
 */
const WITHOUT_INFLUENCE = ['*/embedded/assets.ts', 'execa'];

/** The stages' modules and everything that they import, npm packages too, without what is never called. */
function bundledCode(modules: Readonly<Record<string, string>>): string {
  const { buildSync } = createRequire(`${SOURCE_ROOT}/`)('esbuild') as typeof import('esbuild');
  const imports = Object.entries(modules).map(([path, name]) => `export { ${name} } from './${path}';`);
  const { outputFiles } = buildSync({
    stdin: { contents: imports.join('\n'), resolveDir: SOURCE_ROOT },
    absWorkingDir: SOURCE_ROOT,
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20.12',
    tsconfigRaw: {},
    // Paths of modules stand in the result: no link may lead out of the tree.
    preserveSymlinks: true,
    // So that comments and types are no part of it. Short names would be: they depend on code that is left out.
    minifySyntax: true,
    minifyWhitespace: true,
    external: WITHOUT_INFLUENCE,
    logLevel: 'error',
  });
  return outputFiles.map(({ text }) => text).join('');
}

/** Hex SHA-256 of the code that a stage runs and of its data. */
function hashSources(kind: string, { sandbox, data }: NonNullable<Stage['code']>): string {
  const hash = createHash('sha256');
  for (const { path, content, mode } of data.flatMap(readTree)) {
    hash.update(`${path}\0${mode}\0${Buffer.byteLength(content)}\0`).update(content);
  }
  const modules = { ...(sandbox && SANDBOX), [`stages/${kind}/run.ts`]: 'run' };
  return hash.update(bundledCode(modules)).digest('hex');
}

/** Hex SHA-256 by kind of stage, for those whose keys cover their code; each is computed when somebody asks for it. */
export const stageCode: Readonly<Record<string, string>> = {};

for (const { kind, code } of STAGES) {
  if (!code) continue;
  let known: string | undefined;
  const get = () => {
    known ??= hashSources(kind, code);
    return known;
  };
  Object.defineProperty(stageCode, kind, { enumerable: true, get });
}
