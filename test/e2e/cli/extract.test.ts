// `image-builder extract`: formats, several files, lists, and what a read cost.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { MULTISTRAP_PROFILE, ownBundle, QCOW_PROFILE } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import { executable, run } from '../support/executables.ts';
import { skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';

const cli = executable('image-builder');
const PATHS = ['/profiles/profile_multistrap.json', 'profiles/profile_qcow_control-plane.json'];
let directory: string;
let registry: TestRegistry;
let reference: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'extract-cli-'));
  await writeLayout(join(directory, 'own'), ownBundle());
  registry = await startRegistry();
  reference = `${registry.host}/site/own:v1`;
  await skopeoCopy(`oci:${join(directory, 'own')}:v1`, `docker://${reference}`);
}, 60_000);
afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true, force: true });
});

function extract(...args: string[]) {
  const { stdout, stderr, status } = run([cli, 'extract', reference, ...args], {
    env: { PATH: process.env.PATH, HOME: directory },
  });
  expect({ stderr, status }).toMatchObject({ status: 0 });
  return { stdout, stderr };
}

const FORMATS: ['json' | 'yaml', (text: string) => unknown][] = [
  ['json', (text) => JSON.parse(text)],
  ['yaml', (text) => parse(text)],
];

test.each(FORMATS)('the bundle as %s', (format, read) => {
  const expected = {
    bundle: {
      image: expect.stringMatching(/\/site\/own:v1@sha256:[0-9a-f]{64}$/),
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    },
    profiles: {
      profile_multistrap: JSON.parse(MULTISTRAP_PROFILE),
      'profile_qcow_control-plane': JSON.parse(QCOW_PROFILE),
    },
    qcows: { 'control-plane': expect.objectContaining({ file: 'control-plane.qcow2', format: 'qcow2' }) },
  };
  expect(read(extract('--output', format).stdout)).toEqual(expected);
  if (format === 'yaml') expect(parse(extract().stdout)).toEqual(expected);
});

test.each(FORMATS)('several files as %s', (format, read) => {
  const { stdout } = extract(...PATHS, '--output', format);
  expect(read(stdout)).toEqual({
    '/profiles/profile_multistrap.json': JSON.parse(MULTISTRAP_PROFILE),
    '/profiles/profile_qcow_control-plane.json': JSON.parse(QCOW_PROFILE),
  });
});

test('several files as they are, in the order of the command line', () => {
  expect(extract(...PATHS).stdout).toBe(MULTISTRAP_PROFILE + QCOW_PROFILE);
  expect(extract(...PATHS.toReversed()).stdout).toBe(QCOW_PROFILE + MULTISTRAP_PROFILE);
});

test('a file that is no JSON is a text', () => {
  const { stdout } = extract('/qcows/control-plane.qcow2.md5sum', '--output', 'json');
  expect(JSON.parse(stdout)).toEqual({
    '/qcows/control-plane.qcow2.md5sum': expect.stringMatching(/^[0-9a-f]{32}\n$/),
  });
});

test('lists, for people and for programs', () => {
  expect(extract('--list').stdout).toMatch(/^ +\d+ {2}\/profiles\/artifacts.json$/m);
  const listed = JSON.parse(extract('--list', '/profiles', '--output', 'json').stdout);
  expect(listed).toContainEqual({ path: PATHS[0], size: Buffer.byteLength(MULTISTRAP_PROFILE) });
  expect(parse(extract('--list', '/profiles', '--output', 'yaml').stdout)).toEqual(listed);
});

test('what a read cost is told on standard error when it is asked for', () => {
  const COST = /^2 requests, \d+\.\d KiB, \d+ ms; verification: full$/m;
  for (const args of [[], PATHS, ['--list', '/profiles']]) {
    const loud = extract('--no-cache', '--verbose', ...args);
    expect(loud.stderr).toMatch(COST);
    const quiet = extract('--no-cache', ...args);
    expect(quiet.stderr).not.toMatch(/requests/);
    expect(quiet.stdout).toBe(loud.stdout);
  }
  // The second reading of a tag: one question whether it has moved, and no content.
  extract();
  expect(extract('--verbose').stderr).toMatch(/^1 requests, 0 B, \d+ ms; verification: full$/m);
  expect(extract('--verbose', '--offline').stderr).toMatch(/^0 requests, 0 B, /m);
});
