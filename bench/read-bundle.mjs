// Reading one profile out of a bundle with a large disk image: this program against the tools that people use for it.
//
//   node bench/read-bundle.mjs [--mib 1024] [--runs 3] [--layouts ours,squashed] [--tools extract,regctl] [--rtt 20 --mbit 100]
//
// Everything in one run against one docker-registry (Debian package), through a TCP relay that counts requests and bytes,
// and once more, for the tools that do not fetch everything, through one that is as far away and as narrow as a real link.
// Tools that are not on PATH are left out: podman, skopeo with umoci, crane, regctl (go install
// github.com/google/go-containerregistry/cmd/crane@latest, then github.com/regclient/regclient/cmd/regctl@latest).
// Prints Markdown tables; compare the ratios, not the seconds. podman needs root here.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LAYOUTS, PROFILE, publishBundles, startRegistry } from './bundles.mjs';
import { startRelay } from './relay.mjs';

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '3' },
    layouts: { type: 'string', default: LAYOUTS.join(',') },
    tools: { type: 'string', default: 'extract,regctl,crane,skopeo,podman' },
    rtt: { type: 'string', default: '20' },
    mbit: { type: 'string', default: '100' },
  },
});
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const work = mkdtempSync(join(tmpdir(), 'bench-read-bundle-'));
const at = (...names) => join(work, ...names);
const layouts = values.layouts.split(',');
const link = { rtt: Number(values.rtt), mbit: Number(values.mbit) };

const MEASURE = `
import json, resource, subprocess, sys, time
start = time.monotonic()
status = subprocess.call(['bash', '-euc', sys.argv[1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({'seconds': time.monotonic() - start, 'cpu': usage.ru_utime + usage.ru_stime, 'mib': usage.ru_maxrss / 1024, 'status': status}))
`;

/** Wall time, CPU time and the largest process of a command line; the best of some runs. */
async function measure(command, runs, count) {
  let best;
  for (let run = 0; run < runs; run++) {
    Object.assign(count, { requests: 0, bytes: 0 });
    const child = spawn('python3', ['-c', MEASURE, command], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    for await (const chunk of child.stdout) output += chunk;
    const result = { ...JSON.parse(output), ...count };
    if (!best || result.seconds < best.seconds) best = result;
  }
  return best;
}

const extract = `${join(root, 'dist/image-builder')} extract --no-cache`;
const podman = `podman --root ${at('podman')} --runroot ${at('podman-run')}`;
const empty = at('empty.cjs');
/** `start` does nothing; `whole` fetches everything, whatever is wanted. */
const contenders = [
  {
    tool: 'extract',
    name: 'image-builder extract',
    needs: ['node'],
    start: `node ${empty}`,
    command: (ref) => `${extract} ${ref} /${PROFILE}`,
  },
  {
    tool: 'extract',
    name: 'image-builder extract --verify',
    needs: ['node'],
    start: `node ${empty}`,
    whole: true,
    command: (ref) => `${extract} --verify ${ref} /${PROFILE}`,
  },
  {
    tool: 'regctl',
    name: 'regctl image get-file',
    needs: ['regctl'],
    start: 'regctl version',
    command: (ref) =>
      `regctl --host reg=$(dirname $(dirname ${ref})),tls=disabled image get-file ${ref} /${PROFILE}`,
  },
  {
    tool: 'crane',
    name: 'crane export \\| tar',
    needs: ['crane', 'tar'],
    start: 'crane version',
    whole: true,
    command: (ref) => `crane export --insecure ${ref} - | tar -xO ${PROFILE}`,
  },
  {
    tool: 'skopeo',
    name: 'skopeo copy + umoci unpack',
    needs: ['skopeo', 'umoci'],
    start: 'skopeo --version',
    whole: true,
    once: true,
    command: (ref) =>
      `rm -rf ${at('copy')} ${at('unpacked')}; skopeo copy -q --insecure-policy --src-tls-verify=false docker://${ref} oci:${at('copy')}:v1 && umoci unpack --rootless --image ${at('copy')}:v1 ${at('unpacked')}`,
  },
  {
    tool: 'podman',
    name: 'podman pull + create + cp',
    needs: ['podman'],
    start: 'podman --version',
    whole: true,
    once: true,
    command: (ref) =>
      `${podman} pull -q --tls-verify=false ${ref}; id=$(${podman} create ${ref} none); ${podman} cp $id:/${PROFILE} ${at('profile.json')}; ${podman} rm $id; ${podman} rmi ${ref}`,
  },
].filter(
  ({ tool, needs }) =>
    values.tools.split(',').includes(tool) && needs.every((name) => spawnSync('which', [name]).status === 0),
);

/** One table: every contender on every layout, through one relay. */
async function table(title, port, count, rows, starts) {
  console.log(`\n${title}\n`);
  console.log(
    '| layout | tool | requests | bytes on the wire | seconds | CPU seconds | peak MiB | times ours | without the start alone |',
  );
  console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const layout of layouts) {
    let ours;
    for (const { name, command, once, start } of rows) {
      const runs = once ? 1 : Number(values.runs);
      const best = await measure(command(`127.0.0.1:${port}/bench/${layout}:v1`), runs, count);
      const net = best.seconds - starts.get(start).seconds;
      ours ??= { seconds: best.seconds, net };
      const cells = [
        layout,
        `${name}${best.status === 0 ? '' : ' (failed)'}`,
        best.requests,
        best.bytes,
        best.seconds.toFixed(2),
        best.cpu.toFixed(2),
        best.mib.toFixed(0),
        (best.seconds / ours.seconds).toFixed(1),
        // On a loaded machine a start alone can take longer than all the rest.
        net > 0.005 && ours.net > 0.005 ? (net / ours.net).toFixed(1) : '',
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
}

let registry;
const cleanUp = () => {
  registry?.kill();
  rmSync(work, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    cleanUp();
    process.exit(1);
  });
}
try {
  writeFileSync(empty, '');
  const started = await startRegistry(work);
  registry = started.registry;
  await publishBundles(work, `127.0.0.1:${started.port}`, Number(values.mib), layouts);
  console.log(`QCOW of ${values.mib} MiB, Node ${process.version}, minimum of ${values.runs} runs`);
  const count = { requests: 0, bytes: 0 };
  const starts = new Map();
  console.log('\n| start alone | seconds | CPU seconds | peak MiB |\n| --- | ---: | ---: | ---: |');
  for (const start of new Set(contenders.map((contender) => contender.start))) {
    const best = await measure(start, 10, count);
    starts.set(start, best);
    const label = start.replace(empty, 'EMPTY');
    console.log(
      `| ${label} | ${best.seconds.toFixed(3)} | ${best.cpu.toFixed(3)} | ${best.mib.toFixed(0)} |`,
    );
  }
  const near = await startRelay(started.port, count);
  await table('On loopback:', near.port, count, contenders, starts);
  near.close();
  const far = await startRelay(started.port, count, link);
  const selective = contenders.filter(({ whole }) => !whole);
  await table(`Over ${link.rtt} ms there and back, ${link.mbit} Mbit/s:`, far.port, count, selective, starts);
  far.close();
} finally {
  cleanUp();
}
process.exit();
