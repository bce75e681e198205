"""Compares hexapla's `fix_text` with ftfy under datatrove's settings, and times both.

usage: fix_text.py HEXAPLA SHARED_DATA [--lines N] [--seed N]

Runs in an environment with ftfy 6.3, datatrove 0.10, regex, zstandard and pyarrow, all of them
from PyPI. Cases are real lines of shared/data, ftfy's own cases and documented examples, real lines
read in wrong encodings in many ways, and random characters that mojibake is made of. Prints
Markdown; the exit code is 1 when a text differs, or when hexapla is less than ten times as fast.
"""

import argparse
import html
import importlib.metadata  # noqa: F401, datatrove needs it
import json
import random
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import ftfy  # noqa: F401, its codecs
from datatrove.pipeline.formatters.ftfy import FTFYFormatter

from common import asked, head, lines_of, own_seconds, row

BAR = 10
# Those that ftfy tries, and three that it does not.
TRIED = ["latin-1", "iso-8859-2", "macroman", "cp437"] + [
    f"sloppy-windows-{n}" for n in (1250, 1251, 1252, 1253, 1254, 1257)
]
ENCODINGS = TRIED + ["cp1252", "koi8-r", "sloppy-windows-1256"]
PIECES = """\x1b[31m \x00 \x07 \ufeff \u206a \ufffc \x7f \x85 \x93 \x9d \u00a0 \ufb01 \uff26 \U0001f600 &amp; &eacute;
&EACUTE; &#233; &#x1F600; &#0; &#128; &#59; &#xd800; &#1; &lt; < &amp;amp;lt; &hellip; &NotEqualTilde; &fjlig;
&ltri; &LTRI; \u2028 \ufffd ? \u00c3 \u00c2 \u00e2\u20ac\u2122 \u0153 \u00b0 \u201c \u201d \u2019 \u200d \u200f \x1a
\u00ed &SZLIG; &nTILDE;""".split(" ")
# The documentation of ftfy.
DOCUMENTED = [
    "âœ” No problems", "&macr;\\_(ã\x83\x84)_/&macr;", "Broken text&hellip; it&#x2019;s ﬂubberiﬁc!",
    "ＬＯＵＤ　ＮＯＩＳＥＳ", "sÃ³", "voilÃ le travail", "&ATILDE;&SUP3;", "&lt;tag&gt;",
    "&Jscr;ohn &HilbertSpace;ancock", "P&EACUTE;REZ", "BUNDESSTRA&SZLIG;E",
    "&ntilde; &Ntilde; &NTILDE; &nTILDE;", "\033[36;44mI'm blue, da ba dee\033[0m",
    "The Mona Lisa doesnÃƒÂ¢Ã¢â€šÂ¬Ã¢â€žÂ¢t have eyebrows.", "l’humanitÃ©", "â€œ like this â€�",
    "Ã\xa0 perturber la rÃ©flexion", "Ã perturber la rÃ©flexion", "(à¸‡'âŒ£')à¸‡",
]


