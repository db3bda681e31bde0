#!/bin/bash
# Builds wherry and runs its tests.
#
#   hack/test.sh                         everything, on a fresh Debian 12 as root: what CI runs
#   hack/test.sh build lint unit …       some stages: build lint unit root e2e vm node fuzz asan tsan
#   hack/test.sh -t PROGRAM [FILTER]     one test program, with a GoogleTest filter such as 'Suite.Case*'
#
# Environment: PRESET (release), FUZZ_SECONDS a target (10), TIME_LIMIT in minutes (38), TIDY_BUDGET (see lint.sh), MACHINE_KERNEL=backports
# for that kernel in vm and node.
#
# Tests that need root run in network, mount, PID, IPC and UTS namespaces made here, with a /run and /var/lib/wherry of
# their own, so that they cannot touch the machine's interfaces, mounts or processes; what they leave behind in those
# namespaces, or below the machine's cgroups, is a failure. The last line counts GoogleTest cases, and each lint run,
# fuzz target or stage that has none as one. A case that needs another host than one of the stages has is skipped there;
# as skipped counts what has passed in no stage.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
preset=${PRESET:-release}
build=$root/build/$preset
time_limit=$((${TIME_LIMIT:-38} * 60))
passed=0 failed=0 skipped=0
out=$(mktemp -d /tmp/wherry-test.XXXXXX)
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
export WHERRY_CASES=${WHERRY_CASES:-$out/cases} # "passed" or "skipped", program and case a line, of all stages
finished=
trap 'rm -rf "$out"; [ -n "$finished" ] || { fail "hack/test.sh stopped early"; summary; exit 1; }' EXIT

# Not of leaks: a streaming server that ends amid sessions leaves them in a circle, with the process that ends.
sanitizer_report='WARNING: ThreadSanitizer|ERROR: AddressSanitizer|:[0-9]+: runtime error: '

say() { printf '\n== %s (%s)\n' "$1" "$(date -u -d "@$SECONDS" +%M:%S)"; }
fail() { echo "FAILED $*"; failed=$((failed + 1)); }
skip() { echo "SKIPPED $*"; skipped=$((skipped + 1)); }

# labelled BUILD LABEL: name, seconds it may take and program of each test with this label, by CTest's own list.
labelled() {
  ctest --test-dir "$1" --show-only=json-v1 | jq -r --arg want "$2" '.tests[] |
    (.properties | map({(.name): .value}) | add) as $p | select($p.LABELS | index($want)) |
    [.name, $p.TIMEOUT, .command[0]] | @tsv'
}

# run_program REPORTS NAME SECONDS PROGRAM: one test program, its report and output into REPORTS. The output goes to a
# file, not through a pipe, so that a process which the test leaves behind does not keep us waiting. From WHERRY_UNTIL on, none starts.
run_program() {
  local reports=$1 name=$2 seconds=$3 program=$4 status=0
  [ "$EPOCHSECONDS" -lt "${WHERRY_UNTIL:-9999999999}" ] || { : >"$reports/$name.late"; return 0; }
  GTEST_OUTPUT=json:$reports/$name.json timeout -k 5 "$seconds" "$program" >"$reports/$name.log" 2>&1 </dev/null ||
    status=$?
  [ -e "$reports/$name.json" ] && return 0
  # Fuzz targets on their seeds are no GoogleTest programs: each is one case.
  [[ $status != 0 || $name != fuzz_* ]] || { : >"$reports/$name.passed"; return 0; }
  [ $status != 124 ] || status="$status, that is more than $seconds s"
  echo "$status" >"$reports/$name.died"
}

