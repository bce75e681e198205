#!/usr/bin/env bash
# Training steps against transformers, ranks against threads, waiting and checkpoints, see
# train/run.py and README.md beside this.
# usage: train.sh HEXAPLA [--quick] [--runs N] [--only small,large,mixed,ranks,checkpoint] [--json FILE]
# torch and transformers go into a scratch folder, once, the one of scripts/check-hf.sh; the corpus
# is made from shared/data (SHARED_DATA, or ../shared/data) into target/bench, once.
source "$(dirname "$0")/common.sh"
start "$@"
packages=$cache/check-hf
if [ ! -f "$packages/.ready" ]; then
  echo "installing torch 2.13.0 and transformers into $packages (once)" >&2
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" \
    "torch==2.13.0" "transformers>=5,<6" safetensors >&2
  touch "$packages/.ready"
fi
venv=$(environment pack-venv "$here/pack/peers.txt")
PEERS=$packages "$venv/bin/python" "$here/train/run.py" "$hexapla" "$data" "$root/target/bench/train" "${args[@]}"
