#!/bin/bash
# Runs a command as root in a virtual machine with Debian's own kernel: cgroup v2 alone and with all its controllers, and what else
# this host's kernel lacks.   hack/vm.sh COMMAND…      e.g. hack/vm.sh build/release/test/integration_cgroup_v2
#                             hack/vm.sh --fetch       fetches the kernel only
#
# The machine's root is this host's, read over 9p and covered by memory, so that all programs are where they are here and nothing
# written lands on the host, but for the folder build/vm/share. The command runs in the current folder; its exit code is ours, and
# 126 when there was no boot. Up in some seconds, all in software: a /dev/kvm that is there need not work, and everything takes some
# ten times as long. There is no network.
# The kernel's package is unpacked below build/vm, not installed. Environment: VM_MEMORY in MiB (2048), VM_SECONDS until it is cut off (600).
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
vm=$PWD/build/vm
mkdir -p "$vm/share"

# linux-image-amd64 names the present one.
download_kernel() {
  local package
  package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$package" ] && apt-get download -q "$package" >/dev/null 2>&1
}

fetch_kernel() {
  ! ls "$vm"/kernel/boot/vmlinuz-* >/dev/null 2>&1 || return 0
  local download
  echo "fetching Debian's kernel…" >&2
  download=$(mktemp -d "$vm/download.XXXXXX")
  chmod 755 "$download"
  (cd "$download" && { download_kernel || { apt-get update -q >/dev/null && download_kernel; }; }) ||
    { rm -rf "$download"; echo "hack/vm.sh: Debian's kernel cannot be fetched" >&2; return 1; }
  rm -rf "$vm/unpacked"
  dpkg-deb -x "$download"/*.deb "$vm/unpacked"
  rm -rf "$download"
  mv "$vm/unpacked" "$vm/kernel"
  depmod -b "$vm/kernel" "$(ls "$vm/kernel/lib/modules")"
}

# What it takes to reach the root: busybox, and the modules for 9p over virtio and for overlayfs.
make_initrd() {
  local release=$1 root=$vm/initrd module
  rm -rf "$root"
  mkdir -p "$root"/{bin,proc,sys,dev,host,memory,root,modules}
  cp /bin/busybox "$root/bin/"
  for module in virtio_pci 9pnet_virtio 9p overlay; do
    modprobe -d "$vm/kernel" -S "$release" --show-depends "$module"
  done | sed -n 's/^insmod //p' | awk '!seen[$1]++ {print $1}' >"$root/list"
  while read -r module; do cp "$module" "$root/modules/"; done <"$root/list"
  sed -i 's|.*/||' "$root/list"
  cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </list
options=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o ro,cache=loose,$options host /host && mount -t tmpfs memory /memory && mkdir /memory/upper /memory/work &&
  mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work,index=off root /root
for dir in dev proc sys run tmp; do mkdir -p "/root/$dir"; done
mount --move /dev /root/dev; mount --move /proc /root/proc; mount --move /sys /root/sys
mount -t tmpfs -o mode=755 run /root/run; mount -t tmpfs -o mode=1777 tmp /root/tmp
mount -t 9p -o $options share "/root$(sed -n 's/.* vm_share=\([^ ]*\).*/\1/p' /root/proc/cmdline)"
exec switch_root /root "$(sed -n 's/.* vm_share=\([^ ]*\).*/\1/p' /root/proc/cmdline 2>/dev/null || :)/start"
INIT
  chmod +x "$root/init"
  (cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1 >"$vm/initrd.gz")
}

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
mkdir -p /lib/modules && mount --bind $vm/kernel/lib/modules /lib/modules
ip link set lo up
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
release=$(ls "$vm/kernel/lib/modules")
make_initrd "$release"
make_start "$@"
share() { echo "local,path=$1,mount_tag=$2,security_model=none,multidevs=remap$3"; }
timeout "${VM_SECONDS:-600}" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m "${VM_MEMORY:-2048}" -smp 2 -nographic -no-reboot -nic none \
  -kernel "$vm/kernel/boot/vmlinuz-$release" -initrd "$vm/initrd.gz" -append "console=ttyS0 quiet panic=-1 vm_share=$vm/share" \
  -virtfs "$(share / host ,readonly=on)" -virtfs "$(share "$vm/share" share "")" </dev/null
[ -e "$vm/share/started" ] || { echo "hack/vm.sh: the machine did not boot" >&2; exit 126; }
[ -e "$vm/share/result" ] || { echo "hack/vm.sh: the machine ended before the command" >&2; exit 125; }
exit "$(cat "$vm/share/result")"
