// Hundreds of Jobs are asked for at once: by a few connections, and without a warning of Node's.
import events from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiClient } from '../../../image-builder/cluster/api-client.ts';
import type { ClusterAccess } from '../../../image-builder/cluster/kubeconfig.ts';

test('many requests at once share connections, and listen to one signal without a warning', async () => {
  const server = createServer(async (_request, response) => {
    await delay(20);
    response.end('{}');
  });
  const setMaxListeners = jest.spyOn(events, 'setMaxListeners');
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  try {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { signal } = new AbortController();
    const access = { server: address, namespace: 'builds', authenticate: async () => ({}) };
    const api = new ApiClient(access as ClusterAccess, { signal });
    const path = '/apis/batch/v1/namespaces/builds/jobs';
    await Promise.all(Array.from({ length: 100 }, () => api.request({ method: 'GET', path })));
    api.close();
    expect(api.requests).toBe(100);
    // Node warns of more listeners than it expects.
    expect(setMaxListeners).toHaveBeenCalledWith(0, signal);
    expect(connections).toBeLessThanOrEqual(16);
  } finally {
    setMaxListeners.mockRestore();
    await new Promise((done) => server.close(done));
  }
});
