// The executor `container`: the same build, with the same store, by the builder image. The resolved build goes in, so
// manifests, scripts and keys are those of the caller; the container has no network but for the stages that fetch.
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { BundleContents, Profile } from '../bundle/types.ts';
import { InvalidInputError } from '../diagnostics/error.ts';
import { engineCommand } from '../executors/container/command.ts';
import type { ContainerConfig, ContainerEngine, ContainerMount } from '../executors/container/engine.ts';
import { findEngine } from '../executors/container/find-engine.ts';
import { ensureImage } from '../executors/container/image.ts';
import { lookAround } from '../executors/container/remote.ts';
import { ContainedError, runContainer } from '../executors/container/run-container.ts';
import { storeDirectory } from '../store/location.ts';
import { fileNameOf, openStore, prepareStore, storePath } from '../store/store.ts';
import type { ResolvedBuild } from '../variables/types.ts';
import { localBase } from './base.ts';
import type { BuildOptions } from './build.ts';
import { fetchBundle } from './fetch-bundle.ts';
import { publish } from './publish.ts';
import { type ContainedPlan, openSharing } from './share-contained.ts';

/** What `image-builder run-build` reads. */
export interface ContainedBuild {
  resolved: ResolvedBuild;
  /** Build nothing, answer with the {@link ContainedPlan}: the tools that decide the keys are those of the image. */
  planOnly?: boolean;
  /** Build these stages only, as far as they are missing, and answer nothing; otherwise everything. */
  stages?: string[];
  /** Answer nothing when one of these stages is missing; they need a network that this container does not have. */
  unlessMissing?: string[];
  /** Owner that the results are given: `uid:gid`. */
  owner?: string;
}

/** `spec.build.executor.container`. */
export type ContainerExecutor = NonNullable<ResolvedBuild['executor']['container']>;

/** Where the container has the store, and where it writes the bundle's layout. */
const STORE = '/var/lib/image-builder/store';
const OUTPUT = '/output';
const STAGE = 'container';

/**
 * Builds in a container; the result is that of the executor `local` with the tools of the image.
 * @throws ContainerError, ContainedError
 */
export async function buildInContainer(
  resolved: ResolvedBuild,
  executor: ContainerExecutor,
  options: BuildOptions,
): Promise<BundleContents> {
  const env = options.env ?? process.env;
  const { report, signal } = options;
  const engine = await findEngine(executor.engine, env, engineCommand(env));
  const place = await placeOf(engine, resolved, options);
  const image = await ensureImage(engine, executor.image, (message) =>
    report({ type: 'step', stage: STAGE, message }),
  );
  const container = (network: string | undefined): ContainerConfig => ({
    image: executor.image,
    argv: ['image-builder', '--log-format', 'json', 'run-build'],
    mounts: place.mounts,
    network,
    environment: environmentOf(env),
  });
  const { store: _, ...local } = resolved;
  const contained: ResolvedBuild = {
    ...local,
    executor: { local: {} },
    whenMissing: 'Build',
    bundle: { ...withoutPlaces(resolved.bundle), layout: place.inContainer },
  };
  const run = async <Result = BundleContents | null>(
    request: Omit<ContainedBuild, 'resolved'>,
    network: string | undefined,
  ) =>
    await runContainer<Result>(
      engine,
      container(network),
      { resolved: contained, ...request, ...ownerOf(engine) },
      { report, signal, stage: STAGE },
    ).catch((error) => {
      throw place.store !== undefined && error instanceof ContainedError
        ? error.withPaths(STORE, place.store)
        : error;
    });

  const sharing = await openSharing(engine.remote, resolved, options, () =>
    run<ContainedPlan>({ planOnly: true }, 'none'),
  );
  const fetching = fetchingStages(resolved);
  let contents = await run({ unlessMissing: fetching }, 'none');
  if (contents === null) {
    await run({ stages: fetching }, executor.network);
    contents = await run({}, 'none');
  }
  if (contents === null) throw new TypeError('the container has answered nothing');
  await sharing?.share();
  const { digest } = contents.reference;
  const { tag } = resolved.bundle;
  if (engine.remote) {
    await fetchBundle(
      engine,
      { ...container('none'), argv: ['tar', '--create', '--directory', place.inContainer, '.'] },
      { directory: place.directory, tag, digest },
      signal,
    );
  }
  // What goes elsewhere goes from here, where the credentials are.
  const finished = { directory: place.directory, digest, artifacts: contents.artifacts };
  return {
    ...(await publish(resolved, finished, { ...options, defaultLayout: place.directory })),
    profiles: contents.profiles.map((profile) => withBuilder(profile, image)),
  };
}

/** The places outside of the container. */
function withoutPlaces(bundle: ResolvedBuild['bundle']): ResolvedBuild['bundle'] {
  const { layout: _, archive: __, repository: ___, ...rest } = bundle;
  return { ...rest, disks: false };
}

