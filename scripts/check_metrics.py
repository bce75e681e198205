"""Scores real text with `hexapla score` and with the peers that define each metric, and compares.

usage: check_metrics.py HEXAPLA SHARED_DATA

BLEU, chrF and TER against sacreBLEU, entities against seqeval, ROUGE against rouge_score, labels
and numbers against scikit-learn and scipy, answers against the SQuAD metrics of transformers and
the MLQA task of lm-eval, both read out of their wheels (METRICS_SOURCES), for neither runs alone.
Every score must agree to 1e-9 of its unrounded value, corpora and single rows, and every signature
letter by letter; a bootstrap's interval and p-value as far as two generators can.
"""

import ast
import gzip
import json
import logging
import os
import pathlib
import random
import re
import string
import subprocess
import sys
import tempfile
import unicodedata
import warnings
from collections import Counter

warnings.filterwarnings("ignore")
logging.getLogger("sacrebleu").setLevel(logging.ERROR)

LANGS = {
    "eng-GB": "eng", "deu": "deu", "isl": "isl", "rus": "rus", "ell": "ell", "arb": "arb", "heb": "heb",
    "hin": "hin", "tam": "tam", "tha": "tha", "kat": "kat", "amh": "amh", "kor": "kor", "jpn": "jpn",
    "zho-CN": "cmn", "vie": "vie", "tur": "tur", "swa": "swh", "srp-Cyrl": "srp", "yor": "yor",
}
ROWS = 300
# Tercom's search takes Python a tenth of a second a row.
TER_ROWS = 60
TOLERANCE = 1e-9


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [line.rstrip("\n") for line in file]


