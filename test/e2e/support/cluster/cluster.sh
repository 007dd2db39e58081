#!/usr/bin/env bash
# A Kubernetes cluster, in namespaces of its own: etcd, the API server, the controllers, the scheduler, the
# kubelet and containerd 2, as scripts/kubernetes-packages.sh makes them. By hand, as root:
#
#   test/e2e/support/cluster/cluster.sh DIRECTORY [NODES]   a new directory, which is removed at the end; Ctrl-C ends it
#   KUBECONFIG=DIRECTORY/admin.conf kubectl get nodes  as soon as DIRECTORY/ready is there
#
# It runs until its standard input ends, or it is told to stop, or one of its programs has ended. All programs, containers,
# mounts and interfaces are in namespaces that end with it, also when it is killed; it removes the cgroups and the directory.
#
# Nothing listens outside of the cluster's own network: this machine has its first address (DIRECTORY/address), where tests
# put what Pods shall reach, and the node the second one. Nothing is routed from there to anywhere else.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
nodes=${2:-1}
[ "$nodes" = 1 ] || [ "$nodes" = 2 ] || { echo 'cluster: it has one node or two' >&2; exit 2; }
directory=$(mkdir -p "$1" && cd "$1" && pwd)
# A Pod's root that is nobody here goes through it; it reads neither keys nor lists of names.
chmod 711 "$directory"
interface= network= cgroup= namespaces=

cgroups() { # cgroups COMMAND...: runs it with the cgroup's path in each hierarchy
  local hierarchy status=0
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then "$@" "/sys/fs/cgroup/$cgroup"; return; fi
  for hierarchy in /sys/fs/cgroup/{cpu,cpuacct,cpuset,memory,devices,freezer,blkio,pids,systemd,unified}; do
    "$@" "$hierarchy/$cgroup" || status=$?
  done
  return $status
}

make_cgroup() {
  mkdir -p "$1"
  case $1 in
    */cpuset/*) for file in cpus mems; do cat "/sys/fs/cgroup/cpuset/cpuset.$file" >"$1/cpuset.$file"; done ;;
  esac
}

make_node_cgroup() { # make_node_cgroup NAME PARENT, as cgroups calls it
  make_cgroup "$2/$1"
}

remove_cgroup() {
  [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} +
}

cleanup() {
  trap '' EXIT INT TERM HUP
  [ -z "$namespaces" ] || { kill -KILL "$namespaces" 2>/dev/null || true; wait "$namespaces" 2>/dev/null || true; }
  # The first process of the namespaces has ended; the kernel may still be ending the others.
  local attempt
  for attempt in $(seq 100); do
    if { [ -z "$cgroup" ] || cgroups remove_cgroup; } && rm -rf "$directory"; then break; fi 2>/dev/null
    sleep 0.1
  done
  [ -z "$interface" ] || ip link delete "$interface" 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 143' INT TERM HUP

# The name of the interface is the lock on the network.
for attempt in $(seq 100); do
  number=$((RANDOM % 256))
  network=198.19.$number
  if [ -z "$(ip -o route show "$network.0/24")" ] && ip link add "ibc$number" type veth peer name "ibn$number" 2>/dev/null; then
    interface=ibc$number
    break
  fi
done
[ -n "$interface" ] || { echo 'cluster: no network is free in 198.19.0.0/16' >&2; exit 1; }
ip address add "$network.1/25" dev "$interface"
ip link set "$interface" up
ip route add "$network.128/25" via "$network.2"
echo "$network.1" >"$directory/address"

cgroup=image-builder-cluster-$number
cgroups make_cgroup
for name in node node-2; do cgroups make_node_cgroup "$name"; done

exec 3<&0
# The namespaces must not hold standard input, whose end is waited for.
setpriv --pdeathsig KILL unshare --net --pid --fork --kill-child=SIGKILL --mount --propagation private --mount-proc \
  "$here/components.sh" "$directory" "$network" "$cgroup" "$nodes" </dev/null 3<&- &
namespaces=$!
until [ "$(readlink "/proc/$namespaces/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link set "ibn$number" netns "$namespaces" name uplink
cat <&3 >/dev/null &
wait -n
