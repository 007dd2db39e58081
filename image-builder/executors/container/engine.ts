// Finds a container engine that answers: docker, podman or nerdctl.
import type { EngineCommand } from './command.ts';
import { ContainerError } from './error.ts';

/** Engines with Docker's command line, in the order in which they are tried. */
export const ENGINES = ['docker', 'podman', 'nerdctl'] as const;
export type EngineName = (typeof ENGINES)[number];

/** An engine that answers. */
export interface ContainerEngine {
  name: EngineName;
  /** Whether it runs somewhere else, so that directories of this machine cannot be mounted. */
  remote: boolean;
  /** Whether root in its containers is the user who runs the engine. */
  rootless: boolean;
}

/**
 * Finds the engine.
 * @param wanted the one to take; otherwise the first that answers
 * @throws ContainerError when there is none, with what each of them said
 */
export async function findEngine(
  wanted: EngineName | undefined,
  environment: NodeJS.ProcessEnv,
  command: EngineCommand,
): Promise<ContainerEngine> {
  const refusals: string[] = [];
  for (const name of wanted ? [wanted] : ENGINES) {
    // The whole of it as JSON: the engines' formats differ, the words that we look for do not.
    const result = await command([name, 'info', '--format', '{{json .}}']);
    if (result.status === 127) continue;
    const answers = result.status === 0 && !/"ServerErrors":\s*\[\s*"/.test(result.stdout);
    if (answers) {
      return { name, remote: isRemote(name, environment), rootless: isRootless(result.stdout) };
    }
    refusals.push(`${name}: ${result.lastLines.at(-1) ?? 'does not answer'}`);
  }
  if (refusals.length > 0) {
    throw new ContainerError('ENGINE_REFUSES', 'no container engine answers', {
      output: refusals,
      hint: 'start its daemon, set DOCKER_HOST, or add the user to its group; `image-builder doctor` looks closer',
    });
  }
  throw new ContainerError('ENGINE_MISSING', `${wanted ?? ENGINES.join(', ')}: not installed`, {
    hint: 'install a container engine, or use the executor `local`',
  });
}

/** The engine's own variable names the place; a socket is on this machine. */
function isRemote(name: EngineName, environment: NodeJS.ProcessEnv): boolean {
  const host = name === 'podman' ? environment.CONTAINER_HOST : environment.DOCKER_HOST;
  return host !== undefined && host !== '' && !/^(unix|npipe):/.test(host);
}

function isRootless(info: string): boolean {
  return /"name=rootless"|"rootless":\s*true/i.test(info);
}
