// registries.conf as somebody may have mistyped it: an error that names file and value, never one of ours.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endpointsFor } from '../../../../image-builder/oci/credentials/registries-conf.ts';

const directory = mkdtempSync(join(tmpdir(), 'registries-'));
const file = join(directory, 'registries.conf');
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function endpoints(text: string) {
  writeFileSync(file, text);
  const reference = {
    transport: 'registry',
    registry: 'r.example.org',
    repository: 'site/x',
    tag: 'v1',
  } as const;
  return endpointsFor(reference, false, { CONTAINERS_REGISTRIES_CONF: file });
}
const table = (prefix: string, location = prefix, mirror = 'm.example.org') =>
  `[[registry]]\nprefix = ${JSON.stringify(prefix)}\nlocation = ${JSON.stringify(location)}\n[[registry.mirror]]\nlocation = ${JSON.stringify(mirror)}\n`;
const NONE = [
  'https://r.example.org',
  'r.example.org:99999',
  'r_e',
  'a b',
  ':5000',
  '/x',
  '[::1',
  '[:::]',
  '256.1.1.1',
  '-',
];

it.each(NONE)('%j is no host', async (host) => {
  for (const text of [
    table(host),
    table('r.example.org', host),
    table('r.example.org', 'r.example.org', host),
  ]) {
    await expect(endpoints(text)).rejects.toMatchObject({
      code: 'CONFIGURATION',
      message: expect.stringContaining(file),
    });
  }
});

it.each([
  ['r.example.org', 'other.example.org:5000/ns', 'm', ['m/site/x', 'other.example.org:5000/ns/site/x']],
  ['r.example.org/site', '[::1]:5000', '127.0.0.1/cache', ['127.0.0.1/cache/x', '[::1]:5000/x']],
  ['*.example.org', 'ignored.example.org', 'm/y', ['m/y/site/x', 'r.example.org/site/x']],
])('%s at %s by %s', async (prefix, location, mirror, expected) => {
  const found = await endpoints(table(prefix, location, mirror));
  expect(found.map(({ host, repository }) => `${host}/${repository}`)).toEqual(expected);
});
