// Image Builder beside other image builders, on the same machine, from the same mirrors, with the same packages: Debian
// 12 minbase, linux-image-cloud-amd64, systemd-sysv, cloud-init, openssh-server, and what our images have to boot.
//
//   npm run build && sudo node bench/compare.mjs [--runs 3] [--tools DIR] [--only REGEX]
//
// The others run as root in a Debian 13 tree, made by mmdebstrap (about a minute; kept where --tools says). In each case
// the minimum of the runs counts. "From nothing" means without any cache, packages are fetched by everybody. Disk and
// memory are what the whole machine used in addition at the worst moment: nothing else should run.
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contestants, inTree, makeToolsTree } from './contestants.mjs';
import { timeIso } from './iso.mjs';
import { hasKubernetes, serveKubernetes } from './kubernetes-repository.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    tools: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
const directory = mkdtempSync(join(tmpdir(), 'compare-bench-'));
const store = join(directory, 'store');
const chosen = (name) => new RegExp(options.only).test(name);
/** Measurements by case. */
const results = {};

try {
  const runs = Number(options.runs);
  for (let run = 0; run < runs; run++) await measureOurs(run);
  await measureKubernetes(runs);
  await measureOthers(runs);
  await measureAssembling(runs);
  print();
} finally {
  execFileSync('rm', ['-rf', directory]);
}

async function measureOurs(run) {
  rmSync(store, { recursive: true, force: true });
  const qcow = 'qcow: {qcow_capacity: 4G}';
  const one = `{a: {${qcow}}}`;
  const setting = (name) => `{sysctl: [{name: ${name}, value: "1"}], limits: []}`;
  const reduced = setting('net.ipv4.ip_forward');
  await measure('ours, from nothing', () => build(spec(reduced, one)), 'a.qcow2');
  await measure('ours, nothing changed', () => build(spec(reduced, one)));
  await measure('ours, configuration changed', () => build(spec(setting('kernel.panic'), one)));
  await measure('ours, a package added', () => build(spec(reduced, one, ', tree')));
  const larger = `{a: {${qcow}}, b: {qcow: {qcow_capacity: 5G}}}`;
  await measure('ours, configuration changed, a second, larger QCOW', () =>
    build(spec(setting('kernel.sysrq'), larger)),
  );
  const configured = (name) =>
    `${name}: {osconfig: {files: [{name: /etc/other, file_content: "${name}\\n"}]}, ${qcow}}`;
  await measure('ours, configuration changed, a QCOW configured by itself', () =>
    build(spec(setting('kernel.pty'), `{${configured('a')}}`)),
  );
  await measure('ours, configuration changed, two QCOWs configured by themselves', () =>
    build(spec(setting('kernel.core'), `{${configured('a')}, ${configured('b')}}`)),
  );
  const two = `{a: {${qcow}}, ${configured('b')}}`;
  await measure('ours, configuration changed, a second QCOW configured otherwise', () =>
    build(spec(setting('kernel.acct'), two)),
  );
  await measure('ours, a QCOW added to a bundle', () => build(spec(setting('kernel.panic'), two)));
  rmSync(join(store, 'cache/initramfs'), { recursive: true, force: true });
  await measure(
    'ours, stage osconfig with all defaults',
    () => build(spec('{}', one)),
    undefined,
    stageSeconds,
  );
  if (run === 0 && chosen('ISO')) {
    execFileSync(...build(spec('{}', one, ', live-boot')).slice(0, 2), { cwd: directory, stdio: 'ignore' });
    const archive = join(newest('osconfig'), 'rootfs.tar');
    for (const seconds of await timeIso(archive, join(directory, 'iso'), Number(options.runs)))
      add('ours, squashfs and ISO from a tree in a tar', { seconds });
  }
}

/** A node with the next patch of Kubernetes, and nothing else changed, in a store of its own. */
async function measureKubernetes(runs) {
  if (!chosen('ours, a Kubernetes node') && !chosen('ours, the next patch of Kubernetes')) return;
  if (!hasKubernetes()) {
    process.stderr.write('no packages of Kubernetes (scripts/setup.sh --tests): not measured\n');
    return;
  }
  const repository = await serveKubernetes(directory);
  const [older, newer] = repository.releases;
  const node = (version) => `apiVersion: airshipit.org/v1alpha1
kind: ImageBuilder
metadata: {name: node}
spec:
  build:
    distribution: debian-13
    kubernetes: {version: ${version}, ${repository.source}}
    rootfs:
      multistrap:
        kernel_base_pkg: linux-image-cloud-amd64
        packages: [dbus, iproute2, openssh-server]
        repos_append: [${repository.runtime}]
    qcows: {node: {qcow: {qcow_capacity: 6G}}}
    bundle: {layout: out}
`;
  const own = join(directory, 'node-store');
  try {
    for (let run = 0; run < runs; run++) {
      rmSync(own, { recursive: true, force: true });
      await measure('ours, a Kubernetes node from nothing', () => build(node(older), own));
      await measure('ours, the next patch of Kubernetes', () => build(node(newer), own));
    }
  } finally {
    repository.stop();
    rmSync(own, { recursive: true, force: true });
  }
}

