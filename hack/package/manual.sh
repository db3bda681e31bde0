#!/bin/bash
# Prints a manual page: hack/package/manual.sh wherry.1 FOLDER-OF-PROGRAMS VERSION
# The prose is in man/; what must not differ from the programs is asked of them: a line ".HELP" becomes the program's own help, with
# that of each of its verbs, and ".CONFIG" becomes the commented default configuration.
set -euo pipefail
page=$1 bin=$2 version=$3
here=$(dirname "$0")
name=${page%.*}

# Text as it is, in roff.
verbatim() { echo .nf; sed -E 's/\\/\\e/g; s/-/\\-/g; s/^([.'"'"'])/\\\&\1/'; echo .fi; }

# help VERB…: a section of the program's own words.
help() {
  local verb verbs
  verbs=$("$bin/$name" "$@" --help | awk '/^Subcommands:/ { on = 1; next } on && /^  [a-z]/ { print $1 }')
  if [ $# -gt 0 ]; then printf '.SS "%s %s"\n' "$name" "$*"; fi
  "$bin/$name" "$@" --help | verbatim
  for verb in $verbs; do help "$@" "$verb"; done
}

printf '.TH %s %s "" "wherry %s"\n' "$(tr '[:lower:]' '[:upper:]' <<<"$name" | sed 's/-/\\-/g')" "${page##*.}" "$version"
while IFS= read -r line; do
  case $line in
    .HELP) help ;;
    .CONFIG) verbatim <"$here/../../manifests/config.toml" ;;
    *) printf '%s\n' "$line" ;;
  esac
done <"$here/man/$page"
