#!/bin/bash
# Runs the cgroup tests on a host with cgroup v2 alone and all its controllers: a virtual machine with Debian's kernel, which
# takes half a minute without hardware virtualisation.   test/integration/cgroup/run-in-vm.sh [TEST PROGRAM…]
#
# Needs qemu-system-x86 and busybox-static; the kernel's package is downloaded and unpacked below build/vm, not installed.
set -euo pipefail
cd "$(dirname "$0")/../../.."
programs=("$@")
[ ${#programs[@]} -gt 0 ] || programs=(build/dev/test/integration_cgroup build/dev/test/integration_cgroup_v2)
command -v qemu-system-x86_64 >/dev/null || { echo "$0: apt-get install qemu-system-x86" >&2; exit 1; }

vm=$PWD/build/vm
mkdir -p "$vm"
if ! ls "$vm"/kernel/boot/vmlinuz-* >/dev/null 2>&1; then
  package=$(apt-cache depends linux-image-amd64 | sed -n 's/ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
  (cd "$vm" && apt-get download -q "$package" && dpkg-deb -x "$package"_*.deb kernel && rm "$package"_*.deb)
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,proc,sys,dev,tmp}
cp /bin/busybox "$root/bin/"
for program in "${programs[@]}"; do
  strip -o "$root/bin/$(basename "$program")" "$program"
  for library in $(ldd "$program" | grep -o '/[^ ]*'); do
    mkdir -p "$root/$(dirname "$library")"
    cp -L "$library" "$root/$library"
  done
done
cat >"$root/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /tmp
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
echo "kernel \$(uname -r), controllers: \$(cat /sys/fs/cgroup/cgroup.controllers)"
failed=0
for program in ${programs[*]##*/}; do \$program || failed=1; done
ls /sys/fs/cgroup | grep wherry && failed=1
echo "VM result: \$failed"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$vm/initrd.gz")
timeout 600 qemu-system-x86_64 -accel tcg -m 1024 -smp 2 -nographic -no-reboot -kernel "$vm"/kernel/boot/vmlinuz-* \
  -initrd "$vm/initrd.gz" -append "console=ttyS0 quiet panic=-1" </dev/null | tee "$vm/log"
grep -q '^VM result: 0' "$vm/log"
