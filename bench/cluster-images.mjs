// Many real images on a real cluster: what a Job costs beside the work in it, and what that costs the caller, by the
// number of images and by how many Jobs run at a time.
//
//   npm run build && scripts/setup.sh --tests       as root
//   node bench/cluster-images.mjs [--one-disk] [--two-nodes] [IMAGES:AT_A_TIME]...
//   default: 1:1 10:1 10:2 10:4 40:1 40:2 40:4
//
// Each image is an object of its own, and `image-builder build DIR` builds them together. They share a small root file system,
// which is built before; each has a disk of another size, so an image is two Jobs: qcow and bundle. With --one-disk they share
// that, too, and name different builder images: an image is the Job of its bundle, which gets the disk from the registry.
//
// With --two-nodes there is a second node, on the same processors, which takes Pods in the last run only; that tells how many ran
// where. Then each Pod wants nearly a processor of a node that says it has two.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const LIMITS = { requestsPerJob: 12, memory: 150 };
/** Of a run, so that none finds the results of an earlier one. */
const MOST_IMAGES = 100;
const TICKS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const words = process.argv.slice(2);
const twoNodes = words.includes('--two-nodes');
const oneDisk = words.includes('--one-disk');
const sizes = words.filter((word) => word.includes(':'));
const runs = (sizes.length > 0 ? sizes : ['1:1', '10:1', '10:2', '10:4', '40:1', '40:2', '40:4']).map(
  (size) => size.split(':').map(Number),
);

const { startBuildingCluster, smallBuild } = await clusterSupport();
const site = await startBuildingCluster(twoNodes ? 2 : 1);
try {
  const small = smallBuild(await site.debianMirror());
  // What is left boots nothing; it is what a disk has to be made of.
  small.rootfs.multistrap.path_exclude = ['doc', 'man', 'locale', 'info', 'i18n']
    .map((name) => `/usr/share/${name}/*`)
    .concat('/lib/modules/*/kernel/*', '/usr/lib/modules/*/kernel/*', '/usr/share/zoneinfo/*');
  if (twoNodes) await site.kubectl('cordon', 'node-2');
  await measure(small, 0, 1, 1);
  console.log(
    '| images | Jobs | at a time | seconds | seconds a Job | of that in `build` | `fetch` and `push` | Kubernetes | requests a Job | memory MiB | processor time s |',
  );
  console.log(`|${' ---: |'.repeat(11)}`);
  for (const [index, [images, atATime]] of runs.entries()) {
    const isLast = index === runs.length - 1;
    if (twoNodes && isLast) await site.kubectl('uncordon', 'node-2');
    const measured = await measure(small, index + 1, images, atATime);
    console.log(`| ${row(measured).join(' | ')} |`);
    if (twoNodes && isLast) console.log(`on each node: ${JSON.stringify(measured.nodes)}`);
  }
} finally {
  await site.stop();
}

/** Builds so many new images. */
async function measure(small, run, images, atATime) {
  const directory = join(site.directory, `images-${run}`);
  mkdirSync(directory);
  for (let image = 0; image < images; image += 1) writeObject(small, directory, run, image, atATime);
  const before = new Set((await jobs()).map(({ metadata }) => metadata.name));
  const [program, ...args] = site.commandOf(directory, `store-${run}`, '--parallel', String(atATime));
  const called = await call(program, args);
  const made = (await jobs()).filter(({ metadata }) => !before.has(metadata.name));
  const pods = JSON.parse(await site.kubectl('get', 'pods', '--output=json')).items;
  for (const path of [directory, `store-${run}`, `layout-${run}`])
    rmSync(join(site.directory, path), { recursive: true, force: true });
  const size = (oneDisk && run > 0 ? 1 : 2) * images;
  if (run > 0 && made.length !== size)
    throw new Error(`there are ${made.length} Jobs, and should be ${size}`);
  const nodes = {};
  for (const { spec } of pods.filter((pod) => made.some((job) => isOf(pod, job))))
    nodes[spec.nodeName] = (nodes[spec.nodeName] ?? 0) + 1;
  return { images, atATime, ...called, nodes, jobs: made.map((job) => timesOf(job, pods)) };
}

