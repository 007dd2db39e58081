#!/usr/bin/env bash
# Says on standard error which bases of an image are named by a tag, behind which a registry may put other content.
#
#   scripts/unpinned-bases.sh OPTIONS NAME...     OPTIONS of the engine's build, as one text; build arguments of the bases
set -euo pipefail

options=$1
shift
for name in "$@"; do
  base=
  # shellcheck disable=SC2086 # options are words
  for word in $options; do
    case $word in "$name="*) base=${word#*=} ;; --build-arg="$name="*) base=${word#*=*=} ;; esac
  done
  case $base in
    *sha256:*) ;;
    *)
      default=$(sed -n "s/^ARG $name=//p" "$(dirname "$0")/../Dockerfile")
      printf 'warning: the base %s is named by a tag; --build-arg %s=%s@sha256:... names its content\n' \
        "${base:-$default}" "$name" "${base:-$default}" >&2
      ;;
  esac
done
