#!/usr/bin/env bash
# Loads a checkpoint of hexapla with transformers and compares logits: check-hf.sh CHECKPOINT LOGITS
# The Python packages (torch and transformers, some 3 GB) go into a scratch environment of their own, once.
set -euo pipefail
if [ $# -ne 2 ]; then
  echo "usage: $0 CHECKPOINT LOGITS" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
venv=${HEXAPLA_HF_VENV:-${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/hf-venv}
packages=("torch==2.13.0" "transformers" "safetensors")
if [ ! -f "$venv/.ready" ]; then
  echo "installing ${packages[*]} into $venv (once)" >&2
  if command -v uv > /dev/null; then
    uv venv --quiet "$venv" >&2
    uv pip install --quiet --python "$venv/bin/python" "${packages[@]}" >&2
  else
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}" >&2
  fi
  touch "$venv/.ready"
fi
exec env TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 "$venv/bin/python" "$here/check_hf.py" "$1" "$2"
