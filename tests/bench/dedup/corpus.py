"""Endless text of many languages from the real lines of shared/data, in bounded memory.

Some 57 MB of real lines have to last for gigabytes. A language is a vocabulary (what stands between
spaces; clauses where a script has no spaces) and its lines as numbers into it. Text is a run of
consecutive lines. The first time through a language it is the text as it lies; from then on each run
is read with its words exchanged: words are ranked by frequency, the 16 most frequent stay, and the
others are rotated within bands of ranks (16 to 31, 32 to 63, …), each band by a step that the run's
own number gives. The same number gives the same words again.

What that means for realism: lengths of documents, lines and words, scripts, frequencies of words and
the places of function words are those of real text; which content word follows which is not. Two
documents of the same lines share next to no 5-grams, as two real documents do. Text compresses worse
than real text does, n-grams repeat less within a document, and rules of quality and language
labels answer otherwise; measure those on real lines.
"""

import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# The number of the line's end in every vocabulary.
END = 0
# The most frequent words, which stay where they are.
FIXED = 16
# Scripts that do not put spaces between words, and where their clauses end.
UNSPACED = {"zh", "ja", "th", "lo", "km", "my", "bo", "dz", "yue", "wuu"}
CLAUSE = re.compile(r"[^\s。！？；：，、,;!?ฯ။၊།។]+[\s。！？；：，、,;!?ฯ။၊།།។]*")
# Codes of three letters of languages that the rest of the data gives two.
SHORT = {
    "arb": "ar", "bul": "bg", "cat": "ca", "ces": "cs", "cmn": "zh", "dan": "da", "deu": "de",
    "ell": "el", "eng": "en", "est": "et", "eus": "eu", "fin": "fi", "fra": "fr", "heb": "he",
    "hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "ita": "it", "jpn": "ja", "khm": "km",
    "kor": "ko", "lao": "lo", "lav": "lv", "lit": "lt", "mya": "my", "nld": "nl", "nob": "nb",
    "pes": "fa", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru", "slk": "sk", "slv": "sl",
    "spa": "es", "srp": "sr", "swe": "sv", "tam": "ta", "tha": "th", "tur": "tr", "ukr": "uk",
    "urd": "ur", "vie": "vi", "zho": "zh", "zsm": "ms", "isl": "is", "ben": "bn", "swa": "sw",
    "swh": "sw",
}


def lines_of(path):
    """The lines of a text file, gzip or zstd by its ending."""
    codec = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    with pa.input_stream(str(path), compression=codec) as stream:
        return stream.read().decode("utf-8").split("\n")


def real_lines(data):
    """Per language its distinct real lines, in the order of the files."""
    pools = {}

    def add(lang, lines):
        lang = re.split("[-_]", lang)[0]
        pool = pools.setdefault(SHORT.get(lang, lang), {})
        pool.update((line, None) for line in lines if len(line.strip()) > 2)

    for path in sorted(data.glob("jsonl/*")):
        for line in filter(None, lines_of(path)):
            row = json.loads(line)
            if row.get("lang") not in {None, "und"}:
                add(row["lang"], row["text"].split("\n"))
    for lang, text in zip(*pq.read_table(data / "parquet/lohelp-docs.zstd.parquet", columns=["lang", "text"]).to_pydict().values()):
        add(lang, text.split("\n"))
    for path in sorted(data.glob("moses/*/*.gz")):
        lang = path.name.split(".")[-2]
        if ".ids." not in path.name and "tatoeba" not in path.name:
            add(lang, lines_of(path))
    for line in lines_of(data / "tsv/sib200/sib200.train-dev.tsv.zst")[1:]:
        fields = line.split("\t")
        if len(fields) == 5:
            add(fields[0], [fields[4]])
    return {lang: own(list(pool)) for lang, pool in pools.items()}


def own(lines):
    """The lines without those that were left in English where the language has another script."""
    ascii_ = [sum(c.isascii() for c in line if c.isalpha()) for line in lines]
    letters = [sum(map(str.isalpha, line)) for line in lines]
    if 2 * sum(ascii_) > sum(letters):
        return lines
    return [line for line, a, n in zip(lines, ascii_, letters) if 4 * a <= n]