function writeObject(small, directory, run, image, atATime) {
  const number = run * MOST_IMAGES + image;
  const bundle = {
    ...{ base: 'none', layout: `layout-${run}`, tag: `image-${image}` },
    builderImage: `registry.example.org/tools@sha256:${String(number).padStart(64, '0')}`,
  };
  const capacity = `${2048 + (oneDisk ? 0 : number)}M`;
  const file = site.written(
    `image-${run}-${image}`,
    { parallelism: atATime, ...(twoNodes && { resources: { requests: { cpu: '900m' } } }) },
    { ...small, bundle, qcows: { node: { qcow: { qcow_capacity: capacity } } } },
  );
  renameSync(file, join(directory, `${image}.yaml`));
}

async function jobs() {
  const selector = '--selector=app.kubernetes.io/component=stage';
  return JSON.parse(await site.kubectl('get', 'jobs', selector, '--output=json')).items;
}

/** Runs the caller to its end. */
async function call(program, args) {
  const began = performance.now();
  const child = spawn(program, args, {
    cwd: site.directory,
    env: site.environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let [said, memory, processor] = ['', 0, 0];
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const timer = setInterval(() => {
    try {
      memory =
        Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      processor = (Number(fields[11]) + Number(fields[12])) / TICKS;
    } catch {
      // It has just ended.
    }
  }, 100);
  const status = await new Promise((done) => child.once('close', done));
  clearInterval(timer);
  if (status !== 0) throw new Error(said);
  const requests = Math.max(
    ...[...said.matchAll(/(\d+) requests to the API server/g)].map(([, count]) => Number(count)),
  );
  return { seconds: (performance.now() - began) / 1000, requests, memory, processor };
}

/** Seconds of a Job: from when it was made until it had ended, and of its containers. */
function timesOf(job, pods) {
  const { metadata, status } = job;
  const seconds = (from, to) => (Date.parse(to) - Date.parse(from)) / 1000;
  const { initContainerStatuses, containerStatuses } = pods.find((pod) => isOf(pod, job)).status;
  const containers = Object.fromEntries(
    [...initContainerStatuses, ...containerStatuses].map(({ name, state: { terminated } }) => [
      name,
      seconds(terminated.startedAt, terminated.finishedAt),
    ]),
  );
  return { ...containers, total: seconds(metadata.creationTimestamp, status.completionTime) };
}

function isOf(pod, job) {
  return pod.metadata.ownerReferences?.[0]?.uid === job.metadata.uid;
}

function row({ images, atATime, seconds, requests, memory, processor, jobs }) {
  const mean = (of) => jobs.reduce((sum, job) => sum + of(job), 0) / jobs.length;
  const perJob = requests / jobs.length;
  if ((images > 1 && perJob > LIMITS.requestsPerJob) || memory > LIMITS.memory) process.exitCode = 1;
  return [
    ...[images, jobs.length, atATime, seconds.toFixed(0)],
    ...[mean(({ total }) => total), mean((job) => job.build), mean(({ fetch, push }) => fetch + push)],
    ...[mean((job) => job.total - job.build - job.fetch - job.push), perJob, memory, processor],
  ].map((value, index) => (index < 4 ? value : value.toFixed(index === 9 ? 0 : 1)));
}

/** What the tests start clusters with. */
async function clusterSupport() {
  const directory = mkdtempSync(join(tmpdir(), 'cluster-images-'));
  try {
    const outfile = join(directory, 'support.cjs');
    await build({
      entryPoints: [join(root, 'test/e2e/support/cluster/building.ts')],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      logLevel: 'error',
      plugins: [{ name: 'directories', setup: keepDirectories }],
    });
    return createRequire(import.meta.url)(outfile);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Each file has the `__dirname` that it has in the tests. */
function keepDirectories(bundler) {
  bundler.onLoad({ filter: /[\\/](test|image-builder)[\\/].*\.ts$/ }, ({ path }) => ({
    contents: `const __dirname = ${JSON.stringify(dirname(path))};\n${readFileSync(path, 'utf8')}`,
    loader: 'ts',
  }));
}
