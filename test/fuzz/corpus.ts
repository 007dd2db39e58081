// The inputs that fuzzing starts from.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The files of a directory of corpus/, sorted by name. npm and jest both run in the root of the source tree. */
export function corpus(name: string): Buffer[] {
  const directory = join(process.cwd(), 'test/fuzz/corpus', name);
  return readdirSync(directory)
    .sort()
    .map((file) => readFileSync(join(directory, file)));
}
