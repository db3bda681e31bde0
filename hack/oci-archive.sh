#!/bin/bash
# Makes an OCI archive, an image of one layer:   hack/oci-archive.sh LAYER.tar CONFIG OUTPUT.tar NAME
#
# CONFIG is JSON, the image's "config" object; NAME is the reference written into the archive. The layer is compressed with gzip at
# level $GZIP_LEVEL (6) and removed. The same layer gives the same bytes.
set -euo pipefail

layer=${1:?usage: $0 LAYER.tar CONFIG OUTPUT.tar NAME} config=$2 out=$3 name=$4
case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) arch=$(uname -m) ;;
esac
mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
layout=$work/layout
mkdir -p "$layout/blobs/sha256"

# Stores a file as a blob and prints its digest and size as a descriptor's members.
blob() {
  local digest
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$layout/blobs/sha256/$digest"
  printf '"digest":"sha256:%s","size":%s' "$digest" "$(stat -c %s "$layout/blobs/sha256/$digest")"
}

diff_id=$(sha256sum "$layer" | cut -d' ' -f1)
gzip -n "-${GZIP_LEVEL:-6}" <"$layer" >"$work/layer"
rm "$layer"
layer=$(blob "$work/layer")
printf '{"created":"2023-11-14T22:13:20Z","architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"2023-11-14T22:13:20Z","created_by":"hack/oci-archive.sh"}]}' \
  "$arch" "$config" "$diff_id" >"$work/config"
config=$(blob "$work/config")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",%s}]}' \
  "$config" "$layer" >"$work/manifest"
manifest=$(blob "$work/manifest")
printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s,"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"}}]}' \
  "$manifest" "$name" "$name" >"$layout/index.json"
tar --format=ustar --sort=name --numeric-owner --owner=0 --group=0 --mtime=@1700000000 -cf "$work/image.tar" -C "$layout" .
mv "$work/image.tar" "$out"
