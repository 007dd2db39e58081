// Builds the executables: dist/image-builder (command line) and dist/image-builder-fn (KRM function), each a single
// CommonJS file that starts from any directory, dist/image-builder.krm.yaml (KRMFunctionDefinition), and
// dist/THIRD-PARTY-NOTICES (the licences of the libraries inside).
//
//   node scripts/build.mjs --native [BUN]   dist/native/ besides: both programs as one executable that needs no Node
//   node scripts/build.mjs --dev            readable code with source maps, for debuggers and stack traces
//
// Modules whose value is known at build time are replaced by that value: see EVALUATED and the compiled validator.
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import * as esbuild from 'esbuild';
import { stringify } from 'yaml';
import { compiledValidator, VALIDATOR } from './compiled-validator.mjs';
import { writeFunctionBases } from './function-base.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const require = createRequire(import.meta.url);
const development = process.argv[2] === '--dev';

/** Modules that are replaced by the values that they export; all of these must be JSON. */
const EVALUATED = [
  ...['assets', 'defaults', 'guest-program', 'release', 'schema', 'template-program'].map(
    (name) => `image-builder/embedded/${name}.ts`,
  ),
  'image-builder/runtime/fzstd-source.ts',
  'image-builder/stages/stage-code.ts',
];

/** Bundles a module of the source tree and returns what it exports. */
async function evaluate(path) {
  const directory = await mkdtemp(join(tmpdir(), 'image-builder-build-'));
  try {
    const outfile = join(directory, 'module.cjs');
    await esbuild.build({
      entryPoints: [join(root, path)],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      // A module that reads the source tree finds it from the directory of image-builder/embedded.
      define: { __dirname: JSON.stringify(join(root, 'image-builder/embedded')) },
      logLevel: 'error',
    });
    return require(outfile);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** A module with the same exports as constants. As text, JSON is parsed several times faster than as an expression. */
function constants(exports) {
  return Object.entries(exports)
    .filter(([, value]) => typeof value !== 'function')
    .map(([name, value]) => `export const ${name} = JSON.parse(${JSON.stringify(JSON.stringify(value))});`)
    .join('\n');
}

const replaceKnownModules = {
  name: 'replace-known-modules',
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const name = relative(root, path);
      if (EVALUATED.includes(name)) return { contents: constants(await evaluate(name)), loader: 'js' };
      if (name !== VALIDATOR) return undefined;
      return { contents: compiledValidator(), loader: 'js', resolveDir: dirname(path) };
    });
  },
};

/** Libraries that most runs do not need. */
const RARE_LIBRARIES = /^(?:execa|smol-toml|tar-stream)$/;
/** Libraries that most runs of the commands that read published images do not need. */
const RARE_WHEN_READING = /^yaml$/;

/**
 * Code that unpacks and runs a program; its exports are `program.exports` then. Node has to read through all the code of
 * a file before it starts it, 10 ms for each half megabyte; a string costs next to nothing.
 */
function packed(program) {
  const base64 = deflateRawSync(program, { level: 9 }).toString('base64');
  return `
    const { inflateRawSync } = require('node:zlib');
    const { compileFunction } = require('node:vm');
    const program = { exports: {} };
    const code = inflateRawSync(Buffer.from('${base64}', 'base64')).toString();
    const run = compileFunction(code, ['module', 'exports', 'require', '__filename'], { filename: __filename + ' (packed)' });
    run(program, program.exports, require, __filename);`;
}

/** Replaces the libraries with these names by packed programs. */
const packLibraries = (names) => ({
  name: `pack-libraries ${names}`,
  setup(build) {
    build.onResolve({ filter: names }, ({ path }) => ({ path, namespace: 'packed' }));
    build.onLoad({ filter: /./, namespace: 'packed' }, async ({ path }) => {
      const { outputFiles } = await esbuild.build({
        ...BUNDLING,
        plugins: [recordPackages],
        absWorkingDir: root,
        entryPoints: [path],
        write: false,
        supported: CODE_FOR_VM,
      });
      const contents = `${packed(outputFiles[0].contents)}
        module.exports = program.exports;`;
      return { contents, loader: 'js' };
    });
  },
});

/** Code that node:vm compiles cannot import(); what is left of that are modules of Node. */
const CODE_FOR_VM = { 'dynamic-import': false };

