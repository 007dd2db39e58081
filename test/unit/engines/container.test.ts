// The executor `container` on engines that the tests make up.

import type { ProgressEvent } from '../../../image-builder/base/diagnostics/progress.ts';
import { ensureImage } from '../../../image-builder/engines/builder-image.ts';
import { cliEngine } from '../../../image-builder/engines/cli-engine.ts';
import type { EngineCommand } from '../../../image-builder/engines/command.ts';
import type { ContainerStreams, EngineResult } from '../../../image-builder/engines/engine.ts';
import { findEngine } from '../../../image-builder/engines/find-engine.ts';
import { runContainer } from '../../../image-builder/engines/run-container.ts';

const ok = (stdout = ''): EngineResult => ({ status: 0, stdout, lastLines: [] });
const failed = (status: number, ...lastLines: string[]): EngineResult => ({ status, stdout: '', lastLines });
const SECRET_PROXY = 'http://ci:secret@proxy.test:3128';
const docker = (command: EngineCommand) =>
  cliEngine('docker', { remote: false, rootless: false }, command, { http_proxy: SECRET_PROXY });

/** Answers by the first words of the command line; remembers what was asked. */
function engine(
  answers: Record<string, EngineResult | ((streams?: ContainerStreams) => Promise<EngineResult>)>,
) {
  const asked: string[] = [];
  const command: EngineCommand = async (argv, streams) => {
    const line = argv.join(' ');
    asked.push(line);
    const key = Object.keys(answers).find((prefix) => line.startsWith(prefix));
    const answer = key === undefined ? failed(127) : answers[key];
    return typeof answer === 'function' ? await answer(streams) : (answer ?? failed(127));
  };
  return { asked, command };
}

describe('the engine', () => {
  test('is the first that answers; a client without a daemon does not', async () => {
    const { command } = engine({
      'docker info': ok('{"ServerErrors":["Cannot connect to the Docker daemon"]}'),
      'podman info': ok('{"host":{"security":{"rootless":true}}}'),
    });
    expect(await findEngine(undefined, {}, command)).toMatchObject({
      name: 'podman',
      remote: false,
      rootless: true,
    });
  });

  test.each([
    ['unix:///run/docker.sock', false],
    ['tcp://build.example.org:2376', true],
    ['ssh://builder@host', true],
    ['', false],
  ])('DOCKER_HOST=%s', async (host, remote) => {
    const { command } = engine({ 'docker info': ok('{"SecurityOptions":["name=seccomp"]}') });
    expect((await findEngine('docker', { DOCKER_HOST: host }, command)).remote).toBe(remote);
  });

  test('says what is missing, or what refuses', async () => {
    await expect(findEngine('nerdctl', {}, engine({}).command)).rejects.toMatchObject({
      code: 'ENGINE_MISSING',
    });
    const refusing = engine({ 'docker info': failed(1, 'permission denied') });
    await expect(findEngine(undefined, {}, refusing.command)).rejects.toMatchObject({
      code: 'ENGINE_REFUSES',
      output: ['docker: permission denied'],
    });
  });
});

describe('the image', () => {
  const inspected = (...digests: string[]) => ok(JSON.stringify([{ RepoDigests: digests }]));
  const DIGEST = `sha256:${'a'.repeat(64)}`;

  test.each([
    ['quay.io/a/b:c', `quay.io/a/b@${DIGEST}`, `quay.io/a/b:c@${DIGEST}`],
    ['node:22', `docker.io/library/node@${DIGEST}`, `node:22@${DIGEST}`],
    ['quay.io/a/b:c', `quay.io/other@${DIGEST}`, 'quay.io/a/b:c'],
    ['localhost:5000/a', `localhost:5000/a@${DIGEST}`, `localhost:5000/a@${DIGEST}`],
    [`quay.io/a/b@${DIGEST}`, `quay.io/a/b@${DIGEST}`, `quay.io/a/b@${DIGEST}`],
  ])('%s is pinned by the digest of its repository', async (reference, digest, pinned) => {
    const { command } = engine({ 'docker image inspect': inspected(digest) });
    expect(await ensureImage(docker(command), reference, () => {})).toBe(pinned);
  });

  test('is pulled when it is not there; an engine that cannot says why', async () => {
    const { command } = engine({ 'docker image inspect': failed(1), 'docker pull': failed(1, 'denied') });
    await expect(ensureImage(docker(command), 'quay.io/a/b:c', () => {})).rejects.toMatchObject({
      code: 'IMAGE_MISSING',
      output: ['denied'],
    });
  });
});

