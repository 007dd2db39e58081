// What it costs to read 50 bundles in one `kustomize build`: by a generator each, by an object each that one transformer handles
// (`spec.items`), and by one object that names them all, beside the render of one bundle. The last is to cost at most 5 times
// one.
//
//   npm run build:native && node bench/many-bundles.mjs [RUNS]
//
// The bundles lie in a registry on loopback (docker-registry), differ from each other, and are read by digest with an empty cache
// and with a full one. The minimum of the runs counts.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const kustomize = join(root, '.cache/bin/kustomize');
const RUNS = Number(process.argv[2] ?? 5);
const [MANY, LIMIT] = [50, 5];
const PROGRAMS = { node: 'dist/image-builder-fn', native: 'dist/native/image-builder-fn' };

const directory = mkdtempSync(join(tmpdir(), 'many-bundles-'));
const port = await freePort();
const registry = startRegistry();
try {
  await answers();
  const images = Array.from({ length: MANY }, (_, index) => publish(index));
  for (const [name, program] of Object.entries(PROGRAMS)) {
    const renders = {
      'one bundle': kustomization(program, [{ bundle: { image: images[0] } }]),
      [`${MANY} bundles, an object each`]: kustomization(
        program,
        images.map((image, index) => ({ bundle: { image }, catalogue: { namePrefix: `site-${index}-` } })),
      ),
      [`${MANY} bundles, an object each, one transformer`]: transformed(
        program,
        images.map((image, index) => ({ bundle: { image }, catalogue: { namePrefix: `site-${index}-` } })),
      ),
      [`${MANY} bundles, one object`]: kustomization(program, [
        { bundles: Object.fromEntries(images.map((image, index) => [`site-${index}`, { image }])) },
      ]),
    };
    for (const cached of [false, true]) {
      const [one, each, items, object] = Object.entries(renders).map(([what, render]) => {
        const took = best(render, cached);
        console.log(`${name}, ${cached ? 'full' : 'empty'} cache, ${what}: ${took.toFixed(0)} ms`);
        return took;
      });
      const ratio = object / one;
      console.log(
        `  ratio of one object ${ratio.toFixed(1)}, limit ${LIMIT}: ${ratio <= LIMIT ? 'kept' : 'exceeded'}; of a generator each ${(each / one).toFixed(1)}, of one transformer ${(items / one).toFixed(1)}`,
      );
      if (ratio > LIMIT && name === 'native') process.exitCode = 1;
    }
  }
} finally {
  registry.kill('SIGKILL');
  rmSync(directory, { recursive: true });
}

/** Publishes a bundle of one small disk; returns its reference by digest. */
function publish(index) {
  const layout = join(directory, `layout-${index}`);
  for (const part of ['qcows', 'profiles']) mkdirSync(join(layout, 'root', part), { recursive: true });
  writeFileSync(join(layout, 'root/qcows/node.qcow2'), `disk ${index}`);
  writeFileSync(
    join(layout, 'root/profiles/profile_multistrap.json'),
    JSON.stringify({ k8s_version: '1.37.2-1.1', site: index }),
  );
  const image = `127.0.0.1:${port}/bundle-${index}`;
  const umoci = (...args) => execFileSync('umoci', args, { stdio: 'ignore' });
  umoci('init', '--layout', join(layout, 'oci'));
  umoci('new', '--image', join(layout, 'oci:v1'));
  umoci('insert', '--image', join(layout, 'oci:v1'), join(layout, 'root/qcows'), '/qcows');
  umoci('insert', '--image', join(layout, 'oci:v1'), join(layout, 'root/profiles'), '/profiles');
  execFileSync('skopeo', [
    'copy',
    '--quiet',
    '--insecure-policy',
    '--dest-tls-verify=false',
    `oci:${layout}/oci:v1`,
    `docker://${image}:v1`,
  ]);
  const manifest = execFileSync(
    'skopeo',
    ['inspect', '--tls-verify=false', '--format', '{{.Digest}}', `docker://${image}:v1`],
    { encoding: 'utf8' },
  );
  return `${image}@${manifest.trim()}`;
}

/** A kustomization with these objects as generators. */
function kustomization(program, specs) {
  const path = mkdtempSync(join(directory, 'render-'));
  const generators = specs.map((spec, index) => {
    const file = `object-${index}.yaml`;
    writeObject(path, file, `object-${index}`, functionOf(program), spec);
    return file;
  });
  writeFileSync(join(path, 'kustomization.yaml'), JSON.stringify({ generators }));
  return { path };
}

/** A kustomization with these objects as resources, and one transformer. */
function transformed(program, specs) {
  const path = mkdtempSync(join(directory, 'render-'));
  const resources = specs.map((spec, index) => {
    const file = `object-${index}.yaml`;
    writeObject(path, file, `object-${index}`, { 'config.kubernetes.io/local-config': 'true' }, spec);
    return file;
  });
  writeObject(path, 'items.yaml', 'items', functionOf(program), { items: {} });
  writeFileSync(
    join(path, 'kustomization.yaml'),
    JSON.stringify({ resources, transformers: ['items.yaml'] }),
  );
  return { path };
}

function functionOf(program) {
  return { 'config.kubernetes.io/function': JSON.stringify({ exec: { path: join(root, program) } }) };
}

function writeObject(path, file, name, annotations, spec) {
  const object = {
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'ImageBuilder',
    metadata: { name, annotations },
    spec,
  };
  writeFileSync(join(path, file), JSON.stringify(object));
}

function best({ path }, cached) {
  let least = Number.POSITIVE_INFINITY;
  let expected;
  for (let run = 0; run < RUNS + (cached ? 1 : 0); run++) {
    const cache = join(directory, 'cache');
    if (!cached || run === 0) rmSync(cache, { recursive: true, force: true });
    const begun = performance.now();
    const { status, stdout, stderr } = spawnSync(
      kustomize,
      ['build', '--enable-alpha-plugins', '--enable-exec', path],
      {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
        env: { ...process.env, IMAGE_BUILDER_CACHE: cache },
      },
    );
    const took = performance.now() - begun;
    if (status !== 0) throw new Error(stderr);
    expected ??= stdout;
    if (stdout !== expected) throw new Error('two renders differ');
    if (!cached || run > 0) least = Math.min(least, took);
  }
  return least;
}

function startRegistry() {
  const config = join(directory, 'config.json');
  writeFileSync(
    config,
    JSON.stringify({
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(directory, 'storage') } },
      http: { addr: `127.0.0.1:${port}`, secret: 'bench' },
    }),
  );
  return spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
}

async function answers() {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (
      await fetch(`http://127.0.0.1:${port}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return;
    await delay(50);
  }
  throw new Error('docker-registry does not answer');
}

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address();
      server.close(() => done(free));
    });
  });
}
