// What items cost that only pass through the function, by their number: as a ResourceList, standalone and as a legacy
// plugin gets them (`FILE -`), and with an alias in each. The time for 2,000 is to be at most 5 times that for 500.
//
//   npm run build && node bench/items.mjs [RUNS]
//
// The start of the function is taken off; the minimum of the runs counts.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const program = join(root, 'dist/image-builder-fn');
const RUNS = Number(process.argv[2] ?? 5);
const [FEW, MANY, LIMIT] = [500, 2000, 5];
/** Passes the items through, and fails: there is no such bundle. */
const CONFIG =
  'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: x}\nspec: {bundle: {image: "oci:./none"}}\n';

const directory = mkdtempSync(join(tmpdir(), 'items-bench-'));
const config = join(directory, 'config.yaml');
writeFileSync(config, CONFIG);
const item = (index, extra = '') =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: item-${index}\ndata:\n  mode: "0755"\n${extra}`;
const list = (items) =>
  `apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nfunctionConfig:\n  ${CONFIG.trim().replaceAll('\n', '\n  ')}\nitems:\n${items
    .map((text) => `- ${text.trim().replaceAll('\n', '\n  ')}\n`)
    .join('')}`;
const many = (count, extra) => Array.from({ length: count }, (_, index) => item(index, extra));
const ways = {
  'a ResourceList': (count) => [[], list(many(count))],
  'documents, standalone or as a plugin': (count) => [[config, '-'], many(count).join('---\n')],
  'a ResourceList with aliases': (count) => [
    [],
    list([item('first', 'anchor: &a {b: c}\n'), ...many(count, 'alias: *a\n')]),
  ],
};
try {
  for (const [name, input] of Object.entries(ways)) {
    const [start, few, many] = [0, FEW, MANY].map((count) => best(...input(count)));
    const ratio = (many - start) / (few - start);
    const kept = ratio <= LIMIT;
    console.log(
      `${name}: ${FEW} in ${few.toFixed(0)} ms, ${MANY} in ${many.toFixed(0)} ms (an empty list ${start.toFixed(0)} ms), ratio ${ratio.toFixed(1)}, limit ${LIMIT}: ${kept ? 'kept' : 'exceeded'}`,
    );
    if (!kept) process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true });
}

function best(args, input) {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const begun = performance.now();
    const { stdout } = spawnSync(process.execPath, [program, ...args], {
      input,
      cwd: directory,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    if (stdout.split('item-').length !== input.split('item-').length) throw new Error('items are missing');
    least = Math.min(least, performance.now() - begun);
  }
  return least;
}