describe('a container', () => {
  const request = {
    image: 'builder',
    argv: ['image-builder', 'run-build'],
    mounts: [
      { type: 'bind' as const, source: '/s', target: '/t' },
      { type: 'bind' as const, source: '/a,readonly=false,"b', target: '/u', readOnly: true },
    ],
    network: 'none',
    environment: { A: 'b', http_proxy: SECRET_PROXY },
  };
  const start = (answers: Parameters<typeof engine>[0], signal = new AbortController().signal) => {
    const events: ProgressEvent[] = [];
    const { asked, command } = engine({ 'docker rm': ok(), 'docker stop': ok(), ...answers });
    const report = (event: ProgressEvent) => void events.push(event);
    return {
      asked,
      events,
      result: runContainer(docker(command), request, { a: 1 }, { report, signal, stage: 'container' }),
    };
  };

  test('gets default capabilities and no more, tells its progress, and is removed', async () => {
    const { asked, events, result } = start({
      'docker run': async (streams) => {
        expect(streams?.stdin).toBe('{"a":1}\n');
        streams?.onLine?.('{"time":"x","type":"step","stage":"rootfs","message":"m"}');
        streams?.onLine?.('a plain line');
        return ok('{"result":[1]}');
      },
    });
    expect(await result).toEqual([1]);
    expect(events).toEqual([
      { type: 'step', stage: 'rootfs', message: 'm' },
      { type: 'output', stage: 'container', line: 'a plain line' },
    ]);
    expect(asked[0]).not.toMatch(/privileged|cap-add/);
    // Removed by the engine, whoever is killed.
    expect(asked[0]).toContain('docker run --rm --interactive ');
    expect(asked[0]).toContain(
      '--network none --mount type=bind,source=/s,target=/t' +
        ' --mount type=bind,"source=/a,readonly=false,""b",target=/u,readonly' +
        ' --env A=b --env http_proxy builder image-builder',
    );
    // Everybody can see arguments.
    expect(asked[0]).not.toContain('secret');
    expect(asked.at(-1)).toMatch(/^docker rm --force/);
  });

  test.each([
    [
      'its own findings',
      failed(1),
      { stdout: '{"findings":[{"severity":"error","message":"m","field":"f"}]}' },
      'BUILD_FAILED',
    ],
    ['an engine that cannot start it', failed(125, 'no such image'), {}, 'CONTAINER_FAILED'],
    ['a kill', failed(137), {}, 'CONTAINER_FAILED'],
    ['an answer that is no answer', ok('hello'), {}, 'CONTAINER_FAILED'],
  ])('fails with %s', async (_, ended, more, code) => {
    const { asked, result } = start({ 'docker run': { ...ended, ...more } });
    await expect(result).rejects.toMatchObject({ code });
    expect(asked.at(-1)).toMatch(/^docker rm --force/);
  });

  test('is stopped when the caller stops, also when it does not exist yet', async () => {
    const controller = new AbortController();
    let stops = 0;
    let end: (result: EngineResult) => void = () => {};
    const { result } = start(
      {
        'docker run': () =>
          new Promise((done) => {
            end = done;
          }),
        'docker stop': async () => {
          if (++stops === 2) end(failed(143));
          return stops === 1 ? failed(1, 'no such container') : ok();
        },
      },
      controller.signal,
    );
    controller.abort();
    await expect(result).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(stops).toBe(2);
  });
});
