// What a render costs: without changes for 1, 10 and 50 QCOWs, after the changes that happen every day, and when
// several want the same result at once.
//
//   npm run build && node bench/render.mjs [unchanged|changes|concurrent]...
//
// The bundles of 10 and 50 QCOWs are not built: an archive with profiles and artifacts of the real one, and images of
// a kilobyte, is imported. A render without changes looks at no byte of an image, so it costs what the real one would.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const command = join(root, 'dist/image-builder');
const functionCommand = join(root, 'dist/image-builder-fn');
const RUNS = 15;
/** Of the cold start of the function; of the render of one QCOW. */
const LIMITS = { one: 3, fifty: 2 };

const directory = mkdtempSync(join(tmpdir(), 'render-bench-'));
const store = join(directory, 'store');
const env = { ...process.env, IMAGE_BUILDER_STORE: store };
const wanted = process.argv.slice(2);
const sections = { changes, unchanged, concurrent };
let kept = true;
try {
  const full = seconds(() => build(object()));
  line('first build, two QCOWs', full, 1);
  for (const [name, section] of Object.entries(sections)) {
    if (wanted.length === 0 || wanted.includes(name)) section(full);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
process.exitCode = kept ? 0 : 1;

/** The object of all measurements; `changes` replaces fields of its spec.build. */
function object({
  name = 'bench',
  qcows = ['a', 'b'],
  banner = 'bench\n',
  capacity = '4G',
  tag = 'v1',
} = {}) {
  const multistrap = {
    kernel_base_pkg: 'linux-image-cloud-amd64',
    kernel_headers_pkg: '',
    packages: ['systemd-sysv', 'dbus'],
  };
  const images = qcows.map((qcow, index) => [
    qcow,
    { qcow: { qcow_capacity: index === 0 ? capacity : '4G' }, osconfig: { banners: { motd: `${qcow}\n` } } },
  ]);
  return {
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'ImageBuilder',
    metadata: { name },
    spec: {
      build: {
        distribution: 'debian-13',
        rootfs: { multistrap, osconfig: { banners: { login: banner } } },
        qcows: Object.fromEntries(images),
        bundle: { tag },
      },
    },
  };
}

/** The daily changes, as ratios to the first build. */
function changes(full) {
  const cases = {
    'an osconfig variable changed': { banner: 'changed\n' },
    'one QCOW changed': { banner: 'changed\n', capacity: '5G' },
    'the tag changed': { banner: 'changed\n', capacity: '5G', tag: 'v2' },
    'the name of the catalogue changed': { banner: 'changed\n', capacity: '5G', tag: 'v2', name: 'renamed' },
  };
  for (const [name, change] of Object.entries(cases)) {
    const took = seconds(() => build(object(change)));
    line(name, took, took / full);
  }
}

/** Renders without changes beside the cold start of the function and an empty Node, in turns. */
function unchanged() {
  const counts = [1, 10, 50];
  const inputs = counts.map((count) => {
    // A name for each: of one name, each would publish anew what the one before has replaced.
    const many = object({
      name: `bench-${count}`,
      qcows: Array.from({ length: count }, (_, index) => `node-${index}`),
    });
    importBundle(many);
    return [`${count} QCOWs`, functionCommand, [], list(many, { whenMissing: 'Fail' })];
  });
  const measured = [
    ['empty node', process.execPath, ['-e', '0'], ''],
    ['cold start of the function', functionCommand, [], coldStart()],
    ...inputs,
  ];
  const best = measured.map(() => Number.POSITIVE_INFINITY);
  for (let run = 0; run < RUNS; run++) {
    for (const [index, [name, program, argv, input]] of measured.entries()) {
      const took = seconds(() => {
        const { status, stderr } = spawnSync(program, argv, { input, env, cwd: directory });
        // The cold start fails, in good order: there is no /profiles outside of a bundle.
        if (status !== 0 && index > 1) throw new Error(`${name}: ${stderr}`);
      });
      best[index] = Math.min(best[index], took);
    }
  }
  const [, cold, one, , fifty] = best;
  for (const [index, [name]] of measured.entries()) {
    const against = index < 3 ? ['cold start', cold] : ['one QCOW', one];
    line(index < 2 ? name : `no change, ${name}`, best[index], best[index] / against[1], against[0]);
  }
  check('one QCOW against the cold start', one / cold, LIMITS.one);
  check('50 QCOWs against one', fifty / one, LIMITS.fifty);
}

/** Several renders of one result that is missing: CPU time of all of them, against that of one alone. */
function concurrent() {
  const alone = processorTime(1, object({ banner: 'one of 1\n' }));
  line('one render that builds: CPU time', alone, 1, 'one');
  for (const count of [2, 4, 8]) {
    const all = processorTime(count, object({ banner: `one of ${count}\n` }));
    line(`${count} renders of one key: CPU time of all`, all, all / alone, 'one');
  }
}

/** Seconds of user and system time of so many renders at once, with everything that they have started. */
function processorTime(count, wish) {
  const input = join(directory, 'list.yaml');
  writeFileSync(input, list(wish));
  const script = `for ((i = 0; i < ${count}; i++)); do "$0" < "$1" > /dev/null 2>&1 & pids+=($!); done
    for pid in "\${pids[@]}"; do wait "$pid" || exit 1; done; times`;
  const output = execFileSync('bash', ['-c', script, functionCommand, input], {
    env,
    cwd: directory,
    encoding: 'utf8',
  });
  const [user, system] = [...output.split('\n')[1].matchAll(/(\d+)m([\d.,]+)s/g)].map(
    ([, minutes, rest]) => Number(minutes) * 60 + Number(rest.replace(',', '.')),
  );
  return user + system;
}

function list(wish, changes = {}) {
  const functionConfig = { ...wish, spec: { build: { ...wish.spec.build, ...changes } } };
  // As kustomize writes it.
  return stringify({
    apiVersion: 'config.kubernetes.io/v1',
    kind: 'ResourceList',
    items: [],
    functionConfig,
  });
}

function coldStart() {
  const functionConfig = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'x' },
    data: { configPath: '/profiles/profile_multistrap.json' },
  };
  // As kustomize writes it.
  return stringify({
    apiVersion: 'config.kubernetes.io/v1',
    kind: 'ResourceList',
    items: [],
    functionConfig,
  });
}

