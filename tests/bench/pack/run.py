"""Tokenizers and packs against Hugging Face's tokenizers and datasets.

usage: run.py HEXAPLA SHARED_DATA WORK [--quick] [--runs N] [--only encode,train] [--json FILE]

encode   `hexapla run pack.main` with two threads, from the tables to packs, against datasets.map with
         two processes and the same tokenizer, from a Parquet file with the same documents to blocks
train    `hexapla tokenizer train` against the trainers of the tokenizers package, 32,000 tokens,
         unigram and BPE, on the same documents, both with two threads; and how many tokens each
         tokenizer needs for the documents it was trained on

Whole processes that take turns; medians. `--quick` takes a tenth of the text. Exit code 1 when a bar
is missed.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path[1:1] = [str(HERE.parent), str(HERE.parent / "memory")]

import tasks  # noqa: E402
from cgroup import Run  # noqa: E402

MB = 1_000_000
ENCODE_BAR, ENCODE_MEMORY, TRAIN_BAR = 1.5, 1 << 30, 1.0
VOCAB = 32_000
PROJECT = """seed = 17
[source.web]
path = "documents.jsonl"
[params.kept]
min_confidence = -1.0
gopher = false
[tokenizer.main]
load = "tokenizer"
[mix.main]
stages = [{ until = "10B", strategy = "proportional" }]
[pack.main]
mix = "main"
tokenizer = "main"
length = 512
"""


class Bench:
    def __init__(self, args):
        self.hexapla, self.data, self.work = str(args.hexapla), args.data, args.work
        self.size, self.runs = 100 * MB // (10 if args.quick else 1), args.runs
        self.missed, self.found = tasks.Missed(), {}
        self.out = self.work / "out"
        self.project = self.work / f"project-{self.size // MB}"
        self.file = self.work / f"documents-{self.size // MB}.parquet"
        self.prepare()

    def close(self):
        shutil.rmtree(self.out, ignore_errors=True)

    def call(self, command, **env):
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        os.sync()
        env = {**os.environ, "RAYON_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", **env}
        run = Run(list(map(str, command)), None, env)
        if run.code != 0:
            raise RuntimeError(f"{' '.join(map(str, command[:4]))}: exit {run.code}\n{run.stderr[-1500:]}")
        return run

    def peer(self, *what):
        return [sys.executable, HERE / "peers.py", *what]

    def train_command(self, kind, out):
        query = "SELECT doc_id, lang, text FROM documents"
        command = [self.hexapla, "tokenizer", "train", "-c", query, "-t", f"documents={self.file}", "--threads", "2"]
        return [*command, "--kind", kind, "--vocab", VOCAB, "--alpha", "1", "--max-chars", "10B", "-o", out, "-q"]

    def prepare(self):
        """The project up to its pack, and the documents of the pack as one file; made once."""
        if self.file.exists():
            return
        shutil.rmtree(self.project, ignore_errors=True)
        self.project.mkdir(parents=True)
        (self.project / "hexapla.toml").write_text(PROJECT)
        made = [sys.executable, str(HERE.parent / "dedup/prepare.py"), str(self.data), "--duplicates", "0"]
        documents = self.project / "documents.jsonl"
        subprocess.run([*made, "--out", str(documents), "--size", str(self.size)], check=True)
        query = "SELECT text, lang FROM read('documents.jsonl')"
        trained = [self.hexapla, "tokenizer", "train", "--project", str(self.project), "-c", query, "-q"]
        subprocess.run([*trained, "-o", str(self.project / "tokenizer")], check=True, cwd=self.project)
        run = [self.hexapla, "run", "--project", str(self.project), "-q"]
        subprocess.run([*run, "mix.main"], check=True)
        chosen = (
            'SELECT s.doc_id, s.lang, d.text FROM selection."main" s JOIN documents d ON s.doc_id = d.doc_id'
        )
        asked = [self.hexapla, "sql", "--project", str(self.project), "-c", chosen]
        subprocess.run([*asked, "-o", str(self.file)], check=True)

    def turns(self, commands):
        """The median of each command's runs, which take turns."""
        runs = {name: [] for name in commands}
        for _ in range(self.runs):
            for name, command in commands.items():
                runs[name].append(self.call(command))
        middle = lambda name: {
            "seconds": statistics.median(r.seconds for r in runs[name]),
            "cpu": statistics.median(r.cpu for r in runs[name]),
            "anon": max(r.anon or 0 for r in runs[name]),
        }
        return {name: middle(name) for name in commands}

    def bytes(self):
        return sum(len(t.as_py().encode()) for t in pq.read_table(self.file, columns=["text"])["text"])

    def bar(self, what, value, bar):
        if value < bar:
            self.missed.append(f"{what}: {value:.2f}, bar {bar}")
        return f"{value:.2f}, bar {bar}: {'met' if value >= bar else 'MISSED'}"

    def table(self, title, size, found, ours, bars):
        print(f"### {title}\n")
        print("| what | wall, s | CPU, s | MB/s | own memory, MB | hexapla is faster by |")
        print("| --- | ---: | ---: | ---: | ---: | --- |")
        for name, row in found.items():
            faster = row["seconds"] / found[ours]["seconds"]
            said = "" if name == ours else self.bar(name, faster, bars[name])
            print(f"| {name} | {row['seconds']:.2f} | {row['cpu']:.2f} | {size / MB / row['seconds']:.1f} "
                  f"| {row['anon'] / MB:,.0f} | {said} |", flush=True)
        print()

    # encode ----------------------------------------------------------------------------------

    def encode(self):
        size = self.bytes()
        ours, theirs = "hexapla run pack.main", "datasets.map, 2 processes"
        command = [self.hexapla, "run", "pack.main", "--force", "--project", self.project, "--threads", "2", "-q"]
        found = self.turns({
            ours: command,
            theirs: self.peer("encode", self.file, self.project / "tokenizer/tokenizer.json", self.out),
        })
        self.found["encode"] = found
        self.table(f"Encode and pack {size / MB:.0f} MB, rows of 512", size, found, ours, {theirs: ENCODE_BAR})
        if found[ours]["anon"] > ENCODE_MEMORY:
            self.missed.append(f"encode: {found[ours]['anon'] / MB:.0f} MB of memory")

    # train -----------------------------------------------------------------------------------

    def train(self):
        size = self.bytes()
        for kind in ["unigram", "bpe"]:
            ours, theirs = f"hexapla tokenizer train, {kind}", f"tokenizers, {kind}"
            found = self.turns({
                ours: self.train_command(kind, self.out),
                theirs: self.peer("train", kind, self.file, self.out, VOCAB),
            })
            self.found[f"train {kind}"] = found
            self.table(f"Train {VOCAB:,} tokens on {size / MB:.0f} MB, {kind}", size, found, ours, {theirs: TRAIN_BAR})
            if found[ours]["anon"] > found[theirs]["anon"]:
                self.missed.append(f"train {kind}: more memory than the peer")
            for name, command in [
                (ours, self.train_command(kind, self.out)),
                (theirs, self.peer("train", kind, self.file, self.out, VOCAB)),
            ]:
                self.call(command)
                query = "SELECT text, lang FROM documents"
                command = [self.hexapla, "tokenizer", "eval", self.out, "-c", query, "-t", f"documents={self.file}", "--json"]
                said = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout
                langs = json.loads(said)["tokenizers"][0]["langs"].values()
                tokens, unknown = sum(l["tokens"] for l in langs), sum(l["tokens"] * l["unknown"] for l in langs)
                found[name]["tokens"] = tokens
                print(f"{name}: {tokens:,} tokens, {unknown:,.0f} of them unknown\n", flush=True)


if __name__ == "__main__":
    tasks.main(Bench, ["encode", "train"])
