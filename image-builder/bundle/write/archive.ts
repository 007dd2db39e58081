// OCI archives: a tar of an OCI layout with one image, written in one stream.
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Pack } from 'tar-stream';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { writeBeside } from '../../base/files/replace.ts';
import { blobPath } from './blobs.ts';
import { allBlobsOf, referrersIn } from './layout.ts';
import { type Descriptor, OCI_INDEX } from './manifest.ts';
import { BLOCK, pour } from './tar-files.ts';
import { BundleWriteError } from './write-error.ts';

/**
 * Writes the bundle as an archive, with what refers to it; it appears at `path` by rename. Index and small blobs come first, so that a reader
 * of a stream has the metadata early.
 * @throws BundleWriteError
 */
export async function writeArchive(
  bundle: { directory: string; manifest: Descriptor },
  path: string,
  tag: string,
  signal?: AbortSignal,
): Promise<void> {
  const { pack } = await import('tar-stream');
  const archive = pack({ highWaterMark: BLOCK });
  try {
    await mkdir(dirname(path), { recursive: true });
    const filling = fill(archive, bundle, tag).catch((error) => archive.destroy(error));
    await writeBeside(path, async (file) => {
      for await (const chunk of archive as AsyncIterable<Buffer>) {
        throwIfCancelled(signal);
        await file.writeFile(chunk);
      }
      await filling;
    });
  } catch (error) {
    throwIfCancelled(signal);
    throw new BundleWriteError('BUNDLE_WRITE_FAILED', `cannot write the OCI archive ${path}`, {
      cause: error,
      hint: (error as Error).message,
    });
  }
}

async function fill(
  archive: Pack,
  bundle: { directory: string; manifest: Descriptor },
  tag: string,
): Promise<void> {
  const header = { uid: 0, gid: 0, mode: 0o644, mtime: new Date(0) };
  const manifest = { ...bundle.manifest, annotations: { 'org.opencontainers.image.ref.name': tag } };
  const referrers = await referrersIn(bundle.directory, bundle.manifest.digest);
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [manifest, ...referrers] };
  archive.entry({ ...header, name: 'oci-layout' }, '{"imageLayoutVersion":"1.0.0"}');
  archive.entry({ ...header, name: 'index.json' }, JSON.stringify(index));
  for (const name of ['blobs/', 'blobs/sha256/']) {
    archive.entry({ ...header, name, type: 'directory', mode: 0o755 });
  }
  const blobs = await allBlobsOf(bundle);
  const written = new Set<string>();
  for (const { digest } of blobs.sort((a, b) => a.size - b.size)) {
    if (written.has(digest)) continue;
    written.add(digest);
    const file = blobPath(join(bundle.directory, 'blobs', 'sha256'), digest);
    const { size } = await stat(file);
    const entry = archive.entry({ ...header, name: `blobs/sha256/${digest.slice('sha256:'.length)}`, size });
    await pour(file, entry);
  }
  archive.finalize();
}
