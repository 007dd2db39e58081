// Whose word counts: the machine's file, the user's, the environment and the options.
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadPolicy, type PolicyOptions } from '../../../image-builder/policy/load.ts';

const directory = mkdtempSync(join(tmpdir(), 'image-builder-policy-'));
afterAll(() => rmSync(directory, { recursive: true }));

const HEAD = 'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilderPolicy\n';
const KEY = 'MCowBQYDK2VwAyEAlYMMEioeAIFoHsIYHeXDjfl8Qn9wee1KHQOrFRipGEM=';
let count = 0;
function policyFile(text: string): string {
  count += 1;
  const path = join(directory, `${count}.yaml`);
  writeFileSync(path, HEAD + text);
  return path;
}
/** A configuration directory with the user's policy. */
function home(text: string): string {
  count += 1;
  const config = join(directory, `config-${count}`);
  mkdirSync(join(config, 'image-builder'), { recursive: true });
  writeFileSync(join(config, 'image-builder/policy.yaml'), HEAD + text);
  return config;
}
const load = (options: Partial<PolicyOptions> = {}) =>
  loadPolicy({
    caller: 'render',
    env: {},
    cwd: '/repository',
    machineFile: join(directory, 'none'),
    ...options,
  });
const messageOf = async (options: Partial<PolicyOptions>) =>
  ((await load(options).catch((error: Error) => error as Error)) as Error).message;

test('without any policy a render may do less than a person', async () => {
  const closed = { read: [], write: [], stores: [], bundles: [], credentialHelpers: true };
  expect(await load()).toEqual({
    ...closed,
    caller: 'render',
    push: [],
    storesOfSpec: false,
    images: [],
    networks: ['default'],
    namespaces: [],
    backgroundBuilds: false,
  });
  expect(await load({ caller: 'person' })).toEqual({
    ...closed,
    caller: 'person',
    push: ['*'],
    storesOfSpec: true,
    images: ['*'],
    networks: ['default', '*'],
    namespaces: ['*'],
    backgroundBuilds: true,
  });
});

test("the user's file counts without a machine's, and with one that says so", async () => {
  const env = { XDG_CONFIG_HOME: home('push: [registry.example.org/user]\n') };
  expect((await load({ env })).push).toEqual(['registry.example.org/user']);
  const silent = policyFile('push: [registry.example.org/machine]\n');
  expect((await load({ env, machineFile: silent })).push).toEqual(['registry.example.org/machine']);
  const open = policyFile('userPolicy: true\npush: [registry.example.org/machine]\n');
  expect((await load({ env, machineFile: open })).push).toEqual([
    'registry.example.org/user',
    'registry.example.org/machine',
  ]);
  // A directory of configuration that is not absolute is nobody's (XDG), such as one of the work tree.
  expect((await load({ env: { XDG_CONFIG_HOME: '.' } })).push).toEqual([]);
});

test('what a policy names narrows a person, too', async () => {
  const machineFile = policyFile(
    `push: [registry.example.org/site/*]\nbackgroundBuilds: false\nstores: [{repository: registry.example.org/store, keys: [${KEY}]}]\nbuilder: {images: [registry.example.org/builder], networks: [default], namespaces: [builds]}\n`,
  );
  expect(await load({ caller: 'person', machineFile })).toMatchObject({
    push: ['registry.example.org/site/*'],
    backgroundBuilds: false,
    storesOfSpec: false,
    stores: [{ repository: 'registry.example.org/store', keys: [KEY], trustRegistry: false }],
    images: ['registry.example.org/builder'],
    networks: ['default'],
    namespaces: ['builds'],
  });
});

