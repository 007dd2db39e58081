// Builds the executables: dist/image-builder (command line) and dist/image-builder-fn (KRM function), each a single
// CommonJS file that starts from any directory, dist/image-builder.krm.yaml (KRMFunctionDefinition), and
// dist/THIRD-PARTY-NOTICES (the licences of the libraries inside).
//
//   node scripts/build.mjs --native [BUN]   dist/native/ besides: both programs as one executable that needs no Node
//   node scripts/build.mjs --dev            readable code with source maps, for debuggers and stack traces
//
// Modules whose value is known at build time are replaced by that value: see EVALUATED and the compiled validators.
import { execFileSync } from 'node:child_process';
import * as promises from 'node:fs/promises';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import { stringify } from 'yaml';
import { compiledValidator, VALIDATORS } from './compiled-validator.mjs';
import { writeFunctionBases } from './function-base.mjs';
import { singleFile } from './single-file.mjs';
import { COMMANDS, READING_COMMANDS, RENDERS } from './usual-runs.mjs';

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
      if (!Object.hasOwn(VALIDATORS, name)) return undefined;
      const code = compiledValidator(name);
      // Nobody reads what is generated: short names as well.
      const contents = development ? code : (await esbuild.transform(code, { minify: true })).code;
      return { contents, loader: 'js', resolveDir: dirname(path) };
    });
  },
};

/** Directories of the npm packages that a program contains, from the bundler's own records. */
const bundledPackages = new Set();
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

/**
 * Takes of the Kubernetes client what is imported: its modules only declare classes, but it does not say so, and a
 * description of every object there is has nine tenths of its code.
 */
const partOfKubernetesClient = {
  name: 'part-of-kubernetes-client',
  setup(build) {
    const client = '@kubernetes/client-node';
    build.onResolve(
      { filter: /^(?:@kubernetes\/client-node$|\.)/ },
      async ({ path, pluginData, ...from }) => {
        if (pluginData === client || (path !== client && !from.importer.includes(client))) return undefined;
        const { kind, importer, namespace, resolveDir } = from;
        const resolved = await build.resolve(path, {
          ...{ kind, importer, namespace, resolveDir },
          pluginData: client,
        });
        return { ...resolved, sideEffects: false };
      },
    );
  },
};

/** What libraries import and never use here, and what stands in its place. */
const STAND_INS = {
  // For commands that are programs of their own; with it comes the network.
  'node:child_process': {
    importer: 'commander',
    contents: 'exports.spawn = (...given) => require("node:child_process").spawn(...given);',
  },
  // For runtimes without URL; with it come 270 kB of tables. The Kubernetes client needs node-fetch.
  'whatwg-url': { importer: 'node-fetch', contents: 'exports.URL = URL;' },
};
const standIns = {
  name: 'stand-ins',
  setup(build) {
    for (const [module, { importer, contents }] of Object.entries(STAND_INS)) {
      build.onResolve({ filter: new RegExp(`^${module}$`) }, (from) =>
        from.importer.includes(join('node_modules', importer))
          ? { path: module, namespace: 'stand-in' }
          : undefined,
      );
      build.onLoad({ filter: new RegExp(`^${module}$`), namespace: 'stand-in' }, () => ({ contents }));
    }
  },
};

/** `node:fs/promises`, loaded by the first call: it takes 1 ms, and many runs read all of their files at once. */
const promisesWhenCalled = {
  name: 'promises-when-called',
  setup(build) {
    const module = 'node:fs/promises';
    const inPlace = 'when-called';
    build.onResolve({ filter: new RegExp(`^${module}$`) }, ({ kind, namespace }) =>
      kind === 'import-statement' && namespace !== inPlace ? { path: module, namespace: inPlace } : undefined,
    );
    build.onLoad({ filter: /./, namespace: inPlace }, () => {
      const names = Object.entries(promises).flatMap(([name, value]) =>
        typeof value === 'function' ? [name] : [],
      );
      const exports = names.map(
        (name) => `export const ${name} = (...given) => require('${module}').${name}(...given);`,
      );
      return { contents: ["export { constants } from 'node:fs';", ...exports].join('\n') };
    });
  },
};

/** How every program is bundled. */
const BUNDLING = {
  absWorkingDir: root,
  bundle: true,
  // Its ES modules, which package.json offers to bundlers for browsers only: of these the bundler leaves out what is not
  // used, and one call less is between each two functions. They differ in the tag `!!binary`, which is never resolved here.
  alias: { yaml: join(root, 'node_modules/yaml/browser/dist/index.js') },
  platform: 'node',
  format: 'cjs',
  target: 'node20.12',
  // Names stay: error classes are shown by name, and a stack trace has to be readable.
  minifySyntax: true,
  minifyWhitespace: true,
  plugins: [replaceKnownModules, partOfKubernetesClient, standIns, promisesWhenCalled, recordPackages],
  logLevel: 'warning',
};
if (development)
  Object.assign(BUNDLING, { minifySyntax: false, minifyWhitespace: false, sourcemap: 'inline' });

/** One executable. @param usual what its usual runs load, as of `singleFile` */
async function executable(entryPoint, name, usual) {
  const outfile = join(dist, name);
  if (development) {
    // Parts that are strings have no source maps.
    await esbuild.build({
      ...BUNDLING,
      entryPoints: [join(root, entryPoint)],
      format: 'cjs',
      outfile,
      banner: { js: '#!/usr/bin/env -S node --enable-source-maps' },
    });
  } else {
    const program = await singleFile(entryPoint, BUNDLING, usual);
    // Node reads such a file in twice the time, since every character becomes one of two bytes.
    if (Buffer.byteLength(program) !== program.length) throw new Error(`${name} is not plain ASCII`);
    await writeFile(outfile, `#!/usr/bin/env node\n${program}`);
  }
  await chmod(outfile, 0o755);
}

/**
 * The native executable: Bun, and both programs compiled to its bytecode, which need not be read through. So nothing is
 * compressed; but code in parts makes the functions of those only that are loaded.
 */
async function nativeExecutable(bun) {
  const directory = join(dist, 'native');
  const program = join(directory, 'program.cjs');
  await mkdir(directory);
  // The condition is for `#runtime` of package.json.
  const bundling = { ...BUNDLING, conditions: ['bun'] };
  await writeFile(program, await singleFile('image-builder/cli/native.ts', bundling, { compress: false }));
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
await executable('functions/image-builder/main.ts', 'image-builder-fn', { runs: RENDERS });
await executable('image-builder/cli/main.ts', 'image-builder', { plain: READING_COMMANDS, runs: COMMANDS });
const { functionDefinition } = await evaluate('functions/image-builder/definition.ts');
const definition = stringify(functionDefinition(), { lineWidth: 0, aliasDuplicateObjects: false });
await writeFile(join(dist, 'image-builder.krm.yaml'), definition);
if (process.argv[2] === '--native') await nativeExecutable(process.argv[3] ?? join(root, '.cache/bun/bun'));
await writeFile(join(dist, 'THIRD-PARTY-NOTICES'), await thirdPartyNotices());
await writeFunctionBases(root, dist);
