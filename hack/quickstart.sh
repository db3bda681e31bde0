#!/bin/bash
# A first look at wherry: builds it, starts it, runs two pods that talk over a network, looks into them, and takes all down
# again. Run it as root on a Debian 12 machine; it installs what it needs, and a second run is quick.
#
# A container runtime is a daemon to which Kubernetes says over a socket: make a pod, run this container in it, what is its
# state, stop it. `wherry`, the command line used below, says the same things over the same socket (the protocol is called
# CRI), so what you see here is what a Kubernetes node does.
#
# Nothing of this touches your machine: the daemon and its pods get a network, a mount table and process numbers of their
# own (see `man unshare`), files below a temporary directory, and one cgroup that is removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=$root/build/release/bin

# step TEXT COMMAND…: says what happens, does it, says how long it took.
step() {
  local text=$1 begin end
  shift
  printf '\n\e[1m%s\e[0m\n' "$text"
  begin=$(date +%s%N)
  "$@"
  end=$(date +%s%N)
  printf '\e[2m   %d.%03d s\e[0m\n' $(((end - begin) / 1000000000)) $(((end - begin) / 1000000 % 1000))
}
# show COMMAND…: prints a command as you would type it, then its output.
show() {
  printf '   $ %s\n' "${*//$bin\//}"
  "$@" 2>&1 | sed 's/^/   | /'
}

# ---- What happens inside the namespaces

# One network for all pods: a bridge, which is a switch inside the kernel, with one end of a virtual cable in each pod.
# Kubernetes' own network plugins are configured by files like this one, and wherry's read the same.
write_configuration() {
  mkdir -p "$scratch/net.d"
  cat >"$scratch/net.d/10-quickstart.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "quickstart", "plugins": [{
  "type": "bridge", "bridge": "wherry0", "isGateway": true,
  "ipam": {"type": "host-local", "dataDir": "$scratch/leases", "ranges": [[{"subnet": "10.88.0.0/24"}]],
           "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
  cat >"$scratch/config.toml" <<TOML
root = "$scratch/root"
state = "/run/wherry"
socket = "/run/wherry/wherry.sock"
cgroup_driver = "cgroupfs"
cgroup_parent = "/$cgroup"
[cni]
conf_dir = "$scratch/net.d"
bin_dirs = ["$bin/cni"]
cache_dir = "$scratch/cni-cache"
[log]
level = "warn"
TOML
}

start_daemon() {
  "$bin/wherryd" --config "$scratch/config.toml" >"$scratch/wherryd.log" 2>&1 &
  daemon=$!
  local i
  for ((i = 0; i < 500; i++)); do
    if "$bin/wherry" pods >/dev/null 2>&1; then return; fi
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.02
  done
  echo "wherryd did not start:" >&2
  cat "$scratch/wherryd.log" >&2
  return 1
}

start_web() {
  show "$bin/wherry" run -d --name web busybox httpd -f -vv -p 80 -h /www
  address=$("$bin/wherry" pods -o json | jq -r '.[] | select(.name == "web") | .ip')
  echo "   its address on the bridge: $address"
}

start_client() {
  # The container lives on after the fetch, so that there is something to look into.
  show "$bin/wherry" run -d --name client busybox sh -c \
    "echo asking $address; until wget -q -O - http://$address/; do sleep 0.1; done; echo done; exec sleep 1000"
  local i
  for ((i = 0; i < 300; i++)); do
    if "$bin/wherry" logs client 2>/dev/null | grep -q '^done$'; then return; fi
    sleep 0.1
  done
  echo "   the client did not get the page" >&2
  return 1
}

look_inside() {
  show "$bin/wherry" exec web hostname
  show "$bin/wherry" exec web ps
  show "$bin/wherry" exec client ip -o -4 addr show eth0
  show "$bin/wherry" exec client ping -c 1 -W 2 10.88.0.1
}

show_logs() {
  show "$bin/wherry" logs web
  show "$bin/wherry" logs client
}

# A pod and its container may have the same name; "default/web" is the pod web of the namespace default.
remove_pods() { show "$bin/wherry" rm -f default/web default/client; }

# Everything that a pod is made of, as the kernel and the disk see it. What serves all pods stays for the next one: the
# bridge, and the empty directories and cgroups in which pods get theirs.
census() {
  local processes=(/proc/[0-9]*) # no program is started to count them, which would be one more
  echo "mounts:       $(wc -l </proc/self/mountinfo)"
  echo "processes:    ${#processes[@]}"
  echo "interfaces:   $(ip -o link | grep -vc ' wherry0:')"
  echo "cgroups:      $(find /sys/fs/cgroup -path "*/$cgroup/*/*" -type d | wc -l)"
  echo "addresses:    $(find "$scratch/leases" -name '[0-9]*.[0-9]*' 2>/dev/null | wc -l)"
  echo "pods' files:  $(find /run/wherry/*/ "$scratch"/root/containers -mindepth 1 2>/dev/null | wc -l)"
  echo "log files:    $(find /var/log -type f | wc -l)"
  echo "containers:   $("$bin/wherry" ps -a -o json | jq length), pods: $("$bin/wherry" pods -o json | jq length)"
}