# report REPORTS NAME: adds up the cases of one program, and prints each failure and each skip with its reason.
report() {
  local json=$1/$2.json log=$1/$2.log p f
  if [ -e "$1/$2.died" ]; then
    tail -n 60 "$log"
    fail "($2) ended without a report: exit code $(cat "$1/$2.died")"
    return
  fi
  if [ -e "$1/$2.passed" ]; then
    passed=$((passed + 1))
    return
  fi
  if [ -e "$1/$2.late" ]; then
    echo "$2" >>"$WHERRY_LATE"
    return
  fi
  jq -r --arg program "$2" '.testsuites[].testsuite[] | (if .failures then "failed" elif .result == "COMPLETED" then "passed"
    elif .result == "SKIPPED" or .result == "SUPPRESSED" then "skipped" else empty end) + " (" + $program + ") " +
    .classname + "." + .name' "$json" >"$1/$2.cases"
  cat "$1/$2.cases" >>"$WHERRY_CASES"
  p=$(grep -c '^passed' "$1/$2.cases" || true)
  f=$(grep -c '^failed' "$1/$2.cases" || true)
  passed=$((passed + p)) failed=$((failed + f))
  # Of a program that a test started: not every one's exit code is looked at.
  if grep -qE "$sanitizer_report" "$log"; then
    grep -E -m 1 -A 60 "$sanitizer_report" "$log"
    fail "($2) a sanitizer has found something"
  fi
  # The text between a failing or skipped case's start and end; GoogleTest keeps no reasons in its report.
  awk -v program="$2" '/^\[ RUN      \]/ { text = ""; next }
    /^\[  FAILED  \].*ms\)$/ { print text "FAILED (" program ") " $4 }
    /^\[  SKIPPED \].*ms\)$/ { sub(/^[^\n]*: Skipped\n/, "", text); gsub(/\n/, " ", text)
                              print "SKIPPED (" program ") " $4 ": " text }
    /^\[ DISABLED \]/ { print "SKIPPED (" program ") " $4 ": disabled" }
    { text = text $0 "\n" }' "$log"
}

# run_label LABEL BUILD JOBS: all test programs with the label, those first that follow the WHERRY_FIRST-th; a program that dies without a
# report is one failure.
run_label() {
  local label=$1 dir=$2 jobs=$3 reports names name
  reports=$(mktemp -d "$out/$label.XXXX")
  labelled "$dir" "$label" >"$reports/list"
  names=$(cut -f1 "$reports/list")
  if [ -z "$names" ]; then
    skip "$label: no test program has this label"
    return
  fi
  local first=$((${WHERRY_FIRST:-0} % $(wc -l <"$reports/list")))
  { tail -n +$((first + 1)) "$reports/list"; head -n $first "$reports/list"; } >"$reports/rotated"
  export WHERRY_BIN_DIR=$dir/bin
  export -f run_program
  tr '\t' '\n' <"$reports/rotated" | xargs -P "$jobs" -n 3 bash -c 'run_program "$@"' _ "$reports"
  for name in $names; do report "$reports" "$name"; done
}

stage_build() {
  cmake --preset "$preset" >"$out/cmake" || { cat "$out/cmake"; fail "cmake"; finish; }
  nice ninja -C "$build" >"$out/ninja" || { grep -vE '^\[[0-9]+/' "$out/ninja" | tail -n 60; fail "build"; finish; }
  tail -n 1 "$out/ninja"
}

stage_lint() {
  if hack/lint.sh >"$out/lint"; then passed=$((passed + 1)); else fail "lint"; fi
  cat "$out/lint"
  skipped=$((skipped + $(grep -c '^SKIPPED' "$out/lint" || true)))
}

stage_unit() { run_label unit "$build" "$(nproc)"; }

# in_namespaces COMMAND…: the sandbox of root tests. bash stays as its PID 1, so that orphans are reaped.
in_namespaces() {
  unshare --net --mount --pid --ipc --uts --fork --kill-child --mount-proc --propagation private \
    bash -c 'set -e
      ip link set lo up
      mount -t tmpfs -o mode=755 tmpfs /run
      for dir in /var/lib/wherry /var/lib/cni; do
        mkdir -p $dir && mount -t tmpfs -o mode=755 tmpfs $dir
      done
      "$@"; exit $?' _ "$@"
}

cgroups() { find /sys/fs/cgroup -type d -name '*wherry*' 2>/dev/null | sort; }

# root_tests: runs inside in_namespaces, as a second run of this script; counts go out through a file.
root_tests() {
  local label=$1 before after
  what_is_left() { cut -d' ' -f5 /proc/self/mountinfo | sort; ip -o link | cut -d: -f2; ls /run /var/lib/wherry; }
  before=$(what_is_left)
  run_label "$label" "$build" 1
  after=$(what_is_left)
  diff <(echo "$before") <(echo "$after") >"$out/left" || { cat "$out/left"; fail "$label: left behind (above)"; }
  # Orphans in this PID namespace, besides bash, us and what we run.
  local pid left=""
  for pid in $(ls /proc | grep -E '^[0-9]+$'); do
    [ "$pid" -gt 1 ] && [ "$pid" != $$ ] && [ "$(awk '/^PPid/ {print $2}' "/proc/$pid/status" 2>/dev/null)" = 1 ] &&
      left+=" $pid:$(tr '\0' ' ' <"/proc/$pid/cmdline")"
  done
  [ -z "$left" ] || fail "$label: processes left behind:$left"
  echo "$passed $failed $skipped" >"$WHERRY_COUNTS"
}

