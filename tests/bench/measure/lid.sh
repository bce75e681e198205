#!/usr/bin/env bash
# Language identification against its peers, as lid.py says; prints Markdown.
# usage: lid.sh PYTHON HEXAPLA SHARED_DATA
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../../target/bench/measure/lid
mkdir -p "$work"
"$1" "$here/lid_rows.py" "$3" "$work/rows.parquet"
"$1" "$here/lid.py" "$2" "$work/rows.parquet" "$work"