async function measureOthers(runs) {
  if (process.getuid?.() !== 0) {
    process.stderr.write('the other builders are measured as root only\n');
    return;
  }
  const repositories = sourcesOfThisMachine();
  const tools = resolve(options.tools ?? join(directory, 'tools'));
  makeToolsTree(tools, repositories[0].uri);
  const work = join(directory, 'work');
  const packages = Object.keys(JSON.parse(readFileSync(join(newest('rootfs'), 'packages.json'), 'utf8')));
  const commands = Object.entries(contestants(packages, repositories, work));
  for (let run = 0; run < runs; run++) {
    for (const [name, command] of commands) {
      const image = name.startsWith('mkosi') ? join(work, 'out/bench.raw') : undefined;
      const [file, ...argv] = inTree(tools, work, command);
      await measure(name, () => [file, argv, {}], image);
    }
  }
}

/** What the predecessor did with a finished tree: it copied it into the mounted image, and compressed that with zlib. */
async function measureAssembling(runs) {
  if (!chosen('predecessor, copy and zlib alone')) return;
  const qcow = join(newest('qcow'), 'a.qcow2');
  const [tree, copy, raw, zlib] = ['tree', 'copy', 'disk.raw', 'zlib.qcow2'].map((name) =>
    join(directory, name),
  );
  mkdirSync(tree);
  execFileSync('tar', ['-xpf', join(newest('osconfig'), 'rootfs.tar'), '-C', tree, '--numeric-owner']);
  execFileSync('qemu-img', ['convert', '-O', 'raw', qcow, raw]);
  const command = `rm -rf ${copy}; cp -a ${tree} ${copy}; qemu-img convert -c -O qcow2 ${raw} ${zlib}`;
  for (let run = 0; run < runs; run++) {
    await measure('predecessor, copy and zlib alone', () => ['sh', ['-euc', command], {}], zlib);
  }
}

function spec(osconfig, qcows, packages = '') {
  return `apiVersion: airshipit.org/v1alpha1
kind: ImageBuilder
metadata: {name: compare}
spec:
  build:
    distribution: debian-12
    rootfs:
      multistrap:
        kernel_base_pkg: linux-image-cloud-amd64
        packages: [systemd-sysv, cloud-init, openssh-server${packages}]
      osconfig: ${osconfig}
    qcows: ${qcows}
    bundle: {layout: out}
`;
}

function build(text, where = store) {
  const file = join(directory, 'spec.yaml');
  writeFileSync(file, text);
  return [
    join(root, 'dist/image-builder'),
    ['--log-format', 'json', 'build', file, '--store', where],
    { cwd: directory },
  ];
}

/** The newest entry of a kind of stage. */
function newest(kind) {
  const entries = join(store, 'entries');
  const names = readdirSync(entries).filter((name) => name.startsWith(`${kind}-`));
  const made = (name) => statSync(join(entries, name, 'entry.json')).mtimeMs;
  return join(entries, names.sort((a, b) => made(b) - made(a))[0]);
}

/** Seconds of the stage osconfig, out of the progress events. */
function stageSeconds(log) {
  const finished = /"stage":"osconfig","status":"finished","seconds":([\d.]+)/.exec(log);
  return finished ? Number(finished[1]) : undefined;
}

/** The distribution's repositories as apt here has them, in sources of Debian 12. */
function sourcesOfThisMachine() {
  const format = '$(SITE) $(CODENAME)';
  const targets = execFileSync('apt-get', ['indextargets', '--format', format], { encoding: 'utf8' });
  const lines = [...new Set(targets.trim().split('\n'))].map((line) => line.split(' '));
  const site = (wanted, otherwise) => lines.find(([, suite]) => suite === wanted)?.[0] ?? otherwise;
  const mirror = site('bookworm', site('trixie', 'http://ftp.debian.org/debian'));
  const security = site('bookworm-security', 'http://security.debian.org/debian-security');
  const components = ['main'];
  return [
    { uri: mirror, suite: 'bookworm', components },
    { uri: mirror, suite: 'bookworm-updates', components },
    { uri: security, suite: 'bookworm-security', components },
  ];
}

