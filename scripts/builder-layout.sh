#!/usr/bin/env bash
# Makes the builder image (the target `builder` of the Dockerfile: the tools of a build, and image-builder) without a
# container engine, as an OCI layout. `npm run build` comes first.
#
#   scripts/builder-layout.sh DIRECTORY [SUITE]   default: trixie; from where this machine's apt takes Debian
#   dist/image-builder push oci:DIRECTORY REFERENCE
#
# Prints the image's digest. The same state of Debian's archive and the same dist/ give the same bytes. The layer of Debian's
# packages is kept in .cache/builder-layout: remove that to take the newest ones.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

[ $# -ge 1 ] && [ $# -le 2 ] || { sed -n '5,6s/^# *//p' "$0" >&2; exit 2; }
target=$(realpath --canonicalize-missing "$1") suite=${2:-trixie}
cd "$here"
# shellcheck source=scripts/oci-layout.sh
. scripts/oci-layout.sh
[ ! -e "$target" ] || { echo "builder-layout: $target exists" >&2; exit 1; }
for tool in mmdebstrap zstd; do
  command -v "$tool" >/dev/null || { echo "builder-layout: $tool is needed: scripts/setup.sh" >&2; exit 1; }
done
for part in image-builder image-builder-fn function-base; do
  [ -e "dist/$part" ] || { echo "builder-layout: dist/$part does not exist: npm run build" >&2; exit 1; }
done

architecture=$(dpkg --print-architecture)
case $architecture in
  amd64) boot='grub-pc-bin grub-efi-amd64-bin' npm_architecture=x64 ;;
  arm64) boot=grub-efi-arm64-bin npm_architecture=arm64 ;;
  *) echo "builder-layout: images are built on amd64 and arm64, not on $architecture" >&2; exit 1 ;;
esac

say() { printf '==> %s\n' "$*" >&2; }

# Those of the Dockerfile, which this must not differ from.
packages() {
  sed -n '/^FROM .* AS builder$/,/rm -rf/p' Dockerfile | sed -n '/--no-install-recommends/,/rm -rf/p' |
    sed '/rm -rf/d; s/.*--no-install-recommends//; s/\$boot//; s/\\$//'
  echo "$boot"
}

# near LABEL DEFAULT: where this machine's apt takes it from, so that what is near, or allowed, is asked.
near() {
  local uri
  uri=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 2>/dev/null | sed -n "s/ $1\$//p" | sort -u | head -n 1)
  printf '%s\n' "${uri:-$2}"
}

sources() {
  local keyring='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
  printf "deb $keyring %s %s main\n" "$(near Debian http://deb.debian.org/debian)" "$suite" \
    "$(near Debian http://deb.debian.org/debian)" "$suite-updates" \
    "$(near Debian-Security http://security.debian.org/debian-security)" "$suite-security"
}

# When the archive was changed last, in seconds: everything of the packages is older, and what their installation writes gets
# that time.
archive_time() {
  local date
  mkdir -p "$work/lists/partial"
  apt-get update -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work" -o APT::Sandbox::User= -o APT::Update::Error-Mode=any -o Acquire::Languages=none >&2
  sed -n 's/^Date: //p' "$work"/lists/*Release | while read -r date; do date --date="$date" +%s; done | sort -n | tail -n 1
}

debian_layer() { # debian_layer FILE
  say "installing the tools of a build on $suite"
  sources >"$work/sources.list"
  SOURCE_DATE_EPOCH=$(archive_time) mmdebstrap --quiet --variant=minbase --format=tar \
    --include="$(packages | xargs | tr ' ' ',')" --aptopt='APT::Install-Recommends "false"' \
    --customize-hook='rm -rf "$1"/etc/hostname "$1"/etc/resolv.conf "$1"/var/log/* "$1"/var/cache/ldconfig/aux-cache \
      "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old' \
    --customize-hook="echo 'deb http://deb.debian.org/debian $suite main' >\"\$1\"/etc/apt/sources.list" \
    "$suite" "$1" - <"$work/sources.list" >&2
}

# What the Dockerfile adds.
program_layer() { # program_layer FILE
  local tree=$work/tree node=.cache/node/22/node
  scripts/npm-program.sh "node-linux-$npm_architecture@22" bin/node "$node"
  install -D --mode=755 --target-directory="$tree/usr/local/bin" "$node" dist/image-builder dist/image-builder-fn
  mkdir -p "$tree"/{usr/bin/local,usr/local/share/image-builder,etc/image-builder,var/lib/image-builder}
  cp -r dist/function-base "$tree/usr/local/share/image-builder/function-base"
  printf '#!/bin/sh\nexec image-builder entrypoint "$@"\n' >"$tree/usr/bin/local/entrypoint.sh"
  chmod -R u=rwX,go=rX "$tree"
  chmod 755 "$tree/usr/bin/local/entrypoint.sh"
  pack_tree "$tree" "$1"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# Kept compressed, with the digest of what is inside. Others that need it wait, and have it then.
recipe=$({ declare -f debian_layer archive_time; packages; sources; } | sha256sum | cut -d' ' -f1)
cache=.cache/builder-layout/$suite-$architecture
mkdir -p "$(dirname "$cache")"
exec {lock}>"$cache.lock"
flock "$lock"
if [ "$(cat "$cache/recipe" 2>/dev/null)" != "$recipe" ]; then
  debian_layer "$work/debian.tar"
  rm -rf "$cache"
  mkdir -p "$cache"
  echo "sha256:$(sha256sum <"$work/debian.tar" | cut -d' ' -f1)" >"$cache/diff-id"
  zstd --quiet --rm -6 -T0 "$work/debian.tar" -o "$cache/layer.tar.zst"
  echo "$recipe" >"$cache/recipe"
fi

cp "$cache/layer.tar.zst" "$work/debian.tar.zst"
diff_id=$(cat "$cache/diff-id")
exec {lock}>&-

new_layout "$work/layout"
add_layer "$work/debian.tar.zst" "$diff_id" "mmdebstrap $suite"
program_layer "$work/programs.tar"
add_tar "$work/programs.tar" image-builder
finish_layout "$target" "$architecture" <<'JSON'
{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
"IMAGE_BUILDER_STORE=/var/lib/image-builder/store","IMAGE_BUILDER_CONTAINER=1"],
"Cmd":["/usr/bin/local/entrypoint.sh"],"WorkingDir":"/var/lib/image-builder",
"Labels":{"org.opencontainers.image.title":"image-builder-tools","org.opencontainers.image.licenses":"Apache-2.0",
"org.opencontainers.image.source":"https://opendev.org/airship/image-builder",
"org.opencontainers.image.vendor":"The Airship Authors"}}
JSON
