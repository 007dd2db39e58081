// Several objects in one `build`: which are read out of files and directories, and what becomes of each.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CancelledError } from '../../../image-builder/base/diagnostics/cancelled.ts';
import { findingsOf, formatFinding, invalidInput } from '../../../image-builder/base/diagnostics/error.ts';
import type { ProgressEvent } from '../../../image-builder/base/diagnostics/progress.ts';
import { buildMany } from '../../../image-builder/cli/build-many.ts';
import { type BuildOfFiles, readBuilds } from '../../../image-builder/cli/spec-files.ts';
import { PERSON } from '../../support/policies.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'build-many-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const object = (name: string, build: object = {}) =>
  `apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: ${name}}\nspec: ${JSON.stringify({ build })}\n`;
const READER =
  'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: reader}\nspec: {bundle: {image: x}}\n';
const write = (files: Record<string, string>) => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
};
const read = (...paths: string[]) =>
  readBuilds(
    paths.map((path) => join(directory, path)),
    { cwd: directory, policyOf: async () => PERSON },
  );
const namesOf = (builds: readonly BuildOfFiles[]) => builds.map(({ object }) => object.metadata.name);
async function errorsOf(reading: Promise<unknown>): Promise<string[]> {
  const error = await reading.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  return findingsOf(error).map((finding) => formatFinding(finding).replaceAll(`${directory}/`, ''));
}

describe('readBuilds', () => {
  test('takes what builds, out of directories and files with several documents', async () => {
    mkdirSync(join(directory, 'site/below'), { recursive: true });
    write({
      'site/b.yml': object('b'),
      'site/a.yaml': `${object('a1')}---\nkind: Other\n---\n${READER}---\n${object('a2')}`,
      'site/notes.txt': object('text'),
      'site/below/c.yaml': object('below'),
      'one.yaml': object('one'),
    });
    expect(namesOf(await read('site', 'one.yaml'))).toEqual(['a1', 'a2', 'b', 'one']);
  });

  test('tells everything that is wrong with all of them at once', async () => {
    write({
      'a.yaml': object('a', { whenMissing: 'Never' }),
      'b.yaml': `${object('good')}---\n${object('b', { distribution: 'Debian 13' })}`,
    });
    expect(await errorsOf(read('a.yaml', 'b.yaml'))).toEqual([
      expect.stringMatching(/^error: ImageBuilder\/a: spec\.build\.whenMissing: .*\(in a\.yaml:4\)/),
      expect.stringMatching(/^error: ImageBuilder\/b: spec\.build\.distribution: .*\(in b\.yaml:9\)/),
    ]);
  });

  test('an object alone is not named', async () => {
    write({ 'a.yaml': object('a', { whenMissing: 'Never' }) });
    expect(await errorsOf(read('a.yaml'))).toEqual([
      expect.stringMatching(/^error: spec\.build\.whenMissing/),
    ]);
  });

  test.each([
    ['a file without an object', { 'x.yaml': 'kind: Other\n' }, 'x.yaml', /has no ImageBuilder object/],
    [
      'an object that only reads',
      { 'x.yaml': READER },
      'x.yaml',
      /spec: reads a bundle, expected spec\.build/,
    ],
    [
      'a directory without an object',
      { 'x.yaml': READER },
      '',
      /no \*\.yaml or \*\.yml with an ImageBuilder/,
    ],
  ])('%s', async (_what, files, path, message) => {
    write(files as Record<string, string>);
    expect((await errorsOf(read(path))).join('\n')).toMatch(message);
  });

  test('the files of a directory are regular ones, and lead nowhere else', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'build-many-outside-'));
    try {
      writeFileSync(join(outside, 'secret.yaml'), 'password: hunter2\n');
      mkdirSync(join(directory, 'site'));
      write({ 'site/a.yaml': object('a') });
      symlinkSync('a.yaml', join(directory, 'site/b.yml'));
      expect((await errorsOf(read('site'))).join()).toMatch(/is a, like that of an object in site\/a\.yaml/);
      rmSync(join(directory, 'site/b.yml'));
      for (const target of [join(outside, 'secret.yaml'), '/dev/zero']) {
        symlinkSync(target, join(directory, 'site/b.yml'));
        const errors = (await errorsOf(read('site'))).join();
        expect(errors).toContain('PATH_OUTSIDE');
        expect(errors).not.toContain('hunter2');
        rmSync(join(directory, 'site/b.yml'));
      }
      execFileSync('mkfifo', [join(directory, 'site/b.yml')]);
      expect((await errorsOf(read('site'))).join()).toMatch(/is not a regular file/);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  test('each directory that is named has something', async () => {
    mkdirSync(join(directory, 'empty'));
    write({ 'a.yaml': object('a') });
    expect((await errorsOf(read('a.yaml', 'empty'))).join()).toMatch(/empty.*has no \*\.yaml/);
  });

  test('each build has a name and a place of its own', async () => {
    const bundle = { repository: 'registry.example.org/nodes', tag: 'v1' };
    write({
      'a.yaml': object('a', { bundle }),
      'b.yaml': object('b', { bundle }),
      'c.yaml': object('a', { bundle: { ...bundle, tag: 'v2' } }),
      'd.yaml': object('d', { bundle: { archive: './x.tar' } }),
      'e.yaml': object('e', { bundle: { archive: 'x.tar' } }),
    });
    expect(await errorsOf(read('a.yaml', 'b.yaml', 'c.yaml', 'd.yaml', 'e.yaml'))).toEqual([
      expect.stringMatching(
        /^error: metadata\.name: is a, like that of an object in a\.yaml.*\(in c\.yaml\)/,
      ),
      expect.stringMatching(/^error: spec\.build\.bundle: of b goes to registry\.example\.org\/nodes:v1/),
      expect.stringMatching(/^error: spec\.build\.bundle: of e goes to x\.tar, where d in d\.yaml goes/),
    ]);
  });
});

