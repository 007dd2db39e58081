// Small real QCOW images and bundles for the tests.
import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BundleFiles } from '../../../image-builder/bundle/write.ts';

export const run = promisify(execFile);

/** A directory that is gone after the test file. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'image-builder-test-'));
  afterAll(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Makes a QCOW2 image of some MiB of content that does not compress. */
export async function makeQcow(path: string, mebibytes: number): Promise<void> {
  await run('sh', [
    '-c',
    'head -c "$2"M /dev/urandom >"$1.raw" && qemu-img convert -O qcow2 "$1.raw" "$1" && rm "$1.raw"',
    'sh',
    path,
    String(mebibytes),
  ]);
}

/** A bundle of the given QCOW files. */
export function bundleOf(qcows: Record<string, string>, changes: Partial<BundleFiles> = {}): BundleFiles {
  return {
    qcows: Object.entries(qcows).map(([name, path]) => ({ name, path })),
    profiles: [
      {
        path: '/profiles/profile_multistrap.json',
        name: 'profile_multistrap',
        json: '{"k8s_version":"1.34.2-1.1"}',
      },
    ],
    created: 1_700_000_000,
    architecture: 'amd64',
    labels: { 'org.opencontainers.image.title': 'test' },
    ...changes,
  };
}
