// What the root file system in the image-builder container was made from.
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withNumbersAsWritten } from '../spec/api/exact-numbers.ts';
import type { BuildSpec } from '../spec/api/types.ts';
import { parseMapping } from './documents.ts';

/** Where the Dockerfile puts the specification. */
export const BASE_SPEC_FILE = '/etc/image-builder/build.yaml';

/** A prepared root file system, by its specification; its stages are in the store by their keys. */
export interface PreparedBase {
  name: string;
  /** `spec.build` of an ImageBuilder object. */
  build: BuildSpec;
  /** Relative paths in `build` start here. */
  directory: string;
  /** What it may read: the machine's own file may read everything. */
  read: readonly string[];
}

/**
 * Reads `spec.build` of the prepared root file system; all defaults when there is no file.
 * @throws InvalidInputError when the file is not a YAML mapping
 */
export async function readPreparedBase(file = BASE_SPEC_FILE): Promise<PreparedBase> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return {
    name: 'image-builder',
    build: withNumbersAsWritten(parseMapping(text, { field: 'spec.build', file }), ['iso']) as BuildSpec,
    directory: dirname(file),
    read: ['/'],
  };
}
