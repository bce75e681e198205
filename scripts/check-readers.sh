#!/usr/bin/env bash
# Reads every table of a project with DuckDB, Polars and datasets: all rows that the manifests
# count, the same content from each.
# usage: check-readers.sh HEXAPLA [PROJECT]; without a project, a small one is made and built now.
# The Python packages (some 600 MB) go into a scratch folder of their own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hexapla=$1
project=${2:-}
packages=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/check-readers
wanted="duckdb==2.0.0 polars==2.1.0 datasets==5.2.0 pyarrow==26.0.1"
if [ "$(cat "$packages/.ready" 2> /dev/null)" != "$wanted" ]; then
  echo "installing $wanted into $packages (once)" >&2
  rm -rf "$packages"
  # shellcheck disable=SC2086 # one word a package
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" $wanted >&2
  echo "$wanted" > "$packages/.ready"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$project" ]; then
  project=$work/project
  "$hexapla" init --quiet "$project"
  python3 "$here/check_readers.py" --make "$project"
  "$hexapla" run --quiet --project "$project"
fi
PYTHONPATH=$packages HF_HUB_OFFLINE=1 HF_HOME=$work/hf HF_DATASETS_DISABLE_PROGRESS_BARS=1 \
  python3 "$here/check_readers.py" "$project"
