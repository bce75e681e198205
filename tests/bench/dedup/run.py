"""Duplicates against the peers, against the truth, and at sizes that do not fit in memory.

usage: run.py HEXAPLA SHARED_DATA WORK [--quick] [--runs N] [--only near,quality,growth,spans] [--json FILE]

near     38,000 documents of 128 MB in 60 languages, Parquet to Parquet, hexapla with two threads:
         datatrove's four stages with two workers and rensa on one core; whole processes that take
         turns, medians; and what each finds, against the truth
quality  shared/data/dedup: injected near duplicates and real editions, with their truth
growth   100 MB, 1 GB and 5 GB under --memory-limit 1GB, inside a cgroup where one can be made
spans    repeated_spans, alone: Google's deduplicate-text-datasets is in no package registry, and
         text-dedup on PyPI calls its binary rather than bringing it

`--quick` takes an eighth of the sizes. What is a duplicate is decided here, by the sets of 5-grams of
what stands between spaces in lower case (characters where there are no spaces), as the truth is:
recall: injected rows of J >= 0.8 that are in their original's cluster, or, of peers that name no
clusters, of which not both are kept; precision: rows called duplicates that have J >= 0.8 to the row
they are said to be like, or that the truth says are copies of one original; `quality` also asks by
what datatrove's `simplify_text` leaves of a text. Exit code 1 when a bar is missed.
"""

import gzip
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path[1:1] = [str(HERE.parent), str(HERE.parent / "memory")]

import tasks  # noqa: E402
from cgroup import Run  # noqa: E402
from corpus import UNSPACED  # noqa: E402

MB = 1_000_000
THRESHOLD, RECALL, PRECISION = 0.8, 0.95, 0.995
# How many times faster hexapla has to be.
BARS = {"datatrove": 50, "rensa": 2, "rensa-grams": 2}
NEAR = "SELECT * FROM near_duplicates('documents')"


def grams(text, lang):
    lower = text.lower()
    units = "".join(lower.split()) if lang and lang.split("-")[0] in UNSPACED else lower.split()
    return {hash(tuple(units[n : n + 5])) for n in range(len(units) - 4)}


def similarity(a, b):
    if " ".join(a[0].lower().split()) == " ".join(b[0].lower().split()):
        return 1.0
    x, y = grams(*a), grams(*b)
    return len(x & y) / len(x | y) if x and y else 0.0


