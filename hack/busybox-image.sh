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

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

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
users:x:100:daemon
nogroup:x:65534:
EOF
printf '<!DOCTYPE html>\n<title>wherry</title>\n<p>Hello from a pod.\n' > "$root/www/index.html"

tar --format=ustar --sort=name --numeric-owner --owner=0 --group=0 --mtime=@1700000000 -cf "$work/layer.tar" -C "$root" .
"$(dirname "$0")/oci-archive.sh" "$work/layer.tar" \
  '{"Env":["PATH=/bin:/sbin:/usr/bin:/usr/sbin"],"Cmd":["sh"],"WorkingDir":"/"}' "$out" "$name"
