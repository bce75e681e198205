"""Makes a large test corpus with injected duplicates, the same bytes every time, and their truth.

usage: prepare.py SHARED_DATA --out FILE.parquet|FILE.jsonl|DIR [--size 128MB] [--languages 60]
                  [--seed 1] [--duplicates 0.25] [--format parquet|jsonl] [--part 256MB]
       prepare.py SHARED_DATA --moses PREFIX [--size 128MB] [--seed 1]

Text is real lines of shared/data, resampled and varied: corpus.py says how, and what that means for
realism. Natural documents are log-normal in length (median 1.5 kB, mean 3.3 kB, at most 100 kB),
each in one language. OUT has `doc_id` (UInt64, unique, ascending), `text`, `lang`, `source`; a
folder gets parts of `--part` bytes of text. `--size` counts bytes of text. One process, less than
1 GB of memory at any size.

`--duplicates` is the share of rows that are injected. An original has 1 to 999 copies, few have
many, and they lie anywhere behind it. OUT.truth.tsv has a line for each injected row: `id`,
`original` (the id it is a copy of), `kind`, `edit`, `jaccard`, exact, of the sets of 5-grams of what
stands between spaces, in lower case (of characters in languages without spaces), of the two:

  exact      as it is, in capitals, or with other white space
  near       words or passages exchanged, left out or put in, to a similarity drawn from 0.5 to 1
  language   the same text under another language
  short      one to four words, the same few again and again; `original` is the first of them
  boilerplate  no copy: a natural document that begins or ends with lines that thousands share

`--moses` writes two aligned files instead, PREFIX.de and PREFIX.en, lines that do not mean the same,
a tenth of them twice, and no truth.
"""

import argparse
import heapq
import json
import random
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus import END, Text, jaccard

MB = 1_000_000
MEDIAN, SIGMA, LONGEST = 7.313, 1.25, 100_000
MEAN = 3_000
SOURCES = ["web", "help", "news", "manual", "books"]
SCHEMA = pa.schema(
    [pa.field("doc_id", pa.uint64(), False), pa.field("text", pa.string(), False),
     pa.field("lang", pa.string()), pa.field("source", pa.string(), False)]
)
# The first id: a hash of the source, then the row, as ids of tables are.
FIRST = 0x6865_7861 << 32
# Of the originals: how they are copied.
EXACT, NEAR, MIXED, LANGUAGE = 0.3, 0.55, 0.1, 0.05
# Of all rows.
SHORT, BOILERPLATE = 0.01, 0.06
COPIES = [1.0 / k**2.2 for k in range(1, 1000)]
COPIES_MEAN = sum(k * p for k, p in enumerate(COPIES, 1)) / sum(COPIES)


def bytes_of(size):
    for end, times in {"GB": 1000 * MB, "MB": MB, "KB": 1000}.items():
        if size.upper().endswith(end):
            return int(float(size[: -len(end)]) * times)
    return int(size)


def edited(language, words, wanted, draw):
    """The words changed to about the similarity that is wanted, and what was done to them."""
    kind = draw.choice(["words", "words", "words", "cut", "lines", "insert", "delete"])
    n = len(words)
    others = lambda count: np.array([draw.randrange(1, len(language.words)) for _ in range(count)], dtype=np.int32)
    if kind == "words":
        # A word is in five 5-grams; both texts lose those. A clause is long, and loses itself.
        lost = (1 - wanted) / (1 + wanted)
        share = lost / 5 if language.spaced else lost
        count = max(1, round(share * n))
        # Apart from each other, or they would share 5-grams.
        places = [min(n - 1, int((k + draw.random()) * n / count)) for k in range(count)]
        made = words.copy()
        made[places] = others(count)
    elif kind == "cut":
        kept = max(1, round(wanted * n))
        made = words[:kept] if draw.random() < 0.5 else words[n - kept :]
    elif kind == "lines":
        # A passage moves to the end: only the 5-grams at its edges change, so several do.
        lost = (1 - wanted) / (1 + wanted)
        cuts = sorted(draw.sample(range(1, n), min(n - 1, max(1, round(lost * n / 4)))))
        pieces = np.split(words, cuts)
        draw.shuffle(pieces)
        made = np.concatenate(pieces)
    elif kind == "insert":
        at, count = draw.randrange(n), max(1, round((1 / wanted - 1) * n))
        made = np.concatenate([words[:at], others(count), words[at:]])
    else:
        count = max(1, round((1 - wanted) * n))
        at = draw.randrange(max(1, n - count))
        made = np.concatenate([words[:at], words[at + count :]])
    return made, kind


