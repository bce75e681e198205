#!/usr/bin/env bash
# Duplicates against datatrove and rensa, against the truth, and at 5 GB under a memory limit, see
# dedup/run.py and README.md beside this.
# usage: dedup.sh HEXAPLA [--quick] [--runs N] [--only near,quality,growth,spans] [--json FILE]
# The Python packages go into a scratch environment of their own, once; the corpora are made from
# shared/data (SHARED_DATA, or ../shared/data) into target/bench, once.
source "$(dirname "$0")/common.sh"
start "$@"
venv=$(environment dedup-venv "$here/dedup/peers.txt")
"$venv/bin/python" "$here/dedup/run.py" "$hexapla" "$data" "$root/target/bench/dedup" "${args[@]}"
