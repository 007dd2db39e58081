// Where the request is read from.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { readRequest } from '../../../image-builder/airship/read-request.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-builder-request-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Standard input that must not be read, as airshipctl never closes it. */
const untouchable = new Readable({
  read() {
    throw new Error('standard input was read');
  },
});

test('contract v1 comes from files, and leaves standard input alone', async () => {
  await writeFile(
    join(directory, 'conf.yaml'),
    `container: {volume: "/srv:${directory}"}\nbuilder: {imageType: qcow}\n`,
  );
  const request = await readRequest({ BUILDER_CONFIG: join(directory, 'conf.yaml') }, untouchable);
  expect(request).toMatchObject({ contract: 'v1', volume: directory });
});

test('a file that cannot be read is named, without a stack', async () => {
  await mkdir(join(directory, 'conf.yaml'));
  await expect(
    readRequest({ BUILDER_CONFIG: join(directory, 'conf.yaml') }, untouchable),
  ).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining('cannot be read (EISDIR)'),
  });
});

test('contract v2 comes from standard input', async () => {
  const result = readRequest({ VERSION: 'v2', IMAGE_TYPE: 'iso' }, Readable.from(['user_data:\n', ' x\n']));
  await expect(result).rejects.toMatchObject({ message: expect.stringContaining('line 2: indented by 1') });
});
