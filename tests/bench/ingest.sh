#!/usr/bin/env bash
# Times `hexapla ingest` against DuckDB, Polars, warcio, trafilatura, mwxml and others on the same
# files, see README.md beside this.
# usage: ingest.sh HEXAPLA [--quick] [--runs N] [--only TASK,…] [--json FILE]
# The Python packages go into a scratch environment of their own, once; the inputs are made from
# shared/data (SHARED_DATA, or ../shared/data) into target/bench, once.
source "$(dirname "$0")/common.sh"
start "$@"
set -- "${args[@]}"
quick=()
args=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=(--quick); shift ;;
    --json) args+=("$1" "$(realpath -m "$2")"); shift 2 ;;
    *) args+=("$1"); shift ;;
  esac
done
venv=$(environment bench-venv "$here/ingest/requirements.txt")
inputs=$root/target/bench/full
[ ${#quick[@]} = 0 ] || inputs=$root/target/bench/quick
"$venv/bin/python" "$here/ingest/prepare.py" "$data" "$inputs" "${quick[@]}"
"$venv/bin/python" "$here/ingest/run.py" "$hexapla" "$inputs" "${args[@]}"