describe('buildMany', () => {
  const buildsOf = async (names: readonly string[]) => {
    write(Object.fromEntries(names.map((name) => [`${name}.yaml`, object(name)])));
    return await read(...names.map((name) => `${name}.yaml`));
  };
  const run = async (
    names: readonly string[],
    parallel: number,
    perform: Parameters<typeof buildMany<{ image?: string }>>[2],
    signal = new AbortController().signal,
  ) => {
    const events: ProgressEvent[] = [];
    const report = (event: ProgressEvent) => void events.push(event);
    return { ...(await buildMany(await buildsOf(names), parallel, perform, { report, signal })), events };
  };

  test('builds so many at the same time, and answers in the order of the objects', async () => {
    let [now, most] = [0, 0];
    const { results } = await run(['a', 'b', 'c', 'd'], 2, async ({ object }) => {
      most = Math.max(most, ++now);
      await new Promise((done) => setTimeout(done, object.metadata.name === 'a' ? 30 : 5));
      now--;
      return { image: object.metadata.name };
    });
    expect(most).toBe(2);
    expect(results).toEqual([{ image: 'a' }, { image: 'b' }, { image: 'c' }, { image: 'd' }]);
  });

  test('the failure of one is its own, and names it', async () => {
    const { results, findings, summary, events } = await run(
      ['a', 'b', 'c'],
      1,
      async (build, { report }) => {
        const { name } = build.object.metadata;
        if (name === 'b') throw invalidInput('spec.build', 'does not please');
        if (name === 'a') report({ type: 'stage', stage: 'rootfs', status: 'started' });
        return { image: `oci:${name}` };
      },
    );
    expect(results).toHaveLength(2);
    expect(findings.map(formatFinding).join().replaceAll(`${directory}/`, '')).toContain(
      'error: ImageBuilder/b: spec.build: does not please',
    );
    expect(summary.map((line) => line.replace(/\d+\.\d/, 'N').split(/ +/))).toEqual([
      ['NAME', 'RESULT', 'SECONDS', 'BUNDLE'],
      ['a', 'built', 'N', 'oci:a'],
      ['b', 'failed', 'N'],
      ['c', 'cached', 'N', 'oci:c'],
    ]);
    expect(events).toContainEqual({ type: 'stage', stage: 'a/rootfs', status: 'started' });
    expect(events).toContainEqual({
      type: 'stage',
      stage: 'b',
      status: 'failed',
      seconds: expect.any(Number),
    });
  });

  test('after a signal nothing more is begun', async () => {
    const interrupt = new AbortController();
    const begun: string[] = [];
    const { summary } = await run(
      ['a', 'b', 'c'],
      1,
      async ({ object }) => {
        begun.push(object.metadata.name);
        interrupt.abort();
        throw new CancelledError('CANCELLED', 'cancelled');
      },
      interrupt.signal,
    );
    expect(begun).toEqual(['a']);
    expect(summary.slice(1).map((line) => line.replace(/ +/g, ' '))).toEqual([
      expect.stringMatching(/^a not built/),
      'b not built 0.0',
      'c not built 0.0',
    ]);
  });
});
