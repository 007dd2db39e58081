// Reads bundles in the runtime that starts it, as asked for line by line in JSON; see read.ts.
import { createInterface } from 'node:readline';
import { readBundle } from '../../../../image-builder/bundle/read/read-bundle.ts';
import { RegistryError } from '../../../../image-builder/oci/http/registry-error.ts';
import type { Question } from './read.ts';

const running = new Map<number, AbortController>();
const answer = (id: number, fields: object) => process.stdout.write(`${JSON.stringify({ id, ...fields })}\n`);

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, reference, options } = JSON.parse(line) as Question;
  if (!options) return running.get(id)?.abort();
  const abort = new AbortController();
  running.set(id, abort);
  const report = (event: unknown) => answer(id, { event });
  try {
    answer(id, { reading: await readBundle(reference, { ...options, report, signal: abort.signal }) });
  } catch (error) {
    const { name, message, code, status, hint } = error as RegistryError;
    answer(id, { error: { name, message, code, status, hint, known: error instanceof RegistryError } });
  }
});
