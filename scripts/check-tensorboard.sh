#!/usr/bin/env bash
# Reads the event file of a run with the real tensorboard package: every scalar of every step is what
# metrics.jsonl says, also after a stop and a resume.
# usage: check-tensorboard.sh HEXAPLA
# The Python package goes into a scratch environment of its own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hexapla=$(realpath "$1")
venv=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/check-tensorboard
if [ ! -f "$venv/.ready" ]; then
  echo "installing tensorboard into $venv (once)" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "tensorboard==2.20.0" "setuptools<81" >&2
  touch "$venv/.ready"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$hexapla" init --quiet "$work/project"
python3 "$here/check_tensorboard.py" make "$work/project/data"
sed -i 's/vocab = 32000/vocab = 900/; s/until = "1B"/until = "50k"/; s/length = 512/length = 64/; s/hidden = 384/hidden = 64/' \
  "$work/project/hexapla.toml"
for steps in 6 9; do
  "$hexapla" train --quiet pretrain --resume --project "$work/project" --param kept.gopher=false \
    --set steps=$steps --set batch=8 --set log_every=2 --set save_every=3
done
"$venv/bin/python" "$here/check_tensorboard.py" read "$work/project/runs/pretrain"