def hypotheses(references, others, rng):
    """Made-up systems: copies, words lost, swapped, doubled, cut, cased; other languages; nothing."""
    made = []
    for i, (reference, other) in enumerate(zip(references, others)):
        words = reference.split(" ")
        match i % 10:
            case 0: text = reference
            case 1: text = " ".join(rng.sample(words, len(words)))
            case 2: text = " ".join(w for w in words if rng.random() > 0.3)
            case 3: text = other
            case 4: text = "" if i % 20 == 4 else " "
            case 5: text = reference[: len(reference) // 2] + " " + other
            case 6: text = reference.upper() + " &quot;x&quot; 3.5-7, 1,000.-"
            case 7: text = " ".join(words[len(words) // 2:] + words[: len(words) // 2])
            case 8: text = "".join(c for c in reference if rng.random() > 0.1)
            case _: text = references[(i + 1) % len(references)]
        made.append(text)
    return made


class Check:
    def __init__(self, hexapla, work):
        self.hexapla, self.work = hexapla, work
        self.compared, self.worst, self.failed = Counter(), Counter(), 0

    def score(self, specs, rows, *more):
        path = self.work / "rows.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        command = [self.hexapla, "score", *specs, "-c", f"SELECT * FROM '{path}'", "--json", *more]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return {(s["metric"], s["lang"]): s for s in json.loads(result.stdout)["score"]}

    def equal(self, peer, what, ours, theirs):
        self.compared[peer] += 1
        gap = abs(ours - theirs)
        self.worst[peer] = max(self.worst[peer], gap)
        if not gap <= TOLERANCE:
            self.failed += 1
            print(f"DIFFERS {peer} {what}: {ours!r} where the peer has {theirs!r}", flush=True)

    def same(self, peer, what, ours, theirs):
        self.compared[peer] += 1
        if ours != theirs:
            self.failed += 1
            print(f"DIFFERS {peer} {what}: {ours!r} where the peer has {theirs!r}", flush=True)


def translations(check, shared):
    from sacrebleu.metrics import BLEU, CHRF, TER

    metrics = {}
    for tokenize in ["13a", "zh", "intl", "char", "none"]:
        metrics[f"bleu:tokenize={tokenize}"] = BLEU(tokenize=tokenize)
        metrics[f"bleu:tokenize={tokenize},effective_order"] = BLEU(tokenize=tokenize, effective_order=True)
    for method in ["floor", "add-k", "none"]:
        metrics[f"bleu:smooth_method={method},lowercase"] = BLEU(smooth_method=method, lowercase=True)
        metrics[f"bleu:smooth_method={method},effective_order"] = BLEU(smooth_method=method, effective_order=True)
    metrics["bleu:smooth_method=add-k,smooth_value=0.5,max_ngram_order=6"] = BLEU(
        smooth_method="add-k", smooth_value=0.5, max_ngram_order=6)
    metrics["chrf"], metrics["chrf++"] = CHRF(), CHRF(word_order=2)
    metrics["chrf:eps_smoothing,whitespace,lowercase"] = CHRF(eps_smoothing=True, whitespace=True, lowercase=True)
    metrics["chrf++:beta=3,char_order=4,eps_smoothing"] = CHRF(
        word_order=2, beta=3, char_order=4, eps_smoothing=True)
    metrics["ter"] = TER()
    metrics["ter:normalized,asian_support"] = TER(normalized=True, asian_support=True)
    metrics["ter:no_punct,asian_support,case_sensitive"] = TER(no_punct=True, asian_support=True, case_sensitive=True)
    metrics["ter:normalized,no_punct"] = TER(normalized=True, no_punct=True)

    folder = shared / "moses" / "ntrex"
    english = lines(folder / "ntrex.dev.eng.gz")[:ROWS]
    rows, corpora = [], {}
    for name, lang in LANGS.items():
        references = lines(folder / f"ntrex.dev.{name}.gz")[:ROWS]
        rng = random.Random(f"hexapla {lang}")
        made = hypotheses(references, english, rng)
        # A second reference of other length; every seventh row has none, every eleventh an empty one.
        second = [None if i % 7 == 0 else "" if i % 11 == 0 else r[: len(r) * 2 // 3] + " " + e
                  for i, (r, e) in enumerate(zip(references, english))]
        corpora[lang] = (made, [references])
        corpora[f"{lang} 2"] = (made, [references, second])
        for hypothesis, reference, other in zip(made, references, second):
            rows.append({"hypothesis": hypothesis, "reference": reference, "reference2": None, "lang": lang})
            rows.append({"hypothesis": hypothesis, "reference": reference, "reference2": other, "lang": f"{lang} 2"})
    # Every character between letters and between digits: the tables behind `intl`, `zh`, lower case.
    every = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) not in ("Cs", "Cn")]
    texts = ["".join(f"{c}a{c}1{c}2 b{c} " for c in every[at: at + 40]) for at in range(0, len(every), 40)]
    texts = [t for t in texts if "\n" not in t and "\r" not in t][:700]
    rng = random.Random(3)
    made = ["".join(c for c in text if rng.random() > 0.05) for text in texts]
    corpora["characters"] = (made, [texts])
    rows += [{"hypothesis": h, "reference": r, "reference2": None, "lang": "characters"} for h, r in zip(made, texts)]

    few = {lang: (made[:TER_ROWS], [r[:TER_ROWS] for r in references])
           for lang, (made, references) in corpora.items() if lang != "characters"}
    seen, shorter = Counter(), []
    for row in rows:
        seen[row["lang"]] += 1
        if seen[row["lang"]] <= TER_ROWS and row["lang"] != "characters":
            shorter.append(row)
    for names, rows, corpora in [([m for m in metrics if m[0] != "t"], rows, corpora),
                                 ([m for m in metrics if m[0] == "t"], shorter, few)]:
        found = check.score(names, rows, "--each", "--samples", "0")
        for spec in names:
            peer = re.split("[:+]", spec)[0]
            for lang, (made, references) in corpora.items():
                ours, metric = found[spec, lang], metrics[spec]
                # What corpus_score and sentence_score do, with the statistics taken once.
                statistics = metric._extract_corpus_statistics(made, references)
                theirs = metric._aggregate_and_compute(statistics)
                check.equal(peer, f"{spec} {lang}", ours["value"], theirs.score)
                check.same(peer, f"{spec} {lang} printed", f"{ours['value']:.2f}", theirs.format(score_only=True))
                check.same(peer, f"{spec} {lang} signature", ours["signature"], str(metric.get_signature()))
                for i, row in enumerate(statistics):
                    check.equal(peer, f"{spec} {lang} row {i}", ours["each"][i],
                                metric._aggregate_and_compute([row]).score)
            print(f"  {spec}: {len(corpora)} corpora", flush=True)


def significance(check, shared):
    """The same statistics, other generators: intervals within 15 % of their width, p within 0.03."""
    from sacrebleu.metrics import BLEU, CHRF
    from sacrebleu.significance import PairedTest

    folder = shared / "moses" / "ntrex"
    for name in ["rus", "hin"]:
        references = lines(folder / f"ntrex.dev.{name}.gz")[:ROWS]
        rng = random.Random(5)
        first = [" ".join(w for w in r.split(" ") if rng.random() > 0.20) for r in references]
        second = [" ".join(w for w in r.split(" ") if rng.random() > 0.205) for r in references]
        rows = [{"hypothesis": a, "second": b, "reference": r, "lang": name}
                for a, b, r in zip(first, second, references)]
        for test, theirs in [("bootstrap", "bs"), ("randomization", "ar")]:
            trials = "2000"
            ours = check.score(["bleu", "chrf"], rows, "--compare", "second", "--test", test, "--trials", trials)
            systems = [("first", first), ("second", second)]
            metrics = {"bleu": BLEU(), "chrf": CHRF()}
            _, scores = PairedTest(systems, metrics, [references], test_type=theirs, n_samples=int(trials),
                                   n_ar_confidence=1000 if theirs == "ar" else -1)()
            for spec, label in [("bleu", "BLEU"), ("chrf", "chrF2")]:
                peer, line = scores[label], ours[spec, name]
                low, high = line["interval"]
                gap = abs((high - low) / 2 - peer[0].ci) / peer[0].ci
                assert gap < 0.15, (name, spec, line["interval"], peer[0].ci)
                p = line["compared"]["p"]
                assert abs(p - peer[1].p_value) < 0.03, (name, spec, test, p, peer[1].p_value)
                print(f"  {name} {spec} {test}: half interval {(high - low) / 2:.3f} (sacreBLEU {peer[0].ci:.3f}), "
                      f"p {p:.4f} (sacreBLEU {peer[1].p_value:.4f})")


def functions(path, names, replaced=("", "")):
    """Some functions of a file that cannot be imported by itself."""
    tree = ast.parse(path.read_text(encoding="utf-8").replace(*replaced))
    def wanted(node):
        if isinstance(node, ast.FunctionDef):
            return node.name in names
        return isinstance(node, ast.Assign) and node.targets[0].id in names
    space = {"re": re, "string": string, "sys": sys, "unicodedata": unicodedata, "Counter": Counter}
    import collections
    space["collections"] = collections
    tree.body = [node for node in tree.body if wanted(node)]
    exec(compile(tree, str(path), "exec"), space)
    return space


def answers(check, shared, sources):
    squad = functions(sources / "squad_metrics.py", {
        "normalize_answer", "get_tokens", "compute_exact", "compute_f1", "ARTICLES_REGEX"})
    mlqa = functions(sources / "mlqa.py", {
        "PUNCT", "WHITESPACE_LANGS", "MIXED_SEGMENTATION_LANGS", "whitespace_tokenize", "mixed_segmentation",
        "normalize_answer", "f1_score", "exact_match_score", "metric_max_over_ground_truths"},
        # The published script takes the Arabic article away wherever its two letters stand.
        (r"(?:^|\s)ال", "ال"))
    questions = {}
    for path in sorted((shared / "json" / "xquad").glob("xquad.*.json.gz")):
        lang = path.name.split(".")[1]
        with gzip.open(path, "rt", encoding="utf-8") as file:
            data = json.load(file)["data"]
        rng, rows = random.Random(f"xquad {lang}"), []
        for paragraph in (p for d in data for p in d["paragraphs"]):
            words = paragraph["context"].split(" ")
            for question in paragraph["qas"]:
                right = [a["text"] for a in question["answers"]]
                match rng.randrange(6):
                    case 0: made = right[0]
                    case 1: made = f"The «{right[0]}», a"
                    case 2: made = " ".join(rng.sample(words, min(4, len(words))))
                    case 3: made = right[0][: len(right[0]) // 2]
                    case 4: made = right[0].upper() + "."
                    case _: made = rng.choice(["", "the", ".", right[0] + " " + words[0]])
                rows.append({"hypothesis": made, "reference": [*right, " ".join(words[:3])], "lang": lang})
        questions[lang] = rows
    # Languages of MLQA that XQuAD's files here lack: sentences of news as answers.
    folder = shared / "moses" / "ntrex"
    english = lines(folder / "ntrex.dev.eng.gz")[:ROWS]
    for name, lang in [("arb", "ar"), ("deu", "de"), ("zho-CN", "zh")]:
        references = lines(folder / f"ntrex.dev.{name}.gz")[:ROWS]
        made = hypotheses(references, english, random.Random(f"mlqa {lang}"))
        questions[lang] = [{"hypothesis": h, "reference": [r, e], "lang": lang}
                           for h, r, e in zip(made, references, english)]
    for lang, rows in questions.items():
        specs = ["exact_match", "answer_f1"]
        if lang in {"ar", "de", "en", "es", "hi", "vi", "zh"}:
            specs += ["exact_match:rules=mlqa", "answer_f1:rules=mlqa"]
        found = check.score(specs, rows, "--samples", "0")
        def mean(one):
            return 100 * sum(max(one(row["hypothesis"], r) for r in row["reference"]) for row in rows) / len(rows)
        def squad1(made, right):
            # The script of SQuAD 1.1 has no rule for empty answers; that of SQuAD 2 has.
            empty = not squad["get_tokens"](made) or not squad["get_tokens"](right)
            return 0 if empty else squad["compute_f1"](right, made)
        check.equal("squad", f"exact {lang}", found["exact_match", lang]["value"],
                    mean(lambda made, right: squad["compute_exact"](right, made)))
        check.equal("squad", f"f1 {lang}", found["answer_f1", lang]["value"], mean(squad1))
        if len(specs) > 2:
            check.equal("mlqa", f"exact {lang}", found["exact_match:rules=mlqa", lang]["value"],
                        mean(lambda made, right: mlqa["exact_match_score"](made, right, lang)))
            check.equal("mlqa", f"f1 {lang}", found["answer_f1:rules=mlqa", lang]["value"],
                        mean(lambda made, right: mlqa["f1_score"](made, right, lang)))


def summaries(check, shared):
    from rouge_score.rouge_scorer import RougeScorer

    folder = shared / "moses" / "ntrex"
    english = lines(folder / "ntrex.dev.eng.gz")[:ROWS]
    specs, rows, corpora = ["rouge1", "rouge2", "rougeL"], [], {}
    for name, lang in LANGS.items():
        references = lines(folder / f"ntrex.dev.{name}.gz")[:ROWS]
        made = hypotheses(references, english, random.Random(f"rouge {lang}"))
        corpora[lang] = [(h, [r, e]) for h, r, e in zip(made, references, english)]
        rows += [{"hypothesis": h, "reference": rs, "lang": lang} for h, rs in corpora[lang]]
    found = check.score(specs, rows, "--samples", "0")
    scorer = RougeScorer(specs, use_stemmer=False)
    for lang, corpus in corpora.items():
        scores = [scorer.score_multi(references, made) for made, references in corpus]
        for spec in specs:
            theirs = sum(s[spec].fmeasure for s in scores) / len(scores)
            check.equal("rouge_score", f"{spec} {lang}", found[spec, lang]["value"], theirs)


def labels(check):
    from scipy.stats import pearsonr, spearmanr
    from seqeval.metrics import f1_score as entity_f1
    from seqeval.scheme import IOB2
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, ndcg_score

    for seed in range(20):
        rng = random.Random(seed)
        names = rng.sample(["0", "1", "да", "नहीं", "中立", "x y"], rng.randint(2, 6))
        gold = [rng.choice(names) for _ in range(200)]
        made = [g if rng.random() < 0.6 else rng.choice([*names, "x y"]) for g in gold]
        positive = gold[0]
        specs = ["accuracy", "macro_f1", f"f1:positive={positive}", "matthews", f"micro_f1:without={positive}"]
        found = check.score(specs, [{"hypothesis": m, "reference": g, "lang": "x"} for m, g in zip(made, gold)],
                            "--samples", "0")
        rest = sorted(set(gold + made) - {positive})
        theirs = [accuracy_score(gold, made), f1_score(gold, made, average="macro"),
                  f1_score([g == positive for g in gold], [m == positive for m in made]),
                  matthews_corrcoef(gold, made), f1_score(gold, made, average="micro", labels=rest)]
        for spec, value in zip(specs, theirs):
            check.equal("scikit-learn", f"{spec} {seed}", found[spec, "x"]["value"], value)
        x = [rng.randint(0, 9) + (1e6 if seed % 2 else 0) for _ in range(150)]
        y = [a * 0.3 + rng.randint(0, 5) for a in x]
        rows = [{"hypothesis": str(a), "reference": str(b), "lang": "x"} for a, b in zip(x, y)]
        found = check.score(["pearson", "spearman"], rows, "--samples", "0")
        check.equal("scipy", f"pearson {seed}", found["pearson", "x"]["value"], pearsonr(x, y)[0])
        check.equal("scipy", f"spearman {seed}", found["spearman", "x"]["value"], spearmanr(x, y)[0])
        tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-人", "I-人", "B-A-B", "I-A-B"]
        gold = [[rng.choice(tags) for _ in range(rng.randint(0, 12))] for _ in range(80)]
        made = [[t if rng.random() < 0.7 else rng.choice(tags) for t in row] for row in gold]
        specs = [f"entity_f1:mode={mode},average={average}"
                 for mode in ["default", "strict"] for average in ["micro", "macro"]]
        rows = [{"hypothesis": " ".join(m), "reference": " ".join(g), "lang": "x"} for m, g in zip(made, gold)]
        found = check.score([*specs, "tag_accuracy"], rows, "--samples", "0")
        for spec in specs:
            how = {"mode": "strict", "scheme": IOB2} if "strict" in spec else {}
            average = spec.rsplit("=", 1)[1]
            check.equal("seqeval", f"{spec} {seed}", found[spec, "x"]["value"],
                        entity_f1(gold, made, average=average, **how))
        flat = [(g, m) for a, b in zip(gold, made) for g, m in zip(a, b)]
        check.equal("scikit-learn", f"tags {seed}", found["tag_accuracy", "x"]["value"],
                    accuracy_score(*zip(*flat)))
        gains = [[rng.choice([0, 0, 1, 2, 3]) for _ in range(12)] for _ in range(30)]
        gains = [g if any(g) else [1, *g[1:]] for g in gains]
        rows = [{"hypothesis": " ".join(f"n{i}" for i in range(12)), "lang": "x",
                 "reference": " ".join(f"n{i}={v}" for i, v in enumerate(g))} for g in gains]
        order = [list(range(12, 0, -1))] * 30
        for k in (1, 5, 10):
            found = check.score([f"ndcg@{k}"], rows, "--samples", "0")
            check.equal("scikit-learn", f"ndcg@{k} {seed}", found[f"ndcg@{k}", "x"]["value"],
                        ndcg_score(gains, order, k=k))


def main():
    hexapla, shared = sys.argv[1], pathlib.Path(sys.argv[2])
    wanted = sys.argv[3:] or ["translations", "significance", "answers", "summaries", "labels"]
    with tempfile.TemporaryDirectory() as work:
        check = Check(hexapla, pathlib.Path(work))
        if "translations" in wanted:
            translations(check, shared)
        if "significance" in wanted:
            significance(check, shared)
        if "answers" in wanted:
            answers(check, shared, pathlib.Path(os.environ["METRICS_SOURCES"]))
        if "summaries" in wanted:
            summaries(check, shared)
        if "labels" in wanted:
            labels(check)
    for peer, n in check.compared.items():
        print(f"{peer}: {n} numbers and signatures compared, largest difference {check.worst[peer]:.1e}")
    if check.failed:
        sys.exit(f"{check.failed} differ")


if __name__ == "__main__":
    main()
