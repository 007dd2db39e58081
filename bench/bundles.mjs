// The bundles that bench/read-bundle.mjs reads: one content in five layouts, in a docker-registry.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** The file that is wanted. */
export const PROFILE = 'profiles/profile_multistrap.json';
export const LAYOUTS = ['ours', 'predecessor', 'no-history', 'squashed', 'squashed-zstd'];

const sh = (script) =>
  execFileSync('bash', ['-euc', script], { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });

/** Listens on a free port. */
export async function listen(server, address = '127.0.0.1') {
  await new Promise((done) => server.listen(0, address, done));
  return server.address().port;
}

/**
 * Starts a registry with its storage in `work`; returns its process, its port, and what it was asked so far.
 * @param tls `{ address, certificate, key }`: listens there, by TLS; undefined: plain HTTP on loopback
 */
export async function startRegistry(work, tls) {
  const address = tls?.address ?? '127.0.0.1';
  const probe = createServer();
  const port = await listen(probe, address);
  await new Promise((done) => probe.close(done));
  const config = join(work, `registry-${port}.yml`);
  const files = tls && { tls: { certificate: tls.certificate, key: tls.key } };
  writeFileSync(
    config,
    JSON.stringify({
      version: '0.1',
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: join(work, 'storage') } },
      http: { addr: `${address}:${port}`, ...files },
    }),
  );
  const registry = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'pipe', 'ignore'] });
  const asked = { requests: 0 };
  // One line of the access log for each request.
  registry.stdout.on('data', (lines) => {
    asked.requests += lines.toString().match(/"(?:GET|HEAD|POST) /g)?.length ?? 0;
  });
  sh(
    `for i in $(seq 100); do (echo > /dev/tcp/${address}/${port}) 2>/dev/null && exit; sleep 0.1; done; exit 1`,
  );
  return { registry, port, asked };
}

/** An authority and a certificate of the address, as files in `work`. */
export function makeCertificate(work, address) {
  const at = (name) => join(work, name);
  const day = '-days 1 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
  sh(`
    cd ${work}
    openssl req -x509 ${day} -keyout ca.key -out ca.crt -subj /CN=bench-authority 2>>openssl.log
    openssl req -x509 ${day} -CA ca.crt -CAkey ca.key -keyout server.key -out server.crt -subj /CN=bench \
      -addext subjectAltName=IP:${address} -addext basicConstraints=critical,CA:false 2>>openssl.log
  `);
  return { address, authority: at('ca.crt'), certificate: at('server.crt'), key: at('server.key') };
}

/** Makes the bundles of the given layouts, with a disk image of random bytes. */
export async function publishBundles(work, host, mib, layouts) {
  const at = (...names) => join(work, ...names);
  sh(`
    mkdir -p ${at('base/bin')} ${at('base/lib')} ${at('function/usr/local/bin')} ${at('q/qcows')} ${at('p/profiles')}
    for i in $(seq 200); do head -c 100000 /dev/urandom > ${at('base/lib')}/$i; done
    head -c 4000000 /dev/urandom > ${at('function/usr/local/bin/function')}
    head -c ${mib * 1024 * 1024} /dev/urandom > ${at('q/qcows/control-plane.qcow2')}
    md5sum < ${at('q/qcows/control-plane.qcow2')} | cut -c1-32 > ${at('q/qcows/control-plane.qcow2.md5sum')}
    echo '{"k8s_version": "1.34.2"}' > ${at(`p/${PROFILE}`)}
    cd ${work}
    for d in base function q p; do tar --sort=name -C $d -cf $d.tar $(ls $d); done
    mkdir all && mv base/* function/usr p/profiles q/qcows all/ && tar --sort=name -C all -cf all.tar $(ls all) && rm -rf all
  `);
  const [base, qcow, profiles, fn] = ['base', 'q', 'p', 'function'].map((name) => at(`${name}.tar`));
  const history = [
    '/bin/sh -c #(nop) ADD file:5a0b1d6c in / ',
    '/bin/sh -c #(nop) COPY multi:1b4e27ab in /qcows/ ',
    '/bin/sh -c #(nop) COPY multi:7c9d4e9f in /profiles/ ',
    '/bin/sh -c #(nop) COPY file:3d5f6a77 in /usr/local/bin/function ',
  ];
  const predecessor = (compression) => [base, qcow, profiles, fn].map((tar) => ({ tar, compression }));
  const mark = { 'org.airshipit.image-builder.profiles': 'true' };
  const bundles = {
    ours: [
      [
        { tar: base, compression: 'gzip' },
        { tar: qcow, compression: 'none' },
        { tar: profiles, compression: 'gzip', annotations: mark },
      ],
    ],
    predecessor: [predecessor('gzip'), history],
    'no-history': [predecessor('none')],
    squashed: [[{ tar: at('all.tar'), compression: 'gzip' }]],
    'squashed-zstd': [[{ tar: at('all.tar'), compression: 'zstd' }]],
  };
  for (const name of layouts) await publish(at(name), name, host, ...bundles[name]);
  sh(`cd ${work}; rm -rf base function q p *.tar`);
}

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
async function publish(layout, name, host, layers, history) {
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
