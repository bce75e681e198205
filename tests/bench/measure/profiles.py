"""Compares the profiles `dolma` and `tfds` of the rules of documents with the peers they are named for.

usage: profiles.py HEXAPLA SHARED_DATA [--documents N]

Runs in an environment with dolma 1.2 and tensorflow-datasets 4.9 (without what they need to read and
write: their rules import none of it), msgspec, zstandard and pyarrow, all from PyPI. Texts are real
documents of shared/data in 30 languages, and hostile ones.

dolma's taggers `gopher_v1` and `c4_v2` give numbers; the mixes that set thresholds for them are not in
its package. Its numbers are compared with ours, and our verdict and reason with those that the
thresholds of the mixes give over its numbers. Its list of bad words is left out of both.
C4's `clean_page` counts sentences with a model of NLTK that no package brings: it is given
hexapla's sentences; the lines it keeps and what drops the others are its own.

Prints Markdown: texts of the same verdict and reason, and the largest difference of a number. The exit
code is 1 when a verdict, a reason or a number differs.
"""

import argparse
import json
import random
import sys
import tempfile
import types
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from common import asked, head, row
from documents import gather

# Without these modules' own imports: they read and write elsewhere.
for name in ["dolma", "dolma.core", "dolma.taggers", "tensorflow_datasets", "tensorflow_datasets.text"]:
    top, *rest = name.split(".")
    package = types.ModuleType(name)
    root = Path(find_spec(top).submodule_search_locations[0]) if not rest else Path(sys.modules[top].__path__[0])
    package.__path__ = [str(root.joinpath(*rest))]
    sys.modules[name] = package
for name in ["core", "core.utils", "core.utils.lazy_imports_utils", "public_api"]:
    sys.modules[f"tensorflow_datasets.{name}"] = types.ModuleType(name)
sys.modules["tensorflow_datasets.core.utils.lazy_imports_utils"].tensorflow = None
sys.modules["tensorflow_datasets"].public_api = sys.modules["tensorflow_datasets.public_api"]

from dolma.core.data_types import Document  # noqa: E402
from dolma.taggers import c4, gopher  # noqa: E402
from tensorflow_datasets.text import c4_utils  # noqa: E402

HOSTILE = [
    "", " ", "\n", "\n\n\n", "\t \u00a0\n \u3000", ".", "...", "a.", "\u0378\U000e0fff", "\u200d\u200f\n\u202e",
    "one two three four five.", "Five words are in this. " * 4, "x" * 1001 + " is a long word here.",
    "[1] [edit] a[citation needed] b c d e.", "[१] [²] four words are here.", "We use coo\u212aies here now and then.",
    "LOREM IPSUM dolor sit amet here.", "an open { brace is in this.", "JavaScript must be on for this.",
    "İstanbul JAVASCRİPT değil. Bu bir cümle daha.", "a\x1cb c\x85d e\u2028f g\x0bh.\ri j k l m.\x1e", "# # # … … #a …b" * 20,
    "* a\n- b\n• c\n" * 9, "da da " * 60, "the cat and the dog\n" * 40, "و أن في من على " * 30, "一二三四五。" * 50,
    "ends so…\n" * 20, "e\u0301 \u0301 a\u0308 " * 40, "Ⅷ ² ٣ १ " * 40, "that" * 30_000, "be to of " * 40_000,
]
TOP = [f"fraction_of_characters_in_most_common_{n}grams" for n in (2, 3, 4)]
REPEATED = [f"fraction_of_characters_in_duplicate_{n}grams" for n in range(5, 11)]
# Which of our numbers is which of gopher_v1's, and when a mix drops the page, in its order.
QUALITY = {
    "n_words": ("word_count", lambda n: not 50 <= n <= 100_000),
    "mean_word_chars": ("median_word_length", lambda n: not 3 <= n <= 10),
    "hash_ratio": ("symbol_to_word_ratio", lambda n: n > 0.1),
    "alpha_ratio": ("fraction_of_words_with_alpha_character", lambda n: n < 0.8),
    "n_stop_words": ("required_word_count", lambda n: n < 2),
    "bullet_line_ratio": ("fraction_of_lines_starting_with_bullet_point", lambda n: n > 0.9),
    "ellipsis_line_ratio": ("fraction_of_lines_ending_with_ellipsis", lambda n: n > 0.3),
}
above = lambda bar: lambda n: n > bar
REPETITION = {
    "dup_line_frac": ("fraction_of_duplicate_lines", above(0.3)),
    "dup_line_char_frac": ("fraction_of_characters_in_duplicate_lines", above(0.3)),
    **{f"top_{n}_gram": (name, above(bar)) for n, name, bar in zip((2, 3, 4), TOP, (0.2, 0.18, 0.16))},
    **{f"duplicated_{n}_n_grams": (name, above(bar))
       for n, name, bar in zip(range(5, 11), REPEATED, (0.15, 0.14, 0.13, 0.12, 0.11, 0.10))},
}


class Agreement:
    """Texts with the same verdict and reason, and numbers that differ."""

    def __init__(self, function):
        self.function, self.texts, self.dropped, self.same, self.off = function, 0, 0, 0, 0.0

    def add(self, text, ours, reason, numbers):
        self.texts += 1
        self.dropped += reason is not None
        same = ours["reason"] == reason and ours["keep"] == (reason is None)
        self.same += same
        off = max([abs(ours[name] - number) for name, number in numbers.items()], default=0.0)
        self.off = max(self.off, off)
        if not same or off > 1e-9:
            said = {n: (ours[n], v) for n, v in numbers.items() if abs(ours[n] - v) > 1e-9}
            print(f"{self.function}: theirs {reason}, ours {ours['reason']} {said}: {text[:80]!r}", file=sys.stderr)

    @property
    def met(self):
        return self.same == self.texts and self.off <= 1e-9


