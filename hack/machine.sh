# What vm.sh and node.sh share, to be sourced at the top of the repository: Debian's kernel, an initrd that finds the root, and qemu.
# shellcheck shell=bash
# MACHINE_KERNEL: empty for the release's own kernel, or backports.
case ${MACHINE_KERNEL:-} in "" | backports) ;; *) echo "MACHINE_KERNEL: \"$MACHINE_KERNEL\" is not backports" >&2; exit 2 ;; esac
machine=$PWD/build/vm
kernel=$machine/kernel${MACHINE_KERNEL:+-$MACHINE_KERNEL}
apt_options=()
mkdir -p "$machine"

# linux-image-amd64 names the present one.
download_kernel() {
  local package
  package=$(apt-cache "${apt_options[@]}" depends linux-image-amd64 2>/dev/null | sed -n 's/ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$package" ] && apt-get "${apt_options[@]}" download -q "$package" >/dev/null 2>&1
}

# The backports lie beside the release in the same archive. apt is to know them here only.
use_backports() {
  local archive codename apt=$machine/apt
  read -r archive codename < <(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' | awk '$2 !~ /-/ {print; exit}')
  mkdir -p "$apt/lists/partial" "$apt/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $codename-backports main" >"$apt/sources.list"
  apt_options=(-o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt")
}

# Unpacks the kernel's package below build/vm, once; nothing is installed.
fetch_kernel() {
  ! ls "$kernel"/boot/vmlinuz-* >/dev/null 2>&1 || return 0
  [ "${MACHINE_KERNEL:-}" != backports ] || use_backports
  local download
  echo "fetching Debian's kernel…" >&2
  download=$(mktemp -d "$machine/download.XXXXXX")
  chmod 755 "$download"
  (cd "$download" && { download_kernel || { apt-get "${apt_options[@]}" update -q >/dev/null && download_kernel; }; }) ||
    { rm -rf "$download"; echo "Debian's kernel cannot be fetched" >&2; return 1; }
  rm -rf "$machine/unpacked"
  dpkg-deb -x "$download"/*.deb "$machine/unpacked"
  rm -rf "$download"
  mv "$machine/unpacked" "$kernel"
  depmod -b "$kernel" "$(kernel_release)"
}

kernel_release() { ls "$kernel/lib/modules"; }
kernel_image() { echo "$kernel/boot/vmlinuz-$(kernel_release)"; }

# make_initrd FILE INIT MODULE…: busybox, the modules with what they need, and INIT, the text of a script that mounts the root at
# /root and ends in switch_root. Before it run the mounts of /proc, /sys and /dev and insmod.
make_initrd() {
  local file=$1 init=$2 root module
  shift 2
  root=$(mktemp -d "$machine/initrd.XXXXXX")
  mkdir -p "$root"/{bin,proc,sys,dev,host,memory,root,modules}
  cp /bin/busybox "$root/bin/"
  for module in "$@"; do
    modprobe -d "$kernel" -S "$(kernel_release)" --show-depends "$module"
  done | sed -n 's/^insmod //p' | awk '!seen[$1]++ {print $1}' >"$root/list"
  while read -r module; do cp "$module" "$root/modules/"; done <"$root/list"
  ! ls "$root"/modules/*.xz >/dev/null 2>&1 || xz -d "$root"/modules/*.xz
  sed -i 's|.*/||; s|\.xz$||' "$root/list"
  cat >"$root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </list
p9=trans=virtio,version=9p2000.L,msize=512000
argument() { sed -n "s/.* $1=\([^ ]*\).*/\1/p" /proc/cmdline; }
INIT
  echo "$init" >>"$root/init"
  chmod +x "$root/init"
  (cd "$root" && find . | cpio -o -H newc 2>/dev/null | gzip -1 >"$file.new")
  mv "$file.new" "$file"
  rm -rf "$root"
}

# A /dev/kvm that is there need not work: only a machine that has booted and gone with it proves it. Asked once.
accelerator() {
  local answer=$machine/accelerator
  if [ ! -e "$answer" ]; then
    echo tcg,thread=multi >"$answer.new"
    if [ -w /dev/kvm ]; then
      make_initrd "$machine/probe.gz" 'poweroff -f'
      ! timeout -k 1 10 qemu-system-x86_64 -accel kvm -cpu host -m 256 -display none -nic none -no-reboot \
        -kernel "$(kernel_image)" -initrd "$machine/probe.gz" -append "panic=-1 quiet" </dev/null >/dev/null 2>&1 ||
        echo kvm >"$answer.new"
    fi
    mv "$answer.new" "$answer"
  fi
  cat "$answer"
}

# The CPU, and what all kernels are told. Emulated string instructions go one word or even byte at a time: kernels that clear and copy
# pages with them take three times as long for a page fault as with plain moves.
emulated() { [ "$(accelerator)" != kvm ]; }
cpu() { if emulated; then echo max,erms=off; else echo max; fi; }
kernel_options() { echo "console=ttyS0 quiet panic=-1$(! emulated || echo " clearcpuid=rep_good")"; }

# share PATH TAG [readonly]: qemu's arguments for a folder of this host that the machine mounts over 9p.
share() { printf '%s\n' -virtfs "local,path=$1,mount_tag=$2,security_model=none,multidevs=remap${3:+,readonly=on}"; }
