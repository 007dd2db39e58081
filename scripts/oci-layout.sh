# Writes an OCI layout with one image (image-layout.md), for scripts that make images without a container engine. Nothing in it
# depends on when or where it was made. To be sourced.

# new_layout DIRECTORY: begins one.
new_layout() {
  layout=$1 layers=() diff_ids=() history=()
  mkdir -p "$layout/blobs/sha256"
}

# keep_blob MEDIA-TYPE FILE: moves it to the layout, and prints its descriptor.
keep_blob() {
  local digest
  digest=$(sha256sum <"$2" | cut -d' ' -f1)
  printf '{"mediaType":"%s","digest":"sha256:%s","size":%s}' "$1" "$digest" "$(stat -c %s "$2")"
  mv "$2" "$layout/blobs/sha256/$digest"
}

# add_layer FILE DIFF-ID BY: a compressed tar, .zst or .gz.
add_layer() {
  local compression=zstd
  [ "${1##*.}" != gz ] || compression=gzip
  layers+=("$(keep_blob "application/vnd.oci.image.layer.v1.tar+$compression" "$1")")
  diff_ids+=("\"$2\"")
  history+=("{\"created_by\":\"$3\"}")
}

# add_tar FILE BY: a tar, which is compressed.
add_tar() {
  local diff_id
  diff_id="sha256:$(sha256sum <"$1" | cut -d' ' -f1)"
  zstd --quiet --rm -6 -T0 "$1"
  add_layer "$1.zst" "$diff_id" "$2"
}

# pack_tree TREE FILE: a tar of what is in a directory, without the permissions of the directory itself.
pack_tree() {
  (cd "$1" && tar --create --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mtime=@0 -- *) >"$2"
}

# finish_layout TARGET ARCHITECTURE < CONFIG: with `config` of the image configuration as JSON; prints the image's digest.
finish_layout() {
  local IFS=, config manifest image=application/vnd.oci.image
  # created is absent: it would be all that depends on the time.
  printf '{"architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]},"history":[%s]}' \
    "$2" "$(cat)" "${diff_ids[*]}" "${history[*]}" >"$layout.config"
  config=$(keep_blob $image.config.v1+json "$layout.config")
  printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' $image.manifest.v1+json "$config" "${layers[*]}" \
    >"$layout.manifest"
  manifest=$(keep_blob $image.manifest.v1+json "$layout.manifest")
  printf '{"schemaVersion":2,"manifests":[%s,"annotations":{"org.opencontainers.image.ref.name":"latest"},"platform":{"os":"linux","architecture":"%s"}}]}' \
    "${manifest%\}}" "$2" >"$layout/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
  mkdir -p "$(dirname "$1")"
  mv "$layout" "$1"
  grep -o 'sha256:[0-9a-f]*' <<<"$manifest"
}
