// Makes a root file system tree usable for programs that run in it, for as long as one command runs.

import type { Confinement } from '../../sandbox/confinement.ts';
import { ENTER_TREE } from '../../sandbox/enter-tree.ts';
import type { SandboxCommandOptions } from '../../sandbox/sandbox.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';

/**
 * Runs `argv` (on the building machine; entering the tree is its business) while the tree has /dev, /proc, /sys and an
 * empty /run, and services cannot be started in it. In the namespace modes all of that is mounts, which end with the
 * command; in `plain` mode there is no /proc and /sys, and the device nodes are removed again.
 * @param options with what the command sees and may do beside changing the tree
 */
export function withChroot(
  tree: string,
  argv: readonly string[],
  { sandbox }: Pick<StageContext, 'sandbox'>,
  options: SandboxCommandOptions & { confined: Confinement },
): Promise<string> {
  const prepare = sandbox.mode === 'plain' ? PLAIN : MOUNTS;
  const { confined } = options;
  return sandbox.run(['sh', '-euc', prepare + RUN, 'sh', tree, ENTER_TREE, ...argv], {
    ...options,
    confined: { ...confined, writable: [...confined.writable, tree] },
  });
}

// The confined command has /dev, /proc and /sys of its own, which is what the tree may see, too.
const MOUNTS = `
tree=$1 enter=$2; shift 2
for name in dev proc sys; do mount --rbind "/$name" "$tree/$name"; done
mount -t tmpfs -o mode=755 run "$tree/run"
`;

// Without CAP_MKNOD the devices are plain files, which is enough for "> /dev/null".
const PLAIN = `
tree=$1 enter=$2; shift 2
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
ln -s /proc/self/fd "$tree/dev/fd"
ln -s /proc/self/fd/0 "$tree/dev/stdin"
ln -s /proc/self/fd/1 "$tree/dev/stdout"
ln -s /proc/self/fd/2 "$tree/dev/stderr"
`;

// /run/systemd/resolve is where the image's resolv.conf leads: programs in the tree use this machine's name servers.
// policy-rc.d (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt): 101 forbids every action. It is
// written by a process in the tree, so that no link leads out of it.
const RUN = `
mkdir -p "$tree/run/systemd/resolve" "$tree/run/lock"
cp /etc/resolv.conf "$tree/run/systemd/resolve/stub-resolv.conf" 2>/dev/null || :
inside() { python3 -ISc "$enter" "$tree" sh -euc "$1"; }
policy=$(inside '
policy=/usr/sbin/policy-rc.d
[ ! -e "$policy" ] || exit 0
rm -f "$policy"
printf "#!/bin/sh\\nexit 101\\n" > "$policy"
chmod 755 "$policy"
echo own')
status=0
"$@" || status=$?
[ -z "$policy" ] || inside 'rm -f /usr/sbin/policy-rc.d'
exit $status
`;
