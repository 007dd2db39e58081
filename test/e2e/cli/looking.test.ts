// Looking is harmless: whatever a spec or a bundle says, commands that only look run nothing of it, show no file from
// outside of the directory, and write nothing but the store and the cache.
import { createHash } from 'node:crypto';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { predecessorBundle } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import { executable, run } from '../support/executables.ts';

const directory = mkdtempSync(join(tmpdir(), 'looking-'));
const at = (...names: string[]) => join(directory, ...names);
const checkout = at('checkout');
const marker = at('executed');
const SECRET = 'SECRET-OF-THE-MACHINE';
afterAll(() => rmSync(directory, { recursive: true }));

const pipe = `{{ lookup('pipe', 'touch ${marker}') }}`;
const option = `-oAptCli::Hooks::Install::=touch ${marker}; cat`;
const image = 'registry.test/builder:v1';

/** What specs try, as parts of spec.build. */
const ATTACKS: Record<string, Record<string, unknown>> = {
  'a template that runs a program': { rootfs: { osconfig: { banners: { motd: pipe } } } },
  'such a template for a builder image': {
    executor: { container: { image } },
    qcows: { node: { osconfig: { files: [{ name: '/x', file_content: pipe }] } } },
  },
  'an option of apt as a package': { rootfs: { multistrap: { kernel_headers_pkg: option } } },
  'a lock from elsewhere': { lock: '../outside/secret' },
  'a lock behind a link': { lock: './link' },
  'manifests from elsewhere': { manifests: '../outside' },
  'manifests behind links': { manifests: './manifests' },
  'a key from elsewhere': {
    rootfs: {
      multistrap: {
        repos_append: [
          { name: 'x', source: 'http://127.0.0.1:9/x', suite: 'x/', keyring_file: '../outside/secret' },
        ],
      },
    },
  },
  'a base image from elsewhere': { bundle: { base: 'oci:../outside/layout' } },
  'an archive in the place of a file': { bundle: { archive: '../outside/secret' } },
  'a layout elsewhere': { bundle: { layout: '../outside/out' } },
  'a layout anywhere for a builder image': { executor: { container: { image } }, bundle: { layout: '/' } },
};

const head = 'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\n';
const environment = {
  PATH: process.env.PATH,
  HOME: at('home'),
  TMPDIR: at('tmp'),
  IMAGE_BUILDER_STORE: at('store'),
  IMAGE_BUILDER_CACHE: at('cache'),
  DOCKER_HOST: `unix://${at('no-engine')}`,
};

beforeAll(async () => {
  for (const name of ['home', 'tmp', 'outside/rootfs', 'checkout/manifests/rootfs'])
    mkdirSync(at(name), { recursive: true });
  const secret = `password: ${SECRET}\n  not: [yaml\n`;
  writeFileSync(at('outside/secret'), secret);
  writeFileSync(at('outside/rootfs/osconfig-vars.yaml'), secret);
  symlinkSync('../outside/secret', at('checkout/link'));
  symlinkSync('../../../outside/secret', at('checkout/manifests/rootfs/osconfig-vars.yaml'));
  await writeLayout(at('outside/layout'), predecessorBundle({ qcowBytes: 1000 }));
  // What a bundle says of itself goes to a terminal, into catalogues and into Markdown.
  const bundle = predecessorBundle({ qcowBytes: 1000 });
  bundle.layers[2]?.entries?.push(
    { name: 'profiles/profile_qcow_x.json', content: JSON.stringify({ img_name: `\x1b]0;${pipe}\x07` }) },
    { name: 'qcows/\x1b[2J.qcow2', content: 'q' },
  );
  await writeLayout(at('checkout/bundle'), bundle);
  cpSync(at('checkout/bundle'), at('checkout/newer'), { recursive: true });
  writeFileSync(
    at('checkout/kustomization.yaml'),
    `generators: [spec.yaml, ../outside/secret]\ntransformers: ["$(touch ${marker})"]\n`,
  );
});

/** Every file of the directory with its content, but for the store and the cache. */
function snapshot(place = directory): string[] {
  return readdirSync(place).flatMap((name) => {
    const path = join(place, name);
    if (place === directory && ['store', 'cache'].includes(name)) return [];
    const found = lstatSync(path);
    if (found.isDirectory()) return [path, ...snapshot(path)];
    const content = found.isSymbolicLink() ? readlinkSync(path) : readFileSync(path);
    return [`${path} ${found.mode} ${createHash('sha256').update(content).digest('hex')}`];
  });
}

function look(argv: string[], input = '') {
  const [name = '', ...options] = argv;
  const program = name === 'image-builder-fn' ? name : 'image-builder';
  const args = program === name ? options : argv;
  return run([executable(program), ...args], { cwd: checkout, env: environment, input });
}

describe.each(Object.entries(ATTACKS))('%s', (_, build) => {
  const mirror = 'http://127.0.0.1:9/debian';
  const spec = `${head}metadata: {name: x}\nspec: ${JSON.stringify({ build: { mirror, ...build } })}\n`;
  const list = JSON.stringify({
    apiVersion: 'config.kubernetes.io/v1',
    kind: 'ResourceList',
    items: [],
    functionConfig: {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name: 'x' },
      spec: { build: { mirror, whenMissing: 'Fail', ...build } },
    },
  });

  test('does no harm', () => {
    writeFileSync(join(checkout, 'spec.yaml'), spec);
    const before = snapshot();
    const runs = [look(['build', '--dry-run', 'spec.yaml']), look(['image-builder-fn'], list)];
    expect(runs.at(-1)?.status).toBe(1);
    for (const { stdout, stderr } of runs) {
      expect(stdout + stderr).not.toContain(SECRET);
      expect(stdout + stderr).not.toMatch(/unexpected error|\n {4}at /);
    }
    expect(snapshot()).toEqual(before);
  });
});

test('so do a plan, a check of a lock, the history and the doctor', () => {
  const build = { mirror: 'http://127.0.0.1:9/debian', ...ATTACKS['a template that runs a program'] };
  writeFileSync(
    join(checkout, 'spec.yaml'),
    `${head}metadata: {name: x}\nspec: ${JSON.stringify({ build })}\n`,
  );
  const before = snapshot();
  for (const argv of [
    ['plan', 'spec.yaml'],
    ['lock', '--check', 'spec.yaml'],
    ['history', '../outside'],
    ['doctor', '.'],
  ])
    expect(look(argv).stdout).not.toContain(SECRET);
  expect(snapshot()).toEqual(before);
});

test('a bundle that says what it likes is only told', () => {
  writeFileSync(
    join(checkout, 'spec.yaml'),
    `${head}metadata: {name: x}\nspec: {bundle: {image: 'oci:bundle'}}\n`,
  );
  const before = snapshot();
  for (const argv of [
    ['extract', 'oci:bundle'],
    ['inspect', 'oci:bundle'],
    ['diff', '--output', 'markdown', 'oci:bundle', 'oci:newer'],
    ['pin', '--check', '.'],
  ]) {
    const { stdout, stderr } = look(argv);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
    expect(`${argv}: ${stdout}${stderr}`).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f]/);
    expect(stdout + stderr).not.toMatch(/unexpected error|\n {4}at /);
  }
  expect(snapshot()).toEqual(before);
});
