// A bundle in a store under the key that a spec has, without building it.
import { join } from 'node:path';
import { planBuild } from '../../../image-builder/build/session.ts';
import { assembleBundle } from '../../../image-builder/bundle/write/assemble.ts';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import { bundleFacts } from '../../../image-builder/stages/bundle/bundle-entry.ts';
import { commitEntry, type Entry } from '../../../image-builder/store/entry.ts';
import { prepareStore } from '../../../image-builder/store/store.ts';
import { PERSON } from '../../support/policies.ts';

/** A spec that is planned at once: nothing answers at port 9, so that a build of it fails soon, and without a network. */
export const UNREACHABLE: BuildSpec = {
  distribution: 'debian-13',
  mirror: 'http://127.0.0.1:9/debian',
  qcows: { a: {} },
};

/**
 * Puts a bundle into `store`.
 * @param variables of its profile_multistrap; another bundle for other ones
 */
export async function putBundle(
  build: BuildSpec,
  variables: Record<string, unknown>,
  { cwd, store }: { cwd: string; store: string },
): Promise<{ digest: string; entry: Entry }> {
  const resolved = await resolveBuild('node', build, { cwd });
  const plan = await planBuild(resolved, { cwd, policy: PERSON, store });
  const stage = plan.stages.find(({ kind }) => kind === 'bundle');
  if (!stage) throw new Error('no bundle');
  await prepareStore(plan.store);
  const output = join(store, 'work', `bundle-${crypto.randomUUID()}`);
  const json = JSON.stringify(variables);
  const profiles = [{ path: '/profiles/profile_multistrap.json', name: 'profile_multistrap', json }];
  const bundle = await assembleBundle(
    { qcows: {}, profiles, created: 1, architecture: 'amd64', labels: {} },
    join(output, 'layout'),
  );
  const { kind, key, recipe, inputs, toolVersions: tools } = stage;
  const facts = { ...bundleFacts(bundle, profiles) };
  const made = { kind, key, recipe, inputs, tools, stage: 'bundle', build: 'node', parents: {}, facts };
  const entry = await commitEntry(plan.store, made, output, { seconds: 1 });
  return { digest: bundle.manifest.digest, entry };
}
