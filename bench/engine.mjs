// The engine's modules for benchmarks, bundled: Node does not run TypeScript everywhere.
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * Loads named exports.
 * @param directory where the bundle is written
 * @param modules module below image-builder/, by the name of its export
 */
export async function loadEngine(directory, modules) {
  const outfile = join(directory, 'engine.mjs');
  const lines = Object.entries(modules).map(
    ([name, module]) => `export { ${name} } from './image-builder/${module}';`,
  );
  await build({
    stdin: { contents: lines.join('\n'), resolveDir: root },
    ...{ bundle: true, platform: 'node', format: 'esm', outfile, logLevel: 'error' },
    // Where modules of image-builder/embedded find the source tree.
    define: { __dirname: JSON.stringify(join(root, 'image-builder/embedded')) },
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
  });
  return import(pathToFileURL(outfile).href);
}
