#!/bin/bash
# A Kubernetes node of our own in a virtual machine: Debian 12 with systemd, cgroup v2, AppArmor and Debian's kernel.
#
#   hack/node.sh up            makes the image if it is not there (two minutes, network), boots it (half a minute, no network)
#   hack/node.sh run COMMAND…  runs it as root in the node, in the current folder; its exit code is ours
#   hack/node.sh ssh           a shell in the node
#   hack/node.sh reboot        and waits until it is up again
#   hack/node.sh down          switches it off; what was written to its disk is gone
#
# The node sees this repository under the same path as here, but cannot write to it, except below build/node/share. Its console is
# in build/node/console.log. It has a network interface, but nothing behind it: qemu only lets our ssh in, at a port of the loopback.
# Environment: NODE_MEMORY in MiB (3072), NODE_SECONDS to wait for a boot, or for the end before a reboot (400), MACHINE_KERNEL=backports for
# that kernel instead of the release's, at a reboot too.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
. hack/machine.sh
source=$PWD
node=$source/build/node
share=$node/share

init='
mount -t ext4 /dev/vda /root
mkdir -p /root/lib/modules "/root$(argument node_source)"
mount -t 9p -o ro,cache=loose,$p9 modules /root/lib/modules
mount -t 9p -o ro,cache=loose,$p9 source "/root$(argument node_source)"
mount -t 9p -o $p9 share "/root$(argument node_share)"
umount /proc /sys
mount --move /dev /root/dev
exec switch_root /root /sbin/init'

running() { [ -e "$node/pid" ] && kill -0 "$(cat "$node/pid" 2>/dev/null)" 2>/dev/null; }

wait_up() {
  local end=$((SECONDS + ${NODE_SECONDS:-400}))
  until [ -s "$share/up" ]; do
    running || { tail -n 20 "$node/console.log" >&2; echo "hack/node.sh: the machine ended before it was up" >&2; return 1; }
    [ $SECONDS -lt $end ] || { tail -n 20 "$node/console.log" >&2; echo "hack/node.sh: the machine did not come up" >&2; return 1; }
    sleep 0.2
  done
}

# The port may be taken by somebody else: then qemu fails at once, and another is tried. A reboot ends it and gets another: on code that
# it has translated before, qemu boots up to six times slower.
start_qemu() {
  local port shares
  mapfile -t shares < <(share "$kernel/lib/modules" modules readonly; share "$source" source readonly; share "$share" share)
  for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    if qemu-system-x86_64 -accel "$(accelerator)" -cpu "$(cpu)" -m "${NODE_MEMORY:-3072}" -smp 2 -display none -no-reboot -daemonize -pidfile "$node/pid" \
      -serial "file:$node/console.log" -kernel "$(kernel_image)" -initrd "$node/initrd.gz" "${shares[@]}" \
      -drive "file=$node/run.img,if=virtio,format=raw,cache=unsafe" \
      -nic "user,model=virtio,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-rng-pci \
      -append "$(kernel_options) net.ifnames=0 apparmor=1 security=apparmor systemd.unified_cgroup_hierarchy=1 \
node_source=$source node_share=$share" 2>"$node/qemu.log"; then
      echo "$port" >"$node/port"
      return
    fi
  done
  cat "$node/qemu.log" >&2
  return 1
}

up() {
  ! running || { echo "the node is up" >&2; return; }
  fetch_kernel
  hack/node-image/build.sh
  mkdir -p "$share"
  rm -f "$share/up"
  cp --sparse=always --reflink=auto "$node/disk.img" "$node/run.img"
  make_initrd "$node/initrd.gz" "$init" virtio_pci virtio_blk crc32c_generic ext4 9pnet_virtio 9p
  start_qemu
  wait_up || { down; return 1; }
  echo "the node is up after $SECONDS s" >&2
}

down() {
  local pid
  if running; then
    pid=$(cat "$node/pid")
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  fi
  rm -f "$node/pid" "$node/run.img"
}

reboot() {
  local end=$((SECONDS + ${NODE_SECONDS:-400}))
  rm -f "$share/up"
  enter root@127.0.0.1 systemctl reboot || true
  while running; do
    [ $SECONDS -lt $end ] || { tail -n 20 "$node/console.log" >&2; echo "hack/node.sh: the machine did not end" >&2; return 1; }
    sleep 0.1
  done
  start_qemu
  wait_up
}

enter() {
  running || { echo "hack/node.sh: no node is up" >&2; exit 125; }
  ssh -F none -i "$node/key" -p "$(cat "$node/port")" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
    -o BatchMode=yes "$@"
}

case ${1:-} in
  up) up ;;
  run) enter root@127.0.0.1 "cd $(printf %q "$here") 2>/dev/null; $(printf '%q ' "${@:2}")" ;;
  ssh) enter -t root@127.0.0.1 ;;
  reboot) reboot ;;
  down) down ;;
  *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
