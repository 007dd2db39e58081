// Makes a root file system tree usable for programs that run in it, for as long as one command runs.

import type { SandboxCommandOptions } from '../executors/sandbox.ts';
import type { StageContext } from '../executors/stage.ts';

/**
 * Runs `argv` (on the building machine; chroot(8) is its business) while the tree has /dev, /proc, /sys and an empty
 * /run, and services cannot be started in it. In the namespace modes all of that is mounts, which end with the
 * command; in `plain` mode there is no /proc and /sys, and the device nodes are removed again.
 */
export function withChroot(
  tree: string,
  argv: readonly string[],
  { sandbox }: Pick<StageContext, 'sandbox'>,
  options: SandboxCommandOptions = {},
): Promise<string> {
  const prepare = sandbox.mode === 'plain' ? PLAIN : MOUNTS;
  return sandbox.run(['sh', '-euc', prepare + RUN, 'sh', tree, ...argv], options);
}

// /run/systemd/resolve is where the image's resolv.conf leads: programs in the tree use this machine's name servers.
const MOUNTS = `
tree=$1; shift
mount -t tmpfs -o mode=755 dev "$tree/dev"
for node in null zero full random urandom tty; do
  : > "$tree/dev/$node"
  mount --bind "/dev/$node" "$tree/dev/$node"
done
mkdir "$tree/dev/shm" "$tree/dev/pts"
mount -t proc proc "$tree/proc" || mount --rbind /proc "$tree/proc"
mount -t sysfs -o ro sys "$tree/sys" 2>/dev/null || mount --rbind /sys "$tree/sys"
mount -t tmpfs -o mode=755 run "$tree/run"
`;

// Without CAP_MKNOD the devices are plain files, which is enough for "> /dev/null".
const PLAIN = `
tree=$1; shift
clean() { rm -rf "$tree/dev" "$tree/run"; mkdir -m 755 "$tree/dev" "$tree/run"; }
trap clean EXIT
clean
mknod -m 666 "$tree/dev/null" c 1 3 2>/dev/null || : > "$tree/dev/null"
mknod -m 666 "$tree/dev/zero" c 1 5 2>/dev/null || :
mknod -m 666 "$tree/dev/full" c 1 7 2>/dev/null || :
mknod -m 666 "$tree/dev/random" c 1 8 2>/dev/null || :
mknod -m 666 "$tree/dev/urandom" c 1 9 2>/dev/null || :
mknod -m 666 "$tree/dev/tty" c 5 0 2>/dev/null || :
mkdir "$tree/dev/shm" "$tree/dev/pts"
`;

// policy-rc.d (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt): 101 forbids every action.
const RUN = `
ln -s /proc/self/fd "$tree/dev/fd"
mkdir -p "$tree/run/systemd/resolve" "$tree/run/lock"
cp /etc/resolv.conf "$tree/run/systemd/resolve/stub-resolv.conf" 2>/dev/null || :
policy=$tree/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
  own_policy=$policy
fi
status=0
"$@" || status=$?
[ -z "\${own_policy:-}" ] || rm -f "$own_policy"
exit $status
`;
