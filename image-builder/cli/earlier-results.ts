// The option --reuse: a build on an earlier result of one of its stages.
import { Option } from 'commander';
import { invalidInput } from '../base/diagnostics/error.ts';
import type { ReusableStage } from '../build/reuse.ts';
import type { PinnedStages } from '../pipeline/plan.ts';
import type { Policy } from '../policy/policy.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';

/** `--reuse <stage>`. */
export const reuseOption = (): Option =>
  new Option(
    '--reuse <stage>',
    'use the newest earlier result of this stage, whatever has changed since; fail if there is none',
  ).choices(['rootfs', 'osconfig']);

/** The build on the earlier result that the command line asks for. */
export async function onEarlierResults(
  resolved: ResolvedBuild,
  reuse: ReusableStage | undefined,
  options: { cwd: string; policy: Policy; store?: string },
): Promise<{ resolved: ResolvedBuild; pinned?: PinnedStages }> {
  if (reuse === undefined) return { resolved };
  requireLocal(resolved, '--reuse');
  const [{ reuseResults }, { findBelief }, { storeDirectory }, { openStore }] = await Promise.all([
    import('../build/reuse.ts'),
    import('../build/shared/repository.ts'),
    import('../store/location.ts'),
    import('../store/store.ts'),
  ]);
  const store = await openStore(
    storeDirectory(process.env, options),
    await findBelief(resolved, options.policy),
  );
  return await reuseResults(resolved, reuse, store);
}

/** @throws InvalidInputError when the build would run elsewhere, where `option` does not reach */
export function requireLocal({ executor }: ResolvedBuild, option: string): void {
  if (executor.local !== undefined) return;
  const message = `${option} works on this machine only (local)`;
  throw invalidInput('spec.build.executor', message);
}
