#!/usr/bin/env bash
# Writes a small project in every export format and reads it back with the engines' own readers:
# every row and the number of tokens as hexapla's SQL tells them.
# usage: check-export.sh HEXAPLA
# llm.c has no package: its header is checked by its documentation.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hexapla=$1
packages=$("$here/engines.sh")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
project=$work/project
"$hexapla" init --quiet "$project"
python3 "$here/check_readers.py" --make "$project"
python3 "$here/check_export.py" --add "$project"
"$hexapla" export --quiet --project "$project"
"$hexapla" verify --quiet "$project/exports"
export PYTHONPATH=$packages HF_HUB_OFFLINE=1 HF_HOME=$work/hf
export HF_DATASETS_DISABLE_PROGRESS_BARS=1 TOKENIZERS_PARALLELISM=false LOGURU_LEVEL=WARNING PYTHONWARNINGS=ignore
python3 "$here/check_export.py" "$hexapla" "$project"
