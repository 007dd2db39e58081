// Updates of an image by `copy --from`: the image of examples/node-image, with a sysctl changed, with one package more, and with
// another kernel. Bytes on the wire and time, next to a copy of the whole, through a relay that is as far away and as narrow
// as a real link; and what the index costs.
//
//   npm run build && node bench/update.mjs [--kernel linux-image-6.12.117+deb13-cloud-amd64] [--runs 3] [--node FILE]
//
// Builds each image first, in the store of the environment. `--node` is the Node that copies: from 22.15 on it has zstd.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startRegistry } from './bundles.mjs';
import { startRelay } from './relay.mjs';

const { values } = parseArgs({
  options: {
    kernel: { type: 'string' },
    runs: { type: 'string', default: '3' },
    node: { type: 'string', default: process.execPath },
    rtt: { type: 'string', default: '20' },
    mbit: { type: 'string', default: '100' },
  },
});
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const example = readFileSync(join(root, 'examples/node-image/image-builder.yaml'), 'utf8');
const work = mkdtempSync(join(tmpdir(), 'bench-update-'));
const program = join(root, 'dist/image-builder');
const images = {
  base: example,
  'a sysctl changed': example.replace('net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'),
  'one package more': example.replace('- dbus', '- dbus\n        - tcpdump'),
  ...(values.kernel && {
    'another kernel': example.replace(
      'kernel_base_pkg: linux-image-cloud-amd64',
      `kernel_base_pkg: ${values.kernel}`,
    ),
  }),
};

/** Seconds that a command takes. */
async function run(...argv) {
  const began = performance.now();
  // Not at once: the relay is in this process.
  const child = spawn(values.node, [program, ...argv], { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(`image-builder ${argv[0]}: ${errors}`);
  return (performance.now() - began) / 1000;
}

const { registry, port } = await startRegistry(work);
const sent = { bytes: 0 };
const link = { rtt: Number(values.rtt), mbit: Number(values.mbit) };
const relay = await startRelay('127.0.0.1', port, sent, link);
try {
  const tags = Object.keys(images).map((name, index) => ({ name, tag: `v${index}` }));
  for (const { name, tag } of tags) {
    const spec = join(work, `${tag}.yaml`);
    writeFileSync(spec, images[name].replace('layout: out', `layout: ${tag}`));
    await run('build', spec);
    await run('push', `oci:${tag}`, `127.0.0.1:${port}/site/node:${tag}`);
  }
  const copy = async (tag, ...more) => {
    const measured = [];
    for (let count = 0; count < Number(values.runs); count++) {
      rmSync(join(work, 'target'), { recursive: true, force: true });
      const before = sent.bytes;
      const seconds = await run(
        'copy',
        `127.0.0.1:${relay.port}/site/node:${tag}`,
        'target',
        '--no-cache',
        ...more,
      );
      measured.push({ seconds, bytes: sent.bytes - before });
    }
    return measured.sort((a, b) => a.seconds - b.seconds)[0];
  };
  mkdirSync(join(work, 'earlier'));
  await run('copy', 'oci:v0', 'earlier');
  const size = statSync(join(work, 'earlier/control-plane.qcow2')).size;
  console.log(
    `image of ${size} bytes, ${values.rtt} ms, ${values.mbit} Mbit/s, minimum of ${values.runs} runs\n`,
  );
  console.log(
    '| update | bytes | of the whole | seconds | of the whole |\n| --- | ---: | ---: | ---: | ---: |',
  );
  const whole = await copy('v0');
  const row = (name, { bytes, seconds }) =>
    console.log(
      `| ${name} | ${bytes} | ${(bytes / whole.bytes).toFixed(3)} | ${seconds.toFixed(1)} | ${(seconds / whole.seconds).toFixed(2)} |`,
    );
  row('the whole image', whole);
  for (const { name, tag } of tags.slice(1)) row(name, await copy(tag, '--from', 'earlier'));
} finally {
  relay.close();
  registry.kill();
  rmSync(work, { recursive: true, force: true });
}
