// A stage's key covers what the stage runs, and nothing else: tried by changing files of a copy of the source tree.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { stageCode } from '../../../image-builder/stages/stage-code.ts';

const root = join(__dirname, '../../..');
let copy: string;

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'stage-code-'));
  cpSync(join(root, 'image-builder'), join(copy, 'image-builder'), { recursive: true });
  // Says that the modules are ES modules.
  cpSync(join(root, 'package.json'), join(copy, 'package.json'));
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    const [original, here] = [join(root, 'node_modules', name), join(copy, 'node_modules', name)];
    if (name === 'tar-stream') cpSync(original, here, { recursive: true });
    else symlinkSync(original, here);
  }
});
afterAll(() => rmSync(copy, { recursive: true }));

/** What the copy's own module says, computed as scripts/build.mjs has it computed. */
function codeOfCopy(): typeof stageCode {
  // jest loads a file once.
  const outfile = join(mkdtempSync(join(copy, 'evaluated-')), 'stage-code.cjs');
  buildSync({
    entryPoints: [join(copy, 'image-builder/stages/stage-code.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    define: { __dirname: JSON.stringify(join(copy, 'image-builder/embedded')) },
    logLevel: 'error',
  });
  return createRequire(outfile)(outfile).stageCode;
}

/** The kinds of stages that notice files with another text; the files are as they were afterwards. */
function reachedBy(changes: Record<string, (text: string) => string>): string[] {
  const texts = Object.keys(changes).map((path) => [path, readFileSync(join(copy, path), 'utf8')] as const);
  try {
    for (const [path, text] of texts) {
      const changed = changes[path]?.(text) ?? text;
      if (changed === text) throw new Error(`${path} has not changed`);
      writeFileSync(join(copy, path), changed);
    }
    const after = codeOfCopy();
    const kinds = Object.keys(after);
    return kinds.filter((kind) => after[kind] !== stageCode[kind]);
  } finally {
    for (const [path, text] of texts) writeFileSync(join(copy, path), text);
  }
}

test('it is the same wherever the source tree lies', () => {
  expect(codeOfCopy()).toEqual(stageCode);
});

test.each([
  ['image-builder/stages/rootfs/bootstrap.ts', "INITRD: 'No'", "INITRD: 'no'", ['rootfs']],
  ['image-builder/stages/osconfig/initramfs.ts', "'-c'", "'-c', '-v'", ['osconfig', 'qcow']],
  ['image-builder/disk/ext4.ts', 'hash_seed=', 'hash_alg=', ['qcow']],
  ['image-builder/disk/squashfs.ts', "'-no-exports'", "'-no-xattrs'", ['iso']],
  ['image-builder/bundle/write/manifest.ts', 'schemaVersion: 2,', 'schemaVersion: 3,', ['bundle']],
  [
    ...['image-builder/sandbox/environment.ts', "LC_ALL: 'C.UTF-8'", "LC_ALL: 'C'"],
    ['rootfs', 'osconfig', 'qcow', 'iso'],
  ],
  [
    'image-builder/stages/osconfig/ansible/roles/osconfig/tasks/main.yaml',
    '\n',
    '\n\n',
    ['osconfig', 'qcow'],
  ],
  // A package that writes bytes.
  ['node_modules/tar-stream/headers.js', '[0x75, 0x73,', '[0x55, 0x73,', ['qcow', 'bundle']],
] as [string, string, string, string[]][])('%s is in the keys of what runs it', (path, from, to, kinds) => {
  expect(reachedBy({ [path]: (text) => text.replace(from, to) })).toEqual(kinds);
});

test('boot tests, publishing, reading, explaining, containers and comments are in no key', () => {
  const withEffect = (text: string) => `${text}\nglobalThis.changed = true;\n`;
  const changes = {
    'image-builder/stages/boot-test/boot-image.ts': withEffect,
    'image-builder/build/publish.ts': withEffect,
    'image-builder/build/explain.ts': withEffect,
    'image-builder/build/container/executor.ts': withEffect,
    'image-builder/bundle/read/read-bundle.ts': withEffect,
    'image-builder/bundle/pin/pin.ts': withEffect,
    'image-builder/engines/run-container.ts': withEffect,
    'image-builder/oci/cache.ts': withEffect,
    'image-builder/spec/variables/resolve.ts': withEffect,
    'image-builder/stages/rootfs/bootstrap.ts': (text: string) => `${text}\n// said in other words\n`,
  };
  expect(reachedBy(changes)).toEqual([]);
});
