// What a build in a cluster costs its caller and the API server, by the number of Jobs: a real control plane (etcd, API server,
// controllers, scheduler), and nodes that are simulated: a Pod runs for a second and has succeeded. So it is the caller's own
// code and the API that are measured, not the tools.
//
//   scripts/setup.sh --tests && node bench/kubernetes.mjs [IMAGES [PARALLELISM]]...     as root; default: 2 10, 20 50, 100 500, 200 500
//
// An image is five stages, each a Job with a Secret. The caller is a process of its own, whose memory is measured.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const KINDS = {
  rootfs: [],
  osconfig: ['rootfs'],
  preload: [],
  qcow: ['osconfig', 'preload'],
  bundle: ['qcow'],
};
const LIMITS = { requestsPerJob: 12, memory: 150 };
const NODES = 10;
const RUN_MILLISECONDS = 1000;
const signal = new AbortController().signal;
const executor = {
  image: `registry.example.org/tools@sha256:${'0'.repeat(64)}`,
  namespace: 'bench',
  nodeSelector: { bench: 'simulated' },
};

if (process.env.IN_BENCH === 'caller') await call(...process.argv.slice(2).map(Number));
else await measure();

/** Stages of so many images. */
function plan(images) {
  return Array.from({ length: images }, (_, image) =>
    Object.entries(KINDS).map(([kind, parents]) => ({
      name: `${kind}/${image}`,
      kind,
      key: createHash('sha256').update(`${images} ${kind} ${image}`).digest('hex'),
      parents: parents.map((parent) => `${parent}/${image}`),
    })),
  ).flat();
}

/** The caller: runs all stages, and prints what that took. */
async function call(images, parallelism) {
  const { Clusters, runStagesInCluster } = await engine();
  const surroundings = { env: process.env, report: () => {}, signal };
  const clusters = new Clusters();
  const cluster = await clusters.open({ ...executor, parallelism }, surroundings);
  const stages = plan(images);
  const began = performance.now();
  await runStagesInCluster(
    {
      stages,
      targets: stages.filter(({ kind }) => kind === 'bundle').map(({ name }) => name),
      resolved: { name: 'bench' },
      ...surroundings,
    },
    {
      cluster,
      executor: { ...executor, parallelism },
      described: { image: executor.image, privileges: 'none' },
      shared: { has: async () => false },
      // As large as a resolved build is.
      common: { resolved: { name: 'bench', filler: 'x'.repeat(20_000) }, store: {}, environment: {} },
    },
  );
  const seconds = (performance.now() - began) / 1000;
  await clusters.close();
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  const { user, system } = process.cpuUsage();
  console.log(
    JSON.stringify({
      seconds,
      requests: cluster.api.requests,
      memory: peak,
      processor: (user + system) / 1e6,
    }),
  );
}

async function measure() {
  const words = process.argv.slice(2).map(Number);
  const sizes =
    words.length > 0
      ? [[words[0], words[1] ?? 10]]
      : [
          [2, 10],
          [20, 50],
          [100, 500],
          [200, 500],
        ];
  const directory = mkdtempSync(join(tmpdir(), 'kubernetes-bench-'));
  const supervisor = spawn(join(root, 'test/e2e/support/cluster/cluster.sh'), [join(directory, 'cluster')], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  try {
    while (!existsSync(join(directory, 'cluster/ready'))) {
      if (supervisor.exitCode !== null) throw new Error('the cluster does not start');
      await delay(100);
    }
    process.env.KUBECONFIG = join(directory, 'cluster/admin.conf');
    const { openApi, watch } = await engine();
    const { api } = await openApi(executor, { env: process.env, report: () => {}, signal });
    const stop = new AbortController();
    await api.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name: 'bench' } } });
    await simulateNodes(api, readFileSync(join(directory, 'cluster/address'), 'utf8').trim(), stop.signal);
    const pods = simulatePods(api, watch, stop.signal);
    for (const [images, parallelism] of sizes) await measureOne(api, pods, images, parallelism);
    stop.abort();
    api.close();
  } finally {
    supervisor.stdin.end();
    await new Promise((done) => supervisor.once('exit', done));
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureOne(api, pods, images, parallelism) {
  const stages = plan(images);
  const found = await new Promise((done, failed) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), images, parallelism], {
      env: { ...process.env, IN_BENCH: 'caller' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.once('close', (status) =>
      status === 0 ? done(JSON.parse(text)) : failed(new Error(`the caller ended with ${status}`)),
    );
  });
  await check(api, pods, stages);
  const perJob = found.requests / stages.length;
  console.log(
    `${images} images, ${stages.length} Jobs, ${parallelism} at a time: ${found.seconds.toFixed(1)} s, ${((found.seconds / stages.length) * 1000).toFixed(0)} ms a Job; ` +
      `${perJob.toFixed(1)} requests a Job (limit ${LIMITS.requestsPerJob}), ${found.memory.toFixed(0)} MiB (limit ${LIMITS.memory}), ${found.processor.toFixed(1)} s of processor time`,
  );
  if (perJob > LIMITS.requestsPerJob || found.memory > LIMITS.memory) process.exitCode = 1;
}

