// The executor `container`: the same build by the builder image. The resolved build goes in, so manifests, scripts and keys
// are those of the caller; the container has no network but for the stages that fetch.

import { basename, dirname } from 'node:path';
import type { Env } from '../../base/env.ts';
import type { BundleContents } from '../../bundle/model.ts';
import { ensureImage } from '../../engines/builder-image.ts';
import { engineCommand } from '../../engines/command.ts';
import type { ContainerConfig, ContainerEngine, ContainerMount } from '../../engines/engine.ts';
import { findEngine } from '../../engines/find-engine.ts';
import { ContainedError, failed, runContainer, runToEnd } from '../../engines/run-container.ts';
import { requireImage, requireImageSource, requireNetwork } from '../../policy/builder.ts';
import { splitImage } from '../../policy/patterns.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { storeDirectory } from '../../store/location.ts';
import type { BuildOptions } from '../build-options.ts';
import { withBuilderImage } from '../builder-image.ts';
import { buildBeside } from './local-engine.ts';
import type { ContainedBuild, ContainedPlan } from './protocol.ts';
import { fetchBundle } from './receive-bundle.ts';
import { buildElsewhere } from './remote-engine.ts';
import { CONTAINED_STORE } from './work-directory.ts';

/** `spec.build.executor.container`. */
export type ContainerExecutor = NonNullable<ResolvedBuild['executor']['container']>;

const STAGE = 'container';

/**
 * Builds in a container; the result is that of the executor `local` with the tools of the image.
 * @throws ContainerError, ContainedError; InvalidInputError for an image or a network that the policy does not allow
 */
export async function buildInContainer(
  resolved: ResolvedBuild,
  executor: ContainerExecutor,
  options: BuildOptions,
): Promise<BundleContents> {
  const env = options.env ?? process.env;
  const { report, signal, policy } = options;
  requireImageSource(policy, executor.image);
  const engine = await findEngine(executor.engine, env, engineCommand(env));
  const step = (message: string) => report({ type: 'step', stage: STAGE, message });
  const image = await ensureImage(engine, executor.image, step);
  requireImage(policy, image);
  if (splitImage(executor.image).digest === undefined && splitImage(image).digest !== undefined)
    step(`warning: ${executor.image} may change; name it by its digest: ${image}`);

  const container = (mounts: ContainerMount[], network: boolean): ContainerConfig => {
    if (network) requireNetwork(policy, executor.network);
    return {
      image: executor.image,
      argv: ['image-builder', '--log-format', 'json', 'run-build'],
      mounts,
      network: network ? executor.network : 'none',
      environment: environmentOf(env),
    };
  };
  const run = async <Result>(
    request: Omit<ContainedBuild, 'resolved'> & { layout?: string },
    mounts: ContainerMount[],
    network = false,
  ): Promise<Result> => {
    const { layout, ...rest } = request;
    const input = { resolved: containedBuild(resolved, layout), ...rest, ...ownerOf(engine) };
    return await runContainer<Result>(engine, container(mounts, network), input, {
      report,
      signal,
      stage: STAGE,
    });
  };
  const contents = engine.remote
    ? await buildElsewhere(
        resolved,
        {
          run: (request, mounts, network) => run<BundleContents | null>(request, mounts, network),
          fetch: async (layout, mounts, into) => {
            const argv = ['tar', '--create', '--directory', layout, '.'];
            await fetchBundle(engine, { ...container(mounts, false), argv }, into, signal);
          },
        },
        options,
      )
    : await buildBeside(
        resolved,
        {
          plan: () => run<ContainedPlan>({ planOnly: true }, []),
          build: async (request, { mounts, readOnly }, network) => {
            await run<null>({ ...request, mounted: readOnly }, mounts, network).catch((error) => {
              throw withPathsHere(error, storeDirectory(env, options));
            });
          },
          removeTree: (path) => removeByContainer(engine, container, path),
        },
        options,
      );
  return { ...contents, profiles: contents.profiles.map((profile) => withBuilderImage(profile, image)) };
}

/** The build as the container does it: nowhere to publish, nobody to ask. */
function containedBuild(resolved: ResolvedBuild, layout: string | undefined): ResolvedBuild {
  const { store: _, bundle, ...rest } = resolved;
  const { layout: __, archive: ___, repository: ____, ...contained } = bundle;
  return {
    ...rest,
    executor: { local: {} },
    whenMissing: 'Build',
    bundle: { ...contained, disks: false, ...(layout !== undefined && { layout }) },
  };
}

/** Logs are kept in the store: see work-directory.ts. */
function withPathsHere(error: unknown, store: string): unknown {
  return error instanceof ContainedError ? error.withPaths(CONTAINED_STORE, store) : error;
}

/** What root in a container has made and not given to the caller, since it was killed, only root can remove. */
async function removeByContainer(
  engine: ContainerEngine,
  container: (mounts: ContainerMount[], network: boolean) => ContainerConfig,
  path: string,
): Promise<void> {
  const mounts: ContainerMount[] = [{ type: 'bind', source: dirname(path), target: '/remove' }];
  const config = { ...container(mounts, false), argv: ['rm', '-rf', '--', `/remove/${basename(path)}`] };
  // The caller may have been stopped: this is the cleaning up.
  const ended = await runToEnd(engine, config, {}, new AbortController().signal);
  if (ended.status !== 0) throw failed(engine, ended);
}

/** Root of a rootless engine is the user already. */
function ownerOf(engine: ContainerEngine): Pick<ContainedBuild, 'owner'> {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()];
  return engine.rootless || engine.remote || !uid ? {} : { owner: `${uid}:${gid}` };
}

/** What decides bytes, or how the network is reached. */
function environmentOf(env: Env): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy'];
  const passed = ['SOURCE_DATE_EPOCH', ...names, ...names.map((name) => name.toUpperCase())];
  const set = passed.flatMap((name) => (env[name] ? [[name, env[name]] as const] : []));
  return { ...Object.fromEntries(set), IMAGE_BUILDER_STORE: CONTAINED_STORE };
}
