// Reads the JSON of a profile.

import { ImageBuilderError } from '../../base/diagnostics/error.ts';
import { ExactNumber } from '../../base/yaml/values.ts';
import type { Profile } from '../model.ts';
import { parseJson } from './json.ts';

export type ProfileErrorCode =
  /** The profile is not JSON, or not UTF-8. */
  | 'NOT_JSON'
  /** The profile is JSON, but not a map. */
  | 'NOT_AN_OBJECT'
  /** A variable has the name of a field that every catalogue contains. */
  | 'RESERVED_KEY';

/** A profile that cannot become a catalogue. */
export class ProfileError extends ImageBuilderError<ProfileErrorCode> {}

/** Fields of a catalogue that are not data, so a profile cannot have them. */
const RESERVED_KEYS = ['apiVersion', 'kind', 'metadata'];

/**
 * The variables of a profile.
 * @throws ProfileError when it is not a JSON object, or has a variable named like a field of the catalogue
 */
export function parseProfile(profile: Pick<Profile, 'path' | 'json'>): Record<string, unknown> {
  const value = parse(profile);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof ExactNumber) {
    throw new ProfileError(
      'NOT_AN_OBJECT',
      `${profile.path} contains ${describe(value)}, expected a JSON object`,
    );
  }
  const reserved = RESERVED_KEYS.filter((key) => Object.hasOwn(value, key));
  if (reserved.length > 0) {
    throw new ProfileError(
      'RESERVED_KEY',
      `${profile.path} has the variable ${reserved.join(', ')}, which is a field of the catalogue itself`,
      { hint: 'rename the variable and build the bundle again' },
    );
  }
  return value as Record<string, unknown>;
}

function parse({ path, json }: Pick<Profile, 'path' | 'json'>): unknown {
  try {
    // A byte order mark is not JSON, but editors leave it.
    return parseJson(json.replace(/^\ufeff/, ''));
  } catch (error) {
    throw new ProfileError('NOT_JSON', `${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value === null) return 'null';
  return value instanceof ExactNumber ? 'a number' : `a ${typeof value}`;
}
