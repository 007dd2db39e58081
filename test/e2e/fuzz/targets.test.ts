// Every part that reads what others have written, on damaged inputs: its own errors only, in little time and memory.
// Always the same seed, so that a failure is one for everybody; `npm run fuzz` tries others, for longer.
import { run } from '../../fuzz/campaign.ts';
import { TARGETS } from '../../fuzz/targets.ts';

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 4);

test.each(TARGETS.map((target) => [target.name, target] as const))(
  '%s',
  async (_, target) => {
    const { inputs, refused } = await run(target, { seconds: SECONDS, seed: 1 });
    // Neither nothing but nonsense, nor nothing that is wrong.
    expect(inputs).toBeGreaterThan(50);
    expect(refused).toBeLessThan(inputs);
  },
  (SECONDS * 20 + 60) * 1000,
);
