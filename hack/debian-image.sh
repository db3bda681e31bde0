#!/bin/bash
# Makes a Debian root file system by mmdebstrap in three states, build/debian-image/{1,2,3}.tar: as it comes, with packages more, and
# with packages and a directory's contents removed again. Tests make an image of three layers of them. Once; needs the network.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/build/debian-image
suite=bookworm
# The first gives /bin/ping a file capability by the second.
packages=(iputils-ping libcap2-bin libcap2 libidn2-0 libunistring2)

# In a mount namespace of its own, on a tmpfs.
inside() {
  local work=$1 options=() option
  # What this machine says of proxies.
  while read -r option; do options+=(--aptopt="$option"); done < <(apt-config dump | grep -E '^Acquire::https?::' || true)
  mount -t tmpfs -o mode=755 tmpfs "$work"
  mkdir "$work/debs"
  (cd "$work/debs" && apt-get download -q "${packages[@]}" >/dev/null 2>&1)
  TMPDIR=$work mmdebstrap --quiet --variant=essential --mode=root --format=directory --dpkgopt=force-unsafe-io "${options[@]}" \
    "$suite" "$work/root"
  save "$work" 1
  mkdir "$work/root/debs"
  cp "$work/debs"/*.deb "$work/root/debs/"
  DEBIAN_FRONTEND=noninteractive in_root "$work" sh -c 'dpkg --install /debs/*.deb'
  rm -r "$work/root/debs"
  save "$work" 2
  in_root "$work" dpkg --purge iputils-ping libcap2-bin
  rm -r "$work"/root/usr/share/doc/*
  echo "documentation was removed" >"$work/root/usr/share/doc/README"
  save "$work" 3
}
in_root() { PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$1/root" "${@:2}" >/dev/null; }
save() { tar --format=pax --xattrs --xattrs-include='*' --numeric-owner --one-file-system -cf "$out/$2.tar" -C "$1/root" .; }

if [ "${1:-}" = --inside ]; then
  inside "$2"
  exit
fi
[ ! -e "$out/complete" ] || [ "$(cat "$out/complete")" != "$suite ${packages[*]}" ] || exit 0
echo "making a Debian root file system…"
mkdir -p "$out"
work=$(mktemp -d /tmp/wherry-debian.XXXXXX)
trap 'rmdir "$work"' EXIT
chmod 755 "$work"
unshare --mount --pid --ipc --uts --fork --kill-child --mount-proc --propagation private \
  timeout 120 hack/debian-image.sh --inside "$work"
echo "$suite ${packages[*]}" >"$out/complete"
