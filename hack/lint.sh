#!/bin/bash
# Checks the sources: format, the rules that only this project has, and clang-tidy.
#
#   hack/lint.sh                 everything; clang-tidy within a time budget
#   hack/lint.sh format|rules    only that
#   hack/lint.sh tidy [FILE…]    clang-tidy, of those files only
#   hack/lint.sh fix             let clang-format rewrite the files
#
# clang-tidy reads gRPC's headers again for each file, which takes minutes on a small machine. So a clean result is
# remembered under build/lint, by the contents of the file, of the project's headers it includes, of its compile
# command and of .clang-tidy; and files are taken newest change first until TIDY_BUDGET seconds (default 240) have
# passed. What was not reached is said, and `TIDY_BUDGET=99999 hack/lint.sh tidy` checks it.
set -euo pipefail
cd "$(dirname "$0")/.."

clang_format=$(command -v clang-format-14 || command -v clang-format)
clang_tidy=$(command -v clang-tidy-14 || command -v clang-tidy)
# Tracked, or new and not ignored: what a commit of everything would hold.
mapfile -t sources < <(git ls-files --cached --others --exclude-standard -- '*.h' '*.cc' | sort -u | while read -r f; do
  [ -e "$f" ] && echo "$f"; done)

failed=0
complain() { echo "lint: $*"; failed=1; }

check_format() {
  # One line a file is enough: hack/lint.sh fix repairs them all.
  local places
  places=$(printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n 40 "$clang_format" --dry-run -Werror 2>&1 |
    sed -nE 's/^([^: ]+):[0-9]+:[0-9]+: error:.*/\1/p' | sort | uniq -c) || true
  [ -z "$places" ] || { echo "$places"; complain "format: places a file that are not formatted; run hack/lint.sh fix"; }
}

# Prints "FILE:LINE: CODE" of each file with comments and string contents taken out, so that rules see code only; lines
# that say NOLINT, with their reason, are left out.
code_of() {
  perl -e '
    for my $name (@ARGV) {
      open(my $in, "<", $name) or die "$name: $!"; local $/; my $text = <$in>;
      $text =~ s/^.*\/\/ NOLINT.*$//mg;
      my $blank = sub { my $s = shift; $s =~ s/[^\n]//g; $s };
      $text =~ s{(R"([^(\s]*)\(.*?\)\2"|"(?:\\.|[^"\\\n])*"|\x27(?:\\.|[^\x27\\\n])+\x27)|(//[^\n]*|/\*.*?\*/)}
                {defined $1 ? "\"\"" . $blank->($1) : $blank->($3)}gse;
      my $n = 0; for (split /\n/, $text, -1) { $n++; print "$name:$n: $_\n" if /\S/ } }' "$@"
}

# forbid WHERE PATTERN WHY: no line of code below WHERE (a regex on the path) may match.
forbid() {
  local hits
  hits=$(grep -E "^$1" "$code" | grep -E ":[0-9]+:.*($2)" || true)
  [ -z "$hits" ] || { echo "$hits"; complain "rule: $3"; }
}

# forbid_include WHERE PATTERN WHY: the dependency rules between folders, by what files include.
forbid_include() {
  local hits
  hits=$(grep -HnE "^#include \"($2)" "${sources[@]}" | grep -E "^$1" || true)
  [ -z "$hits" ] || { echo "$hits"; complain "rule: $3"; }
}

check_rules() {
  code=$(mktemp)
  code_of "${sources[@]}" >"$code"
  forbid '' '(^|[^[:alnum:]_.>:])(::|std::)?(system|popen)[[:space:]]*\(' 'no shell: start programs by execve with a list of arguments'
  # Private constructors are out of make_unique's reach: an owner on the same line will do.
  sed -i -E 's/(std::unique_ptr<[^;]*>( [a-z_]+)?[({])new /\1/' "$code"
  forbid '' '(^|[^[:alnum:]_])new[[:space:]]+[[:alnum:]_:]+' 'no raw new: std::make_unique, or a value'
  forbid '' '(^|[^[:alnum:]_])delete[[:space:]]+[[:alnum:]_]+;' 'no raw delete: owners free'
  forbid '' '(^|[^[:alnum:]_])waitpid\([[:space:]]*-1' 'wait for a known child, by pidfd or pid'
  forbid 'runtime/' '#include <iostream>' 'no iostreams in runtime/: the shim is static and small'
  forbid '(api|runtime|cni|cri)/.*\.h:' 'using namespace' 'no using namespace in a header'
  forbid '(runtime|cri)/' 'absl::Now\(\)|WaitForNotificationWithTimeout|AwaitWith(Timeout|Deadline)' 'the wall clock jumps: deadlines and waits by runtime/sys/clock.h'
  rm -f "$code"
  forbid_include 'api/' '(runtime|cni|cri|test)/' 'api/ uses nothing'
  forbid_include 'runtime/' '(cni|cri|test)/|api/(cri|cni|wherry)/' 'runtime/ knows nothing of Kubernetes: not cri/, cni/ or their contracts'
  forbid_include 'runtime/sys/' '(runtime/(cgroup|rootfs|security|process|shim)|api)/' 'runtime/sys is the lowest layer'
  forbid_include 'cni/' '(cri|test)/|runtime/(cgroup|rootfs|security|process|shim)/' 'cni/ may use runtime/sys and api only'
  forbid_include 'cri/' 'test/' 'programs do not use tests'
  # Each test that SECURITY.md names is there.
  local file lines suite case
  while IFS=. read -r suite case; do
    grep -qE "^TEST(_F|_P)?\($suite, $case\)" "${sources[@]}" || complain "SECURITY.md: there is no test $suite.$case"
  done < <(grep -oE '`[A-Z][A-Za-z0-9]*\.[A-Z][A-Za-z0-9]*`' SECURITY.md | tr -d '`')
  for file in "${sources[@]}"; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 800 ] || complain "rule: $file has $lines lines; split it by concept (800 at most)"
  done
}

