#!/usr/bin/env bash
# Compares the measures of `hexapla sql` with the peers that define them, and times both; each
# tests/bench/measure/NAME.py with a NAME.txt prints a section in Markdown, see README.md beside this.
# usage: measure.sh HEXAPLA [--only NAME,…] [--quick] [--write]; --quick compares less, where a
# runner can; --write puts the sections into docs/reference/conformance.md. The exit code is 1 when a
# runner finds a difference it must not.
# The Python packages of each runner, NAME.txt, go into a scratch environment of its own, once.
source "$(dirname "$0")/common.sh"
start "$@"
set -- "${args[@]}"
only=
write=
quick=
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=$2; shift 2 ;;
    --quick) quick=1; shift ;;
    --write) write=1; shift ;;
    *) echo "error: unknown option $1; expected one of: --only, --quick, --write" >&2; exit 2 ;;
  esac
done
if [ -n "$quick" ] && [ -n "$write" ]; then
  echo "error: --quick compares too little to be written; leave one of --quick, --write out" >&2
  exit 2
fi
sections=$root/target/bench/measure
mkdir -p "$sections"
# The options of each runner: what is enough to compare, so that all of them take less than half an
# hour; and with --quick, enough for a first look.
declare -A options=([fasttext_models]="--small --lines 6000")
if [ -n "$quick" ]; then
  options=(
    [fasttext_models]="--small --lines 2000"
    [fix_text]="--lines 6000"
    [mask_pii]="--lines 3000"
    [pair_quality]="--pairs 2000"
    [profiles]="--documents 2000"
    [url_blocked]="--urls 1000"
  )
fi
failed=
for peers in "$here"/measure/*.txt; do
  name=$(basename "$peers" .txt)
  [[ $name != *.alone ]] || continue
  if [ -n "$only" ] && [[ ",$only," != *",$name,"* ]]; then
    continue
  fi
  # Some need packages without what those need.
  venv=$(environment "measure-venv/$name" "$peers" "$here/measure/$name.alone.txt")
  echo "== $name" >&2
  began=$SECONDS
  run=("$venv/bin/python" "$here/measure/$name.py" "$hexapla" "$data")
  # shellcheck disable=SC2206 # several words
  run+=(${options[$name]:-})
  # One that takes several steps has a script of its own.
  if [ -f "$here/measure/$name.sh" ]; then
    run=("$here/measure/$name.sh" "$venv/bin/python" "$hexapla" "$data")
  fi
  if ! "${run[@]}" > "$sections/$name.md.new"; then
    failed="$failed $name"
  fi
  mv "$sections/$name.md.new" "$sections/$name.md"
  cat "$sections/$name.md"
  echo "== $name: $((SECONDS - began)) s" >&2
done
if [ -n "$write" ]; then
  {
    cat "$here/measure/conformance.head.md"
    for section in "$sections"/*.md; do
      printf '\n'
      cat "$section"
    done
  } > "$root/docs/reference/conformance.md"
fi
if [ -n "$failed" ]; then
  echo "differences that must not be:$failed" >&2
  exit 1
fi
