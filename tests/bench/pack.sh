#!/usr/bin/env bash
# Tokenizers and packs against Hugging Face's tokenizers and datasets, see pack/run.py and README.md
# beside this.
# usage: pack.sh HEXAPLA [--quick] [--runs N] [--only encode,train] [--json FILE]
# The Python packages go into a scratch environment of their own, once; the corpus is made from
# shared/data (SHARED_DATA, or ../shared/data) into target/bench, once.
source "$(dirname "$0")/common.sh"
start "$@"
venv=$(environment pack-venv "$here/pack/peers.txt")
"$venv/bin/python" "$here/pack/run.py" "$hexapla" "$data" "$root/target/bench/pack" "${args[@]}"
