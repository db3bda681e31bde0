#!/bin/bash
# Unpacks Debian's containerd, runc, podman and reference plugins below build/peer, once: for measuring and for tests of what others make
# of our plugins. Unpacked and not installed, so that no containerd starts on this machine; the libraries with them are podman's.
set -euo pipefail
cd "$(dirname "$0")/.."
peer=$PWD/build/peer
packages=(containerd runc containernetworking-plugins
  podman conmon libgpgme11 libassuan0 libsubid4 libdevmapper1.02.1 libglib2.0-0)
[ ! -e "$peer/complete" ] || [ "$(cat "$peer/complete")" != "${packages[*]}" ] || exit 0
echo "fetching containerd, runc, podman and containernetworking-plugins from Debian…"
download=$(mktemp -d /tmp/wherry-peer.XXXXXX)
trap 'rm -rf "$download"' EXIT
chmod 755 "$download"
(cd "$download" && { apt-get download -q "${packages[@]}" >/dev/null 2>&1 ||
  { apt-get update -q >/dev/null && apt-get download -q "${packages[@]}"; }; })
mkdir -p "$peer"
for package in "$download"/*.deb; do dpkg-deb -x "$package" "$peer"; done
echo "${packages[*]}" >"$peer/complete"
