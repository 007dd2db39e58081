#!/usr/bin/env bash
# Makes the builder image with the root file system of WORKDIR and PROFILE, and pushes it: `make docker_build`, which sets
# the variables. The specification travels as a file: build arguments stand in the history of an image.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir "$context/dist" "$context/manifests" "$context/profiles"
cp "$root/.dockerignore" "$context/"
cp -r "$root/dist/image-builder" "$root/dist/image-builder-fn" "$root/dist/function-base" "$context/dist/"
cp -rL "$WORKDIR/." "$context/manifests/"
# What cut_image and generate_iso have written there.
find "$context/manifests" -type f \( -name '*.iso' -o -name '*.qcow2' \) -delete
[ -z "$LOCK" ] || cp "$LOCK" "$context/manifests/.lock"
if [ -n "$PROFILE" ]; then
  for profiles in profiles "$WORKDIR/../profiles" "$WORKDIR/../../profiles"; do
    [ ! -d "$profiles/$PROFILE" ] || { cp -rL "$profiles/$PROFILE" "$context/profiles/"; break; }
  done
fi
printf '%s\n' "$BUILD_SPEC" > "$context/manifests/.build.yaml"

# Values of proxies come from the environment, so that no password of theirs is an argument.
proxies=()
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
  [ -z "${!name:-}" ] || proxies+=(--build-arg "$name")
done
"$root/scripts/unpinned-bases.sh" "$DOCKER_BUILD_OPTIONS" NODE_BASE BUILDER_BASE
# shellcheck disable=SC2086 # options are words
"$DOCKER" build --file "$root/Dockerfile" --target image-builder --tag "$IMAGE" \
  --build-arg BUILD_SPEC_FILE=manifests/.build.yaml ${proxies[@]+"${proxies[@]}"} \
  --label "$LABEL" \
  --label "org.opencontainers.image.revision=$COMMIT" \
  --label "org.opencontainers.image.created=$(date --utc +%Y-%m-%dT%H:%M:%SZ)" \
  --label "org.opencontainers.image.title=$TITLE" \
  $DOCKER_BUILD_OPTIONS "$context"
[ "$PUSH_IMAGE" != true ] || "$DOCKER" push "$IMAGE"
