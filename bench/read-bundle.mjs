// Reading one profile out of a bundle with a large disk image: this program against the tools that people use for it.
//
//   node bench/read-bundle.mjs [--mib 1024] [--runs 3]
//
// Everything in one run against one docker-registry (Debian package), through a TCP relay that counts requests and bytes.
// Tools that are not on PATH are left out: skopeo with umoci, crane, regctl (go install
// github.com/google/go-containerregistry/cmd/crane@latest github.com/regclient/regclient/cmd/regctl@latest).
// Prints a Markdown table; compare the ratios, not the seconds.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '1024' }, runs: { type: 'string', default: '3' } },
});
const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const work = mkdtempSync(join(tmpdir(), 'bench-read-bundle-'));
const at = (...names) => join(work, ...names);
const sh = (script) =>
  execFileSync('bash', ['-euc', script], { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });
const PROFILE = 'profiles/profile_multistrap.json';

/** Adds a tar as a layer blob; returns its descriptor and diff ID. */
async function layer(layout, tar, compression, annotations) {
  const packed = { none: tar, gzip: `${tar}.gz`, zstd: `${tar}.zst` }[compression];
  if (compression === 'gzip') sh(`gzip -1 -c ${tar} > ${packed}`);
  if (compression === 'zstd') sh(`zstd -q -1 -f ${tar} -o ${packed}`);
  const [diffId, digest] = [await digestOf(tar), await digestOf(packed)];
  const size = statSync(packed).size;
  sh(`cp ${packed} ${blobPath(layout, digest)}`);
  if (packed !== tar) rmSync(packed);
  const mediaType = `application/vnd.oci.image.layer.v1.tar${compression === 'none' ? '' : `+${compression}`}`;
  return { descriptor: { mediaType, digest, size, ...(annotations && { annotations }) }, diffId };
}

async function digestOf(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

const blobPath = (layout, digest) => join(layout, 'blobs/sha256', digest.slice(7));

function put(layout, document, mediaType) {
  const text = JSON.stringify(document);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  writeFileSync(blobPath(layout, digest), text);
  return { mediaType, digest, size: Buffer.byteLength(text) };
}

/** Writes an image and copies it into the registry. */
async function publish(name, host, layers, history) {
  const layout = at(name);
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  const made = [];
  for (const { tar, compression, annotations } of layers)
    made.push(await layer(layout, tar, compression, annotations));
  const config = put(
    layout,
    {
      os: 'linux',
      architecture: 'amd64',
      config: {},
      rootfs: { type: 'layers', diff_ids: made.map(({ diffId }) => diffId) },
      ...(history && { history: history.map((step) => ({ created_by: step })) }),
    },
    'application/vnd.oci.image.config.v1+json',
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = put(
    layout,
    { schemaVersion: 2, mediaType, config, layers: made.map(({ descriptor }) => descriptor) },
    mediaType,
  );
  const annotations = { 'org.opencontainers.image.ref.name': 'v1' };
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  sh(
    `skopeo copy -q --insecure-policy --preserve-digests --dest-tls-verify=false oci:${layout}:v1 docker://${host}/bench/${name}:v1`,
  );
  rmSync(layout, { recursive: true });
}

async function listen(server) {
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return server.address().port;
}

/** Passes connections on, counting. TLS handshakes (clients try TLS on loopback first) are no requests. */
async function startRelay(port, count) {
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    client.on('data', (chunk) => {
      if (/^(?:GET|HEAD|POST) /.test(chunk.toString('latin1', 0, 5))) count.requests++;
    });
    upstream.on('data', (chunk) => {
      count.bytes += chunk.length;
    });
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
  });
  return { port: await listen(server), close: () => server.close() };
}

const MEASURE = `
import json, resource, subprocess, sys, time
start = time.monotonic()
status = subprocess.call(['bash', '-euc', sys.argv[1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({'seconds': time.monotonic() - start, 'cpu': usage.ru_utime + usage.ru_stime, 'mib': usage.ru_maxrss / 1024, 'status': status}))
`;

