// What a boot test leaves in the store, for whoever tells of it.
import { factsOf } from '../../pipeline/recorded.ts';
import type { Entry } from '../../store/entry.ts';
import type { BootTestFacts, BootTestInputs } from './boot-test-inputs.ts';

/** A boot test that was passed. */
export interface BootTestEntry extends Partial<BootTestFacts> {
  firmware: string;
  /** Names of the tests inside of the image. */
  tests: string[];
}

/** @throws TypeError for the entry of another stage */
export function readBootTestEntry(entry: Entry): BootTestEntry {
  const { seconds, accelerator, readySeconds } = factsOf<Partial<BootTestFacts>>('boot-test', entry);
  const { firmware, kubernetes, tests = [] } = entry.inputs as BootTestInputs;
  return {
    firmware,
    ...(seconds !== undefined && { seconds }),
    ...(accelerator !== undefined && { accelerator }),
    ...(readySeconds !== undefined && { readySeconds }),
    tests: [...(kubernetes ? [`kubernetes ${kubernetes}`] : []), ...tests.map(({ name }) => name)],
  };
}
