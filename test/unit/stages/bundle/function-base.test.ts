// The base that the program carries: found beside it, believed byte by byte only.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  functionBase,
  functionBaseDigest,
  requireFunctionBase,
} from '../../../../image-builder/stages/bundle/function-base.ts';

const program = process.argv[1];
const signal = new AbortController().signal;
let directory: string;
let base: string;
const layer = Buffer.from('a layer');
const sha256 = (content: Buffer | string) => createHash('sha256').update(content).digest('hex');
const record = JSON.stringify({
  config: { architecture: 'riscv64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
  layers: [{ mediaType: 'm', digest: `sha256:${sha256(layer)}`, size: layer.length }],
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'function-base-'));
  // An architecture that no build of the source tree has.
  base = join(directory, 'function-base/riscv64');
  process.argv[1] = join(directory, 'image-builder');
});
afterEach(() => {
  process.argv[1] = program as string;
  rmSync(directory, { recursive: true });
});

function install(content = layer): void {
  mkdirSync(base, { recursive: true });
  writeFileSync(join(base, 'base.json'), record);
  writeFileSync(join(base, sha256(layer)), content);
}

test('is found beside the program, and told by the digest of its description', async () => {
  install();
  expect(await functionBaseDigest('riscv64')).toBe(sha256(record));
  await requireFunctionBase('riscv64');
  const found = await functionBase('riscv64', { expected: sha256(record), signal });
  expect(found.layers.map(({ digest }) => found.blob(digest))).toEqual([join(base, sha256(layer))]);
});

test('is missed before anything is built, with what to do', async () => {
  expect(await functionBaseDigest('riscv64')).toBeUndefined();
  const missing = {
    code: 'BUNDLE_BASE_MISSING',
    message: expect.stringContaining(join(directory, 'function-base')),
    hint: expect.stringMatching(/scripts\/function-base\.sh riscv64 .* base: none/),
  };
  await expect(requireFunctionBase('riscv64')).rejects.toMatchObject(missing);
  await expect(functionBase('riscv64', { signal })).rejects.toMatchObject(missing);
});

test.each([
  ['another byte', Buffer.from('A layer')],
  ['less', layer.subarray(1)],
])('a damaged layer is refused: %s', async (_what, content) => {
  install(content);
  await expect(functionBase('riscv64', { signal })).rejects.toMatchObject({
    code: 'BUNDLE_BASE_INVALID',
    message: `${base} is damaged`,
  });
});

test('one that was replaced after the plan is refused', async () => {
  install();
  await expect(functionBase('riscv64', { expected: 'another', signal })).rejects.toMatchObject({
    code: 'BUNDLE_BASE_INVALID',
    message: `${base} was replaced during the build`,
  });
});
