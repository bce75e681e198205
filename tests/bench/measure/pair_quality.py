"""Compares hexapla's `pair_quality` with OpusFilter, OpusCleaner and Moses on the same pairs.

usage: pair_quality.py HEXAPLA SHARED_DATA [--pairs N] [--seed N] [--moses clean-corpus-n.perl]

Runs in an environment with opusfilter 3.3, opuscleaner 0.7 (--no-deps is enough) and pyarrow, all
of them from PyPI. Pairs are drawn from all bilingual files of shared/data, and hostile ones are
added. Prints Markdown: for each rule how many verdicts and scores agree, then the profile's
verdict and reason, then the times. The exit code is 1 when OpusFilter's verdict differs on a pair.
Nothing of the peers is copied: their filters are called.
"""

import argparse
import gzip
import io
import logging
import math
import random
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import opuscleaner
import regex
from iso639 import Lang
from iso639.exceptions import InvalidLanguageValue
from opusfilter import filters

from common import asked, own_seconds, text_of

SIDES = ("src", "tgt")
# What OpusFilter has one name for and a language writes in several.
SCRIPTS = {
    "Hans": ["Hani", "Bopo"],
    "Hant": ["Hani", "Bopo"],
    "Hani": ["Hani", "Bopo"],
    "Jpan": ["Hani", "Hira", "Kana"],
    "Hang": ["Hang", "Hani"],
}


def lines_of(path):
    return text_of(path).split("\n")


def pairs_of(data):
    """All pairs of shared/data by their origin: (src, tgt, src_lang, tgt_lang)."""
    for path in sorted(data.glob("moses/*/*.*-*.*.gz")):
        _, pair, lang, _ = path.name.split(".")
        src, tgt = pair.split("-")
        if lang == src:
            other = path.with_name(path.name.replace(f".{pair}.{src}.", f".{pair}.{tgt}."))
            yield path.name, [(*p, src, tgt) for p in zip(lines_of(path), lines_of(other))]
    for corpus in ["ntrex/ntrex", "pud/pud", "lohelp/lohelp"]:
        paths = [p for p in sorted(data.glob(f"moses/{corpus}.dev.*.gz")) if "ids" not in p.name]
        for path, other in zip(paths, paths[1:] + paths[:1]):
            langs = [p.name.split(".")[2] for p in (path, other)]
            yield path.name, [(*p, *langs) for p in zip(lines_of(path), lines_of(other))]
    for path in sorted(data.glob("noise/bitext.*.tsv.gz")):
        langs = path.name.split(".")[1].split("-")
        rows = [line.split("\t") for line in lines_of(path)[1:]]
        yield path.name, [(*row[1:3], *langs) for row in rows if len(row) == 3]
    for path in sorted(data.glob("tsv/mlqe-pe/*.tsv.gz")):
        langs = path.name.split(".")[0].split("-")
        rows = [line.split("\t") for line in lines_of(path)[1:]]
        yield path.name, [(*row[1:3], *langs) for row in rows if len(row) > 3]
    for path in sorted(data.glob("lexicon/gatitos/*.tsv.gz")):
        langs = path.name.split(".")[0].split("_")
        rows = [line.split("\t") for line in lines_of(path)]
        yield path.name, [(*row[:2], *langs) for row in rows if len(row) > 1]
    for path in sorted(data.glob("opus/*/*.zip")):
        langs = path.name.split(".")[0].split("-")
        with zipfile.ZipFile(path) as file:
            names = [next(n for n in file.namelist() if n.endswith(f".{lang}")) for lang in langs]
            sides = [file.read(name).decode("utf-8").split("\n") for name in names]
        yield path.name, [(*p, *langs) for p in zip(*sides)]
    for path in sorted(data.glob("tmx/*/*.tmx*")):
        yield path.name, list(units(path))