/** Directories of the npm packages that a program contains, from the bundler's own records. */
// fzstd is carried as text, which the bundler does not look into.
const bundledPackages = new Set(['node_modules/fzstd']);
const recordPackages = {
  name: 'record-packages',
  setup(build) {
    build.initialOptions.metafile = true;
    build.onEnd(({ metafile }) => {
      for (const input of Object.keys(metafile?.inputs ?? {})) {
        const match = /(?:^|[/:])(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
        if (match) bundledPackages.add(match[1]);
      }
    });
  },
};

/** How every program is bundled. */
const BUNDLING = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20.12',
  // Names stay: error classes are shown by name, and a stack trace has to be readable.
  minifySyntax: true,
  minifyWhitespace: true,
  plugins: [replaceKnownModules, packLibraries(RARE_LIBRARIES), recordPackages],
  logLevel: 'warning',
};
if (development) {
  // Packed programs have no source maps, so nothing is packed.
  Object.assign(BUNDLING, {
    minifySyntax: false,
    minifyWhitespace: false,
    sourcemap: 'inline',
    plugins: [replaceKnownModules, recordPackages],
  });
}

/** Replaces the modules that few runs need by their own programs, compressed, with the same exports. */
const packRareModules = {
  name: 'pack-rare-modules',
  setup(build) {
    build.onLoad({ filter: /\/(?:engine-command|every-command)\.ts$/ }, async ({ path }) => {
      const { outputFiles } = await esbuild.build({
        ...BUNDLING,
        entryPoints: [path],
        write: false,
        supported: CODE_FOR_VM,
      });
      const contents = `${packed(outputFiles[0].contents)}
        export const { ${(await exportedNames(path)).join(', ')} } = program.exports;`;
      return { contents, loader: 'js' };
    });
  },
};

/** Names of the values that a module exports. */
async function exportedNames(path) {
  const { metafile } = await esbuild.build({
    entryPoints: [path],
    format: 'esm',
    write: false,
    metafile: true,
    outdir: dist,
  });
  return Object.values(metafile.outputs)[0].exports;
}

/** One executable. @param plugins for its outermost program only */
async function executable(entryPoint, name, plugins = []) {
  const outfile = join(dist, name);
  await esbuild.build({
    ...BUNDLING,
    entryPoints: [join(root, entryPoint)],
    outfile,
    legalComments: 'eof',
    banner: { js: development ? '#!/usr/bin/env -S node --enable-source-maps' : '#!/usr/bin/env node' },
    plugins: development ? BUNDLING.plugins : [packRareModules, ...plugins, ...BUNDLING.plugins],
  });
  await chmod(outfile, 0o755);
}

/**
 * The native executable: Bun, and both programs compiled to its bytecode, which starts at once whatever its size. So
 * nothing is packed.
 */
async function nativeExecutable(bun) {
  const directory = join(dist, 'native');
  const program = join(directory, 'program.cjs');
  await esbuild.build({
    ...BUNDLING,
    entryPoints: [join(root, 'image-builder/cli/native.ts')],
    outfile: program,
    // For `#runtime` of package.json.
    conditions: ['bun'],
    plugins: [replaceKnownModules, recordPackages],
  });
  const options = [
    // Whoever starts it in a directory does not mean that a .env or a bunfig.toml there should have a say.
    ...['--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig'],
    // Most runs are over before machine code pays for being made, a tenth of their time.
    '--compile-jit-policy=100',
  ];
  execFileSync(
    bun,
    [
      'build',
      '--compile',
      '--bytecode',
      '--format=cjs',
      ...options,
      `--outfile=${join(directory, 'image-builder')}`,
      program,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  await rm(program);
  await symlink('image-builder', join(directory, 'image-builder-fn'));
  await symlink('../function-base', join(directory, 'function-base'));
}

/** Names, versions and licence texts of the libraries in the executables, in the order of their names. */
async function thirdPartyNotices() {
  const sections = [...bundledPackages].sort().map(async (directory) => {
    const { name, version, license } = JSON.parse(
      await readFile(join(root, directory, 'package.json'), 'utf8'),
    );
    const files = (await readdir(join(root, directory))).filter((file) =>
      /^(?:licen[cs]e|notice)\b/i.test(file),
    );
    const texts = await Promise.all(
      files.sort().map((file) => readFile(join(root, directory, file), 'utf8')),
    );
    return [`${name} ${version}: ${license}`, ...texts.map((text) => text.trim())].join('\n\n');
  });
  return `${(await Promise.all(sections)).join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
// The executables are CommonJS without an extension, which Node would take for ESM inside of our own package.
await writeFile(join(dist, 'package.json'), '{"type":"commonjs"}\n');
await executable('functions/image-builder/main.ts', 'image-builder-fn');
await executable('image-builder/cli/main.ts', 'image-builder', [packLibraries(RARE_WHEN_READING)]);
const { functionDefinition } = await evaluate('functions/image-builder/definition.ts');
const definition = stringify(functionDefinition(), { lineWidth: 0, aliasDuplicateObjects: false });
await writeFile(join(dist, 'image-builder.krm.yaml'), definition);
if (process.argv[2] === '--native') await nativeExecutable(process.argv[3] ?? join(root, '.cache/bun/bun'));
await writeFile(join(dist, 'THIRD-PARTY-NOTICES'), await thirdPartyNotices());
await writeFunctionBases(root, dist);