class Language:
    """The lines of one language as numbers, and how numbers become text."""

    def __init__(self, name, lines, seed):
        self.name = name
        self.spaced = name not in UNSPACED
        cut = str.split if self.spaced else CLAUSE.findall
        lines = [words for words in map(cut, lines) if words]
        counts = Counter(word for words in lines for word in words)
        # Of words that are as frequent as each other, those that stand together must not be
        # neighbours here, or a rotation would make the same text of another run.
        draw = random.Random(f"{seed} {name}")
        words = sorted(counts)
        draw.shuffle(words)
        words.sort(key=lambda w: -counts[w])
        self.words = ["\n", *words]
        number = {word: n for n, word in enumerate(self.words)}
        self.text = np.array(self.words, dtype=object)
        self.upper = np.array([upper(word) for word in self.words], dtype=object)
        sizes = [len(words) + 1 for words in lines]
        self.starts = np.concatenate([[0], np.cumsum(sizes)])
        self.numbers = np.fromiter(
            (n for words in lines for n in [*map(number.get, words), END]), dtype=np.int32, count=self.starts[-1]
        )
        lengths = np.array([len(w.encode()) + self.spaced for w in self.words])
        self.ends = np.concatenate([[0], np.cumsum(lengths[self.numbers])])[self.starts]
        self.bytes = int(self.ends[-1])
        # The band of each word: where it begins and how many words it has.
        ranks = np.arange(len(self.words)) - 1
        floor = np.maximum(ranks, 1)
        low = 1 << np.floor(np.log2(floor)).astype(np.int64)
        self.low = np.where(ranks < FIXED * self.spaced, ranks, low) + 1
        high = np.minimum(2 * low + 1, len(self.words))
        self.width = np.where((ranks < FIXED * self.spaced) | (ranks < 1), 1, high - self.low)
        # Numbers that are equal for words that are equal but for case.
        self.plain = np.array([hash_of(w.lower()) for w in self.words], dtype=np.uint64)

    def __len__(self):
        return len(self.starts) - 1

    def run(self, at, wanted):
        """The lines from `at` on that have `wanted` bytes: their number, and whether it is the
        language's end that stopped them."""
        end = int(np.searchsorted(self.ends, self.ends[at] + wanted))
        return max(1, min(end, len(self)) - at), end > len(self)

    def read(self, at, count, step):
        """The words of some lines, exchanged as `step` says; 0: as they are."""
        words = self.numbers[self.starts[at] : self.starts[at + count]]
        if step == 0:
            return words
        low, width = self.low[words], self.width[words]
        # The step of a band is its own, or bands of one width would move alike.
        turn = ((np.uint64(step) ^ low.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)
        moved = (words - low + (turn % width.astype(np.uint64)).astype(np.int64)) % width + low
        return np.where(words == END, END, moved).astype(np.int32)

    def render(self, words, how=None):
        """The text of some words; `how` writes equal content otherwise."""
        text = (self.upper if how == "case" else self.text)[words]
        joined = (" " if self.spaced else "").join(text.tolist())
        if self.spaced:
            joined = joined.replace(" \n ", "\n")
        joined = joined.strip()
        if how == "space":
            joined = "\n\n " + joined.replace("\n", " \n\t\n").replace(" ", "  ") + " \n"
        return joined

    def grams(self, words):
        """The distinct 5-grams of words without case, of characters where there are no spaces."""
        if self.spaced:
            units = self.plain[words[words != END]]
        else:
            text = "".join(self.render(words).lower().split())
            units = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
        if len(units) < 5:
            return np.empty(0, dtype=np.uint64)
        grams = np.zeros(len(units) - 4, dtype=np.uint64)
        for n in range(5):
            grams = grams * np.uint64(0x9E3779B97F4A7C15) + mixed(units[n : n + len(grams)])
        return np.unique(grams)


def mixed(numbers):
    numbers = (numbers ^ (numbers >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    return numbers ^ (numbers >> np.uint64(29))


def hash_of(word):
    found = 0xCBF29CE484222325
    for byte in word.encode():
        found = ((found ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return found


def upper(word):
    """The word in capitals where that loses nothing; ς, ß and ı have no way back."""
    return "".join(c.upper() if c.upper().lower() == c else c for c in word)


def jaccard(a, b):
    both = len(np.intersect1d(a, b, assume_unique=True))
    every = len(a) + len(b) - both
    return both / every if every else 0.0


class Text:
    """The languages with the most text, and where each is read from next."""

    def __init__(self, data, languages, seed):
        pools = real_lines(Path(data))
        size = {lang: sum(map(len, lines)) for lang, lines in pools.items()}
        kept = sorted(sorted(size), key=lambda lang: -size[lang])[:languages]
        self.languages = [Language(lang, pools[lang], seed) for lang in sorted(kept)]
        # Between "as it lies" and "all alike", as mixtures of languages usually are.
        self.weights = [language.bytes**0.6 for language in self.languages]
        self.at = [0] * len(self.languages)
        self.passes = [0] * len(self.languages)

    def draw(self, draw, wanted):
        """The next lines of some language as a recipe: the language's number, and runs of lines
        (where, how many, step)."""
        n = draw.choices(range(len(self.languages)), self.weights)[0]
        language, runs = self.languages[n], []
        while wanted > 0:
            at = self.at[n]
            count, end = language.run(at, wanted)
            step = draw.getrandbits(60) | 1 if self.passes[n] else 0
            runs.append((at, count, step))
            wanted -= int(language.ends[at + count] - language.ends[at])
            self.at[n] = at + count
            if end or self.at[n] >= len(language):
                self.passes[n] += 1
                # The next time through begins elsewhere, or documents would be cut alike.
                self.at[n] = draw.randrange(max(1, len(language) // 8))
        return n, runs

    def words(self, recipe):
        n, runs = recipe
        parts = [self.languages[n].read(*run) for run in runs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
