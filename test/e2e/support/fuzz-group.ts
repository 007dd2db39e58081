// Parts that read what others have written, on damaged inputs: their own errors only, in little time and memory.
// Always the same seed, so that a failure is one for everybody; `npm run fuzz` tries others, for longer.
import { run, type Target } from '../../fuzz/campaign.ts';

/** Of processor time, for each target. */
const SECONDS = Number(process.env.FUZZ_SECONDS ?? 30);

/** Declares a test for each target. */
export function fuzzes(targets: readonly Target[]): void {
  test.each(targets.map((target) => [target.name, target] as const))(
    '%s',
    async (_, target) => {
      const { inputs, refused } = await run(target, { seconds: SECONDS, seed: 1 });
      // Neither nothing but nonsense, nor nothing that is wrong.
      expect(inputs).toBeGreaterThan(50);
      expect(refused).toBeLessThan(inputs);
    },
    (SECONDS * 20 + 60) * 1000,
  );
}