run_as_root() {
  local label=$1 before after p f s
  if [ "$(id -u)" != 0 ]; then
    skip "$label: needs root"
    return
  fi
  before=$(cgroups)
  export WHERRY_COUNTS=$out/counts.$label PRESET=$preset
  in_namespaces "$root/hack/test.sh" --inside "$label" || true
  if read -r p f s <"$WHERRY_COUNTS"; then
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  else
    fail "$label: the run ended early"
  fi 2>/dev/null
  after=$(cgroups)
  # Elsewhere somebody else's wherry may come meanwhile; CI's machine is ours alone.
  local left
  left=$(comm -13 <(echo "$before") <(echo "$after"))
  [ -z "${CI:-}" ] || [ -z "$left" ] || { echo "$left"; fail "$label: cgroups left behind (above)"; }
}

stage_root() { run_as_root root; }
stage_e2e() { run_as_root e2e; }

# What this host's kernel may lack: cgroup v2 with all its controllers, AppArmor, bridges that filter VLANs, SCTP, and the answers of
# older kernels. A program and its filter a line.
in_vm='shim_server_test ProcessIdTest.*
integration_cgroup -*V1Freezer*:*WhatCannotBeKilled*
integration_cgroup_v2 -*ALimitWithout*
cni_bridge_test BridgeVlanTest.*
cni_chained_test PortmapTest.Sctp*:PortmapTest.FromEverywhere
wherry_e2e LimitsTest.*:UpdateTest.*:StatsTest.*:PodsTest.ContainerSees*:PodsTest.TwoPods*:PodsTest.Exit*:RestartTest.Killed*:AppArmorTest.*
wherry_faults FaultsTest.AFrozenContainer'

# The same with SELinux instead of AppArmor.
in_selinux_vm='integration_process Overlay.*Label*
wherry_e2e SelinuxTest.*'

stage_vm() {
  if [ "$(id -u)" != 0 ]; then
    skip "vm: needs root"
    return
  fi
  hack/vm.sh --fetch || { skip "vm: Debian's kernel cannot be fetched"; return; }
  tests_in_vm apparmor "$in_vm"
  if [ $SECONDS -gt $((time_limit * 85 / 100)) ]; then
    skip "vm with SELinux: $((SECONDS / 60)) of $((time_limit / 60)) minutes are used up"
    return
  fi
  tests_in_vm selinux "$in_selinux_vm"
}

# tests_in_vm SECURITY LIST
tests_in_vm() {
  local reports=$root/build/vm/share/reports status=0
  rm -rf "$reports"
  mkdir -p "$reports"
  awk '{print $1, 400, $2}' <<<"$2" >"$reports/list"
  PRESET=$preset VM_SECURITY=$1 hack/vm.sh hack/test.sh --in-machine "$reports" >"$out/vm" 2>&1 || status=$?
  if [ $status = 126 ]; then
    tail -n 20 "$out/vm"
    skip "vm: the machine with $1 did not boot"
    return
  fi
  report_machine "$reports" "$out/vm" $status
}

# machine_tests REPORTS: inside of a virtual machine, as a second run of this script; REPORTS/list has a program, seconds and a filter a line.
machine_tests() {
  local name seconds filter
  modprobe -a bridge veth overlay tun
  export WHERRY_BIN_DIR=$build/bin
  export -f run_program
  while read -r name seconds filter; do
    GTEST_FILTER=$filter in_namespaces bash -c 'run_program "$@"' _ "$1" "$name" "$seconds" "$build/test/$name"
  done <"$1/list"
}

# report_machine REPORTS LOG STATUS: of all programs in its list, once the machine's run of this script has ended with STATUS.
report_machine() {
  local name
  while read -r name _; do
    if [ -e "$1/$name.json" ] || [ -e "$1/$name.died" ]; then report "$1" "$name"
    else
      tail -n 40 "$2"
      fail "$name did not run in the machine (exit code $3)"
    fi
  done <"$1/list"
}

# What CI runs in the node besides: a container's start and exec on the kernel, disk and cgroups of a node. A program and its filter a line.
node_list='integration_process *'

# boot_node: false, with the reason said, where there can be none.
boot_node() {
  if [ "$(id -u)" != 0 ]; then
    skip "node: needs root"
    return 1
  fi
  hack/node.sh down
  if ! hack/node.sh up 2>"$out/node"; then
    tail -n 20 "$out/node"
    skip "node: none can be made or booted here"
    return 1
  fi
  reports=$root/build/node/share/reports
  rm -rf "$reports"
  mkdir -p "$reports"
}

