// What the command line says of mistakes in files, and of what the system refuses: the place, and never a stack.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { executable, run } from '../support/executables.ts';

const cli = executable('image-builder');
const directory = mkdtempSync(join(tmpdir(), 'image-builder-errors-'));
afterAll(() => rmSync(directory, { recursive: true }));

const HEAD = 'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: x}\n';
const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
const plan = (name: string) => {
  const { status, stdout, stderr } = run([cli, 'plan', name], { cwd: directory });
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).not.toMatch(/unexpected error|^ {4}at /m);
  return stderr;
};

test('every mistake of the object has its line', () => {
  write(
    'typo.yaml',
    `${HEAD}spec:\n  build:\n    qcows:\n      a: {qcow: {qcow_capcity: 19G}}\n    mirror: 5\n`,
  );
  expect(plan('typo.yaml')).toBe(
    `error: spec.build.mirror: is the number 5, expected a URI, such as http://deb.debian.org/debian or a list (in typo.yaml:8) [INVALID_INPUT]
    8 |     mirror: 5
      |             ^
error: spec.build.qcows.a.qcow.qcow_capcity: unknown field; did you mean qcow_capacity? (in typo.yaml:7) [INVALID_INPUT]
    7 |       ... qcow_capcity: ...
      |           ^^^^^^^^^^^^
`,
  );
});

test('so has every mistake of a file that it names', () => {
  mkdirSync(join(directory, 'manifests/rootfs'), { recursive: true });
  write('manifests/rootfs/osconfig-vars.yaml', 'sysctl:\n- name: a\n  valu: 1\n');
  write('manifests.yaml', `${HEAD}spec: {build: {manifests: manifests}}\n`);
  const file = join(directory, 'manifests/rootfs/osconfig-vars.yaml');
  expect(plan('manifests.yaml')).toContain(
    `sysctl[0].valu: unknown field; did you mean value? (in ${file}:3) [INVALID_INPUT]\n    3 |   valu: ...\n      |   ^^^^\n`,
  );
});

test.each([
  [
    'kind.yaml',
    'kind: Imagebuilder\nmetadata: {name: x}\n',
    /has no ImageBuilder object, only Imagebuilder\/x; did you/,
  ],
  [
    'two.yaml',
    `${HEAD}---\n${HEAD}`,
    /two\.yaml: has 2 ImageBuilder objects \(ImageBuilder\/x, ImageBuilder\/x\)/,
  ],
  ['none.yaml', '# nothing\n', /none\.yaml: is empty, expected an object of kind ImageBuilder/],
  ['bad.yaml', 'a: [b\n', /bad\.yaml: is not valid YAML: .* at line 2/],
  ['alias.yaml', `${HEAD}a: *nowhere\n`, /alias\.yaml: is not valid YAML: its aliases cannot be resolved/],
])('%s', (name, text, message) => {
  write(name, text);
  expect(plan(name)).toMatch(message);
});

test('what the system refuses is said without a stack', () => {
  const environment = { ...process.env, TMPDIR: '/nonexistent' };
  writeFileSync(join(directory, 'no.qcow2'), Buffer.from('514649fb', 'hex'));
  const { stderr } = run([cli, 'boot-test', 'no.qcow2'], { cwd: directory, env: environment });
  expect(stderr).toMatch(/^error: ENOENT: .* \[SYSTEM_ERROR\]\nhint: .*TMPDIR=\/nonexistent\n$/);
  for (const command of ['schema', 'inspect --help']) {
    const full = run(['sh', '-c', `${cli} ${command} > /dev/full`]);
    expect(full).toMatchObject({ status: 1, stderr: expect.stringMatching(/^error: .*ENOSPC/) });
    expect(full.stderr).not.toContain('    at ');
  }
  const gone = join(directory, 'gone');
  mkdirSync(gone);
  const removed = run(['sh', '-c', `rmdir ../gone; ${cli} plan x.yaml`], { cwd: gone });
  expect(removed.stderr).toMatch(/^error: the working directory no longer exists \[SYSTEM_ERROR\]\nhint: /m);
});
