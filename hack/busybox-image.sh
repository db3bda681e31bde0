#!/bin/bash
# Makes a small image from Debian's busybox-static, as an OCI archive:   hack/busybox-image.sh OUTPUT.tar [NAME]
#
# NAME is the reference written into it (default docker.io/library/busybox:latest). Run as root or not, today or tomorrow: the
# same busybox gives the same bytes. CMD is "sh", there is no ENTRYPOINT; /www/index.html is there for `httpd -f -h /www`.
set -euo pipefail

out=${1:?usage: $0 OUTPUT.tar [NAME]}
name=${2:-docker.io/library/busybox:latest}
busybox=${BUSYBOX:-/bin/busybox}
[ -x "$busybox" ] || { echo "$0: $busybox is missing: apt-get install busybox-static" >&2; exit 1; }
case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) arch=$(uname -m) ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

# Packs the current directory the same way everywhere.
pack() { tar --format=ustar --sort=name --numeric-owner --owner=0 --group=0 --mtime=@1700000000 -cf "$1" -C "$2" .; }
# Stores a file as a blob and prints its digest and size as a descriptor's members.
blob() {
  local digest
  digest=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$layout/blobs/sha256/$digest"
  printf '"digest":"sha256:%s","size":%s' "$digest" "$(stat -c %s "$layout/blobs/sha256/$digest")"
}

# The root file system.
root=$work/root
mkdir -p "$root"/{bin,dev,etc,home,proc,root,sys,tmp,usr/bin,var/log,var/run,www}
ln -s ../bin "$root/usr/sbin"
ln -s bin "$root/sbin"
chmod 1777 "$root/tmp"
chmod 0700 "$root/root"
cp "$busybox" "$root/bin/busybox"
chmod 0755 "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -f "$root/bin/busybox" "$root/bin/$applet"
done
cat > "$root/etc/passwd" <<'EOF'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/:/bin/false
www-data:x:33:33:www-data:/www:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
EOF
cat > "$root/etc/group" <<'EOF'
root:x:0:
daemon:x:1:
www-data:x:33:
users:x:100:
nogroup:x:65534:
EOF
printf '<!DOCTYPE html>\n<title>wherry</title>\n<p>Hello from a pod.\n' > "$root/www/index.html"

# The image around it: layer, configuration, manifest, index.
layout=$work/layout
mkdir -p "$layout/blobs/sha256"
pack "$work/layer.tar" "$root"
diff_id=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
gzip -n -6 "$work/layer.tar"
layer=$(blob "$work/layer.tar.gz")
printf '{"created":"2023-11-14T22:13:20Z","architecture":"%s","os":"linux","config":{"Env":["PATH=/bin:/sbin:/usr/bin:/usr/sbin"],"Cmd":["sh"],"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"2023-11-14T22:13:20Z","created_by":"busybox-image.sh"}]}' \
  "$arch" "$diff_id" > "$work/config"
config=$(blob "$work/config")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",%s}]}' \
  "$config" "$layer" > "$work/manifest"
manifest=$(blob "$work/manifest")
printf '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s,"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"}}]}' \
  "$manifest" "$name" "$name" > "$layout/index.json"
pack "$work/image.tar" "$layout"
mkdir -p "$(dirname "$out")"
mv "$work/image.tar" "$out"