def real_lines(data, count, rng):
    paths = [p for end in ("gz", "zst") for p in sorted(data.glob(f"[mtjl]*/**/*.{end}"))]
    share = max(1, count // len(paths))
    for path in paths:
        lines = [line[:5000] for line in lines_of(path, "replace")]
        yield from rng.sample(lines, min(share, len(lines)))


def misread(text, encoding):
    return text.encode("utf-8").decode(encoding, errors="replace")


def cesu8(text):
    """CESU-8 with Java's NUL: what some programs write for UTF-8."""
    units = text.encode("utf-16-le", "surrogatepass")
    pairs = (int.from_bytes(units[i : i + 2], "little") for i in range(0, len(units), 2))
    return b"".join(chr(u).encode("utf-8", "surrogatepass") for u in pairs).replace(b"\0", b"\xc0\x80")


def garbled(text, rng):
    encoding, other = rng.choice(ENCODINGS), rng.choice(ENCODINGS)
    words = text.split(" ")
    word = rng.randrange(len(words))
    scattered = list(text)
    for _ in range(4):
        scattered.insert(rng.randrange(len(scattered) + 1), rng.choice(PIECES))
    once = misread(text, encoding)
    return rng.choice([
        lambda: once,
        lambda: misread(once, other),
        lambda: misread(misread(once, encoding), encoding),
        lambda: " ".join(words[:word] + [misread(words[word], encoding)] + words[word + 1 :]),
        lambda: once.replace("\xa0", " "),
        lambda: once.replace("\x9d", "\ufffd").replace("\x81", "?"),
        lambda: misread(html.escape(text), encoding),
        lambda: cesu8(text + "😀𝒥 x").decode(encoding, errors="replace"),
        lambda: "".join(scattered),
        lambda: misread("".join(scattered), encoding),
        lambda: f"{text} {once}\n{misread(text, other)}",
    ])()


def soup(rng, pool):
    some = [rng.choice(pool if rng.random() < 0.75 else PIECES + list("aZ ,.")) for _ in range(rng.randrange(1, 14))]
    return "".join(some)


def lossy(rng, pool):
    letters = "é à ř “ … й Ж λ 中 あ 😀 ा ก א ع x . \xa0".split(" ") + [" "]
    text = misread("".join(rng.choice(letters) for _ in range(rng.randrange(1, 9))), rng.choice(TRIED))
    if rng.random() < 0.3:
        text = misread(text, rng.choice(TRIED))
    text = list(text)
    for _ in range(rng.randrange(3)):
        text[rng.randrange(len(text))] = rng.choice(["\ufffd", "?", " ", "", rng.choice(pool)])
    return "".join(text)


def cases_of(data, count, rng):
    real = [line for line in real_lines(data, count, rng) if line]
    yield from (("real lines", line) for line in real)
    for path in sorted(data.glob("noise/mojibake.*.json")):
        for case in json.loads(path.read_text(encoding="utf-8")):
            yield "ftfy's own cases", case["original"]
            yield "ftfy's own cases", case["fixed"]
    yield from (("ftfy's documentation", text) for text in DOCUMENTED)
    yield from (("real lines misread", garbled(rng.choice(real), rng)) for _ in range(count // 3))
    pool = "".join({c for e in TRIED for c in bytes(range(128, 256)).decode(e, errors="replace")})
    yield from (("random characters", soup(rng, pool)) for _ in range(count // 3))
    yield from (("misread with losses", lossy(rng, pool)) for _ in range(count // 3))
    for text in ["", "é", "\u0378\U000e0fff", "א\u200f\u200e\u200d", "a" * 10_000_000, "é. " * 3_000_000]:
        yield "hostile", text


def measured(hexapla, texts, folder):
    """hexapla's texts, one thread, and its processor time."""
    query = "SELECT id, fix_text(text) AS text FROM rows ORDER BY id"
    fixed, seconds = asked(hexapla, {"text": texts}, query, folder)
    return fixed["text"].to_pylist(), seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hexapla")
    parser.add_argument("data", type=Path)
    parser.add_argument("--lines", type=int, default=60_000, help="real lines")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    peer = FTFYFormatter()
    # Lone surrogates are no text outside of Python.
    cases = [(kind, text.encode("utf-8", "replace").decode()) for kind, text in cases_of(args.data, args.lines, rng)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fixed, _ = measured(args.hexapla, [text for _, text in cases], folder)
        counts, samples = defaultdict(lambda: [0, 0, 0]), []
        for (kind, text), ours in zip(cases, fixed):
            theirs = peer.format(text)
            counts[kind][0] += 1
            counts[kind][1] += ours == theirs
            counts[kind][2] += text != theirs
            if ours != theirs and len(samples) < 10:
                samples.append((text, theirs, ours))
        # Documents of real lines, enough of them that starting up does not count.
        real = [text for kind, text in cases if kind == "real lines"]
        documents = ["\n".join(real[i : i + 20]) for i in range(0, len(real), 20)]
        size = sum(len(text.encode()) for text in documents)
        many = documents * max(1, 100_000_000 // size)
        _, ours = measured(args.hexapla, many, folder)
        before = own_seconds()
        for text in documents:
            peer.format(text)
        theirs = (own_seconds() - before) * len(many) / len(documents)
    print("### `fix_text` and ftfy 6.3 with datatrove's settings\n")
    head("texts", "number", "changed by ftfy", "equal")
    for kind, (count, equal, changed) in counts.items():
        row(kind, count, changed, f"{equal / count:.3%}")
    for text, peers, own in samples:
        print(f"\n- {text!r}\n  - ftfy {peers!r}\n  - hexapla {own!r}")
    mb = size * len(many) / len(documents) / 1e6
    print(f"\n### time, {mb:.0f} MB of real text, one thread, processor seconds\n")
    print("| hexapla, Parquet to Parquet | ftfy in memory | ratio | bar |")
    print("| ---: | ---: | ---: | ---: |")
    print(f"| {ours:.2f} | {theirs:.1f} | {theirs / ours:.0f} | {BAR} |")
    return 0 if not samples and theirs >= BAR * ours else 1


if __name__ == "__main__":
    sys.exit(main())
