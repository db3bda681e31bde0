#!/bin/bash
# Runs a command as root in a virtual machine with Debian's own kernel: cgroup v2 alone and with all its controllers, AppArmor or SELinux,
# and what else this host's kernel lacks.   hack/vm.sh COMMAND…      e.g. hack/vm.sh build/release/test/integration_cgroup_v2
#                             hack/vm.sh --fetch       fetches the kernel only
#
# The machine's root is this host's, read over 9p and covered by memory, so that all programs are where they are here and nothing
# written lands on the host, but for the folder build/vm/share. The command runs in the current folder; its exit code is ours, and
# 126 when there was no boot. Up in some seconds, all in software: a /dev/kvm that is there need not work, and everything takes some
# ten times as long. There is no network.
# The kernel's package is unpacked below build/vm, not installed. Environment: VM_MEMORY in MiB (2048), VM_SECONDS until it is cut off (600),
# VM_SECURITY: apparmor, or selinux, which has the policy of test/e2e/selinux.cil then; MACHINE_KERNEL=backports for that kernel instead of the
# release's.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
. hack/machine.sh
vm=$machine
security=${VM_SECURITY:-apparmor}
mkdir -p "$vm/share"

init='
mount -t 9p -o ro,cache=loose,$p9 host /host && mount -t tmpfs memory /memory && mkdir /memory/upper /memory/work &&
  mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work,index=off root /root
for dir in dev proc sys run tmp; do mkdir -p "/root/$dir"; done
share=$(argument vm_share)
mount --move /dev /root/dev; mount --move /proc /root/proc; mount --move /sys /root/sys
mount -t tmpfs -o mode=755 run /root/run; mount -t tmpfs -o mode=1777 tmp /root/tmp
mount -t 9p -o $p9 share "/root$share"
exec switch_root /root "$share/start"'

make_start() {
  rm -f "$vm/share/result" "$vm/share/started"
  cat >"$vm/share/start" <<START
#!/bin/bash
echo >$vm/share/started
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mkdir -p /dev/pts /dev/shm /sys/fs/cgroup
mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts; ln -sf pts/ptmx /dev/ptmx; mount -t tmpfs shm /dev/shm
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs securityfs /sys/kernel/security
mkdir -p /lib/modules && mount --bind $kernel/lib/modules /lib/modules
ip link set lo up
[ $security != selinux ] || $PWD/hack/selinux.sh load $vm/share/policy || exit
cd $(printf %q "$here")
$(printf '%q ' "$@")
echo \$? >$vm/share/result
sync
poweroff -ff || echo o >/proc/sysrq-trigger
START
  chmod +x "$vm/share/start"
}

fetch_kernel
[ "${1:-}" != --fetch ] || exit 0
make_initrd "$vm/initrd.gz" "$init" virtio_pci 9pnet_virtio 9p overlay
make_start "$@"
[ "$security" != selinux ] || hack/selinux.sh compile "$vm/share/policy"
mapfile -t shares < <(share / host readonly; share "$vm/share" share)
timeout "${VM_SECONDS:-600}" qemu-system-x86_64 -accel "$(accelerator)" -cpu "$(cpu)" -m "${VM_MEMORY:-2048}" -smp 2 -nographic -no-reboot -nic none \
  -kernel "$(kernel_image)" -initrd "$vm/initrd.gz" -append "$(kernel_options) hugepages=8 apparmor=1 security=$security vm_share=$vm/share" "${shares[@]}" </dev/null
[ -e "$vm/share/started" ] || { echo "hack/vm.sh: the machine did not boot" >&2; exit 126; }
[ -e "$vm/share/result" ] || { echo "hack/vm.sh: the machine ended before the command" >&2; exit 125; }
exit "$(cat "$vm/share/result")"
