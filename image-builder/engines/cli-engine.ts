// A container engine by its command line: docker, podman and nerdctl take the same one.
import type { Env } from '../base/env.ts';
import type { EngineCommand } from './command.ts';
import type { ContainerConfig, ContainerEngine, EngineName } from './engine.ts';

/**
 * The engine behind the command `name`.
 * @param own the environment of `command`: variables for a container come from it: arguments can be seen by everybody
 */
export function cliEngine(
  name: EngineName,
  properties: { remote: boolean; rootless: boolean },
  command: EngineCommand,
  own: Env,
): ContainerEngine {
  return {
    name,
    ...properties,
    async imageDigests(reference) {
      const result = await command([name, 'image', 'inspect', reference]);
      if (result.status !== 0) return undefined;
      const images: unknown = JSON.parse(result.stdout);
      const digests = Array.isArray(images) && (images[0] as { RepoDigests?: unknown }).RepoDigests;
      return Array.isArray(digests) ? digests.map(String) : [];
    },
    pull: (reference, onLine) => command([name, 'pull', reference], { onLine }),
    run: (container, config, streams) =>
      command([name, ...runArguments(name, container, config, own)], streams),
    async stop(container, seconds) {
      await command([name, 'stop', '--time', String(seconds), container]);
    },
    async remove(container) {
      await command([name, 'rm', '--force', '--volumes', container]);
    },
  };
}

function runArguments(engine: EngineName, container: string, config: ContainerConfig, own: Env): string[] {
  const mounts = config.mounts.flatMap(({ type, source, target, readOnly }) => [
    '--mount',
    [
      `type=${type}`,
      field('source', source),
      field('target', target),
      ...(readOnly ? ['readonly'] : []),
    ].join(','),
  ]);
  const environment = Object.entries(config.environment).flatMap(([key, value]) => [
    '--env',
    own[key] === value ? key : `${key}=${value}`,
  ]);
  return [
    // Also when we are killed: the end of standard input ends the container, and the engine removes it.
    ...['run', '--rm', '--interactive', '--name', container, '--security-opt', 'no-new-privileges'],
    // What is printed may be gigabytes, and is for us alone. nerdctl knows no such driver before 2.0.
    ...(engine === 'nerdctl' ? [] : ['--log-driver', 'none']),
    ...(config.network === undefined ? [] : ['--network', config.network]),
    ...mounts,
    ...environment,
    config.image,
    ...config.argv,
  ];
}

/** The engines read mounts as a line of CSV (RFC 4180): a comma in a path would begin another option. */
function field(name: string, value: string): string {
  const text = `${name}=${value}`;
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
