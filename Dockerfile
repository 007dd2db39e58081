# The images of Image Builder:
#
#   function       the KRM function; no tools, no root, no writing
#   builder        the pipeline with its tools; no ENTRYPOINT, as the callers of the predecessor's image expect
#   image-builder  builder with a root file system in its store: an ISO or QCOW is cut without any network
#   bundle         function with /qcows and /profiles from the directory bundle/ of the build context; `image-builder
#                  build` writes the same without a container engine
#
# `npm run build` comes first: the images take dist/ as it is, so they need no npm and no network for our own part.
# BuildKit and buildah build the target only; the classic builder also builds the stages above it, so `bundle` comes early.
ARG FUNCTION_BASE=docker.io/library/node:22-alpine
ARG NODE_BASE=docker.io/library/node:22-trixie-slim
ARG BUILDER_BASE=docker.io/library/debian:trixie-slim

FROM ${FUNCTION_BASE} AS function
COPY dist/image-builder-fn /usr/local/bin/function
# The function's errors say what a container would need.
# What a function's container sees, its caller has mounted: a spec may use it.
ENV IMAGE_BUILDER_CONTAINER=1 IMAGE_BUILDER_ALLOW_PATHS=/ IMAGE_BUILDER_ALLOW_OUTPUTS=/
# nobody, by number: Kubernetes' runAsNonRoot cannot judge names.
USER 65534:65534
WORKDIR /tmp
ENTRYPOINT ["function"]
CMD []
ARG REVISION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="image-builder-function" \
      org.opencontainers.image.authors="The Image Builder Authors" \
      org.opencontainers.image.url="https://airshipit.org" \
      org.opencontainers.image.documentation="https://docs.airshipit.org/airshipctl/" \
      org.opencontainers.image.source="https://opendev.org/airship/image-builder" \
      org.opencontainers.image.vendor="The Airship Authors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

FROM function AS bundle
COPY bundle/qcows /qcows
COPY bundle/profiles /profiles
# As the predecessor's bundle: an init container that copies the images to a directory of the host needs root.
# kustomize and kpt start it as nobody nevertheless.
USER 0:0
LABEL org.opencontainers.image.title="qcow-bundle"

FROM ${NODE_BASE} AS node

FROM ${BUILDER_BASE} AS builder
# The boot loader of BIOS machines exists on x86 only. qemu-system is not here: a boot test runs outside.
RUN apt-get update \
 && case "$(dpkg --print-architecture)" in \
      amd64) boot='grub-pc-bin grub-efi-amd64-bin' ;; \
      *) boot='grub-efi-arm64-bin' ;; \
    esac \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ansible-core bash ca-certificates debian-archive-keyring dosfstools e2fsprogs fdisk gpg gpgv grub-common \
      libstdc++6 mmdebstrap mount mtools qemu-utils squashfs-tools uidmap util-linux xfsprogs xorriso xz-utils zstd $boot \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY dist/image-builder dist/image-builder-fn /usr/local/bin/
COPY dist/function-base /usr/local/share/image-builder/function-base
# The path that airshipctl and the predecessor's make targets call.
RUN mkdir -p /usr/bin/local /etc/image-builder /var/lib/image-builder \
 && printf '#!/bin/sh\nexec image-builder entrypoint "$@"\n' > /usr/bin/local/entrypoint.sh \
 && chmod 755 /usr/bin/local/entrypoint.sh
ENV IMAGE_BUILDER_STORE=/var/lib/image-builder/store IMAGE_BUILDER_CONTAINER=1
WORKDIR /var/lib/image-builder
CMD ["/usr/bin/local/entrypoint.sh"]
ARG REVISION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="image-builder-tools" \
      org.opencontainers.image.authors="The Image Builder Authors" \
      org.opencontainers.image.url="https://airshipit.org" \
      org.opencontainers.image.documentation="https://docs.airshipit.org/airshipctl/" \
      org.opencontainers.image.source="https://opendev.org/airship/image-builder" \
      org.opencontainers.image.vendor="The Airship Authors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

FROM builder AS image-builder
# What relative paths of the specification start from.
COPY manifests /etc/image-builder/manifests
COPY profiles /etc/image-builder/profiles
# spec.build of the root file system, as YAML or JSON. The container lays the ISO's or QCOW's part over it. Build arguments
# stand in the image's history: BUILD_SPEC_FILE names a file below manifests/ or profiles/ instead.
ARG BUILD_SPEC="{}"
ARG BUILD_SPEC_FILE=""
RUN cd /etc/image-builder \
 && if [ -n "${BUILD_SPEC_FILE}" ]; then cp "${BUILD_SPEC_FILE}" build.yaml; \
    else printf '%s\n' "${BUILD_SPEC}" > build.yaml; fi \
 && image-builder prepare
LABEL org.opencontainers.image.title="image-builder"
