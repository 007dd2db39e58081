#!/usr/bin/env bash
# Makes what the function in a bundle runs on: Node and busybox from Debian's packages, as one compressed layer.
#
#   scripts/function-base.sh [ARCHITECTURE...]     default: that of this machine; amd64, arm64
#
# Writes .cache/function-base/ARCHITECTURE/runtime.tar.gz and runtime.json, from which `npm run build` makes the base of
# bundles. Nothing of the packages is run, so any machine can do it for any architecture. The same packages give the
# same bytes. What is there is not made again; remove the directory to take Debian's newest packages.
set -euo pipefail
cd "$(dirname "$0")/.."

SUITE=trixie
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# What is asked for with its dependencies, and what is taken alone: authorities of TLS, and the name of the system.
PROGRAMS=(nodejs busybox-static)
DATA=(ca-certificates base-files)
# Needed by maintainer scripts or for development only.
UNWANTED='^(debconf|node-corepack)_'
# What consumers of bundles and people who look into one call.
APPLETS=(
  ash awk basename cat chgrp chmod chown cmp cp cut date dd df diff dirname du echo env expr false find grep gunzip gzip
  head hostname id install ln ls md5sum mkdir mktemp mv od printenv printf ps pwd readlink realpath rm rmdir sed seq sh
  sha256sum sha512sum sleep sort stat sync tail tar tee test touch tr true uname uniq wc which whoami xargs zcat
)

say() { printf '==> %s\n' "$*" >&2; }

# The place of the archive that this machine's apt uses, so that what is near, or allowed, is asked.
near() { # near PATTERN DEFAULT
  local uri
  uri=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 2>/dev/null | sed -n "s/ $1\$//p" | sort -u | head -n 1)
  printf '%s\n' "${uri:-$2}"
}

