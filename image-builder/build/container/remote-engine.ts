// A build by an engine that sees other directories than we do: its store is a volume of the engine, with the layout in
// it, and the bundle comes as a stream.

import { resolve } from 'node:path';
import { invalidInput } from '../../base/diagnostics/error.ts';
import type { Env } from '../../base/env.ts';
import type { BundleContents } from '../../bundle/model.ts';
import type { ContainerMount } from '../../engines/engine.ts';
import { lookAround } from '../../engines/remote.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { storeDirectory } from '../../store/location.ts';
import { fileNameOf, openStore, prepareStore, storePath } from '../../store/store.ts';
import type { BuildOptions } from '../build-options.ts';
import { publish, requirePush } from '../publish.ts';
import { sharedRepository } from '../shared/repository.ts';
import { type ContainedBuild, fetchingStages } from './protocol.ts';
import { CONTAINED_STORE } from './work-directory.ts';

/** Runs programs of the builder image on the other machine. */
export interface RemoteRunner {
  /** @returns null where something is missing that needs a network */
  run(
    request: Omit<ContainedBuild, 'resolved'> & { layout: string },
    mounts: ContainerMount[],
    network: boolean,
  ): Promise<BundleContents | null>;
  /** Gets the bundle out of the layout in the volume into a directory of this machine. */
  fetch(
    layout: string,
    mounts: ContainerMount[],
    into: { directory: string; tag: string; digest: string },
  ): Promise<void>;
}

/**
 * Builds in a volume of the engine and puts the bundle where the spec says.
 * @throws InvalidInputError when the bundle would be lost with the container that we are in
 */
export async function buildElsewhere(
  resolved: ResolvedBuild,
  runner: RemoteRunner,
  options: BuildOptions,
): Promise<BundleContents> {
  const env = options.env ?? process.env;
  refuseBase(resolved);
  refuseAttestation(resolved);
  requirePush(resolved.bundle, options.policy);
  const { name, bundle } = resolved;
  const directory = await placeOf(resolved, options);
  if (sharedRepository(resolved, env)) {
    const message = 'warning: the shared store is not used with an engine on another machine';
    options.report({ type: 'step', stage: 'container', message });
  }
  // A layout for each tag: all of it is sent.
  const layout = `${CONTAINED_STORE}/bundles/${fileNameOf(`${name}:${bundle.tag}`)}`;
  const mounts: ContainerMount[] = [{ type: 'volume', source: volumeOf(options), target: CONTAINED_STORE }];
  const fetching = fetchingStages(resolved);
  let contents = await runner.run({ layout, unlessMissing: fetching }, mounts, false);
  if (contents === null) {
    await runner.run({ layout, ahead: fetching }, mounts, true);
    contents = await runner.run({ layout }, mounts, false);
  }
  if (contents === null) throw new TypeError('the container returned no answer');
  const { digest } = contents.reference;
  await runner.fetch(layout, mounts, { directory, tag: bundle.tag, digest });
  // What goes elsewhere goes from here, where the credentials are.
  const finished = { directory, digest, artifacts: contents.artifacts };
  return {
    ...(await publish(resolved, finished, { ...options, defaultLayout: directory })),
    profiles: contents.profiles,
  };
}

/** All builds of a volume share its store, so those of renders do not get that of persons. */
function volumeOf({ policy }: BuildOptions): string {
  return policy.caller === 'person' ? 'image-builder-store' : 'image-builder-store-of-renders';
}

/** The layout on this machine. */
async function placeOf({ name, bundle }: ResolvedBuild, options: BuildOptions): Promise<string> {
  const env = options.env ?? process.env;
  const { layout, repository } = bundle;
  if (layout === undefined && repository === undefined && !env.IMAGE_BUILDER_STORE) refuseToLose(env);
  if (layout !== undefined) return resolve(options.cwd, layout);
  const store = await openStore(storeDirectory(env, options));
  await prepareStore(store);
  return storePath(store, 'bundles', fileNameOf(name));
}

function refuseToLose(env: Env): void {
  if (!lookAround(env).insideContainer) return;
  throw invalidInput(
    'spec.build.bundle.layout',
    'is needed here: this runs in a container, and the bundle would be lost with it. Mount a directory and name it, for example layout: /out with `kustomize build --mount type=bind,src=$PWD/out,dst=/out,rw=true`, or from kustomize 5 on with `mounts: [{type: bind, src: ./out, dst: /out, rw: true}]` in the annotation',
  );
}

function refuseBase({ bundle }: ResolvedBuild): void {
  if (typeof bundle.base !== 'object') return;
  const message =
    'a base image cannot be passed to a remote engine; build without one, or with the executor local';
  throw invalidInput('spec.build.bundle.base', message);
}

/** What a bundle was built from, and that it has booted, is in the store of the engine's machine. */
function refuseAttestation({ bundle: { attest, repository } }: ResolvedBuild): void {
  if (repository === undefined || !(attest?.provenance || attest?.bootTest)) return;
  const message = 'provenance and bootTest must be false for a remote engine, which keeps what they say';
  throw invalidInput('spec.build.bundle.attest', message);
}