function build(wish) {
  const file = write(wish);
  execFileSync(command, ['build', file], { env, cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
}

function write(wish) {
  const file = join(directory, 'image.json');
  writeFileSync(file, JSON.stringify(wish));
  return file;
}

/** Puts a bundle under the key of the spec, with the metadata of the real one and images of a kilobyte. */
function importBundle(wish) {
  const { key, recipe } = JSON.parse(
    execFileSync(command, ['plan', write(wish), '--output', 'json'], { env, cwd: directory }),
  ).find(({ kind }) => kind === 'bundle');
  const name = `bundle-${key}`;
  const work = join(directory, 'archive');
  const entry = join(work, 'entries', name);
  mkdirSync(join(entry, 'layout/blobs/sha256'), { recursive: true });
  const files = {};
  const put = (path, content) => {
    const bytes = Buffer.from(content);
    writeFileSync(join(entry, path), bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    files[path] = { size: bytes.length, sha256 };
  };
  const blob = (content, kind) => {
    const digest = createHash('sha256').update(content).digest('hex');
    put(`layout/blobs/sha256/${digest}`, content);
    return {
      mediaType: `application/vnd.oci.image.${kind}`,
      digest: `sha256:${digest}`,
      size: content.length,
    };
  };
  const real = realBundle();
  const names = Object.keys(wish.spec.build.qcows);
  const layers = names.map(() => blob(randomBytes(1024), 'layer.v1.tar'));
  const manifest = blob(
    JSON.stringify({ schemaVersion: 2, config: blob('{}', 'config.v1+json'), layers }),
    'manifest.v1+json',
  );
  put('layout/oci-layout', '{"imageLayoutVersion":"1.0.0"}');
  put('layout/index.json', JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  const [common, profile] = real.facts.profiles;
  const artifact = Object.values(real.facts.artifacts.qcows)[0];
  const facts = {
    ...real.facts,
    manifest,
    artifacts: {
      qcows: Object.fromEntries(names.map((qcow) => [qcow, { ...artifact, file: `${qcow}.qcow2` }])),
    },
    profiles: [
      common,
      ...names.map((qcow) => {
        const named = `profile_qcow_${qcow}`;
        return { ...profile, name: named, path: `/profiles/${named}.json` };
      }),
    ],
  };
  const { directory: _, ...record } = real;
  writeFileSync(join(entry, 'entry.json'), JSON.stringify({ ...record, key, recipe, facts, files }));
  writeFileSync(join(work, 'export.json'), JSON.stringify({ format: 1, entries: [name] }));
  const members = ['entry.json', ...Object.keys(files)].map((path) => `entries/${name}/${path}`);
  const archive = join(directory, 'archive.tar');
  execFileSync('tar', ['--create', `--file=${archive}`, `--directory=${work}`, 'export.json', ...members]);
  execFileSync(command, ['store', 'import', archive], { env, stdio: 'ignore' });
  rmSync(work, { recursive: true });
}

/** The record of a bundle that was really built. */
function realBundle() {
  const entries = join(store, 'entries');
  return readdirSync(entries)
    .filter((name) => name.startsWith('bundle-'))
    .map((name) => JSON.parse(readFileSync(join(entries, name, 'entry.json'), 'utf8')))
    .sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1))[0];
}

function seconds(work) {
  const began = performance.now();
  work();
  return (performance.now() - began) / 1000;
}

function line(text, took, ratio, against = 'first build') {
  console.log(
    `${text.padEnd(44)} ${took.toFixed(3).padStart(8)} s   ${ratio.toFixed(2).padStart(6)} × ${against}`,
  );
}

function check(text, ratio, limit) {
  const isKept = ratio <= limit;
  kept &&= isKept;
  console.log(`limit ${limit} for ${text}: ${isKept ? 'kept' : 'exceeded'} (${ratio.toFixed(2)})`);
}
