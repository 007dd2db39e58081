#!/usr/bin/env bash
# Makes real packages of a Kubernetes node for the tests, from the Go modules of its programs: what pkgs.k8s.io has of a
# minor version (kubelet, kubeadm, kubectl, cri-tools), its kubernetes-cni, and containerd 2 with runc as Docker packs them;
# and the programs of a control plane, which nodes join in boot tests. Of the newest minor, what its packages of a node hold
# is unpacked too: with the control plane, that is the cluster of test/e2e/support/cluster.
#
#   scripts/kubernetes-packages.sh [--all | MINOR...]     default: the newest minor of test/e2e/support/kubernetes
#
# Writes .cache/kubernetes/{MINOR,runtime}/*.deb and the programs in .cache/kubernetes/{MINOR-control-plane,etcd,node}, those of
# the newest minor, for this machine's architecture. Nodes of older ones are upgraded to it. Versions and checksums of all sources
# are those of go.mod and go.sum in the directories of that name; what was made from the same files is not made again.
set -euo pipefail
cd "$(dirname "$0")/.."

modules=test/e2e/support/kubernetes
cache=.cache/kubernetes
# Packages as their makers number them: the first revision.
revision=1.1

command -v go >/dev/null || { echo 'kubernetes-packages: Go 1.26.8 or newer is needed (https://go.dev)' >&2; exit 1; }

say() { printf '==> %s\n' "$*" >&2; }

export GOFLAGS='-buildvcs=false -trimpath -mod=readonly' CGO_ENABLED=0 GOMAXPROCS=2
architecture=$(dpkg --print-architecture)

# The version of a module that go.mod names, without its v.
version_of() { # version_of DIRECTORY MODULE
  go -C "$modules/$1" list -m -f '{{.Version}}' "$2" | sed 's/^v//'
}

compile() { # compile DIRECTORY OUTPUT LINKER-FLAGS PACKAGE...
  local directory=$1 output=$2 flags=$3
  shift 3
  nice -n 10 go -C "$modules/$directory" build -ldflags "-s -w $flags" -o "$output" "$@" >&2
}

# pack TREE NAME VERSION [FIELD...]: the tree has DEBIAN/ with maintainer scripts, if there are any.
pack() {
  local tree=$1 name=$2 version=$3
  shift 3
  mkdir -p "$tree/DEBIAN"
  {
    printf '%s\n' "Package: $name" "Version: $version" "Architecture: $architecture" \
      'Maintainer: Tests <tests@example.org>' 'Section: net' 'Priority: optional' "$@" \
      "Description: $name from its Go modules"
  } >"$tree/DEBIAN/control"
  [ ! -d "$tree/etc" ] || (cd "$tree" && find etc -type f | sed 's|^|/|') >"$tree/DEBIAN/conffiles"
  find "$tree" -exec touch --no-dereference --date=@1700000000 {} +
  SOURCE_DATE_EPOCH=1700000000 dpkg-deb --root-owner-group -Zzstd -z3 --build "$tree" \
    "$output/${name}_${version/:/%3a}_$architecture.deb" >/dev/null
}

# postinst TREE UNIT: what the macros of debhelper and of OBS come to.
postinst() {
  mkdir -p "$1/DEBIAN"
  printf '#!/bin/sh\nset -e\n[ "$1" != configure ] || deb-systemd-helper enable %s >/dev/null\n' "$2" >"$1/DEBIAN/postinst"
  chmod 755 "$1/DEBIAN/postinst"
}

# Flags of the linker that tell the programs of Kubernetes their version.
version_flags() { # version_flags MINOR
  local minor=$1 version package
  version=$(version_of "$minor" k8s.io/kubernetes)
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf ' -X %s' "$package.gitVersion=v$version" "$package.gitMajor=1" "$package.gitMinor=${minor#1.}" \
      "$package.gitTreeState=clean"
  done
}