/** Wall time and the largest process of a command line. */
async function measure(command) {
  const child = spawn('python3', ['-c', MEASURE, command], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  for await (const chunk of child.stdout) output += chunk;
  return JSON.parse(output);
}

const has = (tool) => spawnSync('which', [tool]).status === 0;
const contenders = [
  {
    name: 'image-builder extract',
    needs: ['node'],
    command: (ref) => `${join(root, 'dist/image-builder')} extract --no-cache ${ref} /${PROFILE}`,
  },
  {
    name: 'image-builder extract --verify',
    needs: ['node'],
    command: (ref) => `${join(root, 'dist/image-builder')} extract --no-cache --verify ${ref} /${PROFILE}`,
  },
  {
    name: 'regctl image get-file',
    needs: ['regctl'],
    command: (ref) =>
      `regctl --host reg=$(dirname $(dirname ${ref})),tls=disabled image get-file ${ref} /${PROFILE}`,
  },
  {
    name: 'crane export \\| tar',
    needs: ['crane', 'tar'],
    command: (ref) => `crane export --insecure ${ref} - | tar -xO ${PROFILE}`,
  },
  {
    name: 'skopeo copy + umoci unpack',
    needs: ['skopeo', 'umoci'],
    once: true,
    command: (ref) =>
      `rm -rf ${at('copy')} ${at('unpacked')}; skopeo copy -q --insecure-policy --src-tls-verify=false docker://${ref} oci:${at('copy')}:v1 && umoci unpack --rootless --image ${at('copy')}:v1 ${at('unpacked')}`,
  },
].filter(({ needs }) => needs.every(has));

let registry;
try {
  sh(`
    mkdir -p ${at('base/bin')} ${at('base/lib')} ${at('function/usr/local/bin')} ${at('q/qcows')} ${at('p/profiles')}
    for i in $(seq 200); do head -c 100000 /dev/urandom > ${at('base/lib')}/$i; done
    head -c 4000000 /dev/urandom > ${at('function/usr/local/bin/function')}
    head -c ${Number(values.mib) * 1024 * 1024} /dev/urandom > ${at('q/qcows/control-plane.qcow2')}
    md5sum < ${at('q/qcows/control-plane.qcow2')} | cut -c1-32 > ${at('q/qcows/control-plane.qcow2.md5sum')}
    echo '{"k8s_version": "1.34.2"}' > ${at(`p/${PROFILE}`)}
    cd ${work}
    for d in base function q p; do tar --sort=name -C $d -cf $d.tar $(ls $d); done
    mkdir all && mv base/* function/usr p/profiles q/qcows all/ && tar --sort=name -C all -cf all.tar $(ls all) && rm -rf all
  `);
  const count = { requests: 0, bytes: 0 };
  const probe = createServer();
  const port = await listen(probe);
  await new Promise((done) => probe.close(done));
  writeFileSync(
    at('registry.yml'),
    JSON.stringify({
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: at('storage') } },
      http: { addr: `127.0.0.1:${port}` },
    }),
  );
  registry = spawn('docker-registry', ['serve', at('registry.yml')], { stdio: 'ignore' });
  sh(
    `for i in $(seq 100); do (echo > /dev/tcp/127.0.0.1/${port}) 2>/dev/null && exit; sleep 0.1; done; exit 1`,
  );
  const host = `127.0.0.1:${port}`;
  const [base, qcow, profiles, fn] = ['base', 'q', 'p', 'function'].map((name) => at(`${name}.tar`));
  const history = [
    '/bin/sh -c #(nop) ADD file:5a0b1d6c in / ',
    '/bin/sh -c #(nop) COPY multi:1b4e27ab in /qcows/ ',
    '/bin/sh -c #(nop) COPY multi:7c9d4e9f in /profiles/ ',
    '/bin/sh -c #(nop) COPY file:3d5f6a77 in /usr/local/bin/function ',
  ];
  const predecessor = (compression) => [base, qcow, profiles, fn].map((tar) => ({ tar, compression }));
  await publish('ours', host, [
    { tar: base, compression: 'gzip' },
    { tar: qcow, compression: 'none' },
    { tar: profiles, compression: 'gzip', annotations: { 'org.airshipit.image-builder.profiles': 'true' } },
  ]);
  await publish('predecessor', host, predecessor('gzip'), history);
  await publish('no-history', host, predecessor('none'));
  await publish('squashed', host, [{ tar: at('all.tar'), compression: 'gzip' }]);
  await publish('squashed-zstd', host, [{ tar: at('all.tar'), compression: 'zstd' }]);

  const relay = await startRelay(port, count);
  console.log(`QCOW of ${values.mib} MiB, Node ${process.version}, minimum of ${values.runs} runs\n`);
  console.log(
    '| layout | tool | requests | bytes on the wire | seconds | CPU seconds | peak MiB | times ours |',
  );
  console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const layout of ['ours', 'predecessor', 'no-history', 'squashed', 'squashed-zstd']) {
    let ours;
    for (const { name, command, once } of contenders) {
      let best;
      for (let run = 0; run < (once ? 1 : Number(values.runs)); run++) {
        Object.assign(count, { requests: 0, bytes: 0 });
        const result = {
          ...(await measure(command(`127.0.0.1:${relay.port}/bench/${layout}:v1`))),
          ...count,
        };
        if (!best || result.seconds < best.seconds) best = result;
      }
      ours ??= best.seconds;
      const failed = best.status === 0 ? '' : ' (failed)';
      console.log(
        `| ${layout} | ${name}${failed} | ${best.requests} | ${best.bytes} | ${best.seconds.toFixed(2)} | ${best.cpu.toFixed(2)} | ${best.mib.toFixed(0)} | ${(best.seconds / ours).toFixed(1)} |`,
      );
    }
  }
  relay.close();
} finally {
  registry?.kill();
  rmSync(work, { recursive: true, force: true });
}
process.exit();
