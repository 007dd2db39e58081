// Layouts with links and other things in the place of files. A stranger's may lead to nothing that its reader was not allowed.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readBundle } from '../../../../image-builder/bundle/read/read-bundle.ts';
import { SpecFiles } from '../../../../image-builder/policy/spec-files.ts';
import { predecessorBundle } from '../../../support/bundles.ts';
import { writeLayout } from '../../../support/images.ts';

let directory: string;
const at = (...names: string[]) => join(directory, ...names);
/** Path of the manifest's blob in the layout. */
let manifest: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'linked-'));
  const { digest } = await writeLayout(at('checkout/bundle'), predecessorBundle({ qcowBytes: 1000 }));
  manifest = `blobs/${digest.replace(':', '/')}`;
  mkdirSync(at('outside'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Replaces a part of the layout by a link to where that part now lies. */
function moveTo(place: string, part: string): void {
  mkdirSync(dirname(at(place)), { recursive: true });
  renameSync(at('checkout/bundle', part), at(place));
  symlinkSync(at(place), at('checkout/bundle', part));
}

const read = () => readBundle(`oci:${at('checkout/bundle')}`);
const readForSpec = () => {
  const files = new SpecFiles(at('checkout'));
  return readBundle(`oci:${at('checkout/bundle')}`, { mayRead: (path) => files.require(path) });
};

test.each([
  ['the index', () => 'index.json'],
  ['a blob', () => manifest],
  ['the blobs of an algorithm', () => 'blobs/sha256'],
  ['all blobs', () => 'blobs'],
])('a link to %s elsewhere is followed for a person, and refused to a spec', async (_, part) => {
  moveTo('outside/part', part());
  expect((await read()).profiles).toHaveLength(2);
  await expect(readForSpec()).rejects.toMatchObject({ code: 'PATH_OUTSIDE' });
  // What is not there looks the same.
  rmSync(at('outside/part'), { recursive: true });
  await expect(readForSpec()).rejects.toMatchObject({ code: 'PATH_OUTSIDE' });
});

test('links to what a spec may read are followed: build tools keep blobs elsewhere', async () => {
  moveTo('checkout/cache/blobs', 'blobs');
  expect((await readForSpec()).profiles).toHaveLength(2);
});

test.each(['fifo', 'directory', 'device', 'link to itself'])(
  'a %s is no file, and nobody waits for it',
  async (kind) => {
    for (const part of ['index.json', manifest]) {
      const path = at('checkout/bundle', part);
      rmSync(path, { recursive: true });
      if (kind === 'fifo') execFileSync('mkfifo', [path]);
      else if (kind === 'directory') mkdirSync(path);
      else symlinkSync(kind === 'device' ? '/dev/zero' : path, path);
      await expect(read()).rejects.toMatchObject({ code: 'NOT_FOUND' });
      for (const transport of ['oci-archive', 'docker-archive'])
        await expect(readBundle(`${transport}:${path}`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      rmSync(path, { recursive: true });
      await expect(read()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  },
  20_000,
);
