// Options that say whom to believe.
import { readFile } from 'node:fs/promises';
import {
  MAX_AGE_PATTERN,
  REQUIREMENTS,
  TEST_CONFIGURATION_PATTERN,
  type TrustSettings,
} from '../attestation/trust-settings.ts';
import { invalidInput } from '../base/diagnostics/error.ts';

/** What commander parsed. */
export interface TrustFlags {
  key?: string[];
  require?: string[];
  threshold?: string;
  claim?: string[];
  maxAge?: string;
  builder?: string;
  buildType?: string;
  testConfiguration?: string;
}

/**
 * @returns undefined when no key is named
 * @throws InvalidInputError
 */
export async function trustSettings(flags: TrustFlags): Promise<TrustSettings | undefined> {
  const { key, require, threshold = '1', claim, maxAge } = flags;
  const { builder, buildType, testConfiguration } = flags;
  if (!key) return undefined;
  const wanted = require?.flatMap((text) => text.split(',')) ?? ['signature'];
  const known = wanted.map((name) => {
    const requirement = REQUIREMENTS.find((one) => one === name);
    if (requirement) return requirement;
    throw invalidInput('--require', `is ${JSON.stringify(name)}, expected ${REQUIREMENTS.join(', ')}`);
  });
  if (!/^[1-9][0-9]{0,3}$/.test(threshold))
    throw invalidInput('--threshold', `is ${JSON.stringify(threshold)}, expected a number from 1`);
  if (maxAge !== undefined && !new RegExp(MAX_AGE_PATTERN).test(maxAge))
    throw invalidInput(
      '--max-age',
      `is ${JSON.stringify(maxAge)}, expected a time such as 90d, 12h, 30m or 600s`,
    );
  if (testConfiguration !== undefined && !new RegExp(TEST_CONFIGURATION_PATTERN).test(testConfiguration))
    throw invalidInput(
      '--test-configuration',
      `is ${JSON.stringify(testConfiguration)}, expected sha256: and 64 hexadecimal digits`,
    );
  return {
    keys: (await Promise.all(key.map(readKeys))).flat(),
    require: known,
    threshold: Number(threshold),
    claims: parseClaims(claim),
    ...(maxAge !== undefined && { maxAge }),
    ...(builder !== undefined && { builder }),
    ...(buildType !== undefined && { buildType }),
    ...(testConfiguration !== undefined && { testConfiguration }),
  };
}

/** `name=value`. @throws InvalidInputError */
export function parseClaims(claims: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    claims.map((text) => {
      const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
      if (name === undefined || value === undefined)
        throw invalidInput('--claim', `is ${JSON.stringify(text)}, expected name=value`);
      return [name, value];
    }),
  );
}

/** All keys of a file. */
async function readKeys(file: string): Promise<string[]> {
  try {
    const text = await readFile(file, 'utf8');
    return text.match(/-----BEGIN [^-]+-----[^-]*-----END [^-]+-----/g) ?? [text];
  } catch (cause) {
    throw invalidInput('--key', `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
