// Reading one profile out of a bundle with a large disk image: this program against the tools that people use for it.
//
//   node bench/read-bundle.mjs [--mib 1024] [--runs 5] [--layouts ours,squashed] [--tools native,regctl] [--rtt 20 --mbit 100]
//
// Ours is measured twice: as the native executable (npm run build:native) and as the one that Node runs; the first is
// what the others are compared with. Everything in one run and one table: on loopback by plain HTTP, through a relay that counts bytes, and, for the tools
// that do not fetch everything, by TLS and through a relay that is as far away and as narrow as a real link. That registry
// listens on an address of this machine that is not loopback, with a certificate of an authority that is given to both
// tools: what registries are in production. Two docker-registries (Debian package), one storage; requests are counted in
// their access logs.
//
// 1 GiB takes about ten minutes on two cores, and 16 GiB in the temporary directory. Tools that are not on PATH are left
// out: podman, skopeo with umoci, crane, regctl (go install github.com/google/go-containerregistry/cmd/crane@latest, then
// github.com/regclient/regclient/cmd/regctl@latest). Compare the ratios, not the seconds. podman needs root here.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LAYOUTS, makeCertificate, PROFILE, publishBundles, startRegistry } from './bundles.mjs';
import { startRelay } from './relay.mjs';

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '5' },
    layouts: { type: 'string', default: LAYOUTS.join(',') },
    tools: { type: 'string', default: 'native,node,regctl,crane,skopeo,podman' },
    rtt: { type: 'string', default: '20' },
    mbit: { type: 'string', default: '100' },
  },
});
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const work = mkdtempSync(join(tmpdir(), 'bench-read-bundle-'));
const at = (...names) => join(work, ...names);
const layouts = values.layouts.split(',');
const link = { rtt: Number(values.rtt), mbit: Number(values.mbit) };
// Node would read that file at each start, which more than doubles the time of the start; hardly anybody sets it.
delete process.env.NODE_EXTRA_CA_CERTS;

const MEASURE = `
import json, resource, subprocess, sys, time
def cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
# A python3 that is a wrapper has had children before.
before, start = cpu(), time.monotonic()
status = subprocess.call(['timeout', '300', 'bash', '-euc', sys.argv[1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds, mib = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({'seconds': seconds, 'cpu': cpu() - before, 'mib': mib, 'status': status}))
`;

