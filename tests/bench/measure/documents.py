"""Compares the measures of documents with datatrove's, verdict and reason, language by language.

usage: documents.py gather SHARED_DATA DOCS       real documents of many languages, one JSON a line
       documents.py peer DOCS ANSWERS             datatrove's words, sentences, verdicts and reasons
       documents.py compare ANSWERS OURS          a Markdown table; exit code 1 when a bar is missed
       documents.py time HEXAPLA DOCS PEER_LOG    the same work through SQL, Parquet to Parquet, with
                                                  two threads, beside two workers of the peer

A cell of the table has the share of documents with the same verdict and reason given datatrove's
words and sentences, and the share with the same verdict from end to end, in percent; the last
column is of all verdicts from end to end. Differences are counted on stderr.

DOCS has `id`, `lang` (`iso639-3_Script`) and `text` a line. ANSWERS adds `words`, the peer's list;
`sentences`, its number of sentences in each line that C4's line rules keep; and `peer`, per rule
set the reason (null: kept). OURS has `id` and, per rule set, our reason: `given` those lists, and
from end to end `own`. datatrove and its tokenizers are in the environment that runs `peer`; each
language is read by the tokenizer that datatrove assigns to it.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from common import lines_of, text_of

# Ours, then datatrove's name of the same language; those with a tokenizer that is a package.
LANGUAGES = {
    "amh_Ethi": "amh_Ethi", "arb_Arab": "arb_Arab", "ben_Beng": "ben_Beng", "cmn_Hans": "cmn_Hani",
    "deu_Latn": "deu_Latn", "ell_Grek": "ell_Grek", "eng_Latn": "eng_Latn", "fin_Latn": "fin_Latn",
    "fra_Latn": "fra_Latn", "hau_Latn": "hau_Latn", "heb_Hebr": "heb_Hebr", "hin_Deva": "hin_Deva",
    "ind_Latn": "ind_Latn", "isl_Latn": "isl_Latn", "ita_Latn": "ita_Latn", "jpn_Jpan": "jpn_Jpan",
    "kat_Geor": "kat_Geor", "khm_Khmr": "khm_Khmr", "lao_Laoo": "lao_Laoo", "pol_Latn": "pol_Latn",
    "por_Latn": "por_Latn", "rus_Cyrl": "rus_Cyrl", "spa_Latn": "spa_Latn", "swh_Latn": "swh_Latn",
    "tam_Taml": "tam_Taml", "tha_Thai": "tha_Thai", "tur_Latn": "tur_Latn", "ukr_Cyrl": "ukr_Cyrl",
    "urd_Arab": "urd_Arab", "vie_Latn": "vie_Latn",
}
TAGS = {
    "am": "amh_Ethi", "ar": "arb_Arab", "bn": "ben_Beng", "zh-CN": "cmn_Hans", "zh": "cmn_Hans",
    "cmn_hans": "cmn_Hans", "de": "deu_Latn", "el": "ell_Grek", "en": "eng_Latn",
    "en-US": "eng_Latn", "en-GB": "eng_Latn", "eng-GB": "eng_Latn", "fi": "fin_Latn",
    "fr": "fra_Latn", "fra-CA": "fra_Latn", "ha": "hau_Latn", "he": "heb_Hebr", "hi": "hin_Deva",
    "id": "ind_Latn", "is": "isl_Latn", "it": "ita_Latn", "ja": "jpn_Jpan", "ka": "kat_Geor",
    "km": "khm_Khmr", "lo": "lao_Laoo", "pl": "pol_Latn", "pt-BR": "por_Latn", "por-BR": "por_Latn",
    "pt": "por_Latn", "ru": "rus_Cyrl", "es": "spa_Latn", "sw": "swh_Latn", "swa": "swh_Latn",
    "ta": "tam_Taml", "th": "tha_Thai", "tr": "tur_Latn", "uk": "ukr_Cyrl", "ur": "urd_Arab",
    "vi": "vie_Latn", **{tag[:3]: tag for tag in LANGUAGES},
}
# Enough of a language; the rest of it is left out.
MOST = 2500
# Gopher's stop words are English and decide nearly all documents in other languages; without them
# the other rules of that set are compared.
NO_STOP_WORDS = "gopher_quality, no stop words"
RULES = ["gopher_quality", NO_STOP_WORDS, "gopher_repetition", "c4_quality", "fineweb_quality"]
LEAST_GIVEN, LEAST_OWN = 1.0, 0.97


def grouped(ids, texts, size):
    """Lines of one document each: those whose `ids` agree, at most `size`."""
    key, lines = None, []
    for of, line in zip(ids, texts):
        if lines and (of != key or len(lines) == size):
            yield "\n".join(lines)
            lines = []
        key = of
        lines.append(line)
    if lines:
        yield "\n".join(lines)


def documents(data):
    """Language and text of each document."""
    for path in sorted(data.glob("jsonl/*")) + [data / "dedup/injected.jsonl.zst"]:
        for line in lines_of(path):
            row = json.loads(line)
            # A translation that is still in English is no document of its language.
            if row.get("untranslated", 0) <= 0.5:
                yield row["lang"], row["text"]
    for path in sorted(data.glob("json/xquad/*.gz")):
        for page in json.loads(text_of(path))["data"]:
            for paragraph in page["paragraphs"]:
                yield path.name.split(".")[1], paragraph["context"]
            yield path.name.split(".")[1], "\n\n".join(p["context"] for p in page["paragraphs"])
    for folder in ["ntrex", "lohelp"]:
        [file] = data.glob(f"moses/{folder}/*.*ids.gz")
        # A paragraph is a place in a page.
        ids = [line.strip().split("#")[0] for line in lines_of(file)]
        for path in sorted(data.glob(f"moses/{folder}/*.gz")):
            lang = path.name.split(".")[2]
            if lang not in ("ids", "docids"):
                for text in grouped(ids, lines_of(path), 40):
                    yield lang, text
    for name in ["bible.lav-ukr", "bible.swa-zul"]:
        ids = [i.strip().rsplit(".", 1)[0] for i in lines_of(data / f"moses/bible/{name}.ids.gz")]
        for lang in name.split(".")[1].split("-"):
            path = data / f"moses/bible/{name}.{lang}.gz"
            for text in grouped(ids, lines_of(path), 1000):
                yield lang, text
    for path in sorted(data.glob("moses/tatoeba/*.gz")):
        lang = path.name.split(".")[2]
        if lang in TAGS and lang != "eng":
            for text in grouped(iter(int, 1), lines_of(path), 40):
                yield lang, text


def gather(data, out):
    counts, sizes, seen = Counter(), Counter(), set()
    with open(out, "w", encoding="utf-8") as file:
        for code, text in documents(Path(data)):
            lang = TAGS.get(code)
            if lang is None or counts[lang] == MOST or (lang, text) in seen:
                continue
            seen.add((lang, text))
            counts[lang] += 1
            sizes[lang] += len(text.encode())
            row = {"id": f"{lang}.{counts[lang]}", "lang": lang, "text": text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    for lang in sorted(counts):
        print(f"{lang} {counts[lang]} {sizes[lang]}", file=sys.stderr)
    print(f"{sum(counts.values())} documents, {sum(sizes.values())} bytes", file=sys.stderr)


def peer(docs, out):
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        c4_filters,
    )
    from datatrove.utils import text as texts

    kinds = [
        GopherQualityFilter,
        lambda language: GopherQualityFilter(language=language, min_stop_words=0),
        GopherRepetitionFilter,
        C4QualityFilter,
        FineWebQualityFilter,
    ]
    split, n_sentences = texts.split_into_sentences, []

    def counted(line, language):
        sentences = split(line, language)
        n_sentences.append(len(sentences))
        return sentences

    c4_filters.split_into_sentences = counted
    filters, skipped, spent = {}, Counter(), 0.0
    with open(out, "w", encoding="utf-8") as file:
        for line in lines_of(Path(docs)):
            row = json.loads(line)
            lang = LANGUAGES[row["lang"]]
            if lang not in filters:
                filters[lang] = [kind(language=lang) for kind in kinds]
            n_sentences.clear()
            began = time.process_time()
            try:
                row["words"] = texts.split_into_words(row["text"], lang)
                row["peer"] = {}
                for rule, step in zip(RULES, filters[lang]):
                    try:
                        result = step.filter(Document(text=row["text"], id=row["id"]))
                    except ZeroDivisionError:
                        result = (False, "ZeroDivisionError")
                    row["peer"][rule] = None if result is True else result[1]
            except Exception as error:  # a tokenizer that fails on a text
                skipped[row["lang"], type(error).__name__] += 1
                continue
            spent += time.process_time() - began
            row["sentences"] = list(n_sentences)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    for what, n in skipped.items():
        print("failed:", *what, n, file=sys.stderr)
    print(f"{spent:.1f} s of processor time", file=sys.stderr)


def compare(answers, ours):
    mine = {}
    for line in lines_of(Path(ours)):
        row = json.loads(line)
        mine[row["id"]] = row
    n, same = Counter(), defaultdict(Counter)
    unlike = defaultdict(Counter)
    for line in lines_of(Path(answers)):
        row = json.loads(line)
        lang, us = row["lang"], mine[row["id"]]
        n[lang] += 1
        for rule in RULES:
            theirs = row["peer"][rule]
            given, own = us["given"][rule], us["own"][rule]
            same[lang][rule, "given"] += given == theirs
            same[lang][rule, "own"] += (own is None) == (theirs is None)
            if given != theirs:
                unlike[lang, rule, "given"][theirs, given] += 1
            if (own is None) != (theirs is None):
                unlike[lang, rule, "own"][theirs, own] += 1
    print("| language | documents | " + " | ".join(RULES) + " | all |")
    print("| --- | ---: |" + " ---: |" * (len(RULES) + 1))
    bad = False
    for lang in [*sorted(n), "all"]:
        if lang == "all":
            total = sum(n.values())
            shares = {
                (rule, kind): sum(same[l][rule, kind] for l in n) / total
                for rule in RULES for kind in ("given", "own")
            }
        else:
            total = n[lang]
            shares = {key: count / total for key, count in same[lang].items()}
        cells = []
        for rule in RULES:
            given, own = shares[rule, "given"], shares[rule, "own"]
            bad |= given < LEAST_GIVEN
            cells.append(f"{100 * given:.2f} / {100 * own:.2f}")
        own = sum(shares[rule, "own"] for rule in RULES) / len(RULES)
        bad |= own < LEAST_OWN
        cells.append(f"{100 * own:.2f}")
        print(f"| {lang} | {total} | " + " | ".join(cells) + " |")
    for key, counts in sorted(unlike.items()):
        for (theirs, us), count in counts.most_common(4):
            print(*key, f"theirs {theirs}, ours {us}:", count, file=sys.stderr)
    return 1 if bad else 0


def timed(hexapla, docs, log):
    """Ours by the clock with two threads; the peer's as if two workers shared its processor time."""
    rows = [json.loads(line) for line in lines_of(Path(docs))]
    size = sum(len(row["text"].encode()) for row in rows) / 1e6
    peer = next(float(line.split()[0]) for line in lines_of(Path(log)) if "processor time" in line)
    asked = ", ".join(
        f"{rule}(text, lang, 'datatrove') AS {rule}"
        for rule in ("gopher_quality", "gopher_repetition", "c4_quality", "fineweb_quality")
    )
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "hexapla.toml").write_text('[source.web]\npath = "data/*.jsonl"\n')
        (project / "queries").mkdir()
        (project / "data").mkdir()
        (project / "queries" / "judged.sql").write_text(
            f"-- judged: every rule.\n-- in: documents\n-- out: judged\nSELECT doc_id, {asked} FROM documents\n"
        )
        # A file of this size is a part, and each thread has one.
        for name in ("a", "b"):
            with (project / "data" / f"{name}.jsonl").open("w", encoding="utf-8") as file:
                for row in rows:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        run = [hexapla, "run", "--quiet", "--threads", "2", "--project", folder]
        subprocess.run([*run, "documents"], check=True)
        runs = []
        for _ in range(3):
            began = time.monotonic()
            subprocess.run([*run, "--force", "judged"], check=True)
            runs.append(time.monotonic() - began)
    ours, theirs = 2 * size / sorted(runs)[1], 2 * size / peer
    print("| work | hexapla, 2 threads | datatrove, 2 workers | ratio | bar |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print(f"| Gopher quality and repetition, C4, FineWeb over {2 * size:.0f} MB | {ours:.1f} MB/s "
          f"| {theirs:.2f} MB/s | {ours / theirs:.0f} | 60 |")


def main():
    match sys.argv[1:]:
        case ["time", hexapla, docs, log]:
            timed(hexapla, docs, log)
        case ["gather", data, out]:
            gather(data, out)
        case ["peer", docs, out]:
            peer(docs, out)
        case ["compare", answers, ours]:
            sys.exit(compare(answers, ours))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
