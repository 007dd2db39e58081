// The function as the shipped executable: arguments, streams, exit status.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { executable, inBundle, run } from '../support/executables.ts';

const fn = executable('image-builder-fn');
let directory: string;
let profiles: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'function-e2e-'));
  profiles = join(directory, 'profiles');
  mkdirSync(profiles);
  writeFileSync(
    join(profiles, 'profile_multistrap.json'),
    '{"k8s_version": "1.21.2-00", "mode": "0755", "on": "off"}',
  );
});
afterEach(() => rmSync(directory, { recursive: true }));

const ITEMS = `items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: kept} # as it is
  data: {mode: 0755, version: 1.20}
`;
const resourceList = (functionConfig: string) =>
  `apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n${ITEMS}functionConfig:\n  ${functionConfig.trim().replaceAll('\n', '\n  ')}\n`;
const CONFIG_MAP =
  'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {configPath: /profiles/profile_multistrap.json}';

test('answers from the real /profiles', () => {
  const input = resourceList(CONFIG_MAP);
  const { stdout, stderr, status } = run(inBundle(profiles, [fn]), { input });
  expect({ stdout, stderr, status }).toEqual({
    stdout: input.replace(
      'functionConfig:',
      `- apiVersion: airshipit.org/v1alpha1
  kind: VariableCatalogue
  metadata:
    name: profile_multistrap
  k8s_version: "1.21.2-00"
  mode: "0755"
  "on": "off"
functionConfig:`,
    ),
    stderr: '',
    status: 0,
  });
});

