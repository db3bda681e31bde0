# Completion of wherry(1) for bash. Verbs and flags are what `wherry … --help` prints, so that they are always its own; names of
# pods, containers and images are asked of wherryd.

# _wherry_help VERB…: the words that may follow.
_wherry_help() {
  "${COMP_WORDS[0]}" "$@" --help 2>/dev/null | awk '
    /^[A-Z][A-Za-z ]*:$/ { part = $1 }
    part == "Subcommands:" && /^  [a-z]/ { print $1 }
    part == "Options:" && /^  -/ { n = split($1, names, ","); for (i = 1; i <= n; i++) print names[i] }'
}

_wherry_names() {
  case "$*" in
    exec | attach | logs) "${COMP_WORDS[0]}" ps -o json ;;
    port-forward) "${COMP_WORDS[0]}" pods -o json ;;
    stop | rm) "${COMP_WORDS[0]}" ps -a -o json && "${COMP_WORDS[0]}" pods -o json ;;
    run | image\ rm | image\ tag | image\ export | image\ verify) "${COMP_WORDS[0]}" image ls -o json ;;
  esac 2>/dev/null | sed -nE 's/^ *"(name|id)": "([^"]*)".*/\2/p; s/^ *"([^" ]+:[^" ]+)",?$/\1/p'
}

_wherry() {
  local word=${COMP_WORDS[COMP_CWORD]} verbs=() i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == -* ]] && continue
    [[ ${#verbs[@]} == 0 || (${#verbs[@]} == 1 && ${verbs[0]} == image) ]] && verbs+=("${COMP_WORDS[i]}")
  done
  mapfile -t COMPREPLY < <(compgen -W "$(_wherry_help "${verbs[@]}"; [[ $word == -* ]] || _wherry_names "${verbs[@]}")" -- "$word")
  # Files, where nothing else fits: archives, volumes.
  [ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default
}
complete -F _wherry wherry
