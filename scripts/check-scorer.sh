#!/usr/bin/env bash
# A Python scorer as a `-- run:` query: rows over Arrow IPC and back; killed midway and resumed,
# crashing, losing a row, printing on its stdout.
# usage: check-scorer.sh HEXAPLA
# pyarrow goes into a scratch folder of its own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
packages=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/check-scorer
wanted="pyarrow==26.0.1"
if [ "$(cat "$packages/.ready" 2> /dev/null)" != "$wanted" ]; then
  echo "installing $wanted into $packages (once)" >&2
  rm -rf "$packages"
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" "$wanted" >&2
  echo "$wanted" > "$packages/.ready"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PYTHONPATH=$packages python3 "$here/check_scorer.py" "$(realpath "$1")" "$work/project"
