// Mirrors that somebody names: where their repositories are, and which of them get a login.
import { mirrorEndpoint } from '../../../../image-builder/oci/distribution/endpoint.ts';

const pause = { transport: 'registry', registry: 'registry.k8s.io', repository: 'pause' } as const;

test.each([
  ['https://mirror.example.org', 'mirror.example.org', 'pause', 'mirror.example.org'],
  ['https://mirror.example.org:5000/k8s/', 'mirror.example.org:5000', 'k8s/pause', 'mirror.example.org:5000'],
  ['http://127.0.0.1:5000/a/b', '127.0.0.1:5000', 'a/b/pause', '127.0.0.1:5000'],
  // In the clear, a login would be for whoever listens.
  ['http://mirror.example.org', 'mirror.example.org', 'pause', undefined],
])('%s', (url, host, repository, credentialHost) => {
  const endpoint = mirrorEndpoint(url, pause);
  expect(endpoint).toMatchObject({ host, repository, mirror: true, insecure: url.startsWith('http:') });
  expect(endpoint.credentialHost).toBe(credentialHost);
});
