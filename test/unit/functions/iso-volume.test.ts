// Where an IsoConfiguration that runs on the machine itself may have its ISO written.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { handleIsoConfiguration } from '../../../functions/image-builder/handlers/iso-configuration.ts';
import { isIso } from '../../../image-builder/airship/iso-file.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'image-builder-iso-volume-')));
const cwd = join(directory, 'repository');
mkdirSync(join(cwd, 'images'), { recursive: true });
afterAll(() => rmSync(directory, { recursive: true }));

const items = [
  {
    kind: 'Secret',
    metadata: { name: 'user', labels: { 'airshipit.org/ephemeral-user-data': 'true' } },
    stringData: { userData: '#cloud-config\n' },
  },
  {
    kind: 'BareMetalHost',
    metadata: { name: 'node', labels: { 'airshipit.org/ephemeral-node': 'true' } },
    spec: { networkData: { name: 'network' } },
  },
  { kind: 'Secret', metadata: { name: 'network' }, stringData: { networkData: 'links: []\n' } },
];

async function told(volume: string, outputFileName = 'ephemeral.iso'): Promise<string> {
  const value = {
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'IsoConfiguration',
    metadata: { name: 'iso' },
    builder: { outputFileName },
    container: { volume: `${volume}:/config` },
  };
  const context = {
    cwd,
    profilesDirectory: '/profiles',
    report: () => {},
    signal: new AbortController().signal,
    readItems: () => items,
  };
  const config = { kind: 'IsoConfiguration', name: 'iso', value };
  return await handleIsoConfiguration(config as never, context as never).then(
    () => 'written',
    (error: Error) => error.message,
  );
}

test('below the directory of the render, and over nothing but an ISO', async () => {
  expect(await told('/srv/images')).toMatch(
    /^error: container\.volume: \/srv\/images\/ephemeral\.iso is outside the paths that this spec may use; allow it with --allow-output/,
  );
  expect(await told(join(cwd, '..'))).toMatch(/is outside the paths that this spec may use/);
  writeFileSync(join(cwd, 'images/authorized_keys'), 'key');
  expect(await told(join(cwd, 'images'), 'authorized_keys')).toMatch(
    /authorized_keys exists and is not an ISO, so it is not replaced/,
  );
  const iso = Buffer.alloc(40_000);
  iso.write('CD001', 16 * 2048 + 1);
  writeFileSync(join(cwd, 'images/ephemeral.iso'), iso);
  expect(await isIso(join(cwd, 'images/ephemeral.iso'))).toBe(true);
  expect(await isIso(join(cwd, 'images/authorized_keys'))).toBe(false);
});
