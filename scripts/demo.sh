#!/usr/bin/env bash
# The demo: prints and runs the very commands a user would type. `make demo` calls it.
# usage: scripts/demo.sh HEXAPLA FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$(dirname "$1")" && pwd)
demo=$2
"$here/demo_corpora.sh" "$demo/corpora"
demo=$(cd "$demo" && pwd)
rm -rf "$demo/project" "$demo/try"
mkdir -p "$demo/try"
PATH=$bin:$PATH
began=$(date +%s)

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
run() {
  local shown='' arg
  for arg in "$@"; do
    case $arg in *[!A-Za-z0-9_./=:@%+,-]*) arg="\"$arg\"" ;; esac
    shown+=" $arg"
  done
  printf '\033[36m$%s\033[0m\n' "$shown"
  "$@"
}

cd "$demo"
say "A project: sources, mixture, tokenizer, model and runs in one file"
run hexapla init project --template demo
ln -s ../corpora project/corpora
cd project

say "Everything from the files to the packs: each step a table, each dropped row with its reason"
run hexapla run

say "A second run has nothing to do"
run hexapla run

say "Another threshold: only what depends on it is built again"
run hexapla run --param kept.min_confidence=0.7
run hexapla run --quiet

say "Questions a curator asks"
run hexapla sql -c "SELECT d.lang, count(*) AS messages, sum(m.n_words) AS words, round(avg(m.n_chars), 1) AS chars FROM documents d JOIN measured m ON d.doc_id = m.doc_id GROUP BY d.lang ORDER BY words DESC"
run hexapla sql -c "SELECT reason, count(*) AS rows FROM deduped_dropped GROUP BY reason ORDER BY rows DESC"
run hexapla sql -c "SELECT p.tgt_lang, p.src, p.tgt FROM pairs_kept_dropped k JOIN pairs p ON k.doc_id = p.doc_id WHERE k.reason = 'numerals' ORDER BY k.doc_id LIMIT 5"

say "A query of one's own: eject the built-in one, edit it, and it is in force"
run hexapla queries eject kept
run sed -i "s/WHEN n_words = 0 THEN 'empty'/WHEN n_words < 2 THEN 'too_short'/" queries/kept.sql
run hexapla queries list
run hexapla run
run hexapla sql -c "SELECT reason, count(*) AS rows FROM kept_dropped GROUP BY reason ORDER BY rows DESC"

say "Any file is a table, and any table a file"
run hexapla sql -c "SELECT doc_id AS id, text, url FROM documents WHERE lang = 'fin_Latn' LIMIT 500" --format ndjson -o ../try/finnish.jsonl
run hexapla ingest ../try/finnish.jsonl --lang fi --out ../try/finnish
run hexapla sql -t finnish=../try/finnish -c "SELECT lang, count(*) AS rows, sum(char_count(text)) AS chars FROM finnish GROUP BY lang"

say "The mixture, decided before anything is trained"
run hexapla mix main --dry-run

say "Joint pretraining: masked words in every language, and across translations"
run hexapla train pretrain

say "Fine-tuning on English alone, from the pretrained weights and from random ones"
run hexapla train finetune scratch

say "Languages it never saw a label of; and does a message find its translation?"
run hexapla eval

say "One page about it all"
run hexapla report
run hexapla verify tables packs runs
printf '\ndemo: %s seconds; look at %s\n' "$(($(date +%s) - began))" "target/demo/project/report.html"
