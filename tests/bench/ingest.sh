#!/usr/bin/env bash
# Times `hexapla ingest` against DuckDB, Polars, warcio, trafilatura, mwxml and others on the same
# files, see README.md beside this.
# usage: ingest.sh HEXAPLA [--quick] [--runs N] [--only TASK,…] [--json FILE]
# The Python packages go into a scratch environment of their own, once; the inputs are made from
# shared/data (SHARED_DATA, or ../shared/data) into target/bench, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
hexapla=$(realpath "$1")
shift
quick=()
args=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=(--quick); shift ;;
    --json) args+=("$1" "$(realpath -m "$2")"); shift 2 ;;
    *) args+=("$1"); shift ;;
  esac
done
data=${SHARED_DATA:-$root/../shared/data}
if [ ! -f "$data/MANIFEST.tsv" ]; then
  echo "error: no shared data in $data; set SHARED_DATA" >&2
  exit 2
fi
venv=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/bench-venv
if ! cmp -s "$here/ingest/requirements.txt" "$venv/.ready"; then
  echo "installing the peers into $venv (once)" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/ingest/requirements.txt" >&2
  cp "$here/ingest/requirements.txt" "$venv/.ready"
fi
inputs=$root/target/bench/full
[ ${#quick[@]} = 0 ] || inputs=$root/target/bench/quick
"$venv/bin/python" "$here/ingest/prepare.py" "$data" "$inputs" "${quick[@]}"
"$venv/bin/python" "$here/ingest/run.py" "$hexapla" "$inputs" "${args[@]}"