test('the environment and the options add what they allow, and never pushing wins', async () => {
  const machineFile = policyFile('read: [/srv/keys]\npush: [registry.example.org/machine]\n');
  const env = {
    IMAGE_BUILDER_ALLOW_PATHS: '../keys:/opt/keys',
    IMAGE_BUILDER_PUSH: 'registry.example.org/a, registry.example.org/b/*',
    IMAGE_BUILDER_IMAGES: 'registry.example.org/builder',
    IMAGE_BUILDER_NAMESPACES: 'builds, more',
    IMAGE_BUILDER_BACKGROUND_BUILDS: 'allow',
    IMAGE_BUILDER_CREDENTIAL_HELPERS: 'never',
  };
  const allowed = await load({ env, machineFile, allowPath: ['more'], allowOutput: ['/srv/images'] });
  expect(allowed).toMatchObject({
    read: ['/keys', '/opt/keys', '/repository/more', '/srv/keys'],
    write: ['/srv/images'],
    namespaces: ['builds', 'more'],
    push: ['registry.example.org/a', 'registry.example.org/b/*', 'registry.example.org/machine'],
    images: ['registry.example.org/builder'],
    backgroundBuilds: true,
    credentialHelpers: false,
  });
  expect((await load({ machineFile, env: { IMAGE_BUILDER_PUSH: 'never' } })).push).toEqual([]);
  expect((await load({ caller: 'person', env: { IMAGE_BUILDER_PUSH: 'never' } })).push).toEqual([]);
  expect(await messageOf({ env: { IMAGE_BUILDER_BACKGROUND_BUILDS: 'yes' } })).toMatch(
    /IMAGE_BUILDER_BACKGROUND_BUILDS: is "yes", expected allow or never/,
  );
});

test('keys of the environment are good for every store, a registry is believed by name only', async () => {
  const keys = join(directory, 'keys.pem');
  const pem = `-----BEGIN PUBLIC KEY-----\n${KEY}\n-----END PUBLIC KEY-----`;
  writeFileSync(keys, `${pem}\n${pem}\n`);
  const env = { IMAGE_BUILDER_STORE_KEYS: keys };
  expect((await load({ env })).stores).toEqual([{ repository: '*', keys: [pem, pem], trustRegistry: false }]);
  const repository = 'registry.example.org/store';
  const named = { IMAGE_BUILDER_STORE_REPOSITORY: repository };
  expect(await load({ caller: 'person', env: named })).toMatchObject({
    // Where results are is known, not whom to believe: a person's spec may still say that.
    storesOfSpec: true,
    stores: [{ repository, keys: [], trustRegistry: false }],
  });
  expect(await load({ env: { ...named, IMAGE_BUILDER_STORE_TRUST: 'registry' } })).toMatchObject({
    storesOfSpec: false,
    stores: [{ repository, keys: [], trustRegistry: true }],
  });
  expect(await messageOf({ env: { IMAGE_BUILDER_STORE_TRUST: 'registry' } })).toMatch(
    /needs IMAGE_BUILDER_STORE_REPOSITORY/,
  );
});

describe('a policy that is not to be believed', () => {
  test('others could have written it', async () => {
    const machineFile = policyFile('');
    chmodSync(machineFile, 0o666);
    expect(await messageOf({ machineFile })).toMatch(/can be written by others \(mode 666\)/);
  });

  // Only root can give a file to somebody else.
  const asRoot = process.getuid?.() === 0 ? test : test.skip;
  asRoot('it belongs to somebody else', async () => {
    const machineFile = policyFile('');
    chmodSync(machineFile, 0o644);
    chownSync(machineFile, 65534, 65534);
    expect(await messageOf({ machineFile })).toMatch(/belongs to the user 65534/);
  });

  test('it is no file', async () => {
    expect(await messageOf({ machineFile: '/dev/zero' })).toMatch(/is not a regular file/);
    expect(await messageOf({ machineFile: directory })).toMatch(/is not a regular file/);
    const loop = join(directory, 'loop');
    symlinkSync(loop, loop);
    expect(await messageOf({ machineFile: loop })).toMatch(/cannot be read: ELOOP/);
  });

  test('the one that is named for this run is not there', async () => {
    expect(await messageOf({ env: { IMAGE_BUILDER_POLICY: 'nothing.yaml' } })).toBe(
      'error: IMAGE_BUILDER_POLICY: /repository/nothing.yaml does not exist',
    );
  });

  test('every mistake is told at once, with the file and the line', async () => {
    const machineFile = policyFile(
      'read: [keys]\npush: "*"\npusch: []\nuserPolicy: "true"\nstores: [{keys: [1]}]\nbuilder: {images: ["-x"]}\n',
    );
    const message = await messageOf({ machineFile });
    const lines = message.split('\n');
    expect(lines.slice(0, 3)).toEqual([
      `error: read[0]: is "keys", expected absolute paths (in ${machineFile}:3)`,
      '    3 | ... keys ...',
      '      |     ^^^^',
    ]);
    expect(lines.filter((line) => line.startsWith('error: ')).slice(1)).toEqual([
      expect.stringContaining('push: is "*", expected a list of repositories'),
      expect.stringContaining('pusch: unknown field, expected apiVersion, kind, userPolicy'),
      expect.stringContaining('userPolicy: is "true", expected true or false'),
      expect.stringContaining('stores[0].keys[0]: is 1, expected Ed25519 public keys'),
      expect.stringContaining('stores[0].repository: is missing'),
      expect.stringContaining('builder.images[0]: is "-x", expected images'),
    ]);
  });

  test('JSON is a policy too, with every mistake of YAML', async () => {
    const json = (content: string) => {
      const path = policyFile('');
      writeFileSync(path, content);
      return path;
    };
    const header = '"apiVersion": "airshipit.org/v1alpha1", "kind": "ImageBuilderPolicy"';
    const policy = await load({ machineFile: json(`{${header}, "push": ["registry.example.org/site/*"]}`) });
    expect(policy.push).toEqual(['registry.example.org/site/*']);
    const wrong = json(`{${header},\n "push": "*"}`);
    expect(await messageOf({ machineFile: wrong })).toContain(`(in ${wrong}:2)`);
    // JSON.parse would take the last one.
    const twice = json(`{${header},\n "push": [], "push": ["*"]}`);
    expect(await messageOf({ machineFile: twice })).toMatch(/line 2, column \d+: not valid YAML: .*unique/);
  });

  test('YAML that does not parse is told by line, and an alias bomb is an error like others', async () => {
    expect(await messageOf({ machineFile: policyFile('read: [secret: hunter3') })).toMatch(
      /line \d+, column \d+/,
    );
    expect(await messageOf({ machineFile: policyFile('read: *nothing\n') })).toMatch(
      /not valid YAML: Unresolved alias/,
    );
  });
});