/** Runs a command and notes what it took; a failure is noted too. */
async function measure(name, command, image, secondsOf) {
  if (!chosen(name)) {
    // What others build on must be there all the same.
    if (name !== 'ours, from nothing') return;
  }
  const [file, argv, settings] = command();
  const before = usage();
  const most = { disk: 0, memory: 0 };
  const timer = setInterval(() => {
    const now = usage();
    most.disk = Math.max(most.disk, now.disk - before.disk);
    most.memory = Math.max(most.memory, now.memory - before.memory);
  }, 100);
  // bash tells the processor time of a command and of everything that it has waited for.
  const timed = ['-c', 'TIMEFORMAT="times %R %U %S"; time "$@"', 'bash', file, ...argv];
  const { status, log } = await run('bash', timed, settings);
  clearInterval(timer);
  if (status !== 0) {
    add(name, {
      failed:
        log
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith('times '))
          .at(-1) ?? '',
    });
    return;
  }
  const [, wall, user, system] = /^times ([\d.]+) ([\d.]+) ([\d.]+)$/m.exec(log) ?? [];
  const path = image === 'a.qcow2' ? join(newest('qcow'), image) : image;
  add(name, {
    seconds: secondsOf?.(log) ?? Number(wall),
    cpu: secondsOf ? undefined : Number(user) + Number(system),
    ...most,
    image: path && existsSync(path) ? statSync(path).blocks * 512 : undefined,
  });
}

function run(file, argv, settings) {
  return new Promise((done) => {
    const child = spawn(file, argv, { ...settings, stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    child.stderr.on('data', (chunk) => {
      log += chunk;
    });
    child.on('close', (status) => done({ status, log }));
  });
}

function usage() {
  const { blocks, bfree, bsize } = statfsSync(directory);
  const meminfo = readFileSync('/proc/meminfo', 'utf8');
  const kib = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(meminfo)?.[1]);
  return { disk: (blocks - bfree) * bsize, memory: (kib('MemTotal') - kib('MemAvailable')) * 1024 };
}

function add(name, measurement) {
  results[name] ??= [];
  results[name].push(measurement);
  const { seconds, failed } = measurement;
  process.stderr.write(
    `${name}: ${failed === undefined ? `${seconds.toFixed(2)} s` : `failed: ${failed}`}\n`,
  );
}

function print() {
  const least = (name, field) => {
    const values = (results[name] ?? []).map((one) => one[field]).filter((value) => value !== undefined);
    return values.length > 0 ? Math.min(...values) : undefined;
  };
  const number = (value, digits = 2) => (value === undefined ? '' : value.toFixed(digits)).padStart(8);
  const mib = (value) => number(value === undefined ? undefined : value / 1024 ** 2, 0);
  const row = (name) =>
    [number(least(name, 'seconds')), number(least(name, 'cpu'), 1), mib(least(name, 'disk'))]
      .concat([mib(least(name, 'memory')), mib(least(name, 'image'))])
      .join(' ');
  process.stdout.write(`${''.padEnd(64)}   wall s    cpu s disk MiB  mem MiB  img MiB\n`);
  for (const name of Object.keys(results)) process.stdout.write(`${name.padEnd(64)} ${row(name)}\n`);
  const line = (text, ...ratios) => {
    const known = ratios.filter((one) => one !== undefined && !Number.isNaN(one));
    if (known.length > 0)
      process.stdout.write(`${text.padEnd(80)} ${known.map((one) => one.toFixed(2)).join('  ')}\n`);
  };
  const of = (name, field = 'seconds') => least(name, field);
  const ratio = (text, above, below) =>
    line(text, of(above) / of(below), of(above, 'cpu') / of(below, 'cpu'));
  const [full, changed] = ['ours, from nothing', 'ours, configuration changed'];
  process.stdout.write(
    '\nratios                                       of wall time, and of processor time\n',
  );
  ratio('mkosi to ours, from nothing (aim: 3)', 'mkosi, from nothing', full);
  ratio('mkosi to ours, configuration changed (aim: 2)', 'mkosi, configuration changed', changed);
  ratio('ours from nothing to bare mmdebstrap (aim: 0.8)', full, 'mmdebstrap, tree');
  ratio('ours, a package added to from nothing (aim: 0.35)', 'ours, a package added', full);
  ratio(
    'ours, the next patch of Kubernetes to from nothing (aim: 0.35)',
    'ours, the next patch of Kubernetes',
    'ours, a Kubernetes node from nothing',
  );
  ratio('ours, configuration changed to from nothing', changed, full);
  const own = of('ours, configuration changed, a QCOW configured by itself');
  for (const [both, one] of [
    ['two QCOWs configured by themselves', own],
    ['a second, larger QCOW', of(changed)],
    ['a second QCOW configured otherwise', of(changed)],
  ]) {
    const seconds = of(`ours, configuration changed, ${both}`);
    line(`what the second adds after the rootfs, ${both} (aim: 0.33)`, (seconds - one) / one);
  }
}
