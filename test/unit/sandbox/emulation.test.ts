import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emulationPrefix } from '../../../image-builder/sandbox/emulation.ts';
import { runsPrograms } from '../../../image-builder/sandbox/probe.ts';

test('this machine runs its own programs', async () => {
  expect(await runsPrograms(process.arch === 'arm64' ? 'arm64' : 'amd64')).toBe(true);
});

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'emulation-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const install = (name: string) => {
  const file = join(directory, name);
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o755);
  return file;
};

test('registers the QEMU that works in every root directory', () => {
  install('qemu-aarch64');
  const fixed = install('qemu-aarch64-static');
  const prefix = emulationPrefix('arm64', 'user-namespaces', [directory]);
  expect(prefix.slice(0, 4)).toEqual(['unshare', '--user', '--map-root-user', '--map-auto']);
  expect(prefix.at(-1)).toMatch(/^:qemu-aarch64:M::\\x7fELF.*\\xb7\\x00:/);
  expect(prefix.at(-1)).toContain(`:${fixed}:OCF`);
});

test('root gets a user namespace, too', () => {
  install('qemu-aarch64');
  const prefix = emulationPrefix('arm64', 'namespaces', [directory]);
  expect(prefix.slice(0, 2)).toEqual(['unshare', '--mount']);
  expect(prefix).toContain('--map-users=0,0,65536');
});

test('what is missing is named', () => {
  expect(() => emulationPrefix('arm64', 'namespaces', [directory])).toThrow(/qemu-aarch64, which is not/);
  install('qemu-aarch64');
  expect(() => emulationPrefix('arm64', 'plain', [directory])).toThrow(/container without namespaces/);
});