# A whole node with systemd and wherry's package: what becomes of pods when the service, the package or the node come and go.
stage_node() {
  local reports
  if [ $SECONDS -gt $((time_limit * 8 / 10)) ]; then
    skip "node: $((SECONDS / 60)) of $((time_limit / 60)) minutes are used up"
    return
  fi
  boot_node || return 0
  hack/busybox-image.sh "$root/build/node/share/busybox.tar" >/dev/null
  hack/node-image/build.sh --image
  in_node integration_cgroup_systemd integration_cgroup_systemd '*'
  awk '{print $1, 400, $2}' <<<"$node_list" >"$reports/list"
  programs_in_node
  in_node points wherry_node '*SystemdPointsTest.*'
  in_node before wherry_node 'ServiceTest.*:OomTest.*:PackageTest.*:NodeImageTest.*:BeforeRebootTest.*'
  if hack/node.sh reboot; then in_node after wherry_node 'AfterRebootTest.*'; else fail "node: it did not come back from a reboot"; fi
  hack/node.sh down
}

# All integration and end-to-end tests in the node: too slow for CI.
stage_node-all() {
  local reports
  boot_node || return 0
  { labelled "$build" root; labelled "$build" e2e; } | awk '$1 != "integration_cgroup_systemd" {print $1, $2 * 10, "*"}' >"$reports/list"
  programs_in_node
  hack/node.sh down
}

# programs_in_node: those of REPORTS/list. End-to-end tests keep their files on the node's disk, as a node does.
programs_in_node() {
  local status=0
  hack/node.sh run env PRESET="$preset" WHERRY_E2E_DISK=/var/tmp hack/test.sh --in-machine "$reports" >"$out/node" 2>&1 </dev/null || status=$?
  report_machine "$reports" "$out/node" $status
}

# in_node NAME PROGRAM FILTER: some of a program's cases; one that hangs ends with the node.
in_node() {
  timeout 400 hack/node.sh run env WHERRY_NODE_IMAGE="$root/build/node/share/busybox.tar" \
    GTEST_OUTPUT="json:$reports/$1.json" GTEST_FILTER="$3" "$build/test/$2" >"$reports/$1.log" 2>&1 </dev/null || echo $? >"$reports/$1.status"
  [ -e "$reports/$1.json" ] || cp "$reports/$1.status" "$reports/$1.died"
  local before=$failed
  report "$reports" "$1"
  # What fails before a suite's first case is in no case.
  [ ! -e "$reports/$1.status" ] || [ "$failed" -gt "$before" ] ||
    { tail -n 60 "$reports/$1.log"; fail "($1) exit code $(cat "$reports/$1.status")"; }
  grep '^served ' "$reports/$1.log" || true
}

