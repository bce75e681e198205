#!/usr/bin/env bash
# Language identification against its peers, as lid.py says; prints Markdown.
# usage: lid.sh PYTHON HEXAPLA SHARED_DATA
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../../target/bench/measure/lid
mkdir -p "$work"
"$1" "$here/lid_rows.py" "$3" "$work/rows.parquet"
echo "### Language identification: macro-F1 of a model that was trained without the source it is tested on"
echo
echo "| trained | tested on | languages | texts | ours | peer |"
echo "| --- | --- | ---: | ---: | ---: | ---: |"
"$1" "$here/lid.py" "$2" "$work/rows.parquet" "$work" > "$work/found.tsv"
# Relatives and times have fewer columns.
awk -F '\t' 'NF == 6 { print "| " $1 " | " $2 " | " $3 " | " $4 " | " $5 " | " $6 " |" }' "$work/found.tsv"
echo
echo '```'
awk -F '\t' 'NF != 6' "$work/found.tsv"
echo '```'
