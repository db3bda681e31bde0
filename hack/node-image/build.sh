#!/bin/bash
# Makes a node: build/node/debian from Debian's packages, build/node/root from that, wherry's package and files/, and
# build/node/disk.img, the disk that hack/node.sh boots. The first is made once for a list of packages, which takes two minutes and the
# network; the others anew when something in them changes, in half a minute. Nothing here mounts or boots anything.
#
#   hack/node-image/build.sh           the disk
#   hack/node-image/build.sh --image   and build/node/share/node.tar, the same as an OCI image like kind's nodes: an archive
set -euo pipefail
cd "$(dirname "$0")/../.."
node=$PWD/build/node
own=hack/node-image
preset=${PRESET:-release}
build=build/$preset
mkdir -p "$node"

# digest FILE…: of names and contents.
digest() { sha256sum "$@" | sha256sum | cut -d' ' -f1; }

make_debian() {
  local want debootstrap=(mmdebstrap --quiet --mode=root --variant=minbase --format=directory
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*'
    --include="$(sed 's/#.*//' $own/packages | xargs | tr ' ' ',')")
  want="${debootstrap[*]}"
  [ "$(cat "$node/debian.packages" 2>/dev/null)" != "$want" ] || return 0
  echo "making a node from Debian's packages…" >&2
  rm -rf "$node/debian" "$node/debian.packages"
  "${debootstrap[@]}" bookworm "$node/debian" >"$node/debian.log" 2>&1 ||
    { tail -n 20 "$node/debian.log" >&2; echo "hack/node-image: Debian's packages cannot be fetched" >&2; return 1; }
  echo "$want" >"$node/debian.packages"
}

# wherry as an administrator gets it, from the sources as they are.
make_package() {
  cmake --preset "$preset" >/dev/null
  nice ninja -C "$build" >/dev/null
  package=$(ls "$build"/package/*.deb 2>/dev/null || true)
  [ -n "$package" ] && [ -z "$(find "$build/bin" "$build/man" manifests hack/package hack/cmake -newer "$package" -type f)" ] ||
    (cd "$build" && cpack >package.log 2>&1) || { cat "$build/package.log" >&2; return 1; }
  package=$(ls "$build"/package/*.deb)
}

# What differs between Debian as installed and a node that tests boot: files/, no timers that would use the network, nothing for screens
# and firmware that it does not have, no AppArmor profiles of programs that it does not have (the parser takes seconds in emulation), a key.
dress() {
  local unit
  rm -rf "$node/root"
  cp -a --reflink=auto "$node/debian" "$node/root"
  cp -r --no-preserve=ownership $own/files/. "$node/root/"
  cp "$package" "$node/root/wherry.deb"
  chroot "$node/root" dpkg --install /wherry.deb >"$node/dpkg.log" 2>&1 || { cat "$node/dpkg.log" >&2; return 1; }
  [ -e "$node/key" ] || ssh-keygen -q -t ed25519 -N '' -C node -f "$node/key"
  install -D -m 600 "$node/key.pub" "$node/root/root/.ssh/authorized_keys"
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    systemd-pcrphase.service systemd-pcrphase-sysinit.service getty@tty1.service serial-getty@ttyS0.service modprobe@drm.service \
    modprobe@efi_pstore.service systemd-binfmt.service; do
    ln -sf /dev/null "$node/root/etc/systemd/system/$unit"
  done
  rm "$node/root/etc/apparmor.d/lsb_release" "$node/root/etc/apparmor.d/nvidia_modprobe"
  # In a pod, devices and the kernel's settings are the host's.
  for unit in systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service \
    systemd-sysctl.service; do
    mkdir -p "$node/root/etc/systemd/system/$unit.d"
    printf '[Unit]\nConditionVirtualization=!container\n' >"$node/root/etc/systemd/system/$unit.d/node.conf"
  done
  chroot "$node/root" systemctl --quiet enable systemd-networkd node-up
  chroot "$node/root" systemctl --quiet disable docker-registry
  echo node >"$node/root/etc/hostname"
  printf '127.0.0.1 localhost node\n::1 localhost node\n' >"$node/root/etc/hosts"
  : >"$node/root/etc/machine-id" # each boot of a new disk gets one
}

make_disk() {
  local want
  mapfile -t over < <(find $own/files -type f | sort)
  want=$(digest "$node/debian.packages" "$package" $own/build.sh "${over[@]}")
  [ "$(cat "$node/disk.digest" 2>/dev/null)" != "$want" ] || return 0
  rm -f "$node/disk.digest"
  dress
  rm -f "$node/disk.img"
  truncate -s 8G "$node/disk.img"
  mke2fs -q -t ext4 -E lazy_itable_init=1,lazy_journal_init=1 -d "$node/root" "$node/disk.img"
  echo "$want" >"$node/disk.digest"
}

# As an image: systemd, told that it is in a container, is its first process and is stopped by the signal that it wants.
make_image() {
  [ "$(cat "$node/image.digest" 2>/dev/null)" != "$(cat "$node/disk.digest")" ] || return 0
  rm -f "$node/image.digest"
  mkdir -p "$node/share"
  tar --format=pax --xattrs --xattrs-include='*' --numeric-owner --sort=name -cf "$node/layer.tar" -C "$node/root" .
  GZIP_LEVEL=1 hack/oci-archive.sh "$node/layer.tar" '{"Entrypoint":["/sbin/init"],"Env":["container=oci",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"StopSignal":"SIGRTMIN+3"}' \
    "$node/share/node.tar" docker.io/library/wherry-node:latest
  cp "$node/disk.digest" "$node/image.digest"
}

make_debian
make_package
make_disk
[ "${1:-}" != --image ] || make_image
