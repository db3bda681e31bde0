#!/bin/bash
# SELinux for a machine that has none: the policy of test/e2e/selinux.cil, with the contexts of containers that go with it.
#   hack/selinux.sh compile FILE
#   hack/selinux.sh load FILE      for a virtual machine alone: what runs already gets a label, and from then on the policy is enforced
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
  {
    printf '(category c%d)\n' {0..1023}
    echo "(categoryorder ($(printf ' c%d' {0..1023})))"
  } >"$1.categories"
  secilc -c 33 -o "$1" -f /dev/null test/e2e/selinux.cil "$1.categories"
}

load() {
  mkdir -p /etc/selinux/wherry/contexts
  echo SELINUXTYPE=wherry >/etc/selinux/config
  cat >/etc/selinux/wherry/contexts/lxc_contexts <<CONTEXTS
process = "system_u:system_r:container_t:s0"
file = "system_u:object_r:container_file_t:s0"
ro_file = "system_u:object_r:layer_file_t:s0"
CONTEXTS
  mount -t selinuxfs selinuxfs /sys/fs/selinux
  # One write: the kernel takes a whole policy or none.
  dd if="$1" of=/sys/fs/selinux/load bs="$(stat -c %s "$1")" status=none
  echo 1 >/sys/fs/selinux/enforce
}

"$@"
