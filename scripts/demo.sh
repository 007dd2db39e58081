#!/usr/bin/env bash
# The main job: builds a small real node image from examples/node-image through kustomize, and says how to boot it.
# The rendered objects go to standard output, everything else to standard error.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
[ -x dist/image-builder-fn ] && [ -z "$(find functions image-builder scripts -newer dist/image-builder-fn -print -quit)" ] ||
  npm run --silent build >&2

.cache/bin/kustomize build --enable-alpha-plugins --enable-exec examples/node-image

cat >&2 <<'EOF'

The bundle is the OCI layout examples/node-image/out. Take the disk image out of it and boot it:

  dist/image-builder copy --force oci:examples/node-image/out out/
  dist/image-builder boot-test out/control-plane.qcow2
  qemu-system-x86_64 -m 2048 -nographic -snapshot out/control-plane.qcow2

Ctrl-a x ends the machine. The bundle is a KRM function too, which answers with the variables of its images. With Docker and
skopeo, which brings it there without a registry:

  skopeo copy --quiet oci:examples/node-image/out docker-archive:/dev/stdout:node-image:latest | docker load
  echo '{apiVersion: config.kubernetes.io/v1, kind: ResourceList, functionConfig: {kind: ConfigMap}}' | docker run --rm -i node-image:latest
EOF