stage_fuzz() {
  if [ $SECONDS -gt $((time_limit * 8 / 10)) ]; then
    skip "fuzz: $((SECONDS / 60)) of $((time_limit / 60)) minutes are used up"
    return
  fi
  cmake --preset fuzz >"$out/cmake" || { cat "$out/cmake"; fail "fuzz: cmake"; return; }
  nice ninja -C build/fuzz fuzzers >"$out/ninja" ||
    { grep -vE '^\[[0-9]+/' "$out/ninja" | tail -n 40; fail "fuzz: build"; return; }
  local target name seeds any=
  for target in build/fuzz/test/*fuzz*; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    any=1 name=$(basename "$target")
    mkdir -p "build/fuzz/corpus/$name"
    # The ordinary build of a target knows its seeds.
    seeds=$build/test/$name
    [ ! -x "$seeds" ] || "$seeds" --write-seeds "build/fuzz/corpus/$name" >/dev/null
    if "$target" -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=1024 -artifact_prefix="build/fuzz/$name-" \
      "build/fuzz/corpus/$name" >"$out/fuzz" 2>&1; then
      passed=$((passed + 1))
      echo "$name: $(grep -oE '^Done [0-9]+ runs' "$out/fuzz" || tail -n 1 "$out/fuzz")"
    else
      tail -n 40 "$out/fuzz"
      fail "fuzz $name"
    fi
  done
  [ -n "$any" ] || skip "fuzz: there are no fuzz targets"
}

# sanitized PRESET NAME: the unit and integration tests again, built with these sanitizers. Cases count only where they fail: they passed once
# already. What the time limit cuts off comes first at some later commit; `PRESET=asan hack/test.sh unit root e2e` takes all the time it needs.
sanitized() {
  if [ $SECONDS -gt $((time_limit * 8 / 10)) ]; then
    skip "$1: $((SECONDS / 60)) of $((time_limit / 60)) minutes are used up"
    return
  fi
  cmake --preset "$1" >"$out/cmake" || { cat "$out/cmake"; fail "$1: cmake"; return; }
  local programs
  programs="$({ labelled "build/$1" unit; labelled "build/$1" root; } | cut -f1) wherryd wherry-shim wherry-pull wherry-cni"
  # shellcheck disable=SC2086
  if ! timeout $((time_limit - SECONDS - 60)) nice ninja -C "build/$1" $programs >"$out/ninja"; then
    if [ $SECONDS -ge $((time_limit - 70)) ]; then
      skip "$1: the build did not end within the time limit; the next run goes on from there"
    else
      grep -vE '^\[[0-9]+/' "$out/ninja" | tail -n 40
      fail "$1: build"
    fi
    return
  fi
  local p=$passed s=$skipped usual=$build
  preset=$1 build=$root/build/$1
  export WHERRY_UNTIL=$((EPOCHSECONDS + time_limit - SECONDS - 60)) WHERRY_FIRST=$commit WHERRY_LATE=$out/late.$1
  stage_unit
  stage_root
  unset WHERRY_UNTIL WHERRY_FIRST
  preset=$(basename "$usual") build=$usual
  echo "$((passed - p)) cases passed again under $2"
  passed=$p skipped=$s
  [ ! -e "$WHERRY_LATE" ] || skip "$1: out of time before $(xargs <"$WHERRY_LATE")"
}
stage_asan() { sanitized asan "AddressSanitizer and UndefinedBehaviorSanitizer"; }
stage_tsan() { sanitized tsan ThreadSanitizer; }

# Cases that were skipped and passed in no stage, one a line.
skipped_everywhere() {
  [ ! -e "$WHERRY_CASES" ] || awk '{ state = $1; $1 = ""; if (state == "skipped") skipped[$0]; else ran[$0] }
    END { for (test in skipped) if (!(test in ran)) print "skipped in all stages:" test }' "$WHERRY_CASES" | sort
}
summary() {
  local everywhere
  everywhere=$(skipped_everywhere)
  [ -z "$everywhere" ] || { printf '\n%s\n' "$everywhere"; skipped=$((skipped + $(wc -l <<<"$everywhere"))); }
  printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
}
finish() {
  finished=1
  summary
  [ "$failed" = 0 ]
  exit
}

case ${1:-} in
  --in-machine)
    finished=1
    machine_tests "$2"
    exit
    ;;
  --inside)
    root_tests "$2"
    finished=1
    exit
    ;;
  -h | --help)
    finished=1
    sed -n '2,15s/^# \{0,1\}//p' "$0"
    exit
    ;;
  -t)
    finished=1
    program=${2:?-t needs the name of a test program}
    hack/deps.sh
    hack/peer.sh
    cmake --preset "$preset" >/dev/null
    nice ninja -C "$build" "$program"
    run=("$build/test/$program" "--gtest_filter=${3:-*}")
    privileged=$(for label in root e2e bench; do labelled "$build" $label; done | cut -f1)
    if grep -qx "$program" <<<"$privileged"; then
      nice ninja -C "$build" >/dev/null # these start the programs as well
      WHERRY_BIN_DIR=$build/bin in_namespaces "${run[@]}"
    else
      "${run[@]}"
    fi
    exit
    ;;
esac

# The last stages are more than the time limit holds: commits take turns in what is first, and in which program a sanitizer begins with.
commit=$((0x$(git rev-parse --short=7 HEAD 2>/dev/null || echo 0)))
turns=("node fuzz asan tsan" "asan node fuzz tsan" "tsan node fuzz asan")
stages=("$@")
# shellcheck disable=SC2206
[ $# -gt 0 ] || stages=(build lint unit root e2e vm ${turns[commit % 3]})
# Tests of what was built last time would mislead.
[[ " ${stages[*]} " == *" build "* || ! " ${stages[*]} " =~ \ (unit|root|e2e|vm|node|node-all)\  ]] || stages=(build "${stages[@]}")
hack/deps.sh
hack/peer.sh || skip "what needs Debian's containerd: it cannot be fetched"
hack/debian-image.sh || skip "what needs a Debian root file system: mmdebstrap could not make one"
for stage in "${stages[@]}"; do
  declare -F "stage_$stage" >/dev/null || { echo "no such stage: $stage"; exit 2; }
  say "$stage"
  "stage_$stage"
done
finish