test('starts from any directory, from a copy, without a package around it', () => {
  const copy = join(directory, 'function');
  copyFileSync(fn, copy);
  const { stdout, status } = run([copy, '--version'], { cwd: '/', env: { PATH: process.env.PATH } });
  expect(status).toBe(0);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test.each(['--help', '-h'])('%s prints and ends without reading standard input', async (option) => {
  // Standard input stays open: a function that reads it would wait for ever.
  const child = spawn(fn, [option], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  // Not `exit`, before which not all of the output need have come.
  const status = await new Promise((resolve) => child.on('close', resolve));
  child.stdin.destroy();
  expect(status).toBe(0);
  expect(output).toContain('kind: ImageBuilder, apiVersion: airshipit.org/v1alpha1');
});

test.each([
  ['empty', '', 'standard input is empty'],
  [
    'two documents',
    `${resourceList(CONFIG_MAP)}---\n${resourceList(CONFIG_MAP)}`,
    'contains 2 YAML documents',
  ],
  ['not a ResourceList', 'apiVersion: v1\nkind: ConfigMap\n', 'contains kind ConfigMap, not a ResourceList'],
  ['not YAML', 'items: [', 'not valid YAML'],
])('input that is %s is a clear error', (_what, input, message) => {
  const { stdout, stderr, status } = run([fn], { input });
  expect(status).toBe(1);
  expect(stderr).toContain(message);
  const documents = parseAllDocuments(stdout);
  expect(documents).toHaveLength(1);
  expect(parse(stdout)).toMatchObject({ kind: 'ResourceList', items: [], results: [{ severity: 'error' }] });
});

test.each([
  [
    'a path outside of /profiles',
    CONFIG_MAP.replace('/profiles/profile_multistrap.json', '/etc/passwd'),
    'data.configPath: /etc/passwd is outside /profiles',
  ],
  [
    'an unknown kind',
    'kind: DoesNotMatter',
    'kind: is DoesNotMatter, expected one of ConfigMap, ImageBuilder',
  ],
])('%s: everything comes back, with the error', (_what, config, message) => {
  const input = resourceList(config);
  const { stdout, stderr, status } = run(inBundle(profiles, [fn]), { input });
  expect(status).toBe(1);
  expect(stderr).toContain(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stdout.startsWith(input)).toBe(true);
  expect(parse(stdout).results).toHaveLength(1);
});

test('a large answer gets through a pipe whole', () => {
  const items = Array.from(
    { length: 20_000 },
    (_, n) => `- {kind: X, metadata: {name: item-${n}}, padding: ${'x'.repeat(50)}}\n`,
  );
  const input = resourceList('kind: DoesNotMatter').replace(ITEMS, `items:\n${items.join('')}`);
  const { stdout, status } = run(['sh', '-c', `${fn} | { sleep 1; cat; }`], { input });
  expect(status).toBe(0);
  expect(stdout.length).toBeGreaterThan(input.length);
  expect(stdout).toContain('item-19999');
});

test('input that arrives slowly, in pieces, through a non-blocking pipe', async () => {
  const input = resourceList(CONFIG_MAP.replace('/profiles/', '/etc/'));
  const setNonBlocking =
    'import fcntl,os,sys; fcntl.fcntl(0,fcntl.F_SETFL,os.O_NONBLOCK); os.execv(sys.argv[1],sys.argv[1:])';
  const child = spawn('python3', ['-c', setNonBlocking, fn], { stdio: ['pipe', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  for (const piece of [input.slice(0, 20), input.slice(20, 90), input.slice(90)]) {
    child.stdin.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  child.stdin.end();
  await new Promise((resolve) => child.on('close', resolve));
  expect(output.startsWith(input)).toBe(true);
});

test('a reader that goes away is no crash', () => {
  const { stderr } = run(['sh', '-c', `${fn} --help | true`]);
  expect(stderr).toBe('');
});

describe('standalone', () => {
  const write = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };

  test('answers with the bare items', () => {
    const config = write('config.yaml', CONFIG_MAP);
    const items =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {mode: 0755} # comment\n---\nkind: B\n';
    const expected = `${items}---
apiVersion: airshipit.org/v1alpha1
kind: VariableCatalogue
metadata:
  name: profile_multistrap
k8s_version: "1.21.2-00"
mode: "0755"
"on": "off"
`;
    const fromFile = run(inBundle(profiles, [fn, config, write('in.yaml', items)]));
    expect(fromFile.stdout).toBe(expected);
    expect(run(inBundle(profiles, [fn, config, '-']), { input: items }).stdout).toBe(expected);
    const generated = run(inBundle(profiles, [fn, config]));
    expect(generated.stdout).toBe(expected.slice(items.length + 4));
  });

  test('answers a ResourceList with a ResourceList', () => {
    const config = write('config.yaml', CONFIG_MAP);
    const { stdout } = run(inBundle(profiles, [fn, config, '-']), { input: resourceList('kind: Ignored') });
    expect(parse(stdout)).toMatchObject({ kind: 'ResourceList', functionConfig: { kind: 'Ignored' } });
    expect(parse(stdout).items).toHaveLength(2);
  });

  test('shows the line of an error', () => {
    const config = write(
      'config.yaml',
      CONFIG_MAP.replace('/profiles/profile_multistrap.json', '/etc/passwd'),
    );
    const { stderr, status } = run([fn, config]);
    expect(status).toBe(1);
    expect(
      stderr,
    ).toBe(`error: ConfigMap/c: data.configPath: /etc/passwd is outside /profiles, the only directory that is read (in ${config}) [INVALID_INPUT]
    4 | ... configPath: /etc/passwd ...
      |                 ^^^^^^^^^^^
`);
  });

  test.each([
    ['/nonexistent/config.yaml', undefined, 'cannot be read'],
    ['two documents', 'kind: A\n---\nkind: B\n', 'contains 2 YAML documents, expected one object'],
    ['not YAML', 'a: [', 'not valid YAML'],
    ['not an object', '- a\n', 'expected one object'],
    ['empty', '', 'expected one object'],
  ])('%s is a clear error', (name, text, message) => {
    const { stdout, stderr, status } = run([fn, text === undefined ? name : write('config.yaml', text)]);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/unexpected|^ {4}at /m);
    expect(stdout).toBe('');
  });

  test.each([
    ['not YAML', 'a: [', 'is not valid YAML'],
    ['an alias without an anchor', 'a: *b\n', 'the alias *b has no anchor'],
    ['a list', '- a\n', 'contains a document that is not an object'],
  ])('items that are %s are a clear error', (_what, text, message) => {
    const { stdout, stderr, status } = run([fn, write('config.yaml', CONFIG_MAP), write('in.yaml', text)]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(`${message}`);
    expect(stderr).toContain('in.yaml');
    expect(stderr).not.toMatch(/unexpected|^ {4}at /m);
  });

  test('wrong arguments', () => {
    for (const args of [['--nope'], ['a', 'b', 'c']]) {
      const { stderr, status } = run([fn, ...args]);
      expect(status).toBe(2);
      expect(stderr).toContain('usage:');
    }
  });
});

test('nothing is left in the temporary directory', () => {
  const temporary = join(directory, 'tmp');
  mkdirSync(temporary);
  run(inBundle(profiles, [fn]), {
    input: resourceList(CONFIG_MAP),
    env: { ...process.env, TMPDIR: temporary },
  });
  expect(readdirSync(temporary)).toEqual([]);
});
