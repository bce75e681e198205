#!/usr/bin/env bash
# The memory law: every built-in node finishes under `--memory-limit` inside a cgroup, see
# memory/run.py and README.md beside this.
# usage: memory.sh HEXAPLA [--limit 128MB] [--times 8] [--threads 2] [--only NODE,…]
# numpy and pyarrow go into a scratch environment of their own, once; the inputs, some 4 GB at the
# limit of 128 MB, are made from shared/data (SHARED_DATA, or ../shared/data) into target/bench, once.
source "$(dirname "$0")/common.sh"
start "$@"
venv=$(environment dedup-prepare "$here/dedup/prepare.txt")
"$venv/bin/python" "$here/memory/run.py" "$hexapla" "$data" "$root/target/bench/memory" "${args[@]}"
