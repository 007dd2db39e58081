// The base that this program carries with it: the function of this release and what it needs to run, one directory for
// each architecture (scripts/function-base.mjs). Nothing is fetched for it, and it is the same for all builds.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { RECORD_FILE, readBase } from '../../bundle/local-base-image.ts';
import type { LocalBaseImage } from '../../bundle/write/assemble.ts';
import { BundleWriteError } from '../../bundle/write/write-error.ts';
import { functionBaseDirectories } from '../../embedded/function-base.ts';

/**
 * The base that this program carries, named among the tools of the stage that it goes into: another release or another
 * version of its packages gives other bytes of the same recipe.
 */
export const FUNCTION_BASE = 'function-base';

async function find(architecture: string): Promise<{ directory: string; record: Buffer } | undefined> {
  for (const parent of functionBaseDirectories()) {
    const directory = join(parent, architecture);
    const record = await readFile(join(directory, RECORD_FILE)).catch(() => undefined);
    if (record) return { directory, record };
  }
  return undefined;
}

/** Identity of the base for an architecture (`amd64`, `arm64`); undefined when this program carries none. */
export async function functionBaseDigest(architecture: string): Promise<string | undefined> {
  const found = await find(architecture);
  return found && digestOf(found.record);
}

/** @throws BundleWriteError BUNDLE_BASE_MISSING */
export async function requireFunctionBase(architecture: string): Promise<void> {
  if (!(await find(architecture))) throw missing(architecture);
}

/**
 * The base for an architecture, every byte of it checked.
 * @param expected its {@link functionBaseDigest} when the build was planned; somebody may install another release meanwhile
 * @throws BundleWriteError BUNDLE_BASE_MISSING, BUNDLE_BASE_INVALID
 */
export async function functionBase(
  architecture: string,
  { expected, signal }: { expected?: string | undefined; signal: AbortSignal },
): Promise<LocalBaseImage> {
  const found = await find(architecture);
  if (!found) throw missing(architecture);
  const base = await readBase(found.directory);
  if (!base) throw damaged(found.directory);
  if (expected !== undefined && digestOf(found.record) !== expected) throw replaced(found.directory);
  for (const { digest } of base.layers) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(base.blob(digest), { highWaterMark: 1 << 20 })) {
      throwIfCancelled(signal);
      hash.update(chunk);
    }
    if (`sha256:${hash.digest('hex')}` !== digest) throw damaged(found.directory);
  }
  return base;
}

const digestOf = (record: Buffer) => createHash('sha256').update(record).digest('hex');

function missing(architecture: string): BundleWriteError {
  const [place = ''] = functionBaseDirectories();
  return new BundleWriteError(
    'BUNDLE_BASE_MISSING',
    `spec.build.bundle.base: this installation has no function for bundles of ${architecture}, expected in ${place}`,
    {
      hint: `copy the release's function-base beside the program, or create it in the source tree: "scripts/function-base.sh ${architecture} && npm run build"; or name an image as base; or set base: none for a bundle with data only`,
    },
  );
}

function damaged(directory: string): BundleWriteError {
  return new BundleWriteError('BUNDLE_BASE_INVALID', `${directory} is damaged`, {
    hint: 'install the release again; in the source tree, remove .cache/function-base and run "npm run build"',
  });
}

function replaced(directory: string): BundleWriteError {
  return new BundleWriteError('BUNDLE_BASE_INVALID', `${directory} was replaced during the build`, {
    hint: 'build again',
  });
}
