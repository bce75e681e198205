#!/usr/bin/env bash
# Holds models against transformers: no missing or unexpected weight, equal logits and gradients,
# padded and packed. First every kind of model as transformers saves it, then a checkpoint of ours.
# usage: check-hf.sh HEXAPLA [CHECKPOINT]; without a checkpoint, the demo's and some made up now.
# The Python packages (torch and transformers, some 3 GB) go into a scratch folder of their own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hexapla=$1
packages=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/check-hf
if [ ! -f "$packages/.ready" ]; then
  echo "installing torch 2.13.0 and transformers into $packages (once)" >&2
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" \
    "torch==2.13.0" "transformers>=5,<6" safetensors >&2
  touch "$packages/.ready"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
check_hf() {
  PYTHONPATH=$packages TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 \
    python3 "$here/check_hf.py" "$@"
}
compare() {
  local folder=$1
  if [ -f "$folder/LATEST" ]; then
    folder=$folder/$(tr -d '[:space:]' < "$folder/LATEST")
  fi
  echo "$folder"
  "$hexapla" probe --quiet "$folder" -o "$work/probe.safetensors"
  check_hf compare "$folder" "$work/probe.safetensors" || failed=1
}
failed=0
if [ $# -gt 1 ]; then
  compare "$2"
  exit $failed
fi
check_hf make "$work/theirs" > "$work/list"
while read -r folder; do compare "$folder"; done < "$work/list"
if [ -d "$here/../target/demo/project/runs/pretrain" ]; then
  compare "$here/../target/demo/project/runs/pretrain"
fi
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
cat >> "$work/project/hexapla.toml" <<'TOML'

[model.llama]
type = "decoder"
hidden = 128
layers = 2
heads = 4
kv_heads = 2

[train.clm]
model = "llama"
pack = "main"
objectives = { clm = 1.0 }
TOML
for run in pretrain clm; do
  "$hexapla" train --quiet $run --project "$work/project" \
    --param kept.gopher=false --set steps=5 --set batch=8
  compare "$work/project/runs/$run"
done
exit $failed
