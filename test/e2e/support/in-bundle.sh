#!/bin/sh
# Runs a command with a directory mounted at /profiles, as inside of a bundle image; the rest of the root is the
# machine's. Nothing is left behind: the mounts are in a namespace that ends with the command.
#
#   in-bundle.sh PROFILES_DIRECTORY COMMAND [ARGUMENT...]
set -eu
if [ "${IN_BUNDLE:-}" != yes ]; then
  user=
  [ "$(id -u)" = 0 ] || user=--map-root-user
  # shellcheck disable=SC2086
  IN_BUNDLE=yes exec unshare $user --mount --propagation private "$0" "$@"
fi
profiles=$(realpath "$1")
shift
staging=/mnt
mount -t tmpfs tmpfs "$staging"
for entry in /*; do
  if [ -L "$entry" ]; then cp -P "$entry" "$staging$entry"
  elif [ "$entry" = /profiles ] || [ "$entry" = "$staging" ]; then :
  elif [ -d "$entry" ]; then
    mkdir "$staging$entry"
    mount --rbind "$entry" "$staging$entry"
  fi
done
mkdir "$staging/profiles"
mount --bind "$profiles" "$staging/profiles"
unset IN_BUNDLE
exec chroot "$staging" sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
