// What each kind of stage runs, as one hash: a part of its key, so that an image that other code made is not taken for one
// that this code would make, and so that code which a stage does not run leaves its results where they are.
//
// From the source tree it is computed when this module is imported; in the executables scripts/build.mjs has replaced the
// module by its value.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { readTree, SOURCE_ROOT } from './read-tree.ts';

/** Where a stage starts, and the data that it reads besides. */
interface StageSources {
  /** Modules below image-builder/, with the names that the runner takes from each. */
  code: Readonly<Record<string, string>>;
  /** Directories below image-builder/. */
  data: readonly string[];
}

const SANDBOX = { 'sandbox/local-sandbox.ts': 'createLocalSandbox' };

const SOURCES = {
  rootfs: { code: { ...SANDBOX, 'stages/common.ts': 'rootfsStage' }, data: [] },
  osconfig: { code: { ...SANDBOX, 'stages/common.ts': 'osconfigStage' }, data: ['stages/osconfig/ansible'] },
  qcow: { code: { ...SANDBOX, 'stages/qcow/run.ts': 'qcowStage' }, data: ['stages/osconfig/ansible'] },
  iso: { code: { ...SANDBOX, 'stages/iso/run.ts': 'isoStage' }, data: [] },
  bundle: { code: { 'stages/bundle/run.ts': 'bundleStage' }, data: [] },
  // That an image has booted stays true when the test becomes another one.
  'boot-test': { code: {}, data: [] },
} satisfies Record<string, StageSources>;

/**
 * Modules whose code is no part of a key, though stages refer to them: what they carry is in `data`, or starts tools
 * without a say in what these write.
 */
const WITHOUT_INFLUENCE = ['*/embedded/assets.ts', 'execa'];

/** The stages' modules and everything that they import, npm packages too, without what is never called. */
function bundledCode({ code }: StageSources): string {
  const { buildSync } = createRequire(`${SOURCE_ROOT}/`)('esbuild') as typeof import('esbuild');
  const imports = Object.entries(code).map(([path, name]) => `export { ${name} } from './${path}';`);
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
function hashSources(sources: StageSources): string {
  const hash = createHash('sha256');
  for (const { path, content, mode } of sources.data.flatMap(readTree)) {
    hash.update(`${path}\0${mode}\0${Buffer.byteLength(content)}\0`).update(content);
  }
  return hash.update(bundledCode(sources)).digest('hex');
}

/** Hex SHA-256 by kind of stage; each is computed when somebody asks for it. */
export const stageCode = {} as Readonly<Record<keyof typeof SOURCES, string>>;

for (const [kind, sources] of Object.entries(SOURCES)) {
  let known: string | undefined;
  const get = () => {
    known ??= hashSources(sources);
    return known;
  };
  Object.defineProperty(stageCode, kind, { enumerable: true, get });
}