describe('what bundles must be', () => {
  const rule = (repository: string, more = '') =>
    `- {repository: ${repository}, trust: {keys: [${KEY}]${more}}}\n`;

  test('the user’s rules come on top of the machine’s, and nothing takes those away', async () => {
    const machineFile = policyFile(
      `userPolicy: true\nbundles:\n${rule('registry.example.org/site/*', ', threshold: 2')}`,
    );
    const env = { XDG_CONFIG_HOME: home(`bundles:\n${rule('"*"')}`) };
    expect(await load({ machineFile, env })).toMatchObject({
      bundles: [
        [{ repository: 'registry.example.org/site/*', trust: { keys: [KEY], threshold: 2 } }],
        [{ repository: '*', trust: { keys: [KEY] } }],
      ],
    });
    expect(
      (await load({ machineFile, env: { IMAGE_BUILDER_POLICY: policyFile('bundles: []\n') } })).bundles[0],
    ).toHaveLength(1);
    expect((await load()).bundles).toEqual([]);
  });

  test.each([
    ['bundles: {}', 'bundles: is {}, expected a list of rules'],
    ['bundles: [{repository: x}]', 'bundles[0].trust: is missing'],
    ['bundles: [{repository: x, trust: {}}]', 'bundles[0].trust.keys: is missing'],
    [
      'bundles: [{repository: x, trust: {keys: [], require: [signatures]}}]',
      'bundles[0].trust.require[0]: is "signatures", expected signature, provenance, sbom, bootTest',
    ],
    [
      'bundles: [{repository: x, trust: {keys: [], threshold: 0}}]',
      'bundles[0].trust.threshold: is 0, expected a number from 1',
    ],
    [
      'bundles: [{repository: x, trust: {keys: [], maxAge: 3 weeks}}]',
      'bundles[0].trust.maxAge: is "3 weeks", expected a time such as 90d, 12h, 30m or 600s',
    ],
    [
      'bundles: [{repository: x, trust: {keys: [], buildType: ""}}]',
      'bundles[0].trust.buildType: is "", expected a text',
    ],
    [
      'bundles: [{repository: x, trust: {keys: [], testConfiguration: "sha256:AB"}}]',
      'bundles[0].trust.testConfiguration: is "sha256:AB", expected sha256: and 64 hexadecimal digits',
    ],
    [
      'bundles: [{repository: x, trust: {keys: [], claims: {tag: 1}}}]',
      'bundles[0].trust.claims.tag: is 1, expected a text',
    ],
    ['bundles: [{repository: x, trust: {key: a, keys: []}}]', 'bundles[0].trust.key: unknown field'],
  ])('%s', async (text, message) => {
    expect(await messageOf({ machineFile: policyFile(`${text}\n`) })).toContain(message);
  });
});
