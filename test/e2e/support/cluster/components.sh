#!/usr/bin/env bash
# components.sh DIRECTORY NETWORK CGROUP NODES: the first process of a cluster's namespaces; see cluster.sh.
#
# All nodes are in these namespaces: each has a containerd, a kubelet, a bridge for its Pods, a cgroup and an address of its own.
set -euo pipefail
directory=$1 network=$2 cgroup=$3 nodes=$4
cache=$(cd "$(dirname "$0")/../../../../.cache/kubernetes" && pwd)
control_plane=$network.2
service_network=10.96.0
PATH=$cache/1.37-control-plane:$cache/etcd:$cache/node/usr/bin:$PATH
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY
cd "$directory"
mkdir -p pki log certs.d etcd

say() { printf '%6.2f s  %s\n' "$(awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')" "$*"; }
started=$EPOCHREALTIME

mounts() {
  mount --make-rshared /
  # Paths that no flag moves. Directories of this machine's stay as they are.
  local path
  for path in /run /var/lib /var/log; do
    mkdir -p "overlay$path/upper" "overlay$path/work"
    mount -t overlay -o "lowerdir=$path,upperdir=$directory/overlay$path/upper,workdir=$directory/overlay$path/work" \
      overlay "$path"
  done
}

networks() {
  ip link set lo up
  until ip link show uplink >/dev/null 2>&1; do sleep 0.05; done
  local number
  for number in $(seq "$nodes"); do ip address add "$(address_of "$number")/25" dev uplink; done
  ip link set uplink up
  ip route add default via "$network.1"
  # The address of the service `kubernetes`, without kube-proxy.
  ip address add "$service_network.1/32" dev lo
  echo 1 >/proc/sys/net/ipv4/ip_forward
}

certificates() {
  local curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  certificate() { # certificate NAME SUBJECT EXTENSION
    openssl req "${curve[@]}" -keyout "pki/$1.key" -out "pki/$1.csr" -subj "$2" 2>/dev/null
    openssl x509 -req -in "pki/$1.csr" -CA pki/ca.crt -CAkey pki/ca.key -days 2 -extfile <(echo "$3") \
      -set_serial "0x$(openssl rand -hex 8)" -out "pki/$1.crt" 2>/dev/null
  }
  openssl req -x509 "${curve[@]}" -keyout pki/ca.key -out pki/ca.crt -subj /CN=test-cluster -days 2 2>/dev/null
  local client=extendedKeyUsage=clientAuth
  certificate apiserver /CN=kube-apiserver \
    "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:$control_plane,IP:$service_network.1"
  certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client "$client"
  certificate admin /O=system:masters/CN=admin "$client"
  certificate controller-manager /CN=system:kube-controller-manager "$client"
  certificate scheduler /CN=system:kube-scheduler "$client"
  local number name users=(admin controller-manager scheduler)
  for number in $(seq "$nodes"); do
    name=$(name_of "$number")
    certificate "kubelet-$name" "/CN=$name" "subjectAltName=IP:$(address_of "$number")"
    certificate "$name" "/O=system:nodes/CN=system:node:$name" "$client"
    users+=("$name")
  done
  openssl ecparam -name prime256v1 -genkey -noout -out pki/sa.key
  openssl ec -in pki/sa.key -pubout -out pki/sa.pub 2>/dev/null
  local user
  for user in "${users[@]}"; do
    install --mode=600 /dev/stdin "$user.conf" <<CONF
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$control_plane", certificate-authority-data: $(base64 -w0 pki/ca.crt)}}]
users: [{name: $user, user: {client-certificate-data: $(base64 -w0 "pki/$user.crt"), client-key-data: $(base64 -w0 "pki/$user.key")}}]
contexts: [{name: test, context: {cluster: test, user: $user}}]
current-context: test
CONF
  done
}

name_of() { # name_of NUMBER
  if [ "$1" = 1 ]; then echo node; else echo "node-$1"; fi
}
address_of() { echo "$network.$(($1 + 1))"; }

start() { # start NAME COMMAND...
  local name=$1
  shift
  "$@" >"log/$name.log" 2>&1 &
  pids[$!]=$name
}

# As the kubelet of a real control plane does. A test may kill it; one that ends by itself has failed.
after_kill() { # after_kill SECONDS COMMAND...: what is killed is started again after so many seconds
  local pause=$1 status
  shift
  while :; do
    status=0
    "$@" || status=$?
    [ $status -gt 128 ] || return $status
    sleep "$pause"
  done
}

until_so() { # until_so WHAT COMMAND...
  local what=$1 deadline=$((SECONDS + 120))
  shift
  until "$@" >/dev/null 2>&1; do
    running
    [ $SECONDS -lt $deadline ] || { echo "cluster: $what: not within two minutes" >&2; exit 1; }
    sleep 0.1
  done
  say "$what"
}

running() {
  local pid
  for pid in "${!pids[@]}"; do
    kill -0 "$pid" 2>/dev/null && continue
    echo "cluster: ${pids[$pid]} has ended by itself:" >&2
    tail -n 20 "log/${pids[$pid]}.log" >&2
    exit 1
  done
}

