// What builds of one run share of a cluster, against a server that answers as an API server does.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ProgressEvent } from '../../../../image-builder/base/diagnostics/progress.ts';
import { type ClusterApi, Clusters } from '../../../../image-builder/build/kubernetes/cluster.ts';
import { runStagesInCluster } from '../../../../image-builder/build/kubernetes/run-stages.ts';
import { ApiClient } from '../../../../image-builder/cluster/api-client.ts';
import { ClusterError } from '../../../../image-builder/cluster/cluster-error.ts';
import type { ClusterAccess } from '../../../../image-builder/cluster/kubeconfig.ts';

const IMAGE = `registry.example.org/tools@sha256:${'0'.repeat(64)}`;
const { signal } = new AbortController();

/** Method and path of each request; a watch is `WATCH`. */
let requests: string[];
const server = createServer(answer);

beforeAll(() => new Promise<void>((done) => server.listen(0, '127.0.0.1', done)));

beforeEach(() => {
  requests = [];
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** Jobs are complete as soon as they are made. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://host');
  const isWatch = url.searchParams.has('watch');
  requests.push(`${isWatch ? 'WATCH' : request.method} ${url.pathname}`);
  if (isWatch) return void response.writeHead(200).flushHeaders();
  const name = /\/jobs\/([^/]+)$/.exec(url.pathname)?.[1];
  const status = { conditions: [{ type: 'Complete', status: 'True' }] };
  const pod = {
    metadata: { name: 'pod', uid: 'pod', ownerReferences: [{ uid: 'job' }] },
    status: { phase: 'Succeeded' },
  };
  const items = url.pathname.endsWith('/pods') ? [pod] : [];
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.once('end', () => {
    const made = body === '' ? { metadata: { name } } : JSON.parse(body);
    const job = { ...made, metadata: { ...made.metadata, uid: 'job' }, status };
    const isList = request.method === 'GET' && name === undefined;
    response.end(JSON.stringify(isList ? { metadata: { resourceVersion: '1' }, items } : job));
  });
}

async function connect({ namespace = '' }: { namespace?: string }): Promise<ClusterApi> {
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const access = { server: address, namespace, authenticate: async () => ({}) };
  return { api: new ApiClient(access as ClusterAccess, { signal }), namespace };
}

const open = (clusters: Clusters, executor: object, report: (event: ProgressEvent) => void = () => {}) =>
  clusters.open({ image: IMAGE, namespace: 'builds', ...executor }, { env: {}, report, signal });

/** Each watch begins with a list. */
const lists = (namespace: string) =>
  requests.filter((line) => line.startsWith('GET') && line.includes(`/namespaces/${namespace}/`));

test('builds in one namespace share watches, those in another have their own', async () => {
  const clusters = new Clusters(connect);
  const [first, second] = await Promise.all([open(clusters, {}), open(clusters, {})]);
  expect(first.api).toBe(second.api);
  expect(first.caller).not.toBe(second.caller);
  expect(lists('builds')).toHaveLength(3);
  await open(clusters, { namespace: 'others' });
  expect(lists('others')).toHaveLength(3);
  await open(clusters, {});
  expect(lists('builds')).toHaveLength(3);
  await clusters.close();
});

test('builds share a number of Jobs when they name the same one', async () => {
  const clusters = new Clusters(connect);
  const [first, second, other] = [
    await open(clusters, { parallelism: 3 }),
    await open(clusters, { parallelism: 3 }),
    await open(clusters, { parallelism: 4 }),
  ];
  expect(first.slots).toBe(second.slots);
  expect(other.slots).not.toBe(first.slots);
  await clusters.close();
});

test('builds that want the same stage wait for one Job, and each is told', async () => {
  const clusters = new Clusters(connect);
  const stage = { name: 'rootfs', kind: 'rootfs', key: 'a'.repeat(64), parents: [] };
  const told: string[][] = [[], []];
  const build = async (index: number) => {
    const report = (event: ProgressEvent) => {
      if (event.type === 'stage') told[index]?.push(event.status);
    };
    const cluster = await open(clusters, {}, report);
    const session = { stages: [stage], targets: ['rootfs'], resolved: { name: `${index}` }, report, signal };
    const described = { image: IMAGE, privileges: 'none' };
    const surroundings = {
      ...{ cluster, executor: { image: IMAGE }, described, common: {} },
      shared: { has: async () => false },
    };
    await runStagesInCluster(session as never, surroundings as never);
  };
  await Promise.all([build(0), build(1)]);
  const made = requests.filter((line) => line.startsWith('POST'));
  expect(made).toEqual([
    'POST /apis/batch/v1/namespaces/builds/jobs',
    'POST /api/v1/namespaces/builds/secrets',
  ]);
  expect(told).toEqual([['started', 'finished'], ['waiting']]);
  await clusters.close();
});

test('what cannot be opened is asked for once, and told to each build', async () => {
  let asked = 0;
  const clusters = new Clusters(async () => {
    asked += 1;
    throw new ClusterError('KUBECONFIG_UNUSABLE', 'there is no kubeconfig');
  });
  for (let attempt = 0; attempt < 2; attempt++)
    await expect(open(clusters, {})).rejects.toMatchObject({ code: 'KUBECONFIG_UNUSABLE' });
  expect(asked).toBe(1);
  await clusters.close();
});
