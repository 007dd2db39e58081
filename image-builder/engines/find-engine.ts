// Finds a container engine that answers: docker, podman or nerdctl, by its command line or by its socket.
import type { Env } from '../base/env.ts';
import { engineHosts } from './api/address.ts';
import { apiEngine } from './api-engine.ts';
import { cliEngine } from './cli-engine.ts';
import type { EngineCommand } from './command.ts';
import { type ContainerEngine, ENGINES, type EngineName } from './engine.ts';
import { ContainerError } from './engine-error.ts';
import { isRemote, lookAround } from './remote.ts';

/** An engine, why the one that is there cannot be used, or undefined when it is not there. */
type Attempt = ContainerEngine | { refusal: string } | undefined;

/**
 * Finds the engine.
 * @param wanted the one to take; otherwise the first that answers
 * @throws ContainerError when there is none, with what each of them said
 */
export async function findEngine(
  wanted: EngineName | undefined,
  environment: Env,
  command: EngineCommand,
): Promise<ContainerEngine> {
  const refusals: string[] = [];
  for (const name of wanted ? [wanted] : ENGINES) {
    const found = (await tryCommandLine(name, environment, command)) ?? (await trySockets(name, environment));
    if (found === undefined) continue;
    if (!('refusal' in found)) return found;
    refusals.push(`${name}: ${found.refusal}`);
  }
  if (refusals.length > 0) {
    throw new ContainerError('ENGINE_REFUSES', 'no container engine answers', {
      output: refusals,
      hint: 'start its daemon, set DOCKER_HOST, or add the user to its group; `image-builder doctor` tells more',
    });
  }
  throw new ContainerError('ENGINE_MISSING', `${wanted ?? ENGINES.join(', ')}: not installed`, {
    hint: 'install a container engine, or use the executor `local`',
  });
}

async function tryCommandLine(name: EngineName, environment: Env, command: EngineCommand): Promise<Attempt> {
  // The whole of it as JSON: the engines' formats differ, the words that we look for do not.
  const result = await command([name, 'info', '--format', '{{json .}}']);
  if (result.status === 127) return undefined;
  if (result.status !== 0 || /"ServerErrors":\s*\[\s*"/.test(result.stdout)) {
    return { refusal: result.lastLines.at(-1) ?? 'does not answer' };
  }
  const rootless = /"name=rootless"|"rootless":\s*true/i.test(result.stdout);
  return cliEngine(name, { remote: isElsewhere(name, environment), rootless }, command, environment);
}

/** podman and nerdctl work without a daemon, in whatever container they are started; docker asks one. */
function isElsewhere(name: EngineName, environment: Env): boolean {
  const configured = name === 'podman' ? environment.CONTAINER_HOST : environment.DOCKER_HOST;
  if (configured) return isRemote(configured, lookAround(environment));
  return name === 'docker' && isRemote('unix:///var/run/docker.sock', lookAround(environment));
}

async function trySockets(name: EngineName, environment: Env): Promise<Attempt> {
  // nerdctl's daemon, containerd, has another interface.
  if (name === 'nerdctl') return undefined;
  let refusal: string | undefined;
  for (const host of engineHosts(name, environment)) {
    try {
      return await apiEngine(name, host, isRemote(host, lookAround(environment)), environment);
    } catch (error) {
      refusal ??= `${host}: ${(error as Error).message}`;
    }
  }
  return refusal === undefined ? undefined : { refusal };
}
