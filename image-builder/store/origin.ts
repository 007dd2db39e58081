// Who vouches for what an entry holds. Beside the record, never in it: a record may come from elsewhere, this is what this
// machine knows. An entry that does not have it is nobody's: it is built again.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Built here, or brought by the owner of the store (`store import`): whoever uses the store believes its owner. */
export type OwnOrigin = 'build' | 'import';

/** Who vouches: `key:` with the id of the signing key, or `registry:` with the repository that was believed. */
export type Origin = OwnOrigin | `key:${string}` | `registry:${string}`;

/** Whether what is vouched for by somebody counts for a build. */
export type Belief = (origin: Origin) => boolean;

/** In the directory of the entry. */
export const ORIGIN_FILE = 'origin';

/** Whether the owner of the store vouches. */
export function isOwn(origin: Origin): origin is OwnOrigin {
  return origin === 'build' || origin === 'import';
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** The origin that was noted in the directory of an entry; undefined when none was. */
export async function readOrigin(directory: string): Promise<Origin | undefined> {
  const origin = textOf(join(directory, ORIGIN_FILE)).trim();
  return /^(?:build|import|key:[0-9a-f]{64}|registry:\S+)$/.test(origin) ? (origin as Origin) : undefined;
}
