#!/usr/bin/env bash
# Packs read as tensors against datasets, MosaicML streaming and a memory map, and a pack of 10 GB
# opened in the middle, see feed/run.py and README.md beside this.
# usage: feed.sh HEXAPLA [--quick] [--runs N] [--only read,open] [--json FILE]
# The Python packages are those of `make check-export`; the packs are made from shared/data
# (SHARED_DATA, or ../shared/data) into target/bench, once.
source "$(dirname "$0")/common.sh"
start "$@"
PYTHONPATH=$("$root/scripts/engines.sh")
export PYTHONPATH HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 PYTHONWARNINGS=ignore
python3 "$here/feed/run.py" "$hexapla" "$data" "$root/target/bench/feed" "${args[@]}"