/** Wall time, CPU time and the largest process of a command line, once. `counted` gives what it cost the registry. */
async function measure(command, counted) {
  const before = counted();
  const child = spawn('python3', ['-c', MEASURE, command], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  for await (const chunk of child.stdout) output += chunk;
  const after = counted();
  const [requests, bytes] = ['requests', 'bytes'].map((key) => after[key] - before[key]);
  return { ...JSON.parse(output), requests, bytes };
}

// Each tool gets the authority in the way it has.
const native = join(root, 'dist/native/image-builder');
const extract = (executable) => `XDG_CONFIG_HOME=${at('config')} ${executable} extract --no-cache`;
const go = `SSL_CERT_FILE=${at('ca.crt')}`;
const podman = `podman --root ${at('podman')} --runroot ${at('podman-run')}`;
const empty = at('empty.cjs');
/** `start` does nothing; `whole` fetches everything, whatever is wanted, of some layouts at least. */
const contenders = [
  ...[
    { tool: 'native', executable: native, start: `${native} --version` },
    { tool: 'node', executable: join(root, 'dist/image-builder'), start: `node ${empty}` },
  ].flatMap(({ tool, executable, start }) => [
    {
      tool,
      name: `extract, ${tool}`,
      needs: [executable],
      start,
      command: (ref) => `${extract(executable)} ${ref} /${PROFILE}`,
    },
    {
      tool,
      name: `extract of a digest, ${tool}`,
      needs: [executable],
      start,
      whole: true,
      command: (ref, _, digest) => `${extract(executable)} ${ref}@${digest} /${PROFILE}`,
    },
    {
      tool,
      name: `extract --verify, ${tool}`,
      needs: [executable],
      start,
      whole: true,
      command: (ref) => `${extract(executable)} --verify ${ref} /${PROFILE}`,
    },
  ]),
  {
    tool: 'regctl',
    name: 'regctl image get-file',
    needs: ['regctl'],
    start: 'regctl version',
    command: (ref, tls) =>
      `${go} regctl --host reg=${ref.split('/')[0]},tls=${tls ? 'enabled' : 'disabled'} image get-file ${ref} /${PROFILE}`,
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

/** Rows of the table: contenders on every layout, by one way to the registry. Best of some runs, which alternate. */
async function rows(network, host, counted, contestants, { starts, digests }, tls) {
  for (const layout of layouts) {
    const best = new Map();
    for (let run = 0; run < Number(values.runs); run++) {
      for (const contender of contestants.filter(({ whole }) => run === 0 || !whole)) {
        const result = await measure(
          contender.command(`${host}/bench/${layout}:v1`, tls, digests.get(layout)),
          counted,
        );
        if (!(best.get(contender)?.seconds <= result.seconds)) best.set(contender, result);
      }
    }
    const ours = best.get(contestants[0]);
    const ourNet = ours.seconds - starts.get(contestants[0].start).seconds;
    for (const [{ name, start }, { status, requests, bytes, seconds, cpu, mib }] of best) {
      const net = seconds - starts.get(start).seconds;
      const cells = [
        network,
        layout,
        `${name}${status === 0 ? '' : ' (failed)'}`,
        requests,
        bytes,
        seconds.toFixed(3),
        cpu.toFixed(2),
        mib.toFixed(0),
        (seconds / ours.seconds).toFixed(1),
        // On a loaded machine a start alone can take longer than all the rest.
        net > 0.005 && ourNet > 0.005 ? (net / ourNet).toFixed(1) : '',
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
}

const registries = [];
const relays = [];
const cleanUp = () => {
  for (const relay of relays) relay.close();
  for (const registry of registries) registry.kill();
  rmSync(work, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    cleanUp();
    process.exit(1);
  });
}

/** A registry behind a relay. `counted` is what it was asked and has sent so far. */
async function serve(address, tls, narrow) {
  const started = await startRegistry(work, tls);
  registries.push(started.registry);
  const sent = { bytes: 0 };
  const relay = await startRelay(address, started.port, sent, narrow);
  relays.push(relay);
  const counted = () => ({ requests: started.asked.requests, bytes: sent.bytes });
  return { host: `${address}:${relay.port}`, direct: `${address}:${started.port}`, counted };
}

try {
  writeFileSync(empty, '');
  const addresses = Object.values(networkInterfaces()).flat();
  const outer = addresses.find(({ internal, family }) => !internal && family === 'IPv4');
  // Without one, ours asks once more than it would of any other host: whether there is TLS.
  const certificate = makeCertificate(work, outer?.address ?? '127.0.0.1');
  const near = await serve('127.0.0.1');
  const far = await serve(certificate.address, certificate, link);
  const authorities = at('config/containers/certs.d', far.host);
  mkdirSync(authorities, { recursive: true });
  cpSync(certificate.authority, join(authorities, 'ca.crt'));
  await publishBundles(work, near.direct, Number(values.mib), layouts);
  console.log(`QCOW of ${values.mib} MiB, Node ${process.version}, minimum of ${values.runs} runs`);
  console.log('(of one, for what fetches everything)');
  const digests = new Map();
  for (const layout of layouts) {
    const accept = 'application/vnd.oci.image.manifest.v1+json';
    const url = `http://${near.direct}/v2/bench/${layout}/manifests/v1`;
    const answer = await fetch(url, { method: 'HEAD', headers: { accept } });
    digests.set(layout, answer.headers.get('docker-content-digest'));
  }
  const starts = new Map();
  console.log('\n| start alone | seconds | CPU seconds | peak MiB |\n| --- | ---: | ---: | ---: |');
  for (const start of new Set(contenders.map((contender) => contender.start))) {
    const results = [];
    for (let run = 0; run < 10; run++) results.push(await measure(start, near.counted));
    const [best] = results.sort((a, b) => a.seconds - b.seconds);
    starts.set(start, best);
    const label = start.replace(empty, 'EMPTY').replace(native, 'image-builder');
    console.log(
      `| ${label} | ${best.seconds.toFixed(3)} | ${best.cpu.toFixed(3)} | ${best.mib.toFixed(0)} |`,
    );
  }
  console.log(
    '\n| network | layout | tool | requests | bytes on the wire | seconds | CPU seconds | peak MiB | times ours | without the start alone |',
  );
  console.log('| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  await rows('loopback', near.host, near.counted, contenders, { starts, digests }, false);
  const selective = contenders.filter(({ whole }) => !whole);
  const name = `TLS, ${link.rtt} ms, ${link.mbit} Mbit/s`;
  await rows(name, far.host, far.counted, selective, { starts, digests }, true);
} finally {
  cleanUp();
}
process.exit();
