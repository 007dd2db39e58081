// The other image builders of bench/compare.mjs, in a Debian 13 tree made for the benchmark: how each is set up, and the
// command that runs it. All install the same packages from the same mirrors, and none has a cache in the beginning.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the tree is made of: the tools, and what mkosi runs. */
const TOOLS = [
  ...[
    'mkosi',
    'debootstrap',
    'multistrap',
    'mmdebstrap',
    'debian-archive-keyring',
    'ca-certificates',
    'apt',
    'gpgv',
  ],
  ...[
    'systemd',
    'systemd-repart',
    'systemd-boot',
    'systemd-boot-efi',
    'systemd-ukify',
    'udev',
    'kmod',
    'cpio',
    'zstd',
  ],
  ...[
    'dosfstools',
    'e2fsprogs',
    'mtools',
    'fdisk',
    'util-linux',
    'uidmap',
    'squashfs-tools',
    'python3-pefile',
  ],
];

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Makes the tree, unless it is there. */
export function makeToolsTree(tree, mirror) {
  if (!existsSync(join(tree, 'usr/bin/mkosi'))) {
    // Debian 13 dropped multistrap, so that one comes from Debian 12.
    const sources = ['trixie', 'bookworm'].map((suite) => `deb ${mirror} ${suite} main`);
    execFileSync(
      'mmdebstrap',
      ['--variant=minbase', `--include=${TOOLS.join(',')}`, 'trixie', tree, ...sources],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
  }
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) {
    rmSync(join(tree, file), { force: true });
    cpSync(file, join(tree, file));
  }
}

/**
 * A command in the tree, as root in namespaces of its own, with the directory `work` at /work.
 * @returns argv
 */
export function inTree(tree, work, command) {
  mkdirSync(join(tree, 'work'), { recursive: true });
  return ['unshare', '--mount', '--pid', '--fork', 'sh', '-euc', ENTER, 'sh', tree, work, command];
}

const ENTER = `
tree=$1 work=$2 command=$3
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /sys "$tree/sys"
mount --rbind /dev "$tree/dev"
mount -t tmpfs run "$tree/run"
mount --bind "$work" "$tree/work"
exec chroot "$tree" sh -euc "cd /work; $command"`;

/**
 * The commands by contestant and case, to be run in the tree in this order. Each deletes what must not be there.
 * @param packages names of everything that our own image has
 * @param sources the repositories as {uri, suite, components}
 */
export function contestants(packages, sources, work) {
  const [main] = sources;
  mkdirSync(work, { recursive: true });
  // Its boot loader comes out of the image.
  writeMkosi([...packages, 'systemd-boot'], sources, work);
  writeMultistrap(packages, sources, work);
  const oneInitramfs = 'env --unset=INITRD chroot root update-initramfs -c -k all';
  const lines = sources.map(({ uri, suite, components }) => `deb ${uri} ${suite} ${components.join(' ')}`);
  writeFileSync(join(work, 'sources.list'), `${lines.join('\n')}\n`);
  const list = packages.join(',');
  return {
    'mkosi, from nothing': 'rm -rf cache out mkosi.extra; mkdir cache out; mkosi --force build',
    'mkosi, configuration changed':
      'mkdir -p mkosi.extra/etc; date +%N > mkosi.extra/etc/changed; mkosi --force build',
    'mkosi, nothing changed': 'mkosi build',
    'mmdebstrap, tree': `rm -rf root; INITRD=No mmdebstrap --variant=minbase --include=${list} ${main.suite} root sources.list; ${oneInitramfs}`,
    'debootstrap, tree': `rm -rf root; export INITRD=No; debootstrap --variant=minbase ${main.suite} root ${main.uri}; cp sources.list root/etc/apt/; chroot root apt-get -qq update; DEBIAN_FRONTEND=noninteractive chroot root apt-get -qqy --no-install-recommends install ${packages.join(' ')}; ${oneInitramfs}`,
    'multistrap, tree': `rm -rf root; mkdir -p root/etc/apt/trusted.gpg.d; cp ${KEYRING} root/etc/apt/trusted.gpg.d; export INITRD=No DEBIAN_FRONTEND=noninteractive; multistrap --arch amd64 --dir root --file multistrap.conf; chroot root dpkg --configure -a || chroot root dpkg --configure -a; ${oneInitramfs}`,
  };
}

function writeMkosi(packages, sources, work) {
  const stanzas = sources.map(
    ({ uri, suite, components }) =>
      `Types: deb\nURIs: ${uri}\nSuites: ${suite}\nComponents: ${components.join(' ')}\nSigned-By: ${KEYRING}\n`,
  );
  // In place of mkosi's own, which wants repositories that not every mirror has.
  const directory = join(work, 'mkosi.sandbox/etc/apt/sources.list.d');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'mkosi.sources'), stanzas.join('\n'));
  writeFileSync(
    join(work, 'mkosi.conf'),
    `[Distribution]
Distribution=debian
Release=${sources[0].suite}

[Output]
Format=disk
ImageId=bench
OutputDirectory=out

[Build]
CacheDirectory=cache
Incremental=yes

[Content]
Bootable=yes
Bootloader=systemd-boot
Packages=
${packages.map((name) => `        ${name}`).join('\n')}
`,
  );
}

function writeMultistrap(packages, sources, work) {
  const sections = sources.map(
    ({ uri, suite, components }, index) => `[r${index}]
packages=${index === 0 ? packages.join(' ') : ''}
source=${uri}
suite=${suite}
components=${components.join(' ')}
omitdebsrc=true
`,
  );
  const names = sources.map((_, index) => `r${index}`).join(' ');
  writeFileSync(
    join(work, 'multistrap.conf'),
    `[General]
arch=amd64
noauth=false
unpack=true
bootstrap=${names}
aptsources=${names}
allowrecommends=false
addimportant=false

${sections.join('\n')}`,
  );
  chmodSync(join(work, 'multistrap.conf'), 0o644);
}
