#!/usr/bin/env bash
# Holds tokenizers against the packages that others encode with: SentencePiece models trained by its
# own package and loaded by hexapla, and tokenizers trained by hexapla and opened by transformers.
# usage: check-tokenizers.sh HEXAPLA [SHARED_DATA]
# The Python packages go into scratch folders of their own, once (see engines.sh).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hexapla=$1
data=${2:-${SHARED_DATA:-$here/../../shared/data}}
packages=$("$here/engines.sh")
cache=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}
if [ ! -f "$cache/transformers-4/.ready" ]; then
  echo "installing transformers 4 into $cache/transformers-4 (once)" >&2
  python3 -m pip install --quiet --disable-pip-version-check --target "$cache/transformers-4" \
    "transformers>=4.57,<5" >&2
  touch "$cache/transformers-4/.ready"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work HF_HUB_OFFLINE=1 HF_HOME=$work/hf TOKENIZERS_PARALLELISM=false
PYTHONPATH=$packages python3 "$here/check_tokenizers.py" prepare "$hexapla" "$data" "$work/project"
PYTHONPATH=$packages python3 "$here/check_tokenizers.py" sentencepiece "$work/project"
for path in "$packages" "$cache/transformers-4"; do
  PYTHONPATH=$path python3 "$here/check_tokenizers.py" transformers "$work/project"
done
