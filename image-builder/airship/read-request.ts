// Reads the request of the builder container from where its callers put it.

import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { invalidInput } from '../base/diagnostics/error.ts';
import type { Env } from '../base/env.ts';
import { rootLevelMounts } from './mounts.ts';
import type { CutRequest } from './request.ts';
import { parseContractV1 } from './v1.ts';
import { parseContractV2 } from './v2.ts';

/**
 * @param input standard input; contract v1 leaves it alone, whatever comes in.
 * @throws InvalidInputError
 */
export async function readRequest(environment: Env, input: NodeJS.ReadableStream): Promise<CutRequest> {
  if (environment.VERSION === 'v2') {
    const rootMounts = rootLevelMounts(await readFile('/proc/self/mountinfo', 'utf8'));
    return parseContractV2({ environment, input: await text(input), rootMounts });
  }
  return await parseContractV1({ environment, readText: readIfThere });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw invalidInput(
      { file: path },
      `cannot be read (${code}); the files belong to the caller: start the container as root or as that user`,
    );
  }
}
