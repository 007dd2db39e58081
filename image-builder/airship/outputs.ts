// Writes what the builder container has made into the volume, under the names that its callers wait for.
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { chmod, copyFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { throwIfCancelled } from '../base/diagnostics/cancelled.ts';
import { ImageBuilderError } from '../base/diagnostics/error.ts';
import type { CutRequest } from './request.ts';

/** The results cannot be written to the volume. */
export class OutputError extends ImageBuilderError<'VOLUME_NOT_WRITABLE'> {}

/** What was cut. */
export interface CutResult {
  /** The image file, wherever it is. */
  path: string;
  /** Hex MD5 of it, when it is known already. */
  md5?: string;
  /** Text of profile_multistrap.json. */
  multistrapProfile: string;
  /** Text of profile_entrypoint.json: the variables of this image. */
  entrypointProfile: string;
}

/** A web server and an unprivileged user must be able to read what root has written here. */
const MODE = 0o644;

/**
 * Puts the image, its checksum or metadata, and the profiles into the volume: whole files, by rename, the image last
 * but for the metadata that announces it.
 * @returns the names of the files, in the order in which they appeared
 * @throws OutputError when the volume cannot be written
 */
export async function writeOutputs(
  request: CutRequest,
  result: CutResult,
  signal: AbortSignal,
): Promise<string[]> {
  const written: string[] = [];
  let staging: string;
  try {
    staging = await mkdtemp(join(request.volume, '.image-builder-'));
  } catch (cause) {
    throw new OutputError(
      'VOLUME_NOT_WRITABLE',
      `${request.volume} cannot be written: ${(cause as Error).message}`,
      {
        cause,
        hint: 'mount it for writing (readWriteMode: true in airshipctl, rw=true in kustomize) and run as its owner or as root',
      },
    );
  }
  const place = async (name: string, write: (path: string) => Promise<void>) => {
    throwIfCancelled(signal);
    const path = join(staging, name);
    await write(path);
    await chmod(path, MODE);
    await rename(path, join(request.volume, name));
    written.push(name);
  };
  try {
    const md5 = result.md5 ?? (await md5Of(result.path, signal));
    await place('profile_multistrap.json', (path) =>
      writeFile(path, withBuilder(result.multistrapProfile, request)),
    );
    await place('profile_entrypoint.json', (path) =>
      writeFile(path, withBuilder(result.entrypointProfile, request)),
    );
    await place(request.imageName, (path) => copyFile(result.path, path, constants.COPYFILE_FICLONE));
    // The bare hash: consumers rename the files.
    if (request.checksumFile)
      await place(`${request.imageName}.md5sum`, (path) => writeFile(path, `${md5}\n`));
    const { metadata } = request;
    if (metadata) {
      const bootImagePath = join(metadata.hostDirectory, request.imageName);
      await place(metadata.fileName, (path) => writeFile(path, stringify({ bootImagePath, md5sum: md5 })));
    }
    return written;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** The predecessor's profiles name the builder image, as its caller has named it. */
function withBuilder(profile: string, { builderImage }: CutRequest): string {
  if (builderImage === undefined) return profile;
  const variables: Record<string, unknown> = JSON.parse(profile);
  return `${JSON.stringify({ ...variables, image_builder_image: builderImage }, null, 2)}\n`;
}

async function md5Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of createReadStream(path)) {
    throwIfCancelled(signal);
    hash.update(chunk);
  }
  return hash.digest('hex');
}
