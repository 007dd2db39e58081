// What evidence costs: writing a bill of materials, publishing a bundle with everything signed, and demanding it.
//
//   npm run build && node bench/evidence.mjs ROOTFS.tar [RUNS]
//
// Takes any root file system tar of Debian. The limits are for two idle processors; requests and bytes do not depend on
// the machine. cosign is counted where scripts/setup.sh --tests has put it.
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startRegistry } from './bundles.mjs';
import { loadEngine } from './engine.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [archive, runs = '15'] = process.argv.slice(2);
if (!archive) {
  process.stderr.write('usage: node bench/evidence.mjs ROOTFS.tar [RUNS]\n');
  process.exit(2);
}

/**
 * The least processor time of many runs of a command with each environment, in turn, in milliseconds; the first of each
 * fills the cache.
 */
const LEAST = `
import json, os, resource, subprocess, sys
def cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1000
environments = [dict(os.environ, **more) for more in json.loads(sys.argv[2])]
least = [float("inf")] * len(environments)
for run in range(int(sys.argv[1]) + 1):
    for index, environment in enumerate(environments):
        before = cpu()
        subprocess.run(sys.argv[3:], check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if run > 0:
            least[index] = min(least[index], cpu() - before)
print(json.dumps(least))
`;
const leastTimes = (count, command, environments) =>
  JSON.parse(
    execFileSync('python3', ['-c', LEAST, `${count}`, JSON.stringify(environments), ...command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );

const directory = mkdtempSync(join(tmpdir(), 'evidence-bench-'));
const { registry, port, asked } = await startRegistry(directory);
const host = `127.0.0.1:${port}`;
const rows = [];
const row = (what, value, limit, unit) =>
  rows.push(`| ${what} | ${value}${unit} | ${limit === undefined ? '' : `${limit}${unit}`} |`);
try {
  const engine = await loadEngine(directory, {
    createLocalSandbox: 'sandbox/local-sandbox.ts',
    takeInventory: 'sbom/inventory.ts',
    spdxDocument: 'sbom/spdx.ts',
    writeQcowLayer: 'bundle/write/assemble.ts',
    assembleBundle: 'bundle/write/assemble.ts',
    publish: 'build/publish.ts',
    describeBuild: 'spec/variables/description.ts',
    resolveBuild: 'spec/variables/resolve.ts',
    readBundle: 'bundle/read/read-bundle.ts',
    trustPolicy: 'attestation/trust-policy.ts',
  });
  const sbom = await billOfMaterials(engine);
  await statements(engine, sbom);
  process.stdout.write(`| what | measured | limit |\n| --- | ---: | ---: |\n${rows.join('\n')}\n`);
} finally {
  registry.kill();
  rmSync(directory, { recursive: true, force: true });
}

async function billOfMaterials({ createLocalSandbox, takeInventory, spdxDocument }) {
  const tree = join(directory, 'tree');
  mkdirSync(tree);
  const sandbox = await createLocalSandbox();
  await sandbox.run(['tar', '-xpf', resolve(archive), '--exclude=./dev/*', '-C', tree, '--numeric-owner']);
  const context = { sandbox, signal: new AbortController().signal };
  const document = join(directory, 'node.spdx.json');
  let best = { total: Number.POSITIVE_INFINITY };
  for (let run = 0; run < Number(runs); run++) {
    const before = processorTime();
    const inventory = await takeInventory(tree, [], context);
    const looked = processorTime();
    const text = spdxDocument({
      ...{ disk: { file: 'node.qcow2', sha256: '0'.repeat(64) }, created: 1_700_000_000, inventory },
      ...{ archives: [], fetched: [], scripts: [] },
    });
    const [inTree, total] = [looked - before, processorTime() - before];
    if (total < best.total) best = { total, inTree, inventory, text };
  }
  writeFileSync(document, best.text);
  const packages = best.inventory.status.match(/^Package:/gm).length;
  row(`bill of materials of ${packages} packages, processor time`, Math.round(best.total), 150, ' ms');
  row(
    '&nbsp;&nbsp;of that the look into the tree, with the start of its sandbox',
    Math.round(best.inTree),
    undefined,
    ' ms',
  );
  row('its size', Math.round(best.text.length / 1024), undefined, ' KiB');
  const syft = join(root, '.cache/evidence/bin/syft');
  if (existsSync(syft)) {
    const command = [
      syft,
      'scan',
      `dir:${tree}`,
      '-q',
      '--override-default-catalogers',
      'dpkg',
      '-o',
      'spdx-json',
    ];
    const [least] = leastTimes(1, command, [{ SYFT_CHECK_FOR_APP_UPDATE: 'false' }]);
    row('the same packages of the same tree by syft, processor time', Math.round(least), undefined, ' ms');
  }
  await sandbox.run(['rm', '-rf', '--', tree]);
  return document;
}

/** Of this process and the children that have ended, in milliseconds; children by the kernel's ticks of 10 ms. */
function processorTime() {
  const { user, system } = process.cpuUsage();
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ');
  return (user + system) / 1000 + (Number(fields[13]) + Number(fields[14])) * 10;
}

async function statements(engine, sbom) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  writeFileSync(join(directory, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(directory, 'key.pub'), pem);
  const bundle = await makeBundle(engine, sbom);
  const seconds = {};
  for (const [name, attest] of [
    ['unsigned', undefined],
    ['signed', { signature: true, provenance: false, sbom: false, bootTest: false }],
    ['all', { signature: true, provenance: true, sbom: true, bootTest: true }],
  ])
    seconds[name] = await publishTo(engine, bundle, name, attest);
  row(
    'publishing everything signed, instead of nothing',
    (seconds.all - seconds.unsigned).toFixed(1),
    3,
    ' s',
  );

  const plain = await costOf(engine, 'unsigned');
  const all = ['signature', 'provenance', 'sbom', 'bootTest'];
  const demanded = [
    ['a signature', 'signed', ['signature'], 2, 3],
    ['a signature, of everything that was signed', 'all', ['signature'], 2, undefined],
    ['all four', 'all', all, 5, undefined],
  ];
  for (const [what, name, require, limit, kilobytes] of demanded) {
    const cost = await costOf(engine, name, { keys: [pem], require });
    row(`demanding ${what}: requests of a cold read more`, cost.requests - plain.requests, limit, '');
    row(`demanding ${what}: bytes more`, cost.bytes - plain.bytes, kilobytes && kilobytes * 1000, '');
  }
  const cache = join(directory, 'warm');
  const trust = { keys: [pem], require: all };
  const pinned = `@${(await read(engine, 'all', trust, cache)).reference.digest}`;
  row(
    'demanding all four: requests of a warm read',
    (await costOf(engine, 'all', trust, cache, pinned)).requests,
    0,
    '',
  );
  processor(pem, pinned);
  await cosign();
}

async function makeBundle({ writeQcowLayer, assembleBundle }, sbom) {
  const qcow = join(directory, 'node.qcow2');
  execFileSync('sh', [
    '-euc',
    'head -c 8M /dev/urandom >"$1.raw"; qemu-img convert -O qcow2 "$1.raw" "$1"',
    'sh',
    qcow,
  ]);
  const layer = await writeQcowLayer({ path: qcow, fileName: 'node.qcow2' }, join(directory, 'layer'), {
    mtime: 1_700_000_000,
  });
  const json = JSON.stringify({ k8s_version: '1.34.2-1.1' });
  return await assembleBundle(
    {
      qcows: { node: { ...layer, sbom } },
      profiles: [{ path: '/profiles/profile_multistrap.json', name: 'profile_multistrap', json }],
      ...{ created: 1_700_000_000, architecture: 'amd64', labels: {} },
    },
    join(directory, 'bundle'),
  );
}

/** Publishes it as a build does; the time in seconds. */
async function publishTo({ publish, resolveBuild, describeBuild }, { manifest, artifacts }, name, attest) {
  const spec = {
    qcows: { node: {} },
    bootTest: { timeout: 60, firmware: ['uefi'] },
    bundle: { repository: `${host}/bench/${name}`, tag: 'v1', base: 'none', ...(attest && { attest }) },
  };
  const resolved = await resolveBuild('node', spec, { cwd: directory });
  const description = Buffer.from(JSON.stringify(describeBuild(resolved, '')));
  const digest = (letter) => letter.repeat(64);
  const stages = ['rootfs', 'osconfig', 'qcow/node', 'bundle'];
  const keys = Object.fromEntries(stages.map((stage) => [stage, digest('a')]));
  const began = performance.now();
  await publish(
    resolved,
    { directory: join(directory, 'bundle'), digest: manifest.digest, artifacts },
    {
      policy: { push: ['*'], write: [] },
      ...{ cwd: directory, defaultLayout: join(directory, 'default'), report: () => {} },
      env: { ...process.env, IMAGE_BUILDER_SIGNING_KEY: join(directory, 'key.pem') },
      signal: new AbortController().signal,
      evidence: async () => ({
        description,
        provenance: {
          buildDefinition: {
            buildType: 'https://airshipit.org/image-builder/build/v1',
            externalParameters: { distribution: 'debian-13', variables: { sha256: digest('b') } },
            internalParameters: { keys, recipes: keys },
            resolvedDependencies: [{ name: 'build', digest: { sha256: digest('c') } }],
          },
          runDetails: { builder: { id: 'https://ci.example.org', version: { mmdebstrap: '1.3.5-7' } } },
        },
        bootTests: [
          {
            disk: 'node',
            settings: digest('d'),
            firmware: 'uefi',
            seconds: 12,
            accelerator: 'kvm',
            tests: [],
          },
        ],
      }),
    },
  );
  return (performance.now() - began) / 1000;
}

async function read({ readBundle, trustPolicy }, name, trust, cache = false, pinned = ':v1') {
  return await readBundle(`${host}/bench/${name}${pinned}`, {
    cache,
    ...(trust && { trust: async () => [trustPolicy(trust, 'trust')] }),
  });
}

async function costOf(...request) {
  return (await read(...request)).cost;
}

/** What the demand costs the program in a run from the cache: the least of many, with and without. */
function processor(pem, pinned) {
  const policy = (name, require) => {
    const bundles = [{ repository: `${host}/bench/*`, trust: { keys: [pem], require } }];
    const path = join(directory, name);
    const content = {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilderPolicy',
      ...(require && { bundles }),
    };
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const policies = [
    policy('without.json'),
    policy('signature.json', ['signature']),
    policy('all.json', ['signature', 'provenance', 'sbom', 'bootTest']),
  ];
  const command = [
    process.execPath,
    join(root, 'dist/image-builder'),
    'extract',
    `${host}/bench/all${pinned}`,
  ];
  const environments = policies.map((file) => ({
    IMAGE_BUILDER_POLICY: file,
    IMAGE_BUILDER_CACHE: join(directory, 'warm-cli'),
  }));
  const [without, signature, all] = leastTimes(runs, command, environments);
  row(
    'demanding a signature of a warm read: processor time more',
    (signature - without).toFixed(1),
    3,
    ' ms',
  );
  row('demanding all four of a warm read: processor time more', (all - without).toFixed(1), 3, ' ms');
}

async function cosign() {
  const program = join(root, '.cache/bin/cosign');
  if (!existsSync(program)) return;
  const before = asked.requests;
  const options = [
    '--key',
    join(directory, 'key.pub'),
    '--insecure-ignore-tlog',
    '--allow-insecure-registry',
  ];
  const { status } = spawnSync(program, ['verify', ...options, `${host}/bench/all:v1`], {
    env: { ...process.env, HOME: directory },
  });
  // Its log is read between two turns of the event loop.
  await new Promise((done) => setTimeout(done, 1000));
  if (status === 0)
    rows.push(`| the same signature by cosign verify: requests | ${asked.requests - before} | |`);
}
