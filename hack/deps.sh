#!/bin/bash
# Installs what building and testing wherry needs on Debian 12. A second run finds everything there and does nothing.
set -euo pipefail

packages=(
  # compilers and build
  cmake g++ ninja-build pkg-config ccache git
  # contracts: gRPC, Protobuf, Abseil
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev
  # what the programs link
  libmnl-dev libnftnl-dev libarchive-dev libssl-dev libisal-dev libzstd-dev zlib1g-dev libsqlite3-dev
  libcurl4-openssl-dev libseccomp-dev libcap-dev libapparmor-dev libsystemd-dev libboost-dev
  nlohmann-json3-dev libspdlog-dev libtomlplusplus-dev libcli11-dev libyaml-cpp-dev
  # tests, lint, fuzzing, measuring
  libgtest-dev libgmock-dev libbenchmark-dev clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev
  busybox-static openssl docker-registry containernetworking-plugins iptables nftables iproute2 util-linux jq
  qemu-system-x86 kmod cpio apparmor secilc mmdebstrap e2fsprogs openssh-client
)

installed=$(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  grep -qE "^${package//+/\\+}(:[a-z0-9]+)? installed$" <<<"${installed}" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
  echo "hack/deps.sh: missing, and only root can install them: ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# A fresh machine has no package lists; an old one has lists whose files may be gone: try, refresh, try again.
install() { apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null; }
if ! install 2>/dev/null; then
  apt-get update -q >/dev/null
  install
fi