/** Every stage was one Job with one Pod, which began after those of the stages that it starts from had ended. */
async function check(api, pods, stages) {
  const { items } = await api.request({ method: 'GET', path: '/apis/batch/v1/namespaces/bench/jobs' });
  const jobs = new Map(
    items.map((job) => [job.metadata.annotations['image-builder.airshipit.org/key'], job]),
  );
  const { items: secrets } = await api.request({ method: 'GET', path: '/api/v1/namespaces/bench/secrets' });
  const owned = new Set(
    secrets.flatMap(({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid)),
  );
  const byName = new Map(stages.map((stage) => [stage.name, stage]));
  const runOf = ({ key }) => pods.get(jobs.get(key)?.metadata.name) ?? [];
  for (const stage of stages) {
    const runs = runOf(stage);
    if (runs.length !== 1) throw new Error(`${stage.name} ran ${runs.length} times`);
    if (!owned.has(jobs.get(stage.key).metadata.uid))
      throw new Error(`${stage.name} has no Secret of its own`);
    for (const parent of stage.parents)
      if (runOf(byName.get(parent))[0].ended > runs[0].began)
        throw new Error(`${stage.name} did not wait for ${parent}`);
  }
}

/** Nodes that are always ready; the address is that of the real one, whose kubelet knows none of their Pods. */
async function simulateNodes(api, address, ends) {
  const resources = { cpu: '1000', memory: '4Ti', 'ephemeral-storage': '10Ti', pods: '1000' };
  const names = Array.from({ length: NODES }, (_, index) => `simulated-${index}`);
  const beat = async (name) => {
    const now = new Date().toISOString();
    const status = {
      capacity: resources,
      allocatable: resources,
      addresses: [{ type: 'InternalIP', address: address.replace(/\.1$/, '.2') }],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Simulated',
          lastHeartbeatTime: now,
          lastTransitionTime: now,
        },
      ],
    };
    await patch(api, `/api/v1/nodes/${name}/status`, { status });
  };
  for (const name of names) {
    const metadata = { name, labels: { bench: 'simulated' } };
    await api.request({ method: 'POST', path: '/api/v1/nodes', body: { metadata } });
    await beat(name);
  }
  const timer = setInterval(() => {
    for (const name of names) beat(name).catch(() => {});
  }, 10_000);
  ends.addEventListener('abort', () => clearInterval(timer));
  // The controllers take the taint of a node away that was not ready.
  for (;;) {
    const { items } = await api.request({
      method: 'GET',
      path: '/api/v1/nodes',
      query: { labelSelector: 'bench=simulated' },
    });
    if (items.every(({ spec }) => !spec.taints?.length)) return;
    await delay(200);
  }
}

/** Does what a kubelet says of Pods. @returns runs by the names of Jobs */
function simulatePods(api, watch, ends) {
  const runs = new Map();
  const seen = new Set();
  const onPod = (pod) => {
    const { uid, name, labels } = pod.metadata;
    if (!pod.spec.nodeName || seen.has(uid)) return;
    seen.add(uid);
    const job = labels['batch.kubernetes.io/job-name'];
    const run = { began: performance.now(), ended: Number.POSITIVE_INFINITY };
    runs.set(job, [...(runs.get(job) ?? []), run]);
    void runPod(api, name, pod, run).catch((error) => console.error(error.message));
  };
  void watch(
    api,
    { path: '/api/v1/namespaces/bench/pods', query: {} },
    { onList: (pods) => pods.forEach(onPod), onChange: (type, pod) => type !== 'DELETED' && onPod(pod) },
    ends,
    () => {},
  );
  return runs;
}

async function runPod(api, name, pod, run) {
  const path = `/api/v1/namespaces/bench/pods/${name}/status`;
  const startTime = new Date().toISOString();
  const statuses = (containers, state) =>
    (containers ?? []).map((container) => ({
      name: container.name,
      image: container.image,
      imageID: container.image,
      ready: false,
      restartCount: 0,
      state,
    }));
  const all = (state) => ({
    initContainerStatuses: statuses(pod.spec.initContainers, state),
    containerStatuses: statuses(pod.spec.containers, state),
  });
  await patch(api, path, {
    status: { phase: 'Running', startTime, ...all({ running: { startedAt: startTime } }) },
  });
  await delay(RUN_MILLISECONDS);
  run.ended = performance.now();
  const terminated = {
    exitCode: 0,
    reason: 'Completed',
    startedAt: startTime,
    finishedAt: new Date().toISOString(),
  };
  await patch(api, path, { status: { phase: 'Succeeded', ...all({ terminated }) } });
}

function patch(api, path, body) {
  return api.request({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json' });
}

/** The part of the engine that works with clusters. */
async function engine() {
  const directory = mkdtempSync(join(tmpdir(), 'kubernetes-bench-engine-'));
  try {
    const outfile = join(directory, 'engine.cjs');
    const path = (name) => JSON.stringify(join(root, 'image-builder', name));
    await build({
      stdin: {
        contents: `export { openApi, Clusters } from ${path('build/kubernetes/cluster.ts')};
          export { runStagesInCluster } from ${path('build/kubernetes/run-stages.ts')};
          export { watch } from ${path('cluster/watch.ts')};`,
        resolveDir: root,
      },
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      define: { __dirname: JSON.stringify(join(root, 'image-builder/embedded')) },
      logLevel: 'error',
    });
    return createRequire(import.meta.url)(outfile);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
