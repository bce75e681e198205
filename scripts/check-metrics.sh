#!/usr/bin/env bash
# Scores real text in 20 languages with hexapla and with the peers that define each metric.
# usage: check-metrics.sh HEXAPLA SHARED_DATA
# The Python packages (some 300 MB) go into a scratch folder of their own, once; of two wheels that
# need much more only the one file with the published definition is taken.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
packages=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/check-metrics
wanted="sacrebleu==2.6.0 seqeval==1.2.2 rouge-score==0.1.2 scikit-learn==1.9.1 scipy==1.17.1"
sources="transformers==4.57.1 lm-eval==0.4.13"
if [ "$(cat "$packages/.ready" 2> /dev/null)" != "$wanted $sources" ]; then
  echo "installing $wanted into $packages (once)" >&2
  rm -rf "$packages"
  # shellcheck disable=SC2086 # one word a package
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" $wanted >&2
  wheels=$(mktemp -d)
  # shellcheck disable=SC2086
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheels" $sources >&2
  python3 - "$wheels" "$packages" <<'PY'
import pathlib, sys, zipfile

wheels, packages = map(pathlib.Path, sys.argv[1:])
wanted = {"transformers": "transformers/data/metrics/squad_metrics.py", "lm_eval": "lm_eval/tasks/mlqa/utils.py"}
for wheel in wheels.iterdir():
    path = wanted[wheel.name.split("-")[0]]
    name = "mlqa.py" if "mlqa" in path else "squad_metrics.py"
    (packages / name).write_bytes(zipfile.ZipFile(wheel).read(path))
PY
  rm -rf "$wheels"
  echo "$wanted $sources" > "$packages/.ready"
fi
PYTHONPATH=$packages METRICS_SOURCES=$packages python3 "$here/check_metrics.py" "$(realpath "$1")" "$(realpath "$2")"
