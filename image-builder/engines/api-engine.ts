// A container engine by Docker's HTTP interface (https://docs.docker.com/reference/api/engine/), which podman has too:
// for places without a command line of the engine, such as the container of the KRM function.

import type { Duplex, Writable } from 'node:stream';
import { drained } from '../base/drained.ts';
import type { Env } from '../base/env.ts';
import { Lines } from '../sandbox/lines.ts';
import { parseEngineHost } from './api/address.ts';
import { EngineApiError, EngineClient } from './api/engine-client.ts';
import { KEPT_LINES } from './command.ts';
import type {
  ContainerConfig,
  ContainerEngine,
  ContainerStreams,
  EngineName,
  EngineResult,
} from './engine.ts';
import { readFrames } from './frames.ts';

/** Status of docker's command line when the engine does not start a container. */
const NOT_STARTED = 125;

/**
 * Connects to the engine at `host` (DOCKER_HOST's form).
 * @throws Error when it does not answer
 */
export async function apiEngine(
  name: EngineName,
  host: string,
  remote: boolean,
  environment: Env,
): Promise<ContainerEngine> {
  const client = new EngineClient(parseEngineHost(host, environment));
  const info = (await client.json('GET', '/info')) as { SecurityOptions?: string[] } | undefined;
  const container = (id: string, verb = '') => `/containers/${encodeURIComponent(id)}${verb}`;
  return {
    name,
    remote,
    rootless: (info?.SecurityOptions ?? []).some((option) => /rootless/.test(option)),
    async imageDigests(reference) {
      // Slashes stay: podman takes the name apart before it decodes.
      const path = `/images/${reference.split('/').map(encodeURIComponent).join('/')}/json`;
      const image = await unless404(client.json('GET', path));
      if (image === undefined) return undefined;
      return (image as { RepoDigests?: string[] | null }).RepoDigests ?? [];
    },
    pull: (reference, onLine) => pull(client, reference, onLine),
    async run(id, config, streams) {
      try {
        await client.json('POST', `/containers/create?name=${encodeURIComponent(id)}`, creationOf(config));
        return await runCreated(client, container(id), streams);
      } catch (error) {
        return { status: NOT_STARTED, stdout: '', lastLines: [(error as Error).message] };
      }
    },
    async stop(id, seconds) {
      await quietly(client.json('POST', container(id, `/stop?t=${seconds}`)));
    },
    async remove(id) {
      await quietly(client.json('DELETE', container(id, '?force=1&v=1')));
    },
  };
}

/** The body of ContainerCreate. */
function creationOf(config: ContainerConfig): Record<string, unknown> {
  return {
    Image: config.image,
    Cmd: config.argv,
    Env: Object.entries(config.environment).map(([key, value]) => `${key}=${value}`),
    OpenStdin: true,
    // The end of our connection is the end of its standard input: it notices when we are killed.
    StdinOnce: true,
    ...{ AttachStdin: true, AttachStdout: true, AttachStderr: true },
    HostConfig: {
      AutoRemove: true,
      SecurityOpt: ['no-new-privileges'],
      LogConfig: { Type: 'none' },
      ...(config.network !== undefined && { NetworkMode: config.network }),
      Mounts: config.mounts.map(({ type, source, target, readOnly = false }) => ({
        Type: type,
        Source: source,
        Target: target,
        ReadOnly: readOnly,
      })),
    },
  };
}

/** Attaches first, so that nothing is missed, and waits for the removal, so that nothing is left. */
async function runCreated(
  client: EngineClient,
  container: string,
  streams: ContainerStreams,
): Promise<EngineResult> {
  const connection = await client.attach(`${container}/attach?stream=1&stdin=1&stdout=1&stderr=1`);
  try {
    const waiting = client.json('POST', `${container}/wait?condition=removed`);
    waiting.catch(() => {});
    const output = readOutput(connection, streams);
    output.catch(() => {});
    await client.json('POST', `${container}/start`);
    if (streams.stdin === undefined) connection.end();
    else connection.write(streams.stdin);
    const { stdout, lastLines } = await output;
    const { StatusCode } = (await waiting) as { StatusCode: number };
    return { status: StatusCode, stdout, lastLines };
  } finally {
    connection.destroy();
  }
}

async function readOutput(
  connection: Duplex,
  { onLine, stdout }: ContainerStreams,
): Promise<{ stdout: string; lastLines: string[] }> {
  const lines = new Lines((line) => onLine?.(line), KEPT_LINES);
  const kept: Buffer[] = [];
  connection.on('error', () => {});
  for await (const { stream, content } of readFrames(connection)) {
    if (stream === 'stderr') lines.write('stderr', content);
    else if (stdout) await write(stdout, content);
    else kept.push(Buffer.from(content));
  }
  lines.end();
  return { stdout: Buffer.concat(kept).toString('utf8'), lastLines: lines.last() };
}

/** Waits for a reader that is slower than the engine; one that is gone gets nothing more. */
async function write(stream: Writable, content: Buffer): Promise<void> {
  if (stream.destroyed || stream.write(content)) return;
  await drained(stream);
}

/** ImageCreate answers a line of JSON for each step of each layer; those of one layer that only count are left out. */
async function pull(
  client: EngineClient,
  reference: string,
  onLine: (line: string) => void,
): Promise<EngineResult> {
  const lastLines: string[] = [];
  let status = 0;
  const told = new Map<string, string>();
  const tell = (text: string) => {
    if (text.trim() === '') return;
    const { error, id = '', status: step = '' } = JSON.parse(text) as Record<string, string | undefined>;
    if (error !== undefined) {
      status = 1;
      lastLines.push(error);
    } else if (told.get(id) !== step) {
      told.set(id, step);
      onLine(id === '' ? step : `${id}: ${step}`);
    }
  };
  try {
    // Without a tag all tags would be fetched.
    const name = /[@:][^/]*$/.test(reference) ? reference : `${reference}:latest`;
    const answer = await client.stream('POST', `/images/create?fromImage=${encodeURIComponent(name)}`);
    const lines = new Lines(tell, 1);
    for await (const chunk of answer) lines.write('stdout', chunk as Buffer);
    lines.end();
  } catch (error) {
    return { status: 1, stdout: '', lastLines: [(error as Error).message] };
  }
  return { status, stdout: '', lastLines };
}

async function unless404<Answer>(request: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof EngineApiError && error.status === 404) return undefined;
    throw error;
  }
}

/** A container that is gone, or about to go, is what was wanted; an engine that is gone cannot be asked. */
async function quietly(request: Promise<unknown>): Promise<void> {
  await request.catch(() => {});
}
