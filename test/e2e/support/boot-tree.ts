// A small but real root file system that boots: Debian 13 with kernel, systemd, cloud-init, GRUB (also the signed one)
// and live-boot. Made once per machine and day in the directory for temporary files; suites share it.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chooseMirrors, readAptSources } from '../../../image-builder/spec/variables/mirror.ts';

const PACKAGES = [
  ...['linux-image-cloud-amd64', 'initramfs-tools', 'zstd', 'systemd-sysv', 'udev', 'dbus', 'login'],
  ...['cloud-init', 'cloud-guest-utils', 'netplan.io', 'e2fsprogs', 'iproute2', 'live-boot', 'mokutil'],
  ...['grub2-common', 'grub-pc-bin', 'grub-efi-amd64-bin', 'grub-efi-amd64-signed', 'shim-signed'],
];
export const SOURCE_DATE_EPOCH = 1_700_000_000;

// Everything that would be different each time, and what only a building machine needs.
const CLEAN = `rm -rf "$1"/etc/machine-id "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*.log`;

// Without the device nodes, which an ordinary user cannot unpack, but with the directory that devtmpfs is mounted on.
const ADD_DEV = `mkdir -p "$archive.d/dev" && tar --append --file="$archive.partial" --directory="$archive.d" \\
  --owner=0 --group=0 --numeric-owner --mode=755 --mtime=@${SOURCE_DATE_EPOCH} ./dev`;

/** Path of the tar. */
export async function bootTreeArchive(): Promise<string> {
  const sources = await readAptSources('/etc/apt');
  const mirror = chooseMirrors(sources, 'debian', 'amd64').archive ?? 'http://ftp.debian.org/debian';
  const today = new Date().toISOString().slice(0, 10);
  const identity = JSON.stringify([PACKAGES, CLEAN, ADD_DEV, mirror, today, process.getuid?.()]);
  const key = createHash('sha256').update(identity).digest('hex').slice(0, 16);
  const directory = join(tmpdir(), `image-builder-test-tree-${key}`);
  const archive = join(directory, 'tree.tar');
  await mkdir(directory, { recursive: true });
  const mmdebstrap = [
    ...[
      'mmdebstrap',
      '--variant=minbase',
      '--format=tar',
      '--skip=output/dev',
      `--include=${PACKAGES.join(',')}`,
    ],
    ...['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"'],
    ...[`--customize-hook=${CLEAN}`, 'trixie', `${archive}.partial`, mirror],
  ];
  // flock: jest runs suites side by side.
  const script = `[ -e "$1" ] || { archive=$1; shift; "$@" && ${ADD_DEV} && mv "$archive.partial" "$archive"; }`;
  await promisify(execFile)(
    'flock',
    [join(directory, 'lock'), 'sh', '-c', script, 'sh', archive, ...mmdebstrap],
    {
      env: { ...process.env, SOURCE_DATE_EPOCH: `${SOURCE_DATE_EPOCH}` },
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  return archive;
}