class Corpus:
    """Rows, one after the other: id, text, language, and the truth's line of an injected one."""

    def __init__(self, args):
        self.text = Text(args.data, args.languages, args.seed)
        self.draw = random.Random(args.seed)
        self.size = bytes_of(args.size)
        # Copies of the originals so far, by the row at which they come.
        self.waiting = []
        self.rows = max(100, int(self.size / MEAN))
        self.shorts = {}
        injected = max(0.0, args.duplicates - SHORT)
        self.originals = injected / max(1e-9, 1 - injected) / COPIES_MEAN
        self.short = SHORT if args.duplicates > 0 else 0.0
        self.boilerplate = BOILERPLATE if args.duplicates > 0 else 0.0
        english = next((n for n, l in enumerate(self.text.languages) if l.name == "en"), 0)
        self.footers = [self.footer(english), self.footer(english)]
        self.local = [self.footer(n) for n in range(len(self.text.languages))]

    def footer(self, n):
        """A recipe of 300 to 500 bytes that many documents have."""
        language = self.text.languages[n]
        at = self.draw.randrange(max(1, len(language) - 50))
        return n, [(at, language.run(at, self.draw.randrange(300, 500))[0], self.draw.getrandbits(60) | 1)]

    def render(self, recipe, body, how=None):
        """The text of a recipe and its boilerplate."""
        (n, _), footer, first = recipe[:3]
        text = self.text.languages[n].render(body, how)
        if footer is not None:
            plain = self.text.languages[footer[0]].render(self.text.words(footer), how)
            text = f"{plain}\n{text}" if first else f"{text}\n{plain}"
        return text

    def natural(self, id_, row):
        draw = self.draw
        wanted = min(draw.lognormvariate(MEDIAN, SIGMA), LONGEST)
        drawn = self.text.draw(draw, max(30, wanted))
        n = drawn[0]
        footer = None
        if wanted > 1000 and draw.random() < self.boilerplate:
            footer = draw.choice([*self.footers, *self.footers, self.local[n]])
        recipe = (drawn, footer, draw.random() < 0.3)
        body = self.text.words(drawn)
        if draw.random() < self.originals:
            copies = draw.choices(range(1, 1000), COPIES)[0]
            # No cluster is more than a fiftieth of everything.
            copies = min(copies, max(1, int(self.size / 50 / wanted)))
            way = draw.choices(["exact", "near", "mixed", "language"], [EXACT, NEAR, MIXED, LANGUAGE])[0]
            if len(body) < 40:
                way = "exact"
            for _ in range(copies):
                kind = way if way != "mixed" else draw.choice(["exact", "near"])
                at = row + 1 + int(draw.random() * max(100, self.rows - row))
                heapq.heappush(self.waiting, (at, draw.getrandbits(60), id_, kind, recipe))
        truth = ("", "boilerplate", "", "") if footer is not None else None
        return self.render(recipe, body), n, truth

    def copy(self, seed, original, kind, recipe):
        draw = random.Random(seed)
        drawn, footer, first = recipe
        n = drawn[0]
        language = self.text.languages[n]
        body = self.text.words(drawn)
        if kind == "language":
            other = (n + draw.randrange(1, max(2, len(self.text.languages)))) % len(self.text.languages)
            return self.render(recipe, body), other, (original, kind, "", "1.0000")
        if kind == "exact":
            how = draw.choice([None, "case", "space"])
            return self.render(recipe, body, how), n, (original, kind, how or "same", "1.0000")
        made, edit = edited(language, body, draw.uniform(0.5, 1.0), draw)
        a, b = language.grams(body), language.grams(made)
        if footer is not None:
            # What both have: the 5-grams across its edge are left out of the account.
            both = self.text.languages[footer[0]].grams(self.text.words(footer))
            a, b = np.union1d(a, both), np.union1d(b, both)
        return self.render(recipe, made), n, (original, kind, edit, f"{jaccard(a, b):.4f}")

    def few_words(self, id_):
        draw = self.draw
        n = draw.randrange(len(self.text.languages))
        language = self.text.languages[n]
        which = (n, min(int(draw.paretovariate(0.7)), 200))
        own = random.Random(f"{which}")
        words = [own.randrange(1, min(2000, len(language.words))) for _ in range(own.randrange(1, 5))]
        original = self.shorts.setdefault(which, id_)
        truth = None if original == id_ else (original, "short", "", "1.0000")
        return language.render(np.array(words)), n, truth

    def __iter__(self):
        written, row = 0, 0
        while written < self.size:
            id_ = FIRST + row
            if self.waiting and self.waiting[0][0] <= row:
                _, seed, original, kind, recipe = heapq.heappop(self.waiting)
                text, n, truth = self.copy(seed, original, kind, recipe)
            elif self.draw.random() < self.short:
                text, n, truth = self.few_words(id_)
            else:
                text, n, truth = self.natural(id_, row)
            row += 1
            if text:
                size = len(text.encode())
                written += size
                yield id_, text, size, self.text.languages[n].name, SOURCES[id_ % len(SOURCES)], truth


