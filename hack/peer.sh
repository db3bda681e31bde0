#!/bin/bash
# Unpacks Debian's containerd, runc and reference plugins below build/peer, once: for measuring and for tests of what others make of
# our plugins. Unpacked and not installed, so that no containerd starts on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
peer=$PWD/build/peer
[ ! -x "$peer/usr/bin/containerd" ] || [ ! -x "$peer/usr/lib/cni/bridge" ] || exit 0
echo "fetching containerd, runc and containernetworking-plugins from Debian…"
download=$(mktemp -d /tmp/wherry-peer.XXXXXX)
trap 'rm -rf "$download"' EXIT
chmod 755 "$download"
(cd "$download" && { apt-get download -q containerd runc containernetworking-plugins >/dev/null 2>&1 ||
  { apt-get update -q >/dev/null && apt-get download -q containerd runc containernetworking-plugins; }; })
mkdir -p "$peer"
for package in "$download"/*.deb; do dpkg-deb -x "$package" "$peer"; done