api_server() {
  start etcd etcd --data-dir etcd --unsafe-no-fsync --log-level warn
  start kube-apiserver after_kill 15 kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --secure-port=443 \
    --endpoint-reconciler-type=none --service-cluster-ip-range="$service_network.0/24" --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction --client-ca-file=pki/ca.crt \
    --tls-cert-file=pki/apiserver.crt --tls-private-key-file=pki/apiserver.key \
    --kubelet-client-certificate=pki/apiserver-kubelet.crt --kubelet-client-key=pki/apiserver-kubelet.key \
    --kubelet-certificate-authority=pki/ca.crt --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=pki/sa.pub \
    --service-account-signing-key-file=pki/sa.key --allow-privileged=true --profiling=false
}

controllers() {
  # With room for a thousand Jobs: by default it sends 20 requests a second.
  start kube-controller-manager kube-controller-manager --kubeconfig=controller-manager.conf --leader-elect=false \
    --secure-port=0 --service-account-private-key-file=pki/sa.key --root-ca-file=pki/ca.crt \
    --use-service-account-credentials=true --profiling=false --kube-api-qps=100 --kube-api-burst=200
  start kube-scheduler kube-scheduler --kubeconfig=scheduler.conf --leader-elect=false --secure-port=0 --profiling=false
}

container_runtime() { # container_runtime NUMBER: of the node of that number; Pods of all share the upper half of the network
  local name part=$((128 / nodes))
  name=$(name_of "$1")
  local containerd=$directory/containerd-$name
  mkdir -p "$containerd" "cni-$name"
  cat >"cni-$name/10-test.conflist" <<CONF
{"cniVersion": "1.0.0", "name": "$name", "plugins": [{"type": "bridge", "bridge": "pods-$1", "isGateway": true, "ipam":
{"type": "host-local", "ranges": [[{"subnet": "$network.$((128 + part * ($1 - 1)))/$((nodes == 1 ? 25 : 26))"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
CONF
  cat >"$containerd.toml" <<CONF
version = 3
root = "$containerd/root"
state = "$containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "$containerd/sock"
[ttrpc]
  address = "$containerd/sock.ttrpc"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "registry.k8s.io/pause:test"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "$directory/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
  # The machine may be a container that has no CAP_SYS_RESOURCE, or no AppArmor.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["$cache/node/opt/cni/bin"]
    conf_dir = "$directory/cni-$name"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
CONF
  start "containerd-$name" containerd --config "$containerd.toml"
  until_so "containerd of $name answers" in_runtime "$name" version
  in_runtime "$name" images import "$cache/node/pause.tar" >"log/import-$name.log"
}

in_runtime() { # in_runtime NODE COMMAND...
  local sock=$directory/containerd-$1/sock
  shift
  ctr --address "$sock" --namespace k8s.io "$@"
}

# What it would set for the whole machine stays as it is: it writes to files of the cluster instead.
kubelet_alone() { # kubelet_alone NUMBER
  local name address
  name=$(name_of "$1") address=$(address_of "$1")
  cat >"kubelet-$name.yaml" <<CONF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
healthzPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $directory/pki/ca.crt}}
authorization: {mode: AlwaysAllow}
tlsCertFile: $directory/pki/kubelet-$name.crt
tlsPrivateKeyFile: $directory/pki/kubelet-$name.key
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup/$name
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://$directory/containerd-$name/sock
podLogsDir: $directory/pod-logs-$name
resolvConf: /etc/resolv.conf
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
# Other work on this machine may fill its disk for a moment.
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
evictionPressureTransitionPeriod: 1s
featureGates: {KubeletInUserNamespace: true}
CONF
  start "kubelet-$name" unshare --mount --propagation unchanged sh -c '
    mount --make-rprivate /proc
    for setting in vm/overcommit_memory kernel/panic kernel/panic_on_oops; do
      cat "/proc/sys/$setting" >"sysctl-${setting##*/}"
      mount --bind "sysctl-${setting##*/}" "/proc/sys/$setting"
    done
    exec "$@"' sh kubelet --config="kubelet-$name.yaml" --kubeconfig="$name.conf" --root-dir="$directory/kubelet-$name" \
    --hostname-override="$name" --node-ip="$address" --cert-dir="$directory/pki"
}

as_admin() { kubectl --kubeconfig admin.conf "$@"; }
is_empty() { [ -z "$("$@")" ]; }

declare -A pids
mounts
networks
certificates
say certificates
api_server
for number in $(seq "$nodes"); do container_runtime "$number"; done
until_so 'the API server is ready' as_admin get --raw /readyz
controllers
for number in $(seq "$nodes"); do kubelet_alone "$number"; done
for number in $(seq "$nodes"); do
  name=$(name_of "$number")
  until_so "$name is ready" as_admin wait --for=condition=Ready "node/$name" --timeout=60s
  until_so "Pods can be scheduled on $name" is_empty as_admin get node "$name" -o 'jsonpath={.spec.taints}'
done
until_so 'Pods can be made' as_admin get serviceaccount default
touch ready
wait -n "${!pids[@]}" || true
running
