// The executor `kubernetes`: the stages of a build as Jobs of the builder image. The registry of the shared store carries the
// results from Pod to Pod, and to the caller.
import type { Env } from '../../base/env.ts';
import type { BundleContents } from '../../bundle/model.ts';
import { ClusterError } from '../../cluster/cluster-error.ts';
import { findEntry } from '../../pipeline/lookup.ts';
import { requireImage, requireImageSource, requireJobs } from '../../policy/builder.ts';
import type { TrustedStore } from '../../policy/policy.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { withPinnedBase } from '../../stages/bundle/base-image.ts';
import { withPinnedImages } from '../../stages/preload/pin-images.ts';
import type { Entry } from '../../store/entry.ts';
import { storeDirectory } from '../../store/location.ts';
import { openStore } from '../../store/store.ts';
import type { BuildOptions } from '../build-options.ts';
import { withBuilderImage } from '../builder-image.ts';
import { noteBuild, publishEntry } from '../finished-bundle.ts';
import { obtainBundle } from '../obtain.ts';
import { type BuildSession, openSession } from '../session.ts';
import { fetchTargets, openShared } from '../shared/shared-results.ts';
import { type Cluster, Clusters } from './cluster.ts';
import { type DescribedBuilder, describeBuilder } from './describe-builder.ts';
import { patiently } from './patience.ts';
import type { KubernetesExecutor } from './protocol.ts';
import { questionOf } from './question.ts';
import { runStagesInCluster } from './run-stages.ts';
import { asBuiltThere, environmentOf, requireSharing } from './sharing.ts';

const FIELD = 'spec.build.executor.kubernetes';
const STAGE = 'kubernetes';

/**
 * Builds in a cluster; the result is that of the executor `local` with the tools of the image.
 * @throws ClusterError, ContainedError; InvalidInputError for what the policy does not allow, before a Job exists
 */
export async function buildInKubernetes(
  given: ResolvedBuild,
  executor: KubernetesExecutor,
  options: BuildOptions,
): Promise<BundleContents> {
  const env = options.env ?? process.env;
  const { report, signal, policy } = options;
  requireImageSource(policy, executor.image, `${FIELD}.image`);
  requireJobs(policy, executor);
  const trusted = requireSharing(given, policy, env);
  const resolved = await withPinnedImages(await withPinnedBase(given, options), options);
  const step = (message: string) => report({ type: 'step', stage: STAGE, message });
  const clusters = options.clusters ?? new Clusters();
  let opened: Promise<Cluster> | undefined;
  const open = () => {
    opened ??= clusters.open(executor, { env, report, signal });
    return opened;
  };
  try {
    const request = {
      executor,
      question: questionOf(resolved),
      store: await openStore(storeDirectory(env, options)),
      step,
      signal,
    };
    const described = await describeBuilder(request, open);
    requireImage(policy, described.image, `${FIELD}.image`);
    const session = await openSharing(resolved, { ...options, env, builder: described.builder });
    const entry = await obtainBundle(session, async () => {
      const cluster = await open();
      const made = await buildThere(session, { cluster, executor, described, trusted });
      step(`${cluster.api.requests} requests to the API server so far`);
      return made;
    });
    const contents = await publishEntry(session.resolved, session.store, entry, options);
    const profiles = contents.profiles.map((profile) => withBuilderImage(profile, described.image));
    return { ...contents, profiles };
  } finally {
    await opened?.then((cluster) => cluster.leave()).catch(() => {});
    if (clusters !== options.clusters) await clusters.close();
  }
}

/** A session whose shared store must work. */
async function openSharing(
  resolved: ResolvedBuild,
  options: BuildOptions & { env: Env },
): Promise<BuildSession> {
  const session = await openSession(resolved, options);
  const shared = await openShared(resolved, { ...options, isRequired: true });
  return { ...session, shared: async () => shared };
}

interface ClusterBuild {
  cluster: Cluster;
  executor: KubernetesExecutor;
  described: DescribedBuilder;
  trusted: TrustedStore;
}

/** Runs the Jobs and gets what they have made. */
async function buildThere(session: BuildSession, { trusted, ...surroundings }: ClusterBuild): Promise<Entry> {
  const shared = await session.shared();
  if (!shared) throw new TypeError('there is no shared store');
  const { resolved, env, store, signal } = session;
  const common = { resolved: asBuiltThere(resolved), store: trusted, environment: environmentOf(env) };
  await runStagesInCluster(session, { ...surroundings, shared, common });
  // What the builder image has made is exactly this; nothing else will do.
  await patiently(() => fetchTargets(shared, session, false, signal), session);
  const bundle = session.stages.find(({ kind }) => kind === 'bundle');
  const entry = bundle && (await findEntry(store, bundle, signal));
  if (!bundle || !entry)
    throw new ClusterError('JOB_FAILED', `${trusted.repository} does not give the bundle that was built`, {
      hint: 'see the warnings above: is the key in signingSecret one that this machine trusts?',
    });
  await noteBuild(store, resolved.name, entry, session.stages);
  return entry;
}
