// What a function in a container lacks, and what gives it: a container function has no network, no directory of the
// caller, no tools and the user nobody, unless its annotation and the flags of `kustomize build` say otherwise.

import { networkInterfaces } from 'node:os';
import { findingsOf, InvalidInputError } from '../../image-builder/base/diagnostics/error.ts';
import type { Env } from '../../image-builder/base/env.ts';
import type { Handler } from './handler.ts';

/** What this process finds around it. */
export interface ContainerFacts {
  /** Whether there is any interface besides the loopback. */
  hasNetwork: boolean;
  uid: number | undefined;
}

/** What this container has; undefined when the function does not run in one of our images. */
export function containerFacts(environment: Env): ContainerFacts | undefined {
  if (environment.IMAGE_BUILDER_CONTAINER === undefined) return undefined;
  const hasNetwork = Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ internal }) => !internal),
  );
  return { hasNetwork, uid: process.getuid?.() };
}

const NETWORK =
  'this function runs in a container without a network; add `network: true` to `container` in the annotation config.kubernetes.io/function, and run `kustomize build --network`';
const MOUNT =
  'this function runs in a container and sees only what is mounted: run `kustomize build --mount type=bind,src=$PWD/out,dst=/out,rw=true`, or from kustomize 5 on add `mounts: [{type: bind, src: ./out, dst: /out, rw: true}]` to `container` in the annotation; then name it by its path there';
const USER =
  'this function runs in a container as nobody; run `kustomize build --as-current-user` to give it your user id';
const ENGINE =
  "this function runs in a container; give it an engine by its socket (`kustomize build --as-current-user --mount type=bind,src=/var/run/docker.sock,dst=/var/run/docker.sock,rw=true`) or by its address (`envs: ['DOCKER_HOST=tcp://...']` and `network: true` in the annotation, `kustomize build --network`)";
const BUILD = `this function's container has no tools: name a builder image with spec.build.executor.container.image. ${ENGINE}`;

/** What would make possible what has failed; undefined when it is not the container's fault. */
export function adviceFor(error: unknown, facts: ContainerFacts): string | undefined {
  const causes = causesOf(error);
  const codes = causes.map(({ code }) => code);
  const has = (...wanted: string[]) => wanted.some((code) => codes.includes(code));
  const isNobody = facts.uid === 65534;
  if (has('TOOL_MISSING')) return BUILD;
  if (has('ENGINE_MISSING')) return ENGINE;
  if (has('ENGINE_REFUSES')) return isNobody ? USER : ENGINE;
  if (has('NETWORK', 'TIMEOUT') && !facts.hasNetwork) return NETWORK;
  if (has('STORE_READ_ONLY', 'EACCES', 'EPERM', 'EROFS')) return isNobody ? `${MOUNT}. ${USER}` : MOUNT;
  // A registry that does not have it answers with a status; a file or directory that is not there has none.
  const isPath =
    has('NOT_FOUND') && causes.every((cause) => (cause as { status?: number }).status === undefined);
  return isPath || has('ENOENT') || namesDirectory(error) ? MOUNT : undefined;
}

/** The error with everything that it was made of. */
function causesOf(error: unknown): NodeJS.ErrnoException[] {
  return error instanceof Error ? [error, ...causesOf(error.cause)] : [];
}

/** Directories of the spec are looked for before anything is opened. */
function namesDirectory(error: unknown): boolean {
  return findingsOf(error).some(({ field }) => field === 'spec.build.manifests');
}

/** A handler whose errors say what the container would need. */
export function withContainerAdvice(handler: Handler, facts: ContainerFacts | undefined): Handler {
  if (facts === undefined) return handler;
  return async (config, context) => {
    try {
      return await handler(config, context);
    } catch (error) {
      const advice = adviceFor(error, facts);
      if (advice === undefined) throw error;
      const findings = findingsOf(error);
      const last = findings.at(-1);
      throw new InvalidInputError(
        findings.map((finding) =>
          finding === last ? { ...finding, message: `${finding.message}\nhint: ${advice}` } : finding,
        ),
        { cause: error },
      );
    }
  };
}
