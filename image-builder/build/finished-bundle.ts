// What is done with the bundle of a build once the store has it, wherever it was built.
import type { Env } from '../base/env.ts';
import type { BundleContents } from '../bundle/model.ts';
import type { PlannedStage } from '../pipeline/plan.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import { readBundleEntry } from '../stages/bundle/bundle-entry.ts';
import { recordBuild } from '../store/build-history.ts';
import type { Entry } from '../store/entry.ts';
import { touchEntry } from '../store/gc.ts';
import { fileNameOf, type Store, storePath } from '../store/store.ts';
import type { BuildOptions } from './build-options.ts';
import { publish } from './publish.ts';

/** `builder.id` of whoever says nothing else. */
const DEFAULT_BUILDER = 'https://airshipit.org/image-builder';

/** Who builds here, as statements name him. */
export const builderId = (env: Env): string => env.IMAGE_BUILDER_BUILDER_ID || DEFAULT_BUILDER;

/**
 * Puts the bundle of an entry where the spec says; a layout of the store is the place when it names none.
 * @throws what {@link publish} throws
 */
export async function publishEntry(
  resolved: ResolvedBuild,
  store: Store,
  entry: Entry,
  options: BuildOptions,
): Promise<BundleContents> {
  await touchEntry(store, entry);
  const { directory, manifest, artifacts, profiles } = readBundleEntry(entry);
  const bundle = { directory, digest: manifest.digest, artifacts };
  const defaultLayout = storePath(store, 'bundles', fileNameOf(resolved.name));
  const evidence = async () => {
    const { evidenceOf } = await import('./evidence.ts');
    return await evidenceOf(resolved, store, entry, builderId(options.env ?? process.env));
  };
  return { ...(await publish(resolved, bundle, { ...options, evidence, defaultLayout })), profiles };
}

/** Notes a build in the history of its name. */
export async function noteBuild(
  store: Store,
  name: string,
  bundle: Entry,
  stages: readonly Pick<PlannedStage, 'name' | 'kind' | 'key' | 'inputs' | 'toolVersions' | 'parents'>[],
): Promise<void> {
  await recordBuild(store, {
    name,
    builtAt: new Date().toISOString(),
    digest: readBundleEntry(bundle).manifest.digest,
    stages: Object.fromEntries(
      stages.map((stage) => [
        stage.name,
        {
          kind: stage.kind,
          key: stage.key,
          inputs: stage.inputs,
          tools: stage.toolVersions,
          parents: stage.parents,
        },
      ]),
    ),
  });
}
