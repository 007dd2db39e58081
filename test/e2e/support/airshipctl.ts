// What airshipctl does with a GenericContainer of type airship, re-enacted from its source (pkg/container: api.go,
// container_docker.go) and seen of a built one: the same calls of Docker's API in the same order: the image is looked at
// (and pulled when it is not there), a container created, attached to, its standard input written once and closed, started,
// waited for, its logs read, itself removed. The program itself is not built here: a module that it needs is not on the Go
// module proxy.
import http from 'node:http';
import type { Socket } from 'node:net';

/** `spec` of a GenericContainer, as far as phases of the ISO use it. */
export interface GenericContainer {
  image: string;
  /** Without one it takes the image's own. */
  cmd?: string[];
  envVars: string[];
  mounts: { src: string; dst: string; readWrite: boolean }[];
}

/** What is left after a phase. */
export interface PhaseResult {
  status: number;
  /** Parsed as KRM by airshipctl: anything else than YAML documents fails the phase. */
  stdout: string;
  stderr: string;
}

function socketPath(environment: NodeJS.ProcessEnv): string {
  return (environment.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace(/^unix:\/\//, '');
}

/** Runs the container; `input` is what it gets on its standard input. */
export async function runGenericContainer(
  spec: GenericContainer,
  input: string,
  environment: NodeJS.ProcessEnv,
): Promise<PhaseResult> {
  const path = socketPath(environment);
  const call = (method: string, url: string, body?: unknown) => request(path, method, url, body);
  const inspect = () => call('GET', `/images/${spec.image}/json`);
  const image = await inspect().catch(async () => {
    await call('POST', `/images/create?fromImage=${encodeURIComponent(spec.image)}`);
    return await inspect();
  });
  const created = await call('POST', '/containers/create', {
    Image: spec.image,
    Cmd: spec.cmd ?? JSON.parse(image.toString('utf8')).Config.Cmd,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    OpenStdin: true,
    StdinOnce: true,
    Env: spec.envVars,
    HostConfig: {
      Privileged: false,
      Mounts: spec.mounts.map(({ src, dst, readWrite }) => ({
        Type: 'bind',
        Source: src,
        Target: dst,
        ReadOnly: !readWrite,
      })),
    },
  });
  const { Id: id } = JSON.parse(created.toString('utf8'));
  const stdin = await attach(path, id);
  try {
    stdin.end(input);
    await call('POST', `/containers/${id}/start`);
    const waited = JSON.parse(
      (await call('POST', `/containers/${id}/wait?condition=not-running`)).toString('utf8'),
    );
    const logs = async (stream: 'stdout' | 'stderr') =>
      demultiplex(await call('GET', `/containers/${id}/logs?${stream}=1`));
    return { status: waited.StatusCode, stdout: await logs('stdout'), stderr: await logs('stderr') };
  } finally {
    stdin.destroy();
    await call('DELETE', `/containers/${id}?force=1`);
  }
}

function request(socket: string, method: string, path: string, body?: unknown): Promise<Buffer> {
  return new Promise((done, fail) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const outgoing = http.request(
      { socketPath: socket, method, path, headers: text ? { 'content-type': 'application/json' } : {} },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const content = Buffer.concat(chunks);
          if ((response.statusCode ?? 500) < 400) done(content);
          else fail(new Error(`${method} ${path}: ${response.statusCode} ${content.toString('utf8')}`));
        });
      },
    );
    outgoing.on('error', fail);
    outgoing.end(text);
  });
}

function attach(socket: string, id: string): Promise<Socket> {
  return new Promise((done, fail) => {
    const outgoing = http.request({
      socketPath: socket,
      method: 'POST',
      path: `/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1`,
      headers: { connection: 'Upgrade', upgrade: 'tcp' },
    });
    outgoing.on('upgrade', (_response, connection) => {
      connection.on('error', () => {});
      // What is not read would hold the container up.
      connection.resume();
      done(connection as Socket);
    });
    outgoing.on('response', (response) => fail(new Error(`attach: ${response.statusCode}`)));
    outgoing.on('error', fail);
    outgoing.end();
  });
}

/** Docker's stream format: an 8-byte header with the length at offset 4, then as many bytes. */
function demultiplex(logs: Buffer): string {
  const parts: Buffer[] = [];
  for (let offset = 0; offset + 8 <= logs.length; ) {
    const length = logs.readUInt32BE(offset + 4);
    parts.push(logs.subarray(offset + 8, offset + 8 + length));
    offset += 8 + length;
  }
  return Buffer.concat(parts).toString('utf8');
}
