// The image of examples/node-image from nothing, changed in its configuration, with a package more, and unchanged: as ratios to a bare
// mmdebstrap of the very same packages with one initramfs. Then bench/assemble.mjs on the root file system that came out.
//
//   npm run build && node bench/build.mjs [RUNS]
//
// Every run starts with an empty store, so both sides fetch all packages. The minimum of the runs counts.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const example = readFileSync(join(root, 'examples/node-image/image-builder.yaml'), 'utf8');
const runs = Number(process.argv[2] ?? 2);
const directory = mkdtempSync(join(tmpdir(), 'build-bench-'));
const store = join(directory, 'store');
const spec = join(directory, 'image.yaml');

try {
  const measured = { bare: [], full: [], configuration: [], unchanged: [], package: [] };
  for (let run = 0; run < runs; run++) {
    rmSync(store, { recursive: true, force: true });
    measured.full.push(build(example));
    measured.unchanged.push(build(example));
    measured.configuration.push(
      build(example.replace('net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding')),
    );
    measured.bare.push(bareMmdebstrap());
    measured.package.push(build(example.replace('- dbus', '- dbus\n        - tree')));
  }
  const minimum = Object.fromEntries(
    Object.entries(measured).map(([name, times]) => [name, Math.min(...times)]),
  );
  const line = (text, seconds) =>
    `${text.padEnd(44)} ${seconds.toFixed(2).padStart(6)} s   ratio ${(seconds / minimum.bare).toFixed(2)}\n`;
  process.stdout.write(
    line('bare mmdebstrap, the same packages', minimum.bare) +
      line('spec to bundle from nothing (aim: 0.80)', minimum.full) +
      line('a sysctl changed', minimum.configuration) +
      line('one package more', minimum.package) +
      line('nothing changed', minimum.unchanged) +
      `one package more to a build from nothing (aim: 0.35): ${(minimum.package / minimum.full).toFixed(2)}\n`,
  );
  const tree = join(entryOf('osconfig'), 'rootfs.tar');
  execFileSync(process.execPath, [join(root, 'bench/assemble.mjs'), tree], { stdio: 'inherit' });
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function build(text) {
  writeFileSync(spec, text);
  return seconds(join(root, 'dist/image-builder'), ['build', spec, '--store', store], { cwd: directory });
}

function entryOf(kind) {
  const entries = join(store, 'entries');
  return join(
    entries,
    readdirSync(entries).find((name) => name.startsWith(`${kind}-`)),
  );
}

function bareMmdebstrap() {
  const packages = Object.keys(JSON.parse(readFileSync(join(entryOf('rootfs'), 'packages.json'), 'utf8')));
  const mirror = JSON.parse(
    execFileSync(join(root, 'dist/image-builder'), ['build', spec, '--store', store, '--output', 'json'], {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  )
    .flatMap(({ repos }) => repos ?? [])
    .map(({ source, suite, components }) => `deb ${source} ${suite} ${components.join(' ')}`);
  const argv = [
    ...['--variant=minbase', '--format=tar', `--include=${packages.join(',')}`],
    ...['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"'],
    '--customize-hook=env --unset=INITRD chroot "$1" update-initramfs -c -k all',
    ...['trixie', join(directory, 'bare.tar'), ...mirror],
  ];
  return seconds('mmdebstrap', argv, { env: { ...process.env, INITRD: 'No' } });
}

function seconds(command, argv, options) {
  const began = performance.now();
  execFileSync(command, argv, { stdio: ['ignore', 'ignore', 'ignore'], ...options });
  return (performance.now() - began) / 1000;
}
