#!/usr/bin/env bash
# Fuses made-up models with hexapla and with mergekit: the same weights.
# usage: check-fuse.sh HEXAPLA
# mergekit goes into a scratch folder, beside the torch and transformers of check-hf.sh (3 GB, once).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}
torch=$cache/check-hf
packages=$cache/check-fuse
if [ ! -f "$torch/.ready" ]; then
  echo "installing torch 2.13.0 and transformers into $torch (once)" >&2
  python3 -m pip install --quiet --disable-pip-version-check --target "$torch" \
    "torch==2.13.0" "transformers>=5,<6" safetensors >&2
  touch "$torch/.ready"
fi
wanted="mergekit==0.1.5 immutables==0.21"
if [ "$(cat "$packages/.ready" 2> /dev/null)" != "$wanted" ]; then
  echo "installing $wanted into $packages (once)" >&2
  rm -rf "$packages"
  # shellcheck disable=SC2086 # one word a package
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$packages" $wanted >&2
  echo "$wanted" > "$packages/.ready"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PYTHONPATH=$packages:$torch TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 \
  python3 "$here/check_fuse.py" "$(realpath "$1")" "$work/models"
