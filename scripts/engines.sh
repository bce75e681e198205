#!/usr/bin/env bash
# Prints a PYTHONPATH with the readers of other training engines. The Python packages (some 250 MB;
# torch and transformers of check-hf, some 3 GB) go into scratch folders of their own, once.
set -euo pipefail
cache=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}
pip() { python3 -m pip install --quiet --disable-pip-version-check "$@" >&2; }
if [ ! -f "$cache/check-hf/.ready" ]; then
  echo "installing torch 2.13.0 and transformers into $cache/check-hf (once)" >&2
  pip --target "$cache/check-hf" "torch==2.13.0" "transformers>=5,<6" safetensors
  touch "$cache/check-hf/.ready"
fi
# The readers without what they ask for to write or to fetch from the net, then what they import.
readers="megatron-core==0.16.1 mosaicml-streaming==0.13.0 datatrove==0.10.1 litdata==0.2.76 opustrainer==0.5 torchvision==0.28.0"
imports="datasets==5.2.0 pyarrow==26.0.1 numpy==2.4.6 brotli loguru humanize lightning-utilities sacremoses sentencepiece typo obstore python-snappy zstd<2 catalogue boto3 tifffile pillow xxhash pyyaml"
if [ "$(cat "$cache/check-export/.ready" 2> /dev/null)" != "$readers $imports" ]; then
  echo "installing $readers into $cache/check-export (once)" >&2
  rm -rf "$cache/check-export"
  # shellcheck disable=SC2086 # one word a package
  pip --target "$cache/check-export" $imports
  # shellcheck disable=SC2086
  pip --no-deps --target "$cache/check-export" $readers
  echo "$readers $imports" > "$cache/check-export/.ready"
fi
echo "$cache/check-export:$cache/check-hf"