# The compile database: that of the newest build directory, or of a dev configuration made now.
find_build() {
  build=${TIDY_BUILD:-$(ls -td build/{release,dev}/compile_commands.json 2>/dev/null | head -1 | xargs -r dirname || true)}
  if [ -z "$build" ]; then
    cmake --preset dev >/dev/null
    build=build/dev
  fi
}

# tidy_key FILE: what the verdict on FILE depends on, as one hash. System headers count by package version only.
tidy_key() {
  local seen="$1" todo="$1" next file
  while [ -n "$todo" ]; do
    next=""
    for file in $(grep -hoE '^#include "[^"]+"' $todo | cut -d'"' -f2 | sort -u); do
      if [ ! -e "$file" ] || [[ " $seen " == *" $file "* ]]; then continue; fi
      seen+=" $file" next+=" $file"
    done
    todo=$next
  done
  # shellcheck disable=SC2086
  { echo "$of_all"; cat $seen; grep -F "$PWD/$1"$'\t' "$late.commands"; } | sha256sum | cut -c1-40
}

tidy_one() {
  local file=$1 key result
  key=$(tidy_key "$file")
  result=build/lint/$key
  [ ! -e "$result" ] || { touch "$result"; return 0; }
  if [ "$(date +%s)" -ge "$deadline" ]; then
    echo "$file" >>"$late"
    return 0
  fi
  local out
  if out=$("$clang_tidy" --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option "$file" 2>/dev/null); then
    touch "$result"
  else
    printf 'lint: clang-tidy: %s\n%s\n' "$file" "$out"
    return 1
  fi
}

check_tidy() {
  find_build
  mkdir -p build/lint
  find build/lint -type f -mtime +30 -delete
  late=$(mktemp)
  deadline=$(($(date +%s) + ${TIDY_BUDGET:-240}))
  jq -r '.[] | [.file, .command] | @tsv' "$build/compile_commands.json" >"$late.commands"
  local of_all
  of_all=$({ "$clang_tidy" --version; cat .clang-tidy api/*/v1/*.proto; } | sha256sum)
  export clang_tidy build deadline late of_all
  export -f tidy_one tidy_key
  local wanted=("$@")
  if [ ${#wanted[@]} -eq 0 ]; then
    # Newest change first: uncommitted, then by the last commit that touched it.
    mapfile -t wanted < <({ git diff --name-only HEAD; git ls-files --others --exclude-standard
      git log --name-only --format= -n 500; printf '%s\n' "${sources[@]}"; } | grep -E '\.cc$' | awk '!seen[$0]++')
  fi
  cut -f1 "$late.commands" | sed "s|^$PWD/||" | sort >"$late.known"
  # Generated headers must exist, or clang-tidy reports their absence instead of ours.
  ninja -C "$build" -t targets all 2>/dev/null | sed -n 's/^\(gen\/[^:]*\.pb\.cc\):.*/\1/p' |
    xargs -r ninja -C "$build" >/dev/null
  printf '%s\n' "${wanted[@]}" | grep -Fxf "$late.known" |
    xargs -r -P "$(nproc)" -I{} bash -c 'set -uo pipefail; tidy_one "$1"' _ {} || complain "clang-tidy"
  if [ -s "$late" ]; then
    echo "SKIPPED lint: clang-tidy of $(wc -l <"$late") files that had not changed lately: time budget (TIDY_BUDGET) used up"
  fi
  rm -f "$late" "$late.known" "$late.commands"
}

case ${1:-all} in
  all) check_format; check_rules; check_tidy ;;
  format) check_format ;;
  rules) check_rules ;;
  tidy) shift; check_tidy "$@" ;;
  fix) printf '%s\n' "${sources[@]}" | xargs -n 40 "$clang_format" -i ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
[ "$failed" = 0 ] && echo "lint: clean"
exit "$failed"
