// Small real QCOW images and bundles for the tests.
import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Artifacts, BundleReference } from '../../../image-builder/bundle/model.ts';
import {
  assembleBundle,
  type BundleRequest,
  type QcowLayer,
  writeIndexLayer,
  writeQcowLayer,
} from '../../../image-builder/bundle/write/assemble.ts';
import { type BundleDestination, publishBundle } from '../../../image-builder/bundle/write/destination.ts';

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

/** A bundle before its layers are made. */
export type BundleFiles = Omit<BundleRequest, 'qcows'> & {
  /** `index`: the file with the index of the blocks. */
  qcows: readonly { name: string; path: string; fileName?: string; sbom?: string; index?: string }[];
};

/** Writes a bundle of image files, as the stages of a build do. */
export async function writeBundle(
  files: BundleFiles,
  destination: BundleDestination,
  options: { cwd: string; signal?: AbortSignal; onBytes?: (count: number) => void },
): Promise<{ reference: BundleReference; artifacts: Artifacts }> {
  const target = dirname(resolve(options.cwd, destination.path));
  await mkdir(target, { recursive: true });
  const work = await mkdtemp(join(target, '.image-builder-'));
  try {
    const qcows: Record<string, QcowLayer> = {};
    for (const { name, path, fileName = `${name}.qcow2`, sbom, index } of files.qcows) {
      const layer = join(work, `layer-${fileName}`);
      const written = await writeQcowLayer({ path, fileName }, layer, { ...options, mtime: files.created });
      const indexLayer =
        index &&
        (await writeIndexLayer({ path: index, fileName }, join(work, `index-${fileName}`), {
          mtime: files.created,
        }));
      qcows[name] = { ...written, ...(sbom && { sbom }), ...(indexLayer && { index: indexLayer }) };
    }
    const bundle = await assembleBundle({ ...files, qcows }, join(work, 'bundle'));
    return { reference: await publishBundle(bundle, destination, options), artifacts: bundle.artifacts };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
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
