// An initramfs that holds what its fingerprint has left out is kept by a fingerprint of everything.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeInitramfs } from '../../../image-builder/stages/osconfig/initramfs.ts';
import { bootTreeArchive, SOURCE_DATE_EPOCH } from '../support/boot-tree.ts';
import { type TestStage, testStage } from '../support/stage-context.ts';

const directory = mkdtempSync(join(tmpdir(), 'initramfs-cache-'));
const tree = join(directory, 'tree');
const cache = join(directory, 'cache');
let stage: TestStage;
const lines: string[] = [];
beforeAll(async () => {
  stage = await testStage(SOURCE_DATE_EPOCH);
  mkdirSync(tree);
  execFileSync('tar', ['-xpf', await bootTreeArchive(), '-C', tree, '--numeric-owner']);
});
afterAll(async () => {
  await stage.remove();
  rmSync(directory, { recursive: true, force: true });
});

/** Whether it was made, and did not come out of the cache. */
async function isMade(): Promise<boolean> {
  lines.length = 0;
  await makeInitramfs(tree, cache, { ...stage, output: (line) => lines.push(line) });
  return lines.some((line) => line.startsWith('update-initramfs: Generating'));
}
const put = (path: string, text: string) =>
  writeFileSync(join(tree, path), `#!/bin/sh\n${text}`, { mode: 0o755 });
const kept = () => readdirSync(join(cache, 'initramfs')).filter((name) => !name.endsWith('.lock'));

test('a program that no hook names changes nothing', async () => {
  expect(await isMade()).toBe(true);
  expect(kept()).toHaveLength(1);
  expect(existsSync(join(cache, 'initramfs', kept()[0] ?? '', 'incomplete'))).toBe(false);
  put('usr/bin/tool', 'first');
  expect(await isMade()).toBe(false);
}, 180_000);

test('a program that a hook copies without naming it counts, too', async () => {
  put(
    'usr/share/initramfs-tools/hooks/tool',
    `[ "$1" = prereqs ] || cp "$(printf '/usr/bin/\\164ool')" "$DESTDIR/usr/bin/"`,
  );
  expect(await isMade()).toBe(true);
  expect(await isMade()).toBe(false);
  put('usr/bin/tool', 'again');
  expect(await isMade()).toBe(true);
}, 180_000);