sources() {
  local security
  security=$(near Debian-Security http://security.debian.org/debian-security)
  cat <<EOF
Types: deb
URIs: $(near Debian http://deb.debian.org/debian)
Suites: $SUITE $SUITE-updates
Components: main
Signed-By: $KEYRING

Types: deb
URIs: $security
Suites: $SUITE-security
Components: main
Signed-By: $KEYRING
EOF
}

# A private apt: this machine's proxies, and nothing else of it.
private_apt() { # private_apt DIRECTORY ARCHITECTURE COMMAND...
  local directory=$1 architecture=$2
  shift 2
  apt-get -qq --yes \
    -o Dir::State="$directory/state" -o Dir::State::status="$directory/status" -o Dir::Cache="$directory/cache" \
    -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$directory/sources" \
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
    -o APT::Architecture="$architecture" -o APT::Architectures::="$architecture" \
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any \
    -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

fetch() { # fetch DIRECTORY ARCHITECTURE
  local directory=$1 architecture=$2
  mkdir -p "$directory"/{sources,state/lists/partial,cache/archives/partial,data}
  : >"$directory/status"
  sources >"$directory/sources/$SUITE.sources"
  private_apt "$directory" "$architecture" update
  private_apt "$directory" "$architecture" install --download-only "${PROGRAMS[@]}" >/dev/null
  (cd "$directory/data" && private_apt "$directory" "$architecture" download "${DATA[@]}" >/dev/null)
}

unpack() { # unpack DIRECTORY ARCHITECTURE
  local directory=$1 architecture=$2 tree=$1/tree package name applet
  mkdir -p "$tree"/{usr/{bin,sbin,lib,lib64,local/bin},var/lib/dpkg/status.d,etc/ssl/certs,tmp}
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$tree/$name"; done
  for package in "$directory"/cache/archives/*.deb "$directory"/data/*.deb; do
    name=$(dpkg-deb --field "$package" Package)
    [[ ${package##*/} =~ $UNWANTED ]] && continue
    case $name in
      base-files) dpkg-deb --fsys-tarfile "$package" | tar -x -C "$tree" ./etc/debian_version ./etc/os-release ./usr/lib/os-release ./usr/share/doc/base-files/copyright ;;
      # tar follows the links of the tree, where dpkg-deb -x would replace them.
      *) dpkg-deb --fsys-tarfile "$package" | tar -x -C "$tree" --keep-directory-symlink ;;
    esac
    # Where scanners for vulnerabilities look when there is no dpkg.
    dpkg-deb --field "$package" >"$tree/var/lib/dpkg/status.d/$name"
  done
  # The time stamp of everything is that of the newest file of the packages: it depends on nothing else.
  find "$tree/usr" -type f -printf '%T@\n' | sort -n | tail -n 1 | cut -d. -f1 >"$directory/newest"
  find "$tree/usr/share/doc" -not -type d -not -name copyright -delete
  rm -rf "$tree"/usr/share/{bash-completion,gdb,info,initramfs-tools,lintian,locale,man} "$tree"/usr/lib/*-linux-gnu/gconv
  find "$tree/usr/share" -type d -empty -delete
  find "$tree/usr/share/ca-certificates/mozilla" -name '*.crt' -print0 | LC_ALL=C sort -z |
    xargs -0 cat >"$tree/etc/ssl/certs/ca-certificates.crt"
  for applet in "${APPLETS[@]}"; do
    [ -e "$tree/usr/bin/$applet" ] || ln -s busybox "$tree/usr/bin/$applet"
  done
  printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/nonexistent:/bin/false >"$tree/etc/passwd"
  printf '%s\n' root:x:0: nogroup:x:65534: >"$tree/etc/group"
  find "$tree" -type d -exec chmod 0755 {} +
  find "$tree" -type f -exec chmod u=rwX,go=rX {} +
  chmod 1777 "$tree/tmp"
  # The dynamic linker of each architecture, the program, and the shell.
  for name in usr/bin/node usr/bin/sh usr/bin/busybox; do
    [ -e "$tree/$name" ] || { echo "function-base: the packages of $architecture have no $name" >&2; exit 1; }
  done
}

pack() { # pack DIRECTORY TARGET
  local directory=$1 target=$2 packages
  tar --create --directory="$directory/tree" --sort=name --format=gnu --owner=0 --group=0 --numeric-owner \
    --mtime="@$(cat "$directory/newest")" . >"$directory/runtime.tar"
  # GNU gzip's output for the same input has not changed in decades, and every engine reads it, however old.
  gzip --no-name <"$directory/runtime.tar" >"$target/runtime.tar.gz"
  packages=$(cat "$directory"/tree/var/lib/dpkg/status.d/* | awk '
    /^Package: / { name = $2 } /^Version: / { printf "%s\"%s\": \"%s\"", separator, name, $2; separator = ", " }')
  cat >"$target/runtime.json" <<EOF
{
  "digest": "sha256:$(sha256sum <"$target/runtime.tar.gz" | cut -d' ' -f1)",
  "diffId": "sha256:$(sha256sum <"$directory/runtime.tar" | cut -d' ' -f1)",
  "size": $(stat -c %s "$target/runtime.tar.gz"),
  "packages": {$packages}
}
EOF
}

make() { # make ARCHITECTURE
  local architecture=$1 target=.cache/function-base/$1 recipe
  recipe=$(sha256sum <scripts/function-base.sh)
  [ "$(cat "$target/recipe" 2>/dev/null)" = "$recipe" ] && return 0
  say "fetching what the function in bundles runs on ($architecture)"
  work=$(mktemp -d)
  fetch "$work" "$architecture"
  unpack "$work" "$architecture"
  mkdir "$work/result"
  pack "$work" "$work/result"
  printf '%s\n' "$recipe" >"$work/result/recipe"
  mkdir -p .cache/function-base
  rm -rf "$target"
  mv "$work/result" "$target"
  rm -rf "$work"
}

for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || { echo "function-base: $tool is needed, on Debian or Ubuntu it is there" >&2; exit 1; }
done
[ -e "$KEYRING" ] || { echo 'function-base: install the package debian-archive-keyring first' >&2; exit 1; }
work=
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- "$(dpkg --print-architecture)"
for architecture in "$@"; do make "$architecture"; done