def texts_of(data, count, folder):
    gather(data, folder / "documents.jsonl")
    rows = [json.loads(line) for line in (folder / "documents.jsonl").open(encoding="utf-8")]
    random.Random(1).shuffle(rows)
    return [row["text"] for row in rows[:count]] + HOSTILE


def spans_of(tagger, text):
    return tagger.predict(Document(source="", version="", id="", text=text)).spans


def compare_dolma(texts, answers):
    quality, repetition, pages = (Agreement(f) for f in ("gopher_quality", "gopher_repetition", "c4_quality"))
    tagger, c4_tagger = gopher.GopherTagger(), c4.FasterC4Tagger()
    for text, ours in zip(texts, answers):
        scores = {span.type: span.score for span in spans_of(tagger, text)}
        for agreement, rules in [(quality, QUALITY), (repetition, REPETITION)]:
            # A text too short for an n-gram has no number of it.
            numbers = {name: scores.get(theirs, 0.0) for name, (theirs, _) in rules.items()}
            reason = next((theirs for name, (theirs, drops) in rules.items() if drops(numbers[name])), None)
            agreement.add(text, ours[agreement.function], reason, numbers)
        spans = spans_of(c4_tagger, text)
        kinds = {span.type: span.score for span in spans}
        open_, short = ({s.start for s in spans if s.type == f"lines_with_{k}"}
                        for k in ("no_ending_punctuation", "too_few_words"))
        count = lambda kind: sum(s.type == f"lines_with_{kind}" for s in spans)
        numbers = {"n_lines": kinds["line_count"], "n_no_terminal_punct": count("no_ending_punctuation"),
                   "n_too_few_words": count("too_few_words")}
        # Empty lines have no place of their own: which lines are both is then not told.
        if len(open_) == numbers["n_no_terminal_punct"] and len(short) == numbers["n_too_few_words"]:
            numbers["n_lines_kept"] = numbers["n_lines"] - len(open_ | short)
        order = ["has_curly_brace", "has_lorem_ipsum", "has_javascript"]
        pages.add(text, ours["c4_quality"], next((kind for kind in order if kind in kinds), None), numbers)
    return [quality, repetition, pages]


def cleaned(clean, text):
    counts = Counter()
    for _ in clean(types.SimpleNamespace(text=text), counter_inc_fn=lambda name: counts.update([name])):
        break
    return counts


def compare_tfds(hexapla, texts, answers, folder):
    # The page is a dataclass there, and copied with its new text.
    c4_utils.dataclasses.replace = lambda page, text: page
    clean, lines = c4_utils.get_clean_page_fn(), {}
    c4_utils._get_sentences = lambda line: lines.setdefault(line, [])
    for text in texts:
        cleaned(clean, text)
    query = "SELECT id, sentence_count(text) AS n FROM rows ORDER BY id"
    counted, _ = asked(hexapla, {"text": list(lines)}, query, folder)
    sentences = dict(zip(lines, counted["n"].to_pylist()))
    c4_utils._get_sentences = lambda line: range(sentences[line])
    agreement = Agreement("c4_quality")
    for text, ours in zip(texts, answers):
        counts = cleaned(clean, text)
        reason = next((k.split(":")[1] for k in counts if k.startswith("filtered:")), None)
        numbers = {}
        # It stops at the line that drops the page; ours counts on.
        if reason in (None, "too_few_sentences"):
            names = {"n_lines_kept": "line-passed", "n_too_long_word": "line-filtered:too_long_word",
                     "n_no_terminal_punct": "line-filtered:no_endmark", "n_too_few_words": "line-filtered:too_short",
                     "n_javascript": "line-filtered:javascript", "n_policy": "line-filtered:policy"}
            numbers = {name: counts[theirs] for name, theirs in names.items()}
        agreement.add(text, ours["c4_quality"], reason, numbers)
    return [agreement]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hexapla")
    parser.add_argument("data", type=Path)
    parser.add_argument("--documents", type=int, default=20_000)
    args = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = texts_of(args.data, args.documents, folder)
        for profile, functions in [
            ("dolma", ("gopher_quality", "gopher_repetition", "c4_quality")), ("tfds", ("c4_quality",))
        ]:
            columns = ", ".join(f"{f}(text, 'eng_Latn', '{profile}') AS {f}" for f in functions)
            query = f"SELECT id, {columns} FROM rows ORDER BY id"
            answers = asked(args.hexapla, {"text": texts}, query, folder)[0].to_pylist()
            if profile == "dolma":
                agreements = compare_dolma(texts, answers)
            else:
                agreements = compare_tfds(args.hexapla, texts, answers, folder)
            found += [(profile, agreement) for agreement in agreements]
    print("### Profiles `dolma` and `tfds` of the rules of documents, with dolma 1.2 and tensorflow-datasets 4.9\n")
    head("profile, function", "texts", "dropped by the peer", "same verdict and reason", "largest difference of a number")
    for profile, a in found:
        row(f"`{profile}` `{a.function}`", a.texts, a.dropped, f"{a.same} ({a.same / a.texts:.3%})", f"{a.off:.1e}")
    return 0 if all(a.met for _, a in found) else 1


if __name__ == "__main__":
    sys.exit(main())
