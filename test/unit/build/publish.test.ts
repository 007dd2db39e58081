// A spec has its bundle written where the caller stands, over nothing but earlier bundles.
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FinishedBundle, publish } from '../../../image-builder/build/publish.ts';
import { assembleBundle } from '../../../image-builder/bundle/write/assemble.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import { RENDER } from '../../support/policies.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'image-builder-publish-unit-')));
const cwd = join(directory, 'repository');
mkdirSync(cwd);
afterAll(() => rmSync(directory, { recursive: true }));

async function assemble(name: string): Promise<FinishedBundle> {
  const json = JSON.stringify({ name });
  const profiles = [{ path: '/profiles/profile_multistrap.json', name: 'profile_multistrap', json }];
  const bundle = await assembleBundle(
    { qcows: {}, profiles, created: 1, architecture: 'amd64', labels: {} },
    join(directory, name),
  );
  return { ...bundle, digest: bundle.manifest.digest };
}
let bundle: FinishedBundle;
let newer: FinishedBundle;
beforeAll(async () => {
  bundle = await assemble('first');
  newer = await assemble('second');
});

async function put(
  place: { layout?: string; archive?: string },
  what = bundle,
  write: string[] = [],
): Promise<string> {
  const resolved = await resolveBuild('node', { bundle: place }, { cwd, aptDirectory: '/nonexistent' });
  const options = {
    cwd,
    policy: { ...RENDER, write },
    defaultLayout: join(directory, 'default'),
    report: () => {},
    signal: new AbortController().signal,
  };
  return await publish(resolved, what, options).then(
    ({ reference }) => reference.image,
    (error: Error) => error.message,
  );
}

test('an archive replaces an archive, and nothing else', async () => {
  expect(await put({ archive: 'out.tar' })).toBe(`oci-archive:out.tar:latest@${bundle.digest}`);
  expect(await put({ archive: 'out.tar' }, newer)).toBe(`oci-archive:out.tar:latest@${newer.digest}`);
  mkdirSync(join(cwd, 'victim'));
  for (const content of ['ssh-ed25519 AAAA', '', '{"imageLayoutVersion":"1.0.0"}']) {
    writeFileSync(join(cwd, 'victim/authorized_keys'), content);
    expect(await put({ archive: './victim/authorized_keys' })).toMatch(
      /^error: spec\.build\.bundle\.archive: .*authorized_keys exists and is not an OCI archive, so it is not replaced/,
    );
    expect(readFileSync(join(cwd, 'victim/authorized_keys'), 'utf8')).toBe(content);
  }
  expect(readdirSync(join(cwd, 'victim'))).toEqual(['authorized_keys']);
});

test('a layout takes no part of itself from elsewhere, and is made in nothing that is not one', async () => {
  expect(await put({ layout: 'out' })).toBe(`oci:out:latest@${bundle.digest}`);
  expect(await put({ layout: 'out' }, newer)).toBe(`oci:out:latest@${newer.digest}`);
  mkdirSync(join(directory, 'elsewhere/sha256'), { recursive: true });
  mkdirSync(join(cwd, 'linked'));
  symlinkSync(join(directory, 'elsewhere'), join(cwd, 'linked/blobs'));
  expect(await put({ layout: 'linked' })).toMatch(
    /^error: spec\.build\.bundle\.layout: .*is outside the paths that this spec may use/,
  );
  expect(readdirSync(join(directory, 'elsewhere/sha256'))).toEqual([]);
  expect(await put({ layout: 'victim' })).toMatch(/is not an OCI layout/);
});

test.each(['../out', '/etc/image-builder-test', 'link/out'])('nothing is written to %s', async (place) => {
  rmSync(join(cwd, 'link'), { force: true });
  symlinkSync(directory, join(cwd, 'link'));
  for (const [field, one] of [
    ['layout', { layout: place }],
    ['archive', { archive: place }],
  ] as const) {
    expect(await put(one)).toMatch(
      new RegExp(
        `^error: spec\\.build\\.bundle\\.${field}: .* is outside the paths that this spec may use; allow it with --allow-output`,
      ),
    );
  }
});

test('the caller may allow another place', async () => {
  mkdirSync(join(directory, 'images'));
  const place = join(directory, 'images/out.tar');
  expect(await put({ archive: place }, bundle, [join(directory, 'images')])).toBe(
    `oci-archive:${place}:latest@${bundle.digest}`,
  );
});
