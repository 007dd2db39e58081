// The preset for Renovate finds what ImageBuilder objects name by tag and digest, and the examples of kpt and Flux are whole.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { parseImageBuilder } from '../../../image-builder/spec/api/validate.ts';

const directory = join(__dirname, '../../../examples/gitops');
const read = (path: string) => parse(readFileSync(join(directory, path), 'utf8'));
const DIGEST = `sha256:${'0a'.repeat(32)}`;

describe('the preset for Renovate', () => {
  const [manager] = read('renovate/image-builder.json').customManagers;
  const found = (text: string) =>
    manager.matchStrings.flatMap((pattern: string) =>
      [...text.matchAll(new RegExp(pattern, 'g'))].map(({ groups }) => ({ ...groups })),
    );

  test.each([
    [
      'a bundle',
      `bundle:\n    image: registry.example.org/site/b:v1.2@${DIGEST}\n`,
      'registry.example.org/site/b',
    ],
    [
      'one of many',
      `  a: {image: "registry.example.org:5000/b:v1.2@${DIGEST}"}\n`,
      'registry.example.org:5000/b',
    ],
    ['the builder', `container:\n  image: 'site/tools:v1.2@${DIGEST}' # tools\n`, 'site/tools'],
  ])('finds %s', (_what, text, depName) => {
    expect(found(text)).toEqual([{ depName, currentValue: 'v1.2', currentDigest: DIGEST }]);
  });

  test.each([
    `image: registry.example.org/b@${DIGEST}`,
    'image: b:v1',
    'image: oci:out:v1',
    `note: b:v1@${DIGEST}`,
  ])('leaves %s alone', (text) => expect(found(text)).toEqual([]));

  test('looks into YAML only', () => {
    const [pattern] = manager.managerFilePatterns;
    expect(pattern).toMatch(/^\/.*\/$/);
    const matches = (path: string) => new RegExp(pattern.slice(1, -1)).test(path);
    expect(['a/b.yaml', 'b.yml', 'b.yaml.md', 'b.json'].map(matches)).toEqual([true, true, false, false]);
  });
});

test('the object of the kpt package is valid', async () => {
  expect((await parseImageBuilder(read('kpt/image-builder.yaml'))).spec.bundle).toBeDefined();
  const [mutator] = read('kpt/Kptfile').pipeline.mutators;
  expect(mutator).toEqual({ exec: 'image-builder-fn', configPath: 'image-builder.yaml' });
});

test('shell commands of the examples are those of a POSIX shell', () => {
  const { template } = read('flux/cronjob.yaml').spec.jobTemplate.spec;
  const [, , script] = template.spec.containers[0].command;
  execFileSync('sh', ['-n'], { input: script });
});