class Bench:
    def __init__(self, args):
        self.hexapla, self.data, self.work = str(args.hexapla), args.data, args.work
        self.scale, self.runs = (8 if args.quick else 1), args.runs
        self.missed, self.found = tasks.Missed(), {}
        self.out = self.work / "out"

    def close(self):
        shutil.rmtree(self.out, ignore_errors=True)

    def corpus(self, size):
        """A corpus of `size` bytes, made once."""
        path = self.work / f"documents-{size // MB}.parquet"
        if not Path(f"{path}.ready").exists():
            made = [sys.executable, str(HERE / "prepare.py"), str(self.data), "--out", str(path)]
            subprocess.run([*made, "--size", str(size), "--seed", "5"], check=True)
            Path(f"{path}.ready").touch()
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
        return path

    def call(self, command, limit=None):
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        temp = self.work / "temp"
        temp.mkdir(exist_ok=True)
        os.sync()
        run = Run(list(map(str, command)), limit, {**os.environ, "TMPDIR": str(temp)})
        if run.code != 0:
            raise RuntimeError(f"{' '.join(map(str, command[:4]))}: exit {run.code}\n{run.stderr[-1500:]}")
        return run

    def ours(self, file, query=NEAR, *more):
        command = [self.hexapla, "sql", "-c", query, "-t", f"documents={file}", "--threads", "2", *more]
        return [*command, "-o", self.out / "found.parquet"]

    def peer(self, kind, given):
        return [sys.executable, HERE / "peers.py", kind, given, self.out]

    # near ------------------------------------------------------------------------------------

    def near(self):
        size = 128 * MB // self.scale
        file = self.corpus(size)
        table = pq.read_table(file, columns=["doc_id", "text", "lang"]).to_pydict()
        texts = {i: (t, l) for i, t, l in zip(table["doc_id"], table["text"], table["lang"])}
        total = sum(len(t.encode()) for t, _ in texts.values())
        truth = [line.split("\t") for line in Path(f"{file}.truth.tsv").read_text().splitlines()[1:]]
        truth = [(int(i), int(o), float(j)) for i, o, _, _, j in truth if o]
        # All of it takes the peer some three minutes; a part, scaled, would scale its start too.
        part, in_part = self.halves(file, texts, size)
        calls = {
            "hexapla": (self.ours(file), 1.0),
            "datatrove": (self.peer("datatrove", part), total / in_part),
            "rensa": (self.peer("rensa", file), 1.0),
            "rensa-grams": (self.peer("rensa-grams", file), 1.0),
        }
        runs = {name: [] for name in calls}
        for _ in range(self.runs):
            for name, (command, _) in calls.items():
                runs[name].append(self.call(command))
        print(f"### Near duplicates: {len(texts):,} documents, {total / MB:.0f} MB, "
              f"{len({l for _, l in texts.values()})} languages, Parquet to Parquet\n")
        print("| tool | wall, s | CPU, s | MB/s | own memory, MB | x ours | bar | recall | precision | J >= 0.8 alone |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |")
        ours = None
        for name, (_, scale) in calls.items():
            seconds = statistics.median(r.seconds for r in runs[name]) * scale
            cpu = statistics.median(r.cpu for r in runs[name]) * scale
            ours = ours or seconds
            bar = self.missed.bar(f"near, {name}", seconds / ours, ">=", BARS[name]) if name in BARS else ""
            pairs, kept, of = self.pairs(name, file, part, texts)
            known = [(i, o) for i, o, j in truth if j >= THRESHOLD and i in of and o in of]
            recall, precision, strict = self.judge(pairs, kept, known, texts, truth)
            mark = "*" if scale > 1 else ""
            self.found[name] = {"seconds": seconds, "cpu": cpu, "recall": recall, "precision": precision}
            print(f"| {name} | {seconds:.2f}{mark} | {cpu:.2f}{mark} | {total / MB / seconds:.2f} "
                  f"| {max(r.anon for r in runs[name]) / MB:.0f} | {seconds / ours:.1f} | {bar} "
                  f"| {recall:.4f} | {precision:.4f} | {strict:.4f} |", flush=True)
        print()

    def halves(self, file, texts, size):
        """The last rows of the corpus, where the copies are, as two files for two workers."""
        part, total, ids = self.work / "part", 0, []
        for id_ in reversed(texts):
            total += len(texts[id_][0].encode())
            ids.append(id_)
            if total >= size:
                break  # a part, marked in the table
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        table = pq.read_table(file).slice(len(texts) - len(ids))
        half = len(ids) // 2
        pq.write_table(table.slice(0, half), part / "a.parquet")
        pq.write_table(table.slice(half), part / "b.parquet")
        return part, total

    def pairs(self, name, file, part, texts):
        """What a tool says: each removed row and the one it is like; the cluster of each row, or
        None; and the rows that it saw. Not timed."""
        if name == "hexapla":
            self.call(self.ours(file))
            rows = pq.read_table(self.out / "found.parquet").to_pydict()
            pairs = [(i, k) for i, k in zip(rows["doc_id"], rows["kept_id"]) if i != k]
            return pairs, dict(zip(rows["doc_id"], rows["cluster_id"])), texts
        given = part if name == "datatrove" else file
        self.call(self.peer(f"pairs-{name}", given))
        lines = (line.split("\t") for line in (self.out / "pairs.tsv").read_text().splitlines())
        pairs = [(int(i), int(like) if like else None) for i, like in lines]
        seen = texts
        if name == "datatrove":
            seen = {i for f in part.glob("*.parquet") for i in pq.read_table(f, columns=["doc_id"])["doc_id"].to_pylist()}
        return pairs, None, seen

    @staticmethod
    def judge(pairs, cluster, known, texts, truth):
        if cluster is None:
            removed = {i for i, _ in pairs}
            hits = sum(i in removed or o in removed for i, o in known)
        else:
            hits = sum(cluster[i] is not None and cluster[i] == cluster[o] for i, o in known)
        original = {i: o for i, o, _ in truth}
        good = strict = said = 0
        for id_, like in pairs:
            if like is None:
                continue
            said += 1
            near = similarity(texts[id_], texts[like]) >= THRESHOLD
            strict += near
            good += near or original.get(id_, id_) == original.get(like, like)
        return hits / max(1, len(known)), good / max(1, said), strict / max(1, said)

    # quality ---------------------------------------------------------------------------------

    def quality(self):
        from datatrove.utils.text import simplify_text

        print("### Quality: shared/data/dedup\n")
        print("| data | documents | pairs of J >= 0.8 | recall | bar | rows called duplicates | precision | bar | by datatrove's words |")
        print("| --- | ---: | ---: | ---: | --- | ---: | ---: | --- | ---: |")
        for name in ["injected", "real-editions"]:
            rows, file = [], self.work / f"{name}.parquet"
            with pa.input_stream(str(self.data / f"dedup/{name}.jsonl.zst"), compression="zstd") as stream:
                rows = [json.loads(line) for line in stream.read().decode().splitlines() if line]
            number = {row["id"]: n for n, row in enumerate(rows)}
            columns = {"text": [r["text"] for r in rows], "lang": [r["lang"] for r in rows]}
            pq.write_table(pa.table({"doc_id": pa.array(range(len(rows)), pa.uint64()), **columns}), file)
            pairs = []
            for truth in sorted((self.data / "dedup").glob(f"{name}.truth*.tsv.gz")):
                for line in gzip.open(truth, "rt").read().splitlines()[1:]:
                    # A table of equal texts has languages in place of a similarity.
                    fields = line.split("\t")
                    j = 1.0 if "exact_real" in truth.name else float(fields[-1])
                    pairs.append((number[fields[0]], number[fields[1]], j))
            self.call(self.ours(file))
            found = pq.read_table(self.out / "found.parquet").to_pydict()
            cluster = dict(zip(found["doc_id"], found["cluster_id"]))
            texts = {n: (row["text"], row["lang"]) for n, row in enumerate(rows)}
            said = [(i, k) for i, k in zip(found["doc_id"], found["kept_id"]) if i != k]
            known = [(a, b) for a, b, j in pairs if j >= THRESHOLD]
            hits = sum(cluster[a] is not None and cluster[a] == cluster[b] for a, b in known)
            original = {a: b for a, b, _ in pairs}
            of = lambda n: original.get(n, n)
            wrong = [
                (a, b) for a, b in said if of(a) != of(b) and similarity(texts[a], texts[b]) < THRESHOLD
            ]
            good = len(said) - len(wrong)
            # Our words, like datatrove's, have no punctuation, accents and numbers.
            plain = lambda n: (simplify_text(texts[n][0]), texts[n][1])
            unlike = sum(similarity(plain(a), plain(b)) < THRESHOLD for a, b in wrong)
            said_near = dict(zip(found["doc_id"], found["similarity"]))
            for a, b in wrong[:5]:
                print(f"{name}: {rows[a]['id']} is not like {rows[b]['id']}: {similarity(texts[a], texts[b]):.3f}, "
                      f"ours {said_near[a]:.3f}", file=sys.stderr)
            recall, precision = hits / len(known), good / max(1, len(said))
            self.found[f"quality, {name}"] = {"recall": recall, "precision": precision}
            print(f"| {name} | {len(rows):,} | {len(known):,} | {recall:.4f} "
                  f"| {self.missed.bar(f'{name}, recall', recall, '>=', RECALL, '{:.4f}')} | {len(said):,} "
                  f"| {precision:.4f} | {self.missed.bar(f'{name}, precision', precision, '>=', PRECISION, '{:.4f}')} "
                  f"| {1 - unlike / max(1, len(said)):.4f} |")
        print()

    # growth ----------------------------------------------------------------------------------

    def growth(self):
        print("### Growth: `near_duplicates` under `--memory-limit 1GB`, 2 threads, in a cgroup of 1,450 MB\n")
        print("| text, MB | wall, s | CPU, s | MB/s | own memory, MB | peak with cache, MB | exponent since the last | |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
        first = last = None
        for size in (100 * MB, 1000 * MB, 5000 * MB):
            size //= self.scale
            file = self.corpus(size)
            try:
                run = self.call(self.ours(file, NEAR, "--memory-limit", "1GB"), 1450 * MB)
            except RuntimeError as error:
                said = next((l for l in str(error).splitlines() if l.startswith("error")), str(error)[:200])
                self.missed.append(f"growth, {size / MB:.0f} MB: {said}")
                print(f"| {size / MB:,.0f} | | | | | | | FAILED: {said} |", flush=True)
                continue
            exponent = verdict = ""
            if last:
                exponent = f"{math.log(run.cpu / last[1].cpu) / math.log(size / last[0]):.3f}"
                allowed = size * math.log(size) / (first[0] * math.log(first[0]))
                grown = run.cpu / first[1].cpu
                verdict = f"CPU x {grown:.1f} since the first, " + self.missed.bar(
                    f"growth to {size / MB:,.0f} MB", grown, "<=", allowed
                )
            first, last = first or (size, run), (size, run)
            peak = "" if run.peak is None else f"{run.peak / MB:,.0f}"
            self.found[f"growth, {size // MB} MB"] = {"seconds": run.seconds, "cpu": run.cpu, "anon": run.anon}
            print(f"| {size / MB:,.0f} | {run.seconds:.1f} | {run.cpu:.1f} | {size / MB / run.seconds:.1f} "
                  f"| {run.anon / MB:,.0f} | {peak} | {exponent} | {verdict}{'' if not run.why else ' no cgroup: ' + run.why} |",
                  flush=True)
        print()

    # spans -----------------------------------------------------------------------------------

    def spans(self):
        known = subprocess.run([self.hexapla, "functions", "repeated_spans"], capture_output=True)
        if known.returncode != 0:
            print("### Repeated spans\n\nNot run: this binary has no `repeated_spans`.\n")
            return
        file = self.corpus(128 * MB // self.scale)
        size = sum(len(t.as_py().encode()) for t in pq.read_table(file, columns=["text"])["text"])
        runs = [self.call(self.ours(file, "SELECT * FROM repeated_spans('documents')")) for _ in range(self.runs)]
        seconds = statistics.median(r.seconds for r in runs)
        rows = pq.ParquetFile(self.out / "found.parquet").metadata.num_rows
        self.found["spans"] = {"seconds": seconds, "rows": rows}
        print("### Repeated spans, 2 threads, Parquet to Parquet\n")
        print("| text, MB | wall, s | CPU, s | MB/s | own memory, MB | rows |\n| ---: | ---: | ---: | ---: | ---: | ---: |")
        print(f"| {size / MB:.0f} | {seconds:.2f} | {statistics.median(r.cpu for r in runs):.2f} "
              f"| {size / MB / seconds:.2f} | {max(r.anon for r in runs) / MB:,.0f} | {rows:,} |\n")
        print("No peer: Google's deduplicate-text-datasets is in no package registry.\n")


if __name__ == "__main__":
    tasks.main(Bench, ["near", "quality", "growth", "spans"])
