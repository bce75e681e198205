#!/usr/bin/env bash
# Writes a small project in every export format and reads it back with the engines' own readers:
# every row and the number of tokens as hexapla's SQL tells them.
# usage: check-export.sh HEXAPLA
# The Python packages (some 250 MB; torch and transformers of check-hf, some 3 GB) go into scratch
# folders of their own, once. llm.c has no package: its header is checked by its documentation.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hexapla=$1
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
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
project=$work/project
"$hexapla" init --quiet "$project"
python3 "$here/check_readers.py" --make "$project"
python3 "$here/check_export.py" --add "$project"
"$hexapla" export --quiet --project "$project"
"$hexapla" verify --quiet "$project/exports"
export PYTHONPATH=$cache/check-export:$cache/check-hf HF_HUB_OFFLINE=1 HF_HOME=$work/hf
export HF_DATASETS_DISABLE_PROGRESS_BARS=1 TOKENIZERS_PARALLELISM=false LOGURU_LEVEL=WARNING PYTHONWARNINGS=ignore
python3 "$here/check_export.py" "$hexapla" "$project"
