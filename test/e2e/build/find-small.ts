// Looks the small build up as a program: `find-small STORE INPUTS`; with `build` in the inputs it is built.
import { findEntry } from '../../../image-builder/pipeline/lookup.ts';
import { openStore, prepareStore } from '../../../image-builder/store/store.ts';
import { smallPlan } from './small-stages.ts';

const [directory = '', text = '{}'] = process.argv.slice(2);
const { build = false, ...inputs } = JSON.parse(text);
const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function main(): Promise<void> {
  const store = await openStore(directory);
  if (build) await prepareStore(store);
  const bundle = smallPlan(inputs).find(({ name }) => name === 'bundle');
  print({ found: bundle !== undefined && (await findEntry(store, bundle)) !== undefined });
}

main().catch((error) => {
  print({ error: error.message, code: error.code });
  process.exitCode = 1;
});
