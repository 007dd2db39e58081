// Removes from a tree what belongs to the machine that built it, or must be created by each node.
import { enterTree } from '../../sandbox/enter-tree.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';

/**
 * Clean-up of a tree after packages or configuration have changed it; may be repeated.
 * @param own what somebody has set on purpose, and what therefore stays
 */
export async function cleanTree(
  tree: string,
  { sandbox, signal, sourceDateEpoch }: StageContext,
  own: readonly ('hostname' | 'resolv.conf')[] = [],
): Promise<void> {
  const argv = ['sh', '-euc', CLEAN, 'sh', String(sourceDateEpoch), ...own];
  await sandbox.run(enterTree(tree, argv), { signal, confined: { writable: [tree] } });
}

/**
 * The same for a tree that packages are still to be installed into: what mmdebstrap sets for itself each time is gone, too.
 */
export async function cleanBaseTree(tree: string, context: StageContext): Promise<void> {
  await cleanTree(tree, context);
  const { sandbox, signal } = context;
  await sandbox.run(enterTree(tree, ['sh', '-euc', CLEAN_BASE]), {
    signal,
    confined: { writable: [tree] },
  });
}

const CLEAN_BASE = `
rm -f /etc/resolv.conf /etc/hostname
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
mkdir /etc/apt/sources.list.d`;

// In the tree itself, so that no symbolic link of a package or a script leads out of it.
const CLEAN = `
cd /
epoch=$1; shift
kept="$*"
own() { case " $kept " in *" $1 "*) ;; *) false ;; esac; }
# Identity of the machine: systemd fills in the machine-id, cloud-init makes the host keys and the name.
rm -f etc/machine-id; : > etc/machine-id; chmod 0444 etc/machine-id
rm -f var/lib/dbus/machine-id etc/ssh/ssh_host_*
own hostname || { rm -f etc/hostname; echo localhost > etc/hostname; }
rm -f var/lib/systemd/random-seed var/lib/systemd/credential.secret var/lib/urandom/random-seed
# Name servers: those of the node.
own resolv.conf || {
  rm -f etc/resolv.conf
  if [ -e usr/lib/systemd/systemd-resolved ] || [ -e lib/systemd/systemd-resolved ]; then
    ln -s ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf
  else
    : > etc/resolv.conf
  fi
}
# What mmdebstrap has set for itself.
rm -f etc/apt/apt.conf.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/99mmdebstrap usr/sbin/policy-rc.d.image-builder
# Caches and logs.
find var/lib/apt/lists var/cache/apt -mindepth 1 -maxdepth 1 -exec rm -rf {} +
mkdir -p var/lib/apt/lists/partial var/cache/apt/archives/partial
rm -f var/cache/debconf/*-old var/lib/dpkg/*-old var/cache/ldconfig/aux-cache
rm -f etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/subuid- etc/subgid- etc/.pwd.lock
find var/log -type f -exec sh -c 'for file; do : > "$file"; done' sh {} +
rm -f var/log/dpkg.log var/log/alternatives.log var/log/bootstrap.log var/log/apt/* var/log/fontconfig.log
find run tmp var/tmp dev -xdev -mindepth 1 -maxdepth 1 -exec rm -rf {} +
rm -rf root/.ansible root/.bash_history
# Whether somebody has passed through them (an initramfs that was made, or taken from the cache) is not content.
touch -d "@$epoch" run tmp var/tmp dev boot
`;
