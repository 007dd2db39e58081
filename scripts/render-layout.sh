#!/usr/bin/env bash
# Makes the image that renders kustomizations where a GitOps controller or a CronJob does: kustomize, the function, and the
# base of bundles; an ordinary user, nothing to write but /tmp. As an OCI layout, without a container engine. `npm run
# build:native` comes first.
#
#   scripts/render-layout.sh DIRECTORY [PROGRAM...]   more programs for /usr/local/bin, such as oras
#   dist/native/image-builder push oci:DIRECTORY REFERENCE
#
# Prints the image's digest. The same programs give the same bytes.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

[ $# -ge 1 ] || { sed -n '6,7s/^# *//p' "$0" >&2; exit 2; }
target=$(realpath --canonicalize-missing "$1")
shift
[ ! -e "$target" ] || { echo "render-layout: $target exists" >&2; exit 1; }
programs=()
for program in "$here/dist/native/image-builder" "$here/.cache/bin/kustomize" "$@"; do
  [ -x "$program" ] || { echo "render-layout: $program is not an executable: npm run build:native, scripts/setup.sh" >&2; exit 1; }
  programs+=("$(realpath "$program")")
done
cd "$here"
. scripts/oci-layout.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

architecture=$(dpkg --print-architecture)
scripts/function-base.sh "$architecture"
base=.cache/function-base/$architecture
new_layout "$work/layout"
cp "$base/runtime.tar.gz" "$work/"
add_layer "$work/runtime.tar.gz" "$(sed -n 's/.*"diffId": "\(.*\)".*/\1/p' "$base/runtime.json")" function-base
install -D --mode=755 --target-directory="$work/tree/usr/local/bin" "${programs[@]}"
# One executable with two names.
ln -s image-builder "$work/tree/usr/local/bin/image-builder-fn"
chmod 755 "$work/tree" "$work/tree/usr" "$work/tree/usr/local" "$work/tree/usr/local/bin"
pack_tree "$work/tree" "$work/programs.tar"
add_tar "$work/programs.tar" image-builder
finish_layout "$target" "$architecture" <<'JSON'
{"Env":["PATH=/usr/local/bin:/usr/bin:/bin","HOME=/tmp"],"User":"65534:65534","WorkingDir":"/tmp",
"Labels":{"org.opencontainers.image.title":"image-builder-render","org.opencontainers.image.licenses":"Apache-2.0",
"org.opencontainers.image.source":"https://opendev.org/airship/image-builder",
"org.opencontainers.image.vendor":"The Airship Authors"}}
JSON
