#!/bin/bash
# Measures wherry against Debian's containerd + runc with Debian's CNI plugins, one after the other in the same run, and
# prints both, their ratio and the design's numbers.
#
#   hack/bench.sh [--peer | --wherry] [OPTIONS OF wherry-bench]      e.g. hack/bench.sh --only exec --rounds 20
#
# --peer or --wherry runs one of them only. JSON reports go to out/bench/. The peer's packages are unpacked below
# build/peer rather than installed, so that no containerd starts on this machine. Each runtime gets network, mount, PID,
# IPC and UTS namespaces, directories and a cgroup subtree of its own; all of it is gone afterwards, also on failure.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=$root/build/release/bin
peer=$root/build/peer

# ---- inside the namespaces: one runtime, from its configuration to its report

# Same network for both: a bridge with a gateway, addresses from host-local.
write_conflist() {
  mkdir -p "$work/net.d"
  cat >"$work/net.d/10-bench.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "bench", "plugins": [{
  "type": "bridge", "bridge": "bench0", "isGateway": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "dataDir": "$work/ipam", "ranges": [[{"subnet": "10.88.0.0/16"}]],
           "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
}

start_containerd() {
  cat >"$work/config.toml" <<TOML
version = 2
root = "$work/root"
state = "/run/bench/state"
[grpc]
  address = "/run/bench/runtime.sock"
[debug]
  level = "warn"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:bench"
  restrict_oom_score_adj = true
  disable_apparmor = $([ -d /sys/kernel/security/apparmor ] && echo false || echo true)
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$peer/usr/lib/cni"
    conf_dir = "$work/net.d"
TOML
  PATH=$peer/usr/bin:$peer/usr/sbin:$PATH in_cgroup containerd -c "$work/config.toml" >"$work/log" 2>&1 &
  daemon=$!
  wait_for_socket
  local archive
  for archive in "$images"/*.tar; do
    "$peer/usr/bin/ctr" -a /run/bench/runtime.sock -n k8s.io images import "$archive" >>"$work/log"
  done
}

start_wherryd() {
  cat >"$work/config.toml" <<TOML
root = "$work/root"
state = "/run/bench/state"
socket = "/run/bench/runtime.sock"
cgroup_driver = "cgroupfs"
cgroup_parent = "/$cgroup/wherry"
[cni]
conf_dir = "$work/net.d"
bin_dirs = ["$bin/cni"]
cache_dir = "$work/cni-cache"
[log]
level = "warn"
TOML
  in_cgroup "$bin/wherryd" --config "$work/config.toml" >"$work/log" 2>&1 &
  daemon=$!
  wait_for_socket
  "$bin/wherry" --endpoint unix:///run/bench/runtime.sock image import "$images/busybox.tar" >>"$work/log"
}

# Runs a daemon in the bench's cgroup, so that its CPU time counts there; see CpuMeter in test/bench/measure.h.
in_cgroup() {
  echo $BASHPID >"$cpu_dir/runtime/cgroup.procs"
  exec "$@"
}

# Debian's registry on loopback with the images that are pulled.
start_registry() {
  cat >"$work/registry.yml" <<YML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $registry}}
http: {addr: "127.0.0.1:5000"}
YML
  docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
  registry_pid=$!
  local i
  for ((i = 0; i < 100; i++)); do
    ! bash -c 'exec 3<>/dev/tcp/127.0.0.1/5000' 2>/dev/null || return 0
    sleep 0.1
  done
  echo "the registry did not start:" >&2
  cat "$work/registry.log" >&2
  return 1
}

wait_for_socket() {
  local i
  for ((i = 0; i < 300; i++)); do
    [ ! -S /run/bench/runtime.sock ] || return 0
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
  done
  echo "the daemon did not open its socket:" >&2
  tail -n 20 "$work/log" >&2
  return 1
}

inside() {
  runtime=$1
  shift
  mkdir -p "$work"
  ip link set lo up
  mount --make-rshared / # as systemd does; containerd wants it
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/bench
  write_conflist
  start_registry
  "start_$runtime"
  if ! "$bin/wherry-bench" --endpoint unix:///run/bench/runtime.sock --image "$image" --log-root "$work/logs" \
    --cpu-cgroup "$cpu_dir" --cgroup-parent "/$cgroup/pods" --json "$work/report.json" --pull-repository 127.0.0.1:5000/bulk --daemon "$daemon" "$@"; then
    echo "the end of $runtime's own log:" >&2
    tail -n 15 "$work/log" >&2
    return 1
  fi
  kill "$daemon" "$registry_pid"
  wait "$registry_pid" || true
  wait "$daemon" || true # the daemon may tell the signal in its exit code
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
  exit
fi

# ---- outside

# pause_image FILE: containerd's sandbox container, as small as Kubernetes' own: a static program that waits.
pause_image() {
  local dir
  dir=$(mktemp -d "$scratch/pause.XXXXXX")
  cat >"$dir/pause.cc" <<'CC'
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>
static void end(int) { _exit(0); }
static void reap(int) { while (waitpid(-1, nullptr, WNOHANG) > 0) {} }
int main() {
  std::signal(SIGTERM, end);
  std::signal(SIGINT, end);
  std::signal(SIGCHLD, reap);
  while (true) pause();
}
CC
  g++ -Os -static -s -o "$dir/pause" "$dir/pause.cc"
  tar -C "$dir" --owner=0 --group=0 -cf "$dir/layer.tar" pause
  local diff_id config
  diff_id=$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$diff_id" >"$dir/config.json"
  config=$(sha256sum "$dir/config.json" | cut -d' ' -f1).json
  mv "$dir/config.json" "$dir/$config"
  printf '[{"Config":"%s","RepoTags":["docker.io/library/pause:bench"],"Layers":["layer.tar"]}]' "$config" >"$dir/manifest.json"
  tar -C "$dir" -cf "$1" manifest.json "$config" layer.tar
}

clean_up() {
  local status=$? dir left
  set +e
  # Pods' cgroups of a run that was cut short; their processes died with the PID namespace.
  for dir in /sys/fs/cgroup/"$cgroup" /sys/fs/cgroup/*/"$cgroup"; do
    [ ! -d "$dir" ] || find "$dir" -depth -type d -exec rmdir {} \;
  done
  [ -z "${KEEP:-}" ] && rm -rf "$scratch"
  left=$(ls -d /sys/fs/cgroup/"$cgroup" /sys/fs/cgroup/*/"$cgroup" 2>/dev/null; pgrep -f "$scratch/" | grep -vx $$)
  [ -z "$left" ] || echo "LEFT BEHIND: $left" >&2
  exit $status
}

# measure NAME START OPTIONS…: runs one runtime in namespaces of its own; its report goes to out/bench/NAME.json.
measure() {
  local name=$1 start=$2
  shift 2
  work=$scratch/$name
  mkdir -p "$work/logs"
  echo
  echo "== $name"
  work=$work cgroup=$cgroup cpu_dir=$cpu_dir images=$scratch/images image=$image registry=$scratch/registry \
    unshare --net --mount --pid --ipc --uts --fork --kill-child --mount-proc --propagation private \
    "$root/hack/bench.sh" --inside "$start" "$@"
  mkdir -p out/bench
  # What is deleted now would slow the next one down: ext4 passes over inodes that were in use a minute ago. It goes at the end.
  cp "$work/report.json" "out/bench/$name.json"
}

which=both
case ${1:-} in
  --peer) which=peer; shift ;;
  --wherry) which=wherry; shift ;;
  -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit ;;
esac

[ "$(id -u)" = 0 ] || { echo "hack/bench.sh: needs root, for namespaces and cgroups" >&2; exit 1; }
hack/deps.sh
cmake --preset release >/dev/null
if [ $which = peer ]; then programs=(wherry-bench); else programs=(all); fi
nice ninja -C build/release "${programs[@]}" | tail -n 1

image=docker.io/library/busybox:latest
cgroup=wherry-bench-$$
scratch=$(mktemp -d /var/tmp/wherry-bench.XXXXXX)
trap clean_up EXIT
trap 'exit 130' INT TERM
# The hierarchy that accounts for CPU: v1's cpuacct, else v2.
cpu_dir=/sys/fs/cgroup
[ ! -d /sys/fs/cgroup/cpuacct ] || cpu_dir=/sys/fs/cgroup/cpuacct
cpu_dir+=/$cgroup
mkdir -p "$cpu_dir/runtime" "$scratch/images"
hack/busybox-image.sh "$scratch/images/busybox.tar"
"$bin/wherry-bench" make-registry "$scratch/registry"

if [ $which != wherry ]; then
  hack/peer.sh
  pause_image "$scratch/images/pause.tar"
  measure peer containerd "$@"
fi
if [ $which != peer ]; then
  measure wherry wherryd "$@"
fi
if [ $which = both ]; then
  echo
  "$bin/wherry-bench" compare out/bench/peer.json out/bench/wherry.json
fi
