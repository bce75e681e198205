#!/usr/bin/env bash
# Compares the measures of `hexapla sql` with the peers that define them, and times both; each
# tests/bench/measure/NAME.py prints a section in Markdown, see README.md beside this.
# usage: measure.sh HEXAPLA [--only NAME,…] [--write]; --write puts the sections into
# docs/reference/conformance.md. The exit code is 1 when a runner finds a difference it must not.
# The Python packages of each runner, NAME.txt, go into a scratch environment of its own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
hexapla=$(realpath "$1")
shift
only=
write=
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=$2; shift 2 ;;
    --write) write=1; shift ;;
    *) echo "error: unknown option $1; expected one of: --only, --write" >&2; exit 2 ;;
  esac
done
data=${SHARED_DATA:-$root/../shared/data}
if [ ! -f "$data/MANIFEST.tsv" ]; then
  echo "error: no shared data in $data; set SHARED_DATA" >&2
  exit 2
fi
sections=$root/target/bench/measure
mkdir -p "$sections"
failed=
for peers in "$here"/measure/*.txt; do
  name=$(basename "$peers" .txt)
  [[ $name != *.alone ]] || continue
  runner=$here/measure/$name.py
  if [ -n "$only" ] && [[ ",$only," != *",$name,"* ]]; then
    continue
  fi
  venv=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/measure-venv/$name
  if ! cmp -s "$here/measure/$name.txt" "$venv/.ready"; then
    echo "installing the peers of $name into $venv (once)" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/measure/$name.txt" >&2
    # Packages that are needed without what they need.
    if [ -f "$here/measure/$name.alone.txt" ]; then
      "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        -r "$here/measure/$name.alone.txt" >&2
    fi
    cp "$here/measure/$name.txt" "$venv/.ready"
  fi
  echo "== $name" >&2
  run=("$venv/bin/python" "$runner" "$hexapla" "$data")
  # One that takes several steps has a script of its own.
  if [ -f "$here/measure/$name.sh" ]; then
    run=("$here/measure/$name.sh" "$venv/bin/python" "$hexapla" "$data")
  fi
  if ! "${run[@]}" > "$sections/$name.md.new"; then
    failed="$failed $name"
  fi
  mv "$sections/$name.md.new" "$sections/$name.md"
  cat "$sections/$name.md"
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
