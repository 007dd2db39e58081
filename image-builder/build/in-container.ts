// The executor `container`: the same build, with the same store, by the builder image. The resolved build goes in, so
// manifests, scripts and keys are those of the caller; the container has no network but for the stages that fetch.
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { BundleContents, Profile } from '../bundle/types.ts';
import { InvalidInputError } from '../diagnostics/error.ts';
import { engineCommand } from '../executors/container/command.ts';
import { type ContainerEngine, findEngine } from '../executors/container/engine.ts';
import { ensureImage } from '../executors/container/image.ts';
import { type ContainerMount, runContainer } from '../executors/container/run-container.ts';
import { storeDirectory } from '../store/location.ts';
import { fileNameOf, openStore, prepareStore, storePath } from '../store/store.ts';
import type { ResolvedBuild } from '../variables/types.ts';
import { localBase } from './base.ts';
import type { BuildOptions } from './build.ts';
import { publish } from './publish.ts';

/** What `image-builder run-build` reads. */
export interface ContainedBuild {
  resolved: ResolvedBuild;
  /** Build these stages only, as far as they are missing, and answer nothing; otherwise everything. */
  stages?: string[];
  /** Owner that the results are given: `uid:gid`. */
  owner?: string;
}

/** `spec.build.executor.container`. */
export type ContainerExecutor = NonNullable<ResolvedBuild['executor']['container']>;

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
  const command = engineCommand(env);
  const engine = await findEngine(executor.engine, env, command);
  const image = await ensureImage(engine, executor.image, command, (message) =>
    report({ type: 'step', stage: STAGE, message }),
  );
  const store = await openStore(storeDirectory(env, options));
  await prepareStore(store);
  if (engine.remote) refuseBase(resolved);
  // The container has no network: it finds the base where builds on this machine keep theirs.
  await localBase(resolved, storePath(store, 'cache'), {
    ...options,
    step: (message) => report({ type: 'step', stage: STAGE, message }),
  });
  const layout =
    resolved.bundle.layout === undefined
      ? storePath(store, 'bundles', fileNameOf(resolved.name))
      : resolve(options.cwd, resolved.bundle.layout);
  await mkdir(layout, { recursive: true });

  const run = async (request: ContainedBuild, network: string | undefined) =>
    await runContainer<BundleContents | null>(
      engine,
      {
        image: executor.image,
        argv: ['image-builder', '--log-format', 'json', 'run-build'],
        input: { ...request, ...ownerOf(engine) },
        mounts: mountsOf(engine, store.directory, layout),
        network,
        environment: environmentOf(env),
        ...(engine.remote && request.stages === undefined ? { copyOut: { from: OUTPUT, to: layout } } : {}),
      },
      command,
      { report, signal, stage: STAGE },
    );
  const contained: ResolvedBuild = {
    ...resolved,
    executor: { local: {} },
    bundle: { ...withoutPlaces(resolved.bundle), layout: OUTPUT },
  };
  const fetching = fetchingStages(resolved);
  if (fetching.length > 0) await run({ resolved: contained, stages: fetching }, executor.network);
  const contents = await run({ resolved: contained }, 'none');
  if (contents === null) throw new TypeError('the container has answered nothing');
  // What goes elsewhere goes from here, where the credentials are.
  const finished = { directory: layout, digest: contents.reference.digest, artifacts: contents.artifacts };
  return {
    ...(await publish(resolved, finished, { ...options, defaultLayout: layout })),
    profiles: contents.profiles.map((profile) => withBuilder(profile, image)),
  };
}

/** The places outside of the container. */
function withoutPlaces(bundle: ResolvedBuild['bundle']): ResolvedBuild['bundle'] {
  const { layout: _, archive: __, repository: ___, ...rest } = bundle;
  return { ...rest, disks: false };
}

function refuseBase({ bundle }: ResolvedBuild): void {
  if (!bundle.base) return;
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

/** A remote engine sees no directory of this machine: its store is a volume of its own, the bundle is copied. */
function mountsOf(engine: ContainerEngine, store: string, layout: string): ContainerMount[] {
  if (engine.remote) return [{ type: 'volume', source: 'image-builder-store', target: STORE }];
  return [
    { type: 'bind', source: store, target: STORE },
    { type: 'bind', source: layout, target: OUTPUT },
  ];
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

/** The predecessor's profiles name the image that built them. The bundle does not: it is the same without. */
function withBuilder(profile: Profile, image: string): Profile {
  const variables: Record<string, unknown> = JSON.parse(profile.json);
  return { ...profile, json: `${JSON.stringify({ ...variables, image_builder_image: image }, null, 2)}\n` };
}