class Parquet:
    """A Parquet file in groups of at most 32 MB of text."""

    end = ".parquet"

    def __init__(self, path):
        self.writer = pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=3)
        self.rows, self.bytes = [], 0

    def add(self, id_, text, size, lang, source):
        self.rows.append((id_, text, lang, source))
        self.bytes += size
        if self.bytes > 32 * MB:
            self.flush()

    def flush(self):
        if self.rows:
            columns = [pa.array(c, f.type) for c, f in zip(zip(*self.rows), SCHEMA)]
            self.writer.write_table(pa.table(columns, schema=SCHEMA))
        self.rows, self.bytes = [], 0

    def close(self):
        self.flush()
        self.writer.close()


class Jsonl:
    """JSON lines."""

    end = ".jsonl"

    def __init__(self, path):
        self.file = path.open("wb", buffering=1 << 20)
        self.encode = json.JSONEncoder(ensure_ascii=False).encode

    def add(self, id_, text, size, lang, source):
        row = {"doc_id": id_, "text": text, "lang": lang, "source": source}
        self.file.write((self.encode(row) + "\n").encode())

    def close(self):
        self.file.close()


def documents(args):
    kinds = {"parquet": Parquet, "jsonl": Jsonl}
    kind = kinds[args.format or (args.out.suffix[1:] if args.out.suffix[1:] in kinds else "parquet")]
    whole = args.out.suffix == kind.end
    parts, part, limit = 0, None, bytes_of(args.part)
    (args.out.parent if whole else args.out).mkdir(parents=True, exist_ok=True)
    rows, total, here = 0, 0, 0
    with open(f"{args.out}.truth.tsv", "w", encoding="utf-8") as truths:
        truths.write("id\toriginal\tkind\tedit\tjaccard\n")
        for id_, text, size, lang, source, truth in Corpus(args):
            if part is None or (not whole and here >= limit):
                if part is not None:
                    part.close()
                part = kind(args.out if whole else args.out / f"part-{parts:03}{kind.end}")
                parts, here = parts + 1, 0
            part.add(id_, text, size, lang, source)
            rows, total, here = rows + 1, total + size, here + size
            if truth is not None:
                truths.write("\t".join(map(str, (id_, *truth))) + "\n")
    if part is not None:
        part.close()
    print(f"{args.out}: {rows:,} documents, {total / MB:,.0f} MB of text", file=sys.stderr)


def moses(args):
    text = Text(args.data, args.languages, args.seed)
    sides = [next(l for l in text.languages if l.name == lang) for lang in ("de", "en")]
    draw, size, written, rows = random.Random(args.seed), bytes_of(args.size), 0, 0
    args.moses.parent.mkdir(parents=True, exist_ok=True)
    files = [open(f"{args.moses}.{side.name}", "w", encoding="utf-8", buffering=1 << 20) for side in sides]
    kept = []
    while written < size:
        lines = []
        for side in sides:
            at = draw.randrange(max(1, len(side) - 2000))
            words = side.read(at, min(2000, len(side) - at), draw.getrandbits(60) | 1)
            lines.append(side.render(words).split("\n"))
        some = list(zip(*lines))
        if kept:
            some += [draw.choice(kept) for _ in range(len(some) // 10)]
        kept += draw.sample(some, min(100, len(some)))
        for n, file in enumerate(files):
            text = "".join(pair[n] + "\n" for pair in some)
            file.write(text)
            written += len(text.encode())
        rows += len(some)
    for file in files:
        file.close()
    print(f"{args.moses}: {rows:,} pairs, {written / MB:,.0f} MB", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--moses", type=Path)
    parser.add_argument("--size", default="128MB")
    parser.add_argument("--languages", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duplicates", type=float, default=0.25)
    parser.add_argument("--format", choices=["parquet", "jsonl"])
    parser.add_argument("--part", default="256MB")
    args = parser.parse_args()
    if not (args.data / "MANIFEST.tsv").exists():
        sys.exit(f"error: {args.data} has no MANIFEST.tsv; the corpus is made from shared/data")
    if args.moses:
        moses(args)
    elif args.out:
        documents(args)
    else:
        sys.exit("error: nothing to write; say --out or --moses")


if __name__ == "__main__":
    main()
