#!/usr/bin/env bash
# Loads a checkpoint of hexapla with transformers: no missing or unexpected weight, equal logits.
# usage: check-hf.sh HEXAPLA [CHECKPOINT]; without a checkpoint, the demo's, else one made up now.
# The Python packages (torch and transformers, some 3 GB) go into a scratch folder of their own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hexapla=$1
checkpoint=${2:-}
packages=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/check-hf
if [ ! -f "$packages/.ready" ]; then
  echo "installing torch 2.13.0 and transformers into $packages (once)" >&2
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" \
    "torch==2.13.0" "transformers>=5,<6" safetensors >&2
  touch "$packages/.ready"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$checkpoint" ] && [ -d "$here/../target/demo/project/runs/pretrain" ]; then
  checkpoint=$here/../target/demo/project/runs/pretrain
fi
if [ -z "$checkpoint" ]; then
  "$hexapla" init --quiet "$work/project"
  python3 - "$work/project/data" <<'PY'
import json, pathlib, random, sys

random.seed(1)
for lang, letters in {"isl": "aábdðeéfghiíjklmnoóprstuúvxyýþæö", "ell": "αβγδεζηθικλμνξοπρστυφχψω"}.items():
    words = ["".join(random.choices(letters, k=random.randint(2, 9))) for _ in range(400)]
    out = pathlib.Path(sys.argv[1]) / lang / "made.jsonl"
    out.parent.mkdir(parents=True)
    with out.open("w", encoding="utf-8") as f:
        for _ in range(300):
            f.write(json.dumps({"text": " ".join(random.choices(words, k=40)) + "."}) + "\n")
PY
  sed -i 's/vocab = 32000/vocab = 900/; s/until = "1B"/until = "50k"/; s/length = 512/length = 64/; s/hidden = 384/hidden = 128/' \
    "$work/project/hexapla.toml"
  "$hexapla" train --quiet pretrain --project "$work/project" \
    --param kept.gopher=false --set steps=5 --set batch=8
  checkpoint=$work/project/runs/pretrain
fi
"$hexapla" probe "$checkpoint" -o "$work/logits.safetensors"
if [ -f "$checkpoint/LATEST" ]; then
  checkpoint=$checkpoint/$(tr -d '[:space:]' < "$checkpoint/LATEST")
fi
PYTHONPATH=$packages TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 \
  python3 "$here/check_hf.py" "$checkpoint" "$work/logits.safetensors"
