// Requests, watches and logs of an API server that breaks connections, goes away, and forgets versions.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ApiClient } from '../../../image-builder/cluster/api-client.ts';
import { ApiError } from '../../../image-builder/cluster/api-error.ts';
import { ClusterError } from '../../../image-builder/cluster/cluster-error.ts';
import { followLog } from '../../../image-builder/cluster/follow-log.ts';
import { type KubernetesObject, watch } from '../../../image-builder/cluster/watch.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let answers: Answer[];
const asked: URL[] = [];
const stop = new AbortController();

/** A server that answers each request with the next of the answers. */
async function serve(...given: Answer[]): Promise<ApiClient> {
  answers = given;
  asked.length = 0;
  server = createServer((request, response) => {
    asked.push(new URL(request.url ?? '', 'http://server'));
    const answer = answers.shift();
    if (answer) answer(request, response);
    else response.writeHead(404).end('{}');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return clientOf(portOf(server));
}

const portOf = (one: Server) => (one.address() as { port: number }).port;
const clientOf = (port: number, onOutage = (_: string) => {}) =>
  new ApiClient(
    { server: `http://127.0.0.1:${port}`, namespace: 'n', authenticate: async () => ({}) },
    { signal: stop.signal, onOutage },
  );

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

const json =
  (value: object, status = 200): Answer =>
  (_, response) =>
    response.writeHead(status).end(JSON.stringify(value));
const lines =
  (...texts: string[]): Answer =>
  (_, response) =>
    response.writeHead(200).end(texts.map((text) => `${text}\n`).join(''));
/** Breaks the connection after some of the lines. */
const broken =
  (...texts: string[]): Answer =>
  (_, response) => {
    response
      .writeHead(200)
      .write(texts.map((text) => `${text}\n`).join(''), () => setTimeout(() => response.destroy(), 20));
  };

test('a server that is restarted is waited for, and the request is sent again', async () => {
  const api = await serve(
    json({ first: true }),
    json({ message: 'etcd is away' }, 503),
    (_, response) => response.destroy(),
    json({ ok: true }),
  );
  await api.request({ method: 'GET', path: '/' });
  expect(await api.request({ method: 'GET', path: '/' })).toEqual({ ok: true });
  expect(api.requests).toBe(4);
});

test.each([
  [401, { message: 'Unauthorized' }, 'CLUSTER_UNAUTHORIZED', /log in again/],
  [
    403,
    {
      message:
        'jobs.batch is forbidden: User "u" cannot create resource "jobs" in API group "batch" in the namespace "n"',
    },
    'CLUSTER_FORBIDDEN',
    /the Role in n needs the rule \{apiGroups: \["batch"\], resources: \[jobs\], verbs: \[create\]\}/,
  ],
])('%d is what the user can do about it', async (status, body, code, says) => {
  const api = await serve(json(body, status));
  const error = await api.request({ method: 'POST', path: '/', body: {} }).catch((one: unknown) => one);
  expect(error).toBeInstanceOf(ClusterError);
  expect((error as ClusterError).code).toBe(code);
  expect((error as ClusterError).findings()[0]?.message).toMatch(says);
});

test('other refusals are for the caller to judge', async () => {
  const api = await serve(json({ reason: 'AlreadyExists', message: 'there is one' }, 409));
  await expect(api.request({ method: 'POST', path: '/', body: {} })).rejects.toEqual(
    new ApiError(409, 'AlreadyExists', 'there is one'),
  );
});

test('a log goes on where its connection broke', async () => {
  const [one, two, three] = [
    '2026-11-27T21:00:01.1Z a',
    '2026-11-27T21:00:01.1Z a',
    '2026-11-27T21:00:02Z b',
  ];
  let hasEnded = false;
  const api = await serve(
    broken(one, two),
    (request, response) => {
      hasEnded = true;
      lines(one, two, three)(request, response);
    },
    lines(three, '2026-11-27T21:00:02Z c'),
  );
  const seen: string[] = [];
  const log = { namespace: 'n', pod: 'p', container: 'c' };
  await followLog(
    api,
    log,
    (line) => seen.push(line),
    () => hasEnded,
    stop.signal,
  );
  expect(seen).toEqual(['a', 'a', 'b', 'c']);
  expect(asked.map((url) => url.searchParams.get('sinceTime'))).toEqual([
    null,
    '2026-11-27T21:00:01.1Z',
    '2026-11-27T21:00:02Z',
  ]);
});

test('a watch goes on from the newest version, and lists anew when the server has forgotten that', async () => {
  const object = (name: string, resourceVersion: string) => ({ metadata: { name, resourceVersion } });
  const event = (type: string, one: object) => JSON.stringify({ type, object: one });
  const ended = new AbortController();
  const api = await serve(
    json({ items: [object('a', '1')], metadata: { resourceVersion: '5' } }),
    broken(event('MODIFIED', object('a', '6')), event('BOOKMARK', object('', '9'))),
    lines(event('ERROR', { code: 410 })),
    json({ items: [object('b', '20')], metadata: { resourceVersion: '21' } }),
    lines(event('DELETED', object('b', '22'))),
  );
  const told: string[] = [];
  await watch<KubernetesObject>(
    api,
    { path: '/jobs', query: { labelSelector: 'x' } },
    {
      onList: (items) => told.push(`list ${items.map(({ metadata }) => metadata?.name)}`),
      onChange: (type, { metadata }) => {
        told.push(`${type} ${metadata?.name}`);
        if (type === 'DELETED') ended.abort();
      },
    },
    ended.signal,
    () => {},
  );
  expect(told).toEqual(['list a', 'MODIFIED a', 'list b', 'DELETED b']);
  expect(asked.map((url) => url.searchParams.get('resourceVersion'))).toEqual([null, '5', '9', null, '21']);
});
