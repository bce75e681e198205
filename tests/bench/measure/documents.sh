#!/usr/bin/env bash
# The rules of documents against datatrove's, as documents.py says; prints Markdown.
# usage: documents.sh PYTHON HEXAPLA SHARED_DATA
# The words and sentences of the peer are handed to the kernels by a test, since SQL takes texts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
python=$1
data=$3
work=$root/target/bench/measure/documents
mkdir -p "$work"
[ -s "$work/documents.jsonl" ] || "$python" "$here/documents.py" gather "$data" "$work/documents.jsonl" >&2
[ -s "$work/answers.jsonl" ] || "$python" "$here/documents.py" peer "$work/documents.jsonl" "$work/answers.jsonl" 2> "$work/peer.log"
(cd "$root" && PEER_ANSWERS=$work/answers.jsonl OUR_ANSWERS=$work/ours.jsonl \
  cargo test --locked --test it conformance:: -- --ignored >&2)
status=0
echo "### Rules of documents and datatrove 0.10, verdicts by language"
echo
"$python" "$here/documents.py" compare "$work/answers.jsonl" "$work/ours.jsonl" || status=$?
echo
"$python" "$here/documents.py" time "$2" "$work/documents.jsonl" "$work/peer.log"
exit "$status"
