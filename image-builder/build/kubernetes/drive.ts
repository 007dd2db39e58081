// The Job that `whenMissing: Trigger` leaves in the cluster: it starts the Jobs of the stages, and waits for them in place of a
// caller.
import type { Reporter } from '../../base/diagnostics/progress.ts';
import { openStore } from '../../store/store.ts';
import { openSession } from '../session.ts';
import { openShared } from '../shared/shared-results.ts';
import { Clusters } from './cluster.ts';
import { describeBuilder } from './describe-builder.ts';
import { patiently } from './patience.ts';
import { podPolicy, registryEnvironment } from './pod-surroundings.ts';
import { type DriverRequest, IN_POD } from './protocol.ts';
import { questionOf } from './question.ts';
import { runStagesInCluster } from './run-stages.ts';
import { asBuiltThere } from './sharing.ts';

/** @throws what {@link runStagesInCluster} throws */
export async function drive(
  { resolved, store: trusted, environment }: DriverRequest,
  { report, signal }: { report: Reporter; signal: AbortSignal },
): Promise<void> {
  const { kubernetes: executor } = resolved.executor;
  if (!executor) throw new TypeError('the request is not for a cluster');
  Object.assign(process.env, environment, registryEnvironment());
  const surroundings = { cwd: '/', env: process.env, policy: podPolicy(trusted), report, signal };
  const shared = await patiently(
    () =>
      openShared(
        { ...resolved, store: { repository: trusted.repository, push: false } },
        { ...surroundings, isRequired: true },
      ),
    surroundings,
  );
  if (!shared) throw new TypeError('the request names no shared store');
  const clusters = new Clusters();
  try {
    const cluster = await clusters.open(executor, surroundings);
    const described = await describeBuilder(
      {
        executor,
        question: questionOf(resolved),
        store: await openStore(IN_POD.store),
        step: (message) => report({ type: 'step', stage: 'kubernetes', message }),
        signal,
      },
      async () => cluster,
    );
    const session = await openSession(resolved, { ...surroundings, builder: described.builder });
    const common = { resolved: asBuiltThere(resolved), store: trusted, environment };
    await runStagesInCluster(session, { cluster, executor, described, shared, common });
  } finally {
    await clusters.close();
  }
}
