// The private key that signs: a file that the caller names. Nothing of it is shown.
import { readFile, stat } from 'node:fs/promises';
import { invalidInput } from '../base/diagnostics/error.ts';
import type { Env } from '../base/env.ts';
import { PASSPHRASE_VARIABLE, parseSigningKey, type SigningKey } from './keys.ts';

/** Names the file when no option does. */
export const SIGNING_KEY_VARIABLE = 'IMAGE_BUILDER_SIGNING_KEY';

/** A key is no larger. Bytes. */
const LIMIT = 64 * 1024;

/**
 * @param option the file, as given by `--key`
 * @throws InvalidInputError when there is none, or it cannot be read; TrustError TRUST_KEY_UNUSABLE
 */
export async function readSigningKey(option: string | undefined, env: Env): Promise<SigningKey> {
  const file = option ?? env[SIGNING_KEY_VARIABLE];
  const where = option === undefined ? SIGNING_KEY_VARIABLE : '--key';
  if (!file)
    throw invalidInput('--key', `names no file with a private key; neither does ${SIGNING_KEY_VARIABLE}`);
  let pem: string;
  try {
    const { size } = await stat(file);
    if (size > LIMIT) throw new Error(`it has ${size} bytes, so it is not a key`);
    pem = await readFile(file, 'utf8');
  } catch (cause) {
    throw invalidInput(where, `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  return parseSigningKey(pem, env[PASSPHRASE_VARIABLE], file);
}