# The packages of kubernetes/release (cmd/krel/templates/latest), as far as a node notices.
kubernetes_packages() { # kubernetes_packages MINOR
  local minor=$1 version flags package tree=$work/tree
  version=$(version_of "$minor" k8s.io/kubernetes)
  flags=$(version_flags "$minor")
  mkdir -p "$tree"/{kubelet,kubeadm,kubectl,cri-tools}/usr/bin
  for package in kubelet kubeadm kubectl; do
    say "building $package $version"
    compile "$minor" "$tree/$package/usr/bin/$package" "$flags" "k8s.io/kubernetes/cmd/$package"
  done
  local tools
  tools=$(version_of "$minor" sigs.k8s.io/cri-tools)
  say "building cri-tools $tools"
  compile "$minor" "$tree/cri-tools/usr/bin/crictl" "-X sigs.k8s.io/cri-tools/pkg/version.Version=$tools" \
    sigs.k8s.io/cri-tools/cmd/crictl

  install -D -m 644 /dev/stdin "$tree/kubelet/usr/lib/systemd/system/kubelet.service" <<'UNIT'
[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
UNIT
  install -D -m 644 /dev/stdin "$tree/kubelet/etc/default/kubelet" <<<'KUBELET_EXTRA_ARGS='
  mkdir -p "$tree/kubelet/var/lib/kubelet" "$tree/kubelet/etc/kubernetes/manifests"
  install -D -m 644 /dev/stdin "$tree/kubeadm/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf" <<'UNIT'
# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
UNIT
  postinst "$tree/kubelet" kubelet.service
  pack "$tree/kubelet" kubelet "$version-$revision" \
    'Depends: kubernetes-cni (>= 1.2.0), mount, util-linux' 'Recommends: iptables (>= 1.8.4)'
  pack "$tree/kubeadm" kubeadm "$version-$revision"
  pack "$tree/kubectl" kubectl "$version-$revision"
  pack "$tree/cri-tools" cri-tools "$tools-$revision"
}

# Of what kubernetes-server-linux-*.tar.gz has, those that a cluster without addons needs.
control_plane() { # control_plane MINOR
  local minor=$1 program flags
  flags=$(version_flags "$minor")
  for program in kube-apiserver kube-controller-manager kube-scheduler kubeadm kubectl; do
    say "building $program for the control plane of $minor"
    compile "$minor" "$output/$program" "$flags" "k8s.io/kubernetes/cmd/$program"
  done
}

etcd_program() {
  say "building etcd $(version_of etcd go.etcd.io/etcd/server/v3)"
  compile etcd "$output/etcd" '' go.etcd.io/etcd/server/v3
}

runtime_packages() {
  containerd_package
  plugins_package
}

plugins_package() {
  local version tree=$work/tree/kubernetes-cni module=github.com/containernetworking/plugins
  version=$(version_of runtime $module)
  say "building CNI plugins $version"
  mkdir -p "$tree/opt/cni/bin" "$tree/etc/cni/net.d"
  compile runtime "$tree/opt/cni/bin/" '' \
    $module/plugins/{main/bridge,main/loopback,ipam/host-local,meta/portmap}
  pack "$tree" kubernetes-cni "$version-$revision"
}

# containerd.io of download.docker.com: with runc, and with a configuration that turns the CRI plugin off.
containerd_package() {
  local version program tree=$work/tree/containerd module=github.com/containerd/containerd/v2
  version=$(version_of runtime $module)
  for program in containerd containerd-shim-runc-v2 ctr; do
    say "building $program $version"
    compile runtime "$tree/usr/bin/$program" "-X $module/version.Version=v$version" "$module/cmd/$program"
  done
  say "building runc"
  CGO_ENABLED=1 GOFLAGS="$GOFLAGS -tags=seccomp,netgo,osusergo" compile runtime "$tree/usr/bin/runc" \
    "-extldflags -static -X main.version=$(version_of runtime github.com/opencontainers/runc)" \
    github.com/opencontainers/runc
  install -D -m 644 /dev/stdin "$tree/etc/containerd/config.toml" <<<'disabled_plugins = ["cri"]'
  install -D -m 644 /dev/stdin "$tree/usr/lib/systemd/system/containerd.service" <<'UNIT'
[Unit]
Description=containerd container runtime
Documentation=https://containerd.io
After=network.target dbus.service

[Service]
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
UNIT
  postinst "$tree" containerd.service
  pack "$tree" containerd.io "$version-1" 'Provides: containerd, runc' 'Conflicts: containerd, runc' \
    'Replaces: containerd, runc'
}

# A node, without a package manager.
node_programs() { # node_programs MINOR
  local package
  for package in "$cache/$1"/kubelet_*.deb "$cache"/runtime/*.deb; do dpkg-deb --extract "$package" "$output"; done
  say 'building pause'
  mkdir "$work/root"
  nice -n 10 go -C "$modules/../pause" build -ldflags '-s -w' -o "$work/root/pause" . >&2
  archive_of "$work/root" /pause registry.k8s.io/pause:test >"$output/pause.tar"
}

# An archive of an image with one layer, as containerd imports it.
archive_of() { # archive_of TREE ENTRYPOINT NAME
  local tree=$1 layout=$work/layout blobs=$work/layout/blobs/sha256 layer config manifest
  blob() { # blob MEDIA-TYPE: keeps standard input, and prints its descriptor
    local digest
    cat >"$work/blob"
    digest=$(sha256sum <"$work/blob" | cut -d' ' -f1)
    printf '"mediaType": "%s", "digest": "sha256:%s", "size": %s' "$1" "$digest" "$(stat -c %s "$work/blob")"
    mv "$work/blob" "$blobs/$digest"
  }
  mkdir -p "$blobs"
  echo '{"imageLayoutVersion": "1.0.0"}' >"$layout/oci-layout"
  layer=$(tar -C "$tree" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -c . |
    blob application/vnd.oci.image.layer.v1.tar)
  config=$(printf '{"architecture": "%s", "os": "linux", "config": {"Entrypoint": ["%s"]}, "rootfs": {"type": "layers", "diff_ids": ["%s"]}}' \
    "$architecture" "$2" "$(grep -o 'sha256:[0-9a-f]*' <<<"$layer")" | blob application/vnd.oci.image.config.v1+json)
  manifest=$(printf '{"schemaVersion": 2, "config": {%s}, "layers": [{%s}]}' "$config" "$layer" |
    blob application/vnd.oci.image.manifest.v1+json)
  printf '{"schemaVersion": 2, "manifests": [{%s, "annotations": {"io.containerd.image.name": "%s"}}]}' "$manifest" "$3" \
    >"$layout/index.json"
  tar -C "$layout" -c oci-layout index.json blobs
}

make_once() { # make_once NAME MODULES COMMAND...
  local name=$1 sources=() module inputs started=$SECONDS
  for module in $2; do sources+=("$modules/$module/go.mod" "$modules/$module/go.sum"); done
  shift 2
  inputs=$(cat "$0" "${sources[@]}" | sha256sum | cut -d' ' -f1)
  [ "$(cat "$cache/$name/inputs" 2>/dev/null)" = "$inputs" ] && return 0
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  output=$work/output
  mkdir -p "$output" "$work/tree"
  "$@"
  echo "$inputs" >"$output/inputs"
  mkdir -p "$cache"
  rm -rf "${cache:?}/$name"
  cp -r "$output" "$cache/$name"
  rm -rf "$work"
  say "$cache/$name: $((SECONDS - started)) s"
}

minors=("$@")
every=($(cd "$modules" && ls -d 1.* | sort --version-sort))
newest=${every[-1]}
[ "${1:-}" != --all ] || minors=("${every[@]}")
[ $# -gt 0 ] || minors=("$newest")
for minor in "${minors[@]}"; do make_once "$minor" "$minor" kubernetes_packages "$minor"; done
make_once "$newest-control-plane" "$newest" control_plane "$newest"
make_once runtime runtime runtime_packages
make_once etcd etcd etcd_program
make_once node "$newest runtime" node_programs "$newest"