def units(path):
    content = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as file:
            content = file.read(next(n for n in file.namelist() if n.endswith(".tmx")))
    elif path.suffix == ".gz":
        content = gzip.decompress(content)
    for _, unit in ElementTree.iterparse(io.BytesIO(content)):
        if unit.tag == "tu":
            lang = "{http://www.w3.org/XML/1998/namespace}lang"
            sides = [("".join(v.find("seg").itertext()), v.get(lang)) for v in unit.iter("tuv")]
            if len(sides) == 2:
                (src, src_lang), (tgt, tgt_lang) = sides
                yield src, tgt, src_lang, tgt_lang
            unit.clear()


def hostile(rng):
    """Pairs that nobody translated."""
    texts = ["", " ", "\u00a0\u2003", ".", "...", "?!", "。", "\u200f", "\u200d\u200d", "\u0378",
             "\U000e0000", "שלום\u200f (world)\u202e!", "क्‍ष क्‌ष", "👩‍👩‍👧 family", "e\u0301a\u0308",
             "٣ كتب و ٤", "Ⅷ век", "第3章 ３ 三", "x²+1", "a" * 39, "a" * 40, "ab " * 100, "ab " * 101,
             "a b c", "ーーー", "µm", "ﬁn", "a\x1cb\x1fc", "a\u0085b", "1984 7", "1000", "0 00", "|", "a|b",
             "-5 +7", "007 3,5 1:30", "ab" * 100_000, "語" * 100_000, "ab, " * 25_000,
             "<", "a < b", "<b>", "</b>", "<br/>", "<b", "<!-- <b> -->", "<![CDATA[<b>]]>", "<![x",
             "<b> <![foo]>", "<a href='x", "<script><![x</script>", "&#; <b>", "&# <b>", "<a\0>"]
    pairs = [(s, t) for s in texts for t in texts if len(s) + len(t) < 150_000]
    for period in range(1, 103):
        stretch = "".join(chr(0x61 + i % 26) if i % 7 else chr(0x430 + i % 31) for i in range(period))
        for between in ["", " ", "  "]:
            for times in [2, 3, 4]:
                pairs.append((f"x {between.join([stretch] * times)} y", "x y"))
    # Repetitions, likenesses and numerals of few characters, on either side of 200 of them.
    for letters in ["ab", "ab ", "aб語 .", "abcdefghijklmnopqrstuvwxyz  ", "1234567890 a"]:
        for longest in [12, 60, 190, 450]:
            for _ in range(150):
                src = "".join(rng.choices(letters, k=rng.randrange(longest)))
                tgt = list(src[rng.randrange(5):]) + rng.choices(letters, k=rng.randrange(8))
                for _ in range(rng.randrange(1 + len(tgt) // 4)):
                    tgt[rng.randrange(len(tgt))] = rng.choice(letters)
                pairs.append((src, "".join(tgt)))
    # Markup of random pieces.
    pieces = ["<", ">", "/", "a", "b ", " ", "=", "'", '"', "!", "--", "-->", "<!--", "<![", "]]>", "]>", "if",
              "cdata[", "&#", "&", ";", "12", "x", "</", "<b", "<script", "</script", "<?", "\0", "\u00a0",
              "ab ", "<!doctype"]
    for _ in range(20_000):
        markup = "".join(rng.choices(pieces, k=rng.randrange(1, 14)))
        pairs.append((markup, "ab"))
    return [(s, t, "eng", rng.choice(["rus", "jpn", "zho-TW", "kor", "deu", "xx"])) for s, t in pairs]


def measured(hexapla, pairs, profile, folder, field=""):
    """hexapla's columns for the pairs, or one field of them; one thread, and its processor time."""
    columns = dict(zip(["src", "tgt", "src_lang", "tgt_lang"], map(list, zip(*pairs))))
    query = (f"SELECT id, lang_tag(src_lang) AS src_tag, lang_tag(tgt_lang) AS tgt_tag, "
             f"pair_quality(src, tgt, src_lang, tgt_lang, '{profile}'){field} AS q FROM rows")
    rows, seconds = asked(hexapla, columns, query, folder)
    return sorted(rows.to_pylist(), key=lambda row: row["id"]), seconds


def both(row, name):
    return [row["q"][f"{name}_{side}"] for side in SIDES]


def other_scripts(script):
    """What is not in the script of a language, for OpusFilter's CharacterScoreFilter."""
    names = SCRIPTS.get(script, [script])
    return regex.compile("[^" + "".join(rf"\p{{Script={n}}}" for n in names) + "]" if script else "(?!)")


def opusfilter(scripts):
    """Each default filter with hexapla's score and verdict; `scripts` are ISO 15924 codes."""
    def one(name):
        return lambda row: row["q"][name]

    def two(name):
        return lambda row: both(row, name)

    def listed(name):
        return lambda row: [row["q"][name]]

    yield filters.LengthFilter(), two("n_words"), lambda s: all(1 <= n <= 100 for n in s)
    yield filters.LengthRatioFilter(), one("word_ratio"), lambda s: s < 3
    yield filters.LongWordFilter(), two("longest_word"), lambda s: all(n < 40 for n in s)
    yield (filters.AverageWordLengthFilter(), two("mean_word_chars"),
           lambda s: all(2 <= n <= 20 for n in s))
    yield filters.HtmlTagFilter(), two("has_html"), lambda s: not any(s)
    yield (filters.AlphabetRatioFilter(), two("alphabetic_ratio"),
           lambda s: all(n >= 0.75 for n in s))
    scored = filters.CharacterScoreFilter(scripts=["Latin", "Latin"])
    scored.re_not_script = [other_scripts(script) for script in scripts]
    # Without a language there is no rule: the peer is given one that all characters pass.
    yield (scored, lambda row: [1 if n is None else n for n in both(row, "script_ratio")],
           lambda s: all(n >= 1 for n in s))
    yield filters.TerminalPunctuationFilter(), one("punctuation_score"), lambda s: s >= -2
    yield filters.NonZeroNumeralsFilter(), listed("numeral_similarity"), lambda s: s[0] >= 0.5
    yield filters.LongestCommonSubstringFilter(), listed("common_substring"), lambda s: s[0] < 0.9
    yield filters.SimilarityFilter(), listed("copy_similarity"), lambda s: s[0] < 0.9
    yield filters.RepetitionFilter(), one("n_repetitions"), lambda s: s < 2


class Agreement:
    """Counts of what is equal, and the first few of what is not."""

    def __init__(self):
        self.counts, self.samples = {}, []

    def add(self, rule, verdicts, scores=True, sample=None):
        counts = self.counts.setdefault(rule, Counter())
        counts["pairs"] += 1
        counts["rejected"] += not verdicts[1]
        counts["verdict"] += verdicts[0] == verdicts[1]
        counts["score"] += scores
        if len(self.samples) < 20 and not (verdicts[0] == verdicts[1] and scores):
            self.samples.append(f"{rule}: {sample}")

    def table(self, title, keys=("verdict",)):
        heads = [f"same {key}" for key in keys]
        print(f"\n### {title}\n\n| rule | pairs | rejected by the peer | {' | '.join(heads)} |")
        print("| --- | ---: | ---: |" + " ---: |" * len(keys))
        for rule, n in self.counts.items():
            shares = [f"{n[key]} ({100 * n[key] / n['pairs']:.3f} %)" for key in keys]
            print(f"| {rule} | {n['pairs']} | {n['rejected']} | {' | '.join(shares)} |")
        for sample in self.samples:
            print(sample[:300], file=sys.stderr)

    def complete(self, rule):
        return self.counts[rule]["verdict"] == self.counts[rule]["pairs"]


def equal(ours, peers):
    ours, peers = ([*x] if isinstance(x, (list, tuple)) else [x] for x in (ours, peers))
    return all(math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12) for a, b in zip(ours, peers))


def compare_opusfilter(rows, pairs, title):
    agreement, sets = Agreement(), {}
    for row, (src, tgt, *_) in zip(rows, pairs):
        scripts = tuple(tag and tag.split("_")[1] for tag in (row["src_tag"], row["tgt_tag"]))
        if scripts not in sets:
            sets[scripts] = list(opusfilter(scripts))
        reason = None
        for scored, number, holds in sets[scripts]:
            name = type(scored).__name__
            score = next(scored.score([(src, tgt)]))
            accepted = scored.accept(score)
            if not accepted and reason is None:
                reason = name
            ours = number(row)
            if None in (ours if isinstance(ours, list) else [ours]):
                # A side too long to be compared: an earlier rule has to have spoken.
                agreement.add(f"{name} (not measured)", (True, reason is not None))
                assert reason is not None, (name, src[:80], tgt[:80])
                continue
            sample = (ours, score, src[:200], tgt[:200])
            agreement.add(name, (holds(ours), accepted), equal(ours, score), sample)
        sample = (row["q"]["reason"], reason, src[:200], tgt[:200])
        agreement.add("**keep**", (row["q"]["keep"], reason is None), row["q"]["reason"] == reason, sample)
    agreement.table(f"opusfilter, {title} (score of **keep**: the reason)", ("verdict", "score"))
    return agreement.complete("**keep**")


def kept(command, pairs):
    """Which pairs a script lets through, by their lines."""
    lines = [f"{src}\t{tgt}\n" for src, tgt in pairs]
    done = subprocess.run(command, input="".join(lines).encode(), capture_output=True, check=True)
    left = set(done.stdout.decode("utf-8").split("\n"))
    return [line.rstrip("\n") in left for line in lines]


def one_line(pair):
    return not any(c in side for side in pair[:2] for c in "\t\n\r\0")


def code(tag, known):
    """The code that OpusCleaner's lists have for a tag, or None."""
    special = {"cmn_Hans": "zh", "cmn_Hant": "zh_Hant", "arb": "ar", "pes": "fa", "lvs": "lv", "swh": "sw",
               "khk": "mn", "zsm": "ms", "azj": "az", "nob": "no", "uzn": "uz", "ekk": "et", "als": "sq"}
    lang, script = tag.split("_")
    lang = special.get(tag) or special.get(lang, lang)
    try:
        lang = Lang(lang).pt1 or lang
    except InvalidLanguageValue:
        pass
    return next((c for c in (f"{lang}_{script}", lang) if c in known), None)


def compare_opuscleaner(rows, pairs, title):
    folder = Path(opuscleaner.__file__).parent / "filters"
    sys.path.insert(0, str(folder))
    from clean_common import CHARS

    def rule(name, chosen, *options):
        script = [sys.executable, str(folder / f"{name}.py"), *options]
        return dict(zip(chosen, kept(script, [pairs[i][:2] for i in chosen])))

    usable = [i for i, pair in enumerate(pairs) if one_line(pair)]
    # The peer divides by the words of the target.
    divisible = [i for i in usable if rows[i]["q"]["n_words_tgt"] > 0]
    verdicts = {name: rule(name, usable) for name in ("max_length", "max_word_length", "num_mismatch")}
    verdicts["src_trg_ratio"] = rule("src_trg_ratio", divisible)
    verdicts["alpha_ratio"] = {}
    groups = {}
    for i in divisible:
        tags = [rows[i][f"{side}_tag"] for side in SIDES]
        codes = tuple(tag and code(tag, CHARS) for tag in tags)
        if rows[i]["q"]["n_words_src"] > 0 and all(codes):
            groups.setdefault(codes, []).append(i)
    for (src, tgt), chosen in groups.items():
        options = ("--src-lang", src, "--trg-lang", tgt)
        verdicts["alpha_ratio"].update(rule("alpha_ratio", chosen, *options))
    ours = {
        "max_length": lambda q: all(1 <= q[f"n_words_{s}"] <= 150 for s in SIDES),
        "src_trg_ratio": lambda q: q["word_ratio"] <= 1 / 0.6,
        "alpha_ratio": lambda q: all(q[f"alphabetic_words_{s}"] >= 0.6 and
                                     q[f"alphabetic_ratio_{s}"] >= 0.4 for s in SIDES),
        "max_word_length": lambda q: all(q[f"longest_word_{s}"] <= 150 for s in SIDES),
        "num_mismatch": lambda q: q["number_overlap"] is None or q["number_overlap"] >= 1,
    }
    agreement = Agreement()
    for name, holds in ours.items():
        for i, verdict in verdicts[name].items():
            agreement.add(name, (holds(rows[i]["q"]), verdict), sample=pairs[i])
    for i in verdicts["alpha_ratio"]:
        verdict = all(verdicts[name][i] for name in ours)
        agreement.add("**keep**", (rows[i]["q"]["keep"], verdict), sample=pairs[i])
    agreement.table(f"opuscleaner, {title}")


def compare_moses(rows, pairs, title, script, folder):
    # A bar in the first line would make the corpus one with factors.
    usable = [i for i, pair in enumerate(pairs) if one_line(pair) and "|" not in pair[0] + pair[1]]
    usable += [i for i, pair in enumerate(pairs) if one_line(pair) and i not in set(usable)]
    for side, name in enumerate(SIDES):
        text = "".join(f"{pairs[i][side]}\n" for i in usable)
        (folder / f"in.{name}").write_text(text, encoding="utf-8", newline="\n")
    subprocess.run(["perl", script, f"{folder}/in", *SIDES, f"{folder}/out", "1", "100",
                    f"{folder}/lines"], check=True, stderr=subprocess.DEVNULL)
    retained = {int(line) - 1 for line in (folder / "lines").read_text().split()}
    agreement = Agreement()
    for line, i in enumerate(usable):
        agreement.add("**keep**", (rows[i]["q"]["keep"], line in retained), sample=pairs[i])
    agreement.table(f"moses, {title}")


def peer_seconds(pairs):
    """Processor seconds of OpusFilter's scores of all pairs, and of filtering, which stops early."""
    chosen = list(opusfilter(["Latn", "Latn"]))
    texts = [pair[:2] for pair in pairs]
    before = own_seconds()
    for scored, _, _ in chosen:
        for _ in scored.score(texts):
            pass
    between = own_seconds()
    left = iter(texts)
    for scored, _, _ in chosen:
        left = scored.filter(left)
    for _ in left:
        pass
    return between - before, own_seconds() - between


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hexapla")
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=20_000, help="real pairs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--moses", help="path of clean-corpus-n.perl")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    rng = random.Random(args.seed)
    sources = [pairs for _, pairs in pairs_of(args.data) if pairs]
    share = max(1, args.pairs // len(sources))
    real = [pair for pairs in sources for pair in rng.sample(pairs, min(share, len(pairs)))]
    rest = [pair for pairs in sources for pair in pairs]
    real += rng.sample(rest, max(0, args.pairs - len(real)))
    same = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, pairs in [("real pairs", real), ("hostile pairs", hostile(rng))]:
            rows, _ = measured(args.hexapla, pairs, "opusfilter", folder)
            same &= compare_opusfilter(rows, pairs, title)
            rows, _ = measured(args.hexapla, pairs, "opuscleaner", folder)
            compare_opuscleaner(rows, pairs, title)
            if args.moses:
                rows, _ = measured(args.hexapla, pairs, "moses", folder)
                compare_moses(rows, pairs, title, args.moses, folder)
        # Enough rows that starting up does not count.
        many = real * 50
        _, ours = measured(args.hexapla, many, "opusfilter", folder)
        _, verdicts = measured(args.hexapla, many, "opusfilter", folder, "['reason']")
        scored, filtered = (seconds * 50 for seconds in peer_seconds(real))
    print(f"\n### time, {len(many)} pairs, one thread, processor seconds\n")
    print("| work | hexapla, Parquet to Parquet | OpusFilter in memory | ratio |")
    print("| --- | ---: | ---: | ---: |")
    print(f"| all numbers | {ours:.2f} | {scored:.1f} (from a fiftieth) | {scored / ours:.0f} |")
    print(f"| filtering: verdicts alone, the peer stops early | {verdicts:.2f} |"
          f" {filtered:.1f} (from a fiftieth) | {filtered / verdicts:.0f} |")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
