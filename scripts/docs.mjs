// Writes the generated pages of docs/reference/. test/unit/docs/reference.test.ts fails when they are not up to date.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
mkdirSync(join(root, '.cache'), { recursive: true });
const directory = mkdtempSync(join(root, '.cache', 'docs-'));
try {
  const outfile = join(directory, 'pages.cjs');
  buildSync({
    entryPoints: [join(root, 'scripts/reference/pages.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    packages: 'external',
    define: { __dirname: JSON.stringify(join(root, 'image-builder/embedded')) },
    logLevel: 'error',
  });
  const { referencePages } = createRequire(import.meta.url)(outfile);
  for (const [name, text] of Object.entries(referencePages(root))) {
    writeFileSync(join(root, 'docs/reference', name), text);
  }
} finally {
  rmSync(directory, { recursive: true });
}