# The kernel takes the interfaces of a namespace that nobody uses any more away by itself, a moment later on a busy machine.
compare_census() {
  local i
  for ((i = 0; i < 500; i++)); do
    census >"$scratch/after"
    ! cmp -s "$scratch/before" "$scratch/after" || break
    sleep 0.02
  done
  sed 's/^/   | /' "$scratch/after"
  if diff "$scratch/before" "$scratch/after"; then
    echo "   the same as before the first pod"
  else
    echo "   LEFT BEHIND: see the lines with > above (before: <)" >&2
    return 1
  fi
}

inside() {
  ip link set lo up
  # Fresh, empty directories over the machine's; they vanish with this mount table.
  mount -t tmpfs -o mode=755 tmpfs /run
  mount -t tmpfs -o mode=755 tmpfs /var/log
  write_configuration
  step "3. Start the daemon" start_daemon
  step "4. Give it the image" show "$bin/wherry" image import "$scratch/busybox.tar"
  census >"$scratch/before"
  step "5. Run a web server in a pod of its own" start_web
  step "6. Run a second pod that fetches the page over the network" start_client
  step "7. What runs now" show "$bin/wherry" ps
  step "8. Run commands inside them" look_inside
  step "9. What they printed" show_logs
  step "10. Remove both pods" remove_pods
  step "11. Is anything left of them?" compare_census
  kill "$daemon"
  wait "$daemon" || true
}

if [ "${1:-}" = --inside ]; then
  inside
  exit
fi

# ---- What happens outside of them

[ "$(id -u)" = 0 ] || { echo "hack/quickstart.sh: needs root, as every container runtime does" >&2; exit 1; }
cgroup=wherry-quickstart-$$
scratch=$(mktemp -d /var/tmp/wherry-quickstart.XXXXXX)

# The end, also of a run that fails. All processes have died with their PID namespace, mounts and interfaces with theirs;
# files and cgroups are what is left to remove. A cgroup that holds a process cannot be removed, so this is a check as well.
clean_up() {
  local status=$? left
  set +e
  [ $status = 0 ] || [ ! -s "$scratch/wherryd.log" ] || { echo "wherryd's log:"; tail -n 20 "$scratch/wherryd.log"; } >&2
  find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} \;
  rm -rf "$scratch"
  left=$(find /sys/fs/cgroup -type d -path "*/$cgroup*"; ls -d "$scratch" 2>/dev/null
    grep -h "$scratch" /proc/self/mountinfo)
  if [ -n "$left" ]; then
    printf 'LEFT BEHIND:\n%s\n' "$left" >&2
    exit 1
  fi
  [ $status != 0 ] || printf '\nNothing is left: no process, mount, interface, cgroup or file. Took %d s.\n' "$SECONDS"
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM

build() {
  hack/deps.sh
  cmake --preset release >/dev/null
  nice ninja -C build/release wherryd wherry wherry-shim wherry-pull wherry-cni | tail -n 1 | sed 's/^/   | /'
}

step "1. Build wherry" build
step "2. Make a small image from Debian's busybox: a shell and some 300 commands in one file" \
  hack/busybox-image.sh "$scratch/busybox.tar"
scratch=$scratch cgroup=$cgroup unshare --net --mount --pid --ipc --uts --fork --kill-child --mount-proc \
  --propagation private "$root/hack/quickstart.sh" --inside
