// Which engines see the directories of this process, and the frames of an engine's connection.
import { Readable } from 'node:stream';
import { parseEngineHost } from '../../../image-builder/engines/api/address.ts';
import { readFrames } from '../../../image-builder/engines/frames.ts';
import { isRemote } from '../../../image-builder/engines/remote.ts';

const outside = { insideContainer: false, mountPoints: ['/', '/run'] };
const inside = (...mountPoints: string[]) => ({ insideContainer: true, mountPoints: ['/', ...mountPoints] });

test.each([
  ['a socket of this machine', 'unix:///run/docker.sock', outside, false],
  ['another machine', 'tcp://192.0.2.1:2376', outside, true],
  ['by SSH', 'ssh://builder@host', outside, true],
  [
    'a socket that was mounted into this container',
    'unix:///nowhere/docker.sock',
    inside('/nowhere/docker.sock'),
    true,
  ],
  ['one in a directory that was mounted', 'unix:///nowhere/engine/docker.sock', inside('/nowhere'), true],
  ['an engine that runs in this container', 'unix:///nowhere/docker.sock', inside('/nowhere-else'), false],
])('%s', (_, host, surroundings, remote) => {
  expect(isRemote(host, surroundings)).toBe(remote);
});

test('DOCKER_HOST in all its forms', () => {
  expect(parseEngineHost('unix:///run/docker.sock', {})).toEqual({ socketPath: '/run/docker.sock' });
  expect(parseEngineHost('tcp://192.0.2.1', {})).toEqual({ host: '192.0.2.1', port: 2375 });
  expect(parseEngineHost('tcp://[2001:db8::1]:99', {})).toEqual({ host: '2001:db8::1', port: 99 });
  expect(parseEngineHost('tcp://host', { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/nowhere' })).toEqual({
    host: 'host',
    port: 2376,
    tls: { rejectUnauthorized: true },
  });
  // Nobody is believed without being verified, unless DOCKER_TLS alone says so, as it does to docker.
  const home = { HOME: '/nowhere' };
  expect(parseEngineHost('https://host', home)).toMatchObject({ tls: { rejectUnauthorized: true } });
  expect(parseEngineHost('tcp://host', { ...home, DOCKER_TLS: '1' })).toMatchObject({
    tls: { rejectUnauthorized: false },
  });
  for (const host of ['ssh://host', 'nonsense', 'npipe:////./pipe/docker_engine'])
    expect(() => parseEngineHost(host, {})).toThrow('neither unix:// nor tcp://');
});

const frame = (stream: 1 | 2, text: string) => {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
};

test.each([1, 3, 7, 1000])('frames are read whatever pieces they come in: %i bytes', async (size) => {
  const bytes = Buffer.concat([frame(1, 'one'), frame(2, 'two'), frame(1, ''), frame(1, 'three')]);
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
  const read = { stdout: '', stderr: '' };
  for await (const { stream, content } of readFrames(Readable.from(pieces)))
    read[stream] += content.toString();
  expect(read).toEqual({ stdout: 'onethree', stderr: 'two' });
});
