// From a root file system tree to a compressed qcow2, as a ratio to what the predecessor did last: compressing the
// same disk with `qemu-img convert -c` (zlib).
//
//   node bench/assemble.mjs ROOTFS.tar [RUNS]
//
// Takes any root file system tar with a kernel, for example one of mmdebstrap. The minimum of the runs counts.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadEngine } from './engine.mjs';

const LIMIT_SECONDS = 6;
const [archive, runs = '3'] = process.argv.slice(2);
if (!archive) {
  process.stderr.write('usage: node bench/assemble.mjs ROOTFS.tar [RUNS]\n');
  process.exit(2);
}

const directory = mkdtempSync(join(tmpdir(), 'assemble-bench-'));
try {
  await measure();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function measure() {
  const { assembleDisk, createLocalSandbox, progressOf } = await loadEngine(directory, {
    assembleDisk: 'disk/assemble.ts',
    createLocalSandbox: 'sandbox/local-sandbox.ts',
    progressOf: 'sandbox/stage-context.ts',
  });
  const tree = join(directory, 'tree');
  const workDir = join(directory, 'work');
  mkdirSync(tree);
  mkdirSync(workDir);
  const sandbox = await createLocalSandbox();
  await sandbox.run(['tar', '-xpf', resolve(archive), '--exclude=./dev/*', '-C', tree, '--numeric-owner']);
  const output = join(directory, 'disk.qcow2');
  const context = {
    ...progressOf('bench', () => {}),
    ...{ workDir, outputDir: directory, sandbox },
    ...{ signal: new AbortController().signal, sourceDateEpoch: 1_700_000_000 },
  };
  const request = {
    tree,
    architecture: 'amd64',
    output,
    identifierSeed: 'bench',
    qcow: variables(),
    menu: menu(),
  };
  const times = [];
  for (let run = 0; run < Number(runs); run++)
    times.push(await seconds(() => assembleDisk(request, context)));
  const ours = Math.min(...times);
  const size = statSync(output).size;

  const raw = join(directory, 'disk.raw');
  const zlib = join(directory, 'zlib.qcow2');
  execFileSync('qemu-img', ['convert', '-O', 'raw', output, raw]);
  const theirs = await seconds(() => execFileSync('qemu-img', ['convert', '-c', '-O', 'qcow2', raw, zlib]));
  const mib = (bytes) => `${Math.round(bytes / 1024 / 1024)} MiB`;
  const used = statSync(raw).blocks * 512;
  process.stdout.write(
    [
      `tree to zstd qcow2          ${ours.toFixed(2)} s, ${mib(size)} (disk: ${mib(used)} used)`,
      `the last step alone, zlib   ${theirs.toFixed(2)} s, ${mib(statSync(zlib).size)}`,
      `ratio ${(ours / theirs).toFixed(2)}; limit ${LIMIT_SECONDS} s for a tree of 500 MB on two idle processors\n`,
    ].join('\n'),
  );
}

function variables() {
  const filesystem = (type) => ({ filesystem: { type } });
  return {
    ...{ qcow_capacity: '19G', qcow_compress: true, qcow_compression_type: 'zstd' },
    partitions: [
      { mount: '/', part_start: '1284MiB', part_end: '100%', ...filesystem('ext4') },
      { mount: 'none', part_start: '1MiB', part_end: '5MiB', flags: ['bios_grub'] },
      { mount: '/boot/efi', part_start: '5MiB', part_end: '516MiB', flags: ['esp'], ...filesystem('vfat') },
      { mount: '/boot', part_start: '516MiB', part_end: '1284MiB', ...filesystem('ext4') },
    ],
  };
}

function menu() {
  return { timeoutSeconds: 1, serialCommand: '', kernelArguments: ['console=ttyS0'] };
}

async function seconds(action) {
  const start = performance.now();
  await action();
  return (performance.now() - start) / 1000;
}
