// The function under real kpt, where nothing is normalised before or after: files must come back as they were.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { executable, inBundle, run } from '../support/executables.ts';

const kpt = run(['kpt', 'version']).status === 0 ? test : test.skip;
let directory: string;
let profiles: string;
let files: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kpt-e2e-'));
  profiles = join(directory, 'profiles');
  files = join(directory, 'package');
  mkdirSync(profiles);
  mkdirSync(files);
  writeFileSync(
    join(profiles, 'profile_multistrap.json'),
    '{"mode": "0755", "version": "1.20", "number": 1.20}',
  );
  writeFileSync(join(profiles, 'profile_qcow_data-plane.json'), '{"img_name": "data-plane"}');
});
afterEach(() => rmSync(directory, { recursive: true }));

const evaluate = (...settings: string[]) =>
  run(
    inBundle(profiles, [
      'kpt',
      'fn',
      'eval',
      files,
      '--exec',
      executable('image-builder-fn'),
      '--',
      ...settings,
    ]),
  );

const SOURCE = `# About the file.
apiVersion: v1
kind: ConfigMap
metadata: # of the object
  name: kept
data:
  z: 1e3
  a: 0755
  version: 1.20 # beside
  # between
  quoted: '0755'
  literal: |
    line
`;
const CATALOGUE = `apiVersion: airshipit.org/v1alpha1
kind: VariableCatalogue
metadata:
  name: profile_multistrap
mode: "0755"
version: "1.20"
number: 1.20
`;

kpt('files keep their text, catalogues get files of their own, a second run changes nothing', () => {
  writeFileSync(join(files, 'source.yaml'), SOURCE);
  const read = () =>
    Object.fromEntries(
      readdirSync(files)
        .sort()
        .map((name) => [name, readFileSync(join(files, name), 'utf8')]),
    );
  for (let round = 0; round < 2; round++) {
    expect(evaluate().status).toBe(0);
    expect(evaluate('configPath=/profiles/profile_qcow_data-plane.json').status).toBe(0);
    expect(read()).toEqual({
      'source.yaml': SOURCE,
      'variablecatalogue_profile_multistrap.yaml': CATALOGUE,
      'variablecatalogue_profile_qcow_data-plane.yaml': expect.stringContaining('img_name: data-plane\n'),
    });
  }
});

kpt('an updated profile updates its catalogue', () => {
  writeFileSync(join(files, 'source.yaml'), SOURCE);
  evaluate();
  writeFileSync(join(profiles, 'profile_multistrap.json'), '{"mode": "0700"}');
  expect(evaluate().status).toBe(0);
  const text = readFileSync(join(files, 'variablecatalogue_profile_multistrap.yaml'), 'utf8');
  expect(text).toContain('mode: "0700"');
  expect(text).not.toContain('version');
});

kpt('an empty package', () => {
  expect(evaluate().status).toBe(0);
  expect(readdirSync(files)).toEqual(['variablecatalogue_profile_multistrap.yaml']);
});

kpt('an error is shown, and nothing is changed', () => {
  writeFileSync(join(files, 'source.yaml'), SOURCE);
  const { status, stderr } = evaluate('configPath=/etc/passwd');
  expect(status).not.toBe(0);
  expect(stderr).toContain('/etc/passwd is outside /profiles');
  expect(readFileSync(join(files, 'source.yaml'), 'utf8')).toBe(SOURCE);
  expect(readdirSync(files)).toEqual(['source.yaml']);
});