/** Where a build reads and writes, on this machine and in the container. */
interface Place {
  /** The layout on this machine. */
  directory: string;
  /** The layout in the container. */
  inContainer: string;
  mounts: ContainerMount[];
  /** The store on this machine; absent when it is in a volume of the engine. */
  store?: string;
}

/**
 * An engine that sees other directories than we do has its store in a volume, with the layout in it; the bundle comes
 * as a stream then.
 * @throws InvalidInputError when the bundle would be lost with the container that we are in
 */
async function placeOf(
  engine: ContainerEngine,
  resolved: ResolvedBuild,
  options: BuildOptions,
): Promise<Place> {
  const env = options.env ?? process.env;
  const { layout, repository, tag } = resolved.bundle;
  const { name } = resolved;
  if (engine.remote) refuseBase(resolved);
  const keptElsewhere = layout !== undefined || repository !== undefined || env.IMAGE_BUILDER_STORE;
  if (engine.remote && !keptElsewhere) refuseToLose(env);
  const own = layout === undefined ? undefined : resolve(options.cwd, layout);
  if (engine.remote && own !== undefined) return { directory: own, ...remotePlace(name, tag) };

  const store = await openStore(storeDirectory(env, options));
  await prepareStore(store);
  const directory = own ?? storePath(store, 'bundles', fileNameOf(name));
  if (engine.remote) return { directory, ...remotePlace(name, tag) };
  // The container has no network: it finds the base where builds on this machine keep theirs.
  if (typeof resolved.bundle.base === 'object') {
    await localBase(resolved, storePath(store, 'cache'), {
      ...options,
      step: (message) => options.report({ type: 'step', stage: STAGE, message }),
    });
  }
  await mkdir(directory, { recursive: true });
  return {
    directory,
    store: store.directory,
    inContainer: OUTPUT,
    mounts: [
      { type: 'bind', source: store.directory, target: STORE },
      { type: 'bind', source: directory, target: OUTPUT },
    ],
  };
}

/** A layout for each tag: all of it is sent. */
function remotePlace(name: string, tag: string): Omit<Place, 'directory'> {
  return {
    inContainer: `${STORE}/bundles/${fileNameOf(`${name}:${tag}`)}`,
    mounts: [{ type: 'volume', source: 'image-builder-store', target: STORE }],
  };
}

function refuseToLose(env: Readonly<Record<string, string | undefined>>): void {
  if (!lookAround(env).insideContainer) return;
  throw new InvalidInputError([
    {
      severity: 'error',
      field: 'spec.build.bundle.layout',
      message:
        'is needed here: this runs in a container, and the bundle would be lost with it. Mount a directory and name it, for example layout: /out with `kustomize build --mount type=bind,src=$PWD/out,dst=/out,rw=true`, or from kustomize 5 on with `mounts: [{type: bind, src: ./out, dst: /out, rw: true}]` in the annotation',
    },
  ]);
}

function refuseBase({ bundle }: ResolvedBuild): void {
  if (typeof bundle.base !== 'object') return;
  const message = 'a remote engine cannot be handed a base image; build without, or with the executor local';
  throw new InvalidInputError([{ severity: 'error', field: 'spec.build.bundle.base', message }]);
}

/** The stages that need a network: the root file system, and configuration that downloads or runs scripts. */
export function fetchingStages(resolved: ResolvedBuild): string[] {
  const fetches = (
    { fetch_from_url, user_scripts }: ResolvedBuild['rootfs']['osconfig'],
    context: 'common' | 'qcow',
  ) => [...fetch_from_url, ...user_scripts].some((item) => item.run_contexts.includes(context));
  const common = fetches(resolved.rootfs.osconfig, 'common') || resolved.rootfs.scripts.length > 0;
  const qcows = Object.entries(resolved.qcows).filter(
    ([, image]) => fetches(image.osconfig, 'qcow') || image.scripts.length > 0,
  );
  return ['rootfs', ...(common ? ['osconfig'] : []), ...qcows.map(([name]) => `qcow/${name}`)];
}

/** Root of a rootless engine is the user already. */
function ownerOf(engine: ContainerEngine): Pick<ContainedBuild, 'owner'> {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  return engine.rootless || engine.remote || !uid ? {} : { owner: `${uid}:${gid}` };
}

/** What decides bytes, or how the network is reached. */
function environmentOf(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy'];
  const passed = ['SOURCE_DATE_EPOCH', ...names, ...names.map((name) => name.toUpperCase())];
  const set = passed.flatMap((name) => (env[name] ? [[name, env[name]] as const] : []));
  return { ...Object.fromEntries(set), IMAGE_BUILDER_STORE: STORE };
}

/**
 * The predecessor's profiles name the image that built them. The bundle does so where the spec says which one it is;
 * otherwise the bundle is the same whoever built it, and only the answer of this build names it.
 */
function withBuilder(profile: Profile, image: string): Profile {
  const variables: Record<string, unknown> = JSON.parse(profile.json);
  if (variables.image_builder_image !== undefined) return profile;
  return { ...profile, json: `${JSON.stringify({ ...variables, image_builder_image: image }, null, 2)}\n` };
}
