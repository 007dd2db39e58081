// Recognises a full disk behind the errors of tools, which say so in their own ways or not at all.
import { statfs } from 'node:fs/promises';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { ImageBuilderError } from '../base/diagnostics/error.ts';
import { StoreError, storeFull } from '../store/errors.ts';
import type { Store } from '../store/store.ts';

/** Less than this is full, as far as a build is concerned (bytes). */
const HARDLY_ANYTHING = 16 << 20;

/** The error itself, or a StoreError that says that the disk is full, when that is why. */
export async function explainFullDisk(error: unknown, store: Store): Promise<unknown> {
  if (error instanceof StoreError) return error;
  const output = error instanceof ImageBuilderError ? error.output : undefined;
  const said = errnoOf(error) === 'ENOSPC' || /No space left on device/.test(output?.join('\n') ?? '');
  const { bavail, bsize } = await statfs(store.directory).catch(() => ({ bavail: 1, bsize: Infinity }));
  if (!said && bavail * bsize > HARDLY_ANYTHING) return error;
  const what = error instanceof Error ? error.message : String(error);
  return storeFull(store.directory, what, error, output);
}
