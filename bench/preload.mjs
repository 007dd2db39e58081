// Pulling the container images that disks carry: time beside that of `skopeo copy` of the same images, memory, and whether
// a blob is on the disk more than once.
//
//   node bench/preload.mjs [MIB] [IMAGES]     default: 8 images of 50 MiB, and a layer of 50 MiB that all of them have
//
// Needs docker-registry and skopeo.
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadEngine } from './engine.mjs';

const LIMIT_MIB = 150;
const [mib = '50', count = '8'] = process.argv.slice(2);
const PROGRAM = `
import { readFileSync } from 'node:fs';
import { buildStages, resolveBuild } from './engine.mjs';
const { store, preload } = JSON.parse(readFileSync(0, 'utf8'));
const resolved = await resolveBuild('bench', { kubernetes: { version: '1.37.2', preload } }, { cwd: '/' });
const policy = { caller: 'person', read: [], stores: [], storesOfSpec: true };
const signal = new AbortController().signal;
const began = performance.now();
await buildStages(resolved, ['preload'], { cwd: '/', policy, store, report: () => {}, signal });
const ours = (performance.now() - began) / 1000;
console.log(JSON.stringify({ ours, peak: process.resourceUsage().maxRSS / 1024 }));
`;
const directory = mkdtempSync(join(tmpdir(), 'preload-bench-'));
const registry = await startRegistry();
try {
  await measure();
} finally {
  registry.child.kill();
  rmSync(directory, { recursive: true, force: true });
}

async function measure() {
  const names = makeImages();
  for (const name of names)
    execFileSync('skopeo', [
      ...['copy', '--quiet', '--insecure-policy', '--dest-tls-verify=false', '--preserve-digests'],
      ...[`oci:${directory}/source:${name}`, `docker://${registry.host}/${name}:v1`],
    ]);
  const store = join(directory, 'store');
  const program = join(directory, 'program.mjs');
  // A process of its own: the images of this one are in its memory.
  writeFileSync(program, PROGRAM);
  await loadEngine(directory, {
    resolveBuild: 'spec/variables/resolve.ts',
    buildStages: 'build/build.ts',
  });
  const preload = names.map((name) => `${registry.host}/${name}:v1`);
  const request = JSON.stringify({ store, preload });
  const output = execFileSync(process.execPath, [program], { input: request, encoding: 'utf8' });
  const { ours, peak } = JSON.parse(output);
  const theirs = await seconds(() => {
    for (const name of names)
      execFileSync('skopeo', [
        ...['copy', '--quiet', '--insecure-policy', '--src-tls-verify=false'],
        ...[`docker://${registry.host}/${name}:v1`, `oci:${directory}/skopeo:${name}`],
      ]);
  });
  const files = readdirSync(store, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const facts = files.map((one) => statSync(join(one.parentPath, one.name)));
  const used = new Map(facts.map(({ ino, blocks }) => [ino, blocks * 512]));
  const total = [...used.values()].reduce((sum, bytes) => sum + bytes, 0) / 2 ** 20;
  const blobs = (Number(count) + 1) * Number(mib);
  process.stdout.write(
    [
      `preload       ${ours.toFixed(2)} s for ${blobs} MiB (${(blobs / ours).toFixed(0)} MiB/s)`,
      `skopeo copy   ${theirs.toFixed(2)} s, ratio ${(ours / theirs).toFixed(2)}`,
      `memory        ${peak.toFixed(0)} MiB; limit ${LIMIT_MIB} MiB`,
      `store         ${total.toFixed(0)} MiB for ${blobs} MiB of blobs\n`,
    ].join('\n'),
  );
  if (peak > LIMIT_MIB || total > blobs * 1.05) process.exitCode = 1;
}

/** An OCI layout with images of random bytes; layers are no tars: nobody unpacks them here. */
function makeImages() {
  const blobs = join(directory, 'source/blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const add = (content, mediaType) => {
    const hex = createHash('sha256').update(content).digest('hex');
    writeFileSync(join(blobs, hex), content);
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const layer = () => add(randomBytes(Number(mib) << 20), 'application/vnd.oci.image.layer.v1.tar+gzip');
  const common = layer();
  const names = Array.from({ length: Number(count) }, (_, index) => `image-${index}`);
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifests = names.map((name) => {
    const layers = [common, layer()];
    const config = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] } };
    const described = add(Buffer.from(JSON.stringify(config)), 'application/vnd.oci.image.config.v1+json');
    const manifest = { schemaVersion: 2, mediaType, config: described, layers };
    const annotations = { 'org.opencontainers.image.ref.name': name };
    return { ...add(Buffer.from(JSON.stringify(manifest)), mediaType), annotations };
  });
  writeFileSync(join(directory, 'source/oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(directory, 'source/index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  return names;
}

async function startRegistry() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const host = `127.0.0.1:${server.address().port}`;
  await new Promise((resolve) => server.close(resolve));
  const storage = { filesystem: { rootdirectory: join(directory, 'registry') } };
  const config = { version: '0.1', log: { level: 'error' }, storage, http: { addr: host } };
  // JSON is YAML.
  writeFileSync(join(directory, 'registry.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', join(directory, 'registry.yml')], { stdio: 'ignore' });
  for (let attempt = 0; attempt < 100; attempt++) {
    if (
      await fetch(`http://${host}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return { host, child };
    await sleep(100);
  }
  throw new Error('docker-registry does not answer');
}

async function seconds(work) {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
