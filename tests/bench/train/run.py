"""Training against transformers, ranks against threads, and what holds a step up.

usage: run.py HEXAPLA SHARED_DATA WORK [--quick] [--runs N] [--only small,large,…] [--json FILE]

small       MLM in bf16, XLM-R's shape H=256 L=4 V=32,000, 32 rows of 128, and the share of the time
            that steps wait for rows
large       the same with H=384 L=6 V=250,002, 16 rows of 128, and peak memory
mixed       documents of mixed length, useful tokens a second: packs against padded batches
ranks       two ranks with a thread each against one with two, at the same rows a step
checkpoint  what a checkpoint of a model of 110 M parameters holds the loop up

Both sides use two threads and take turns; speeds are medians over the steps of a run, and of those
the median of the runs. `--quick` takes a fifth of the steps. Exit code 1 when a bar is missed.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[1:1] = [str(HERE.parent)]

import tasks  # noqa: E402

MB = 1_000_000
SMALL_BAR, LARGE_BAR, MEMORY_BAR, MIXED_BAR = 3.0, 5.0, 0.5, 3.0
WAIT_BAR, RANKS_BAR, HELD_BAR = 0.5, 0.9, 1.0
PROJECT = """seed = 17
[source.web]
path = "documents.jsonl"
[params.kept]
min_confidence = -1.0
gopher = false
[tokenizer.main]
load = "tokenizer"
[tokenizer.wide]
load = "wide"
[mix.main]
stages = [{ until = "10B", strategy = "proportional" }]
[pack.main]
mix = "main"
tokenizer = "main"
length = 128
[pack.wide]
mix = "main"
tokenizer = "wide"
length = 128
[model.small]
type = "encoder"
hidden = 256
layers = 4
[model.large]
type = "encoder"
hidden = 384
layers = 6
[model.base]
type = "encoder"
hidden = 768
layers = 12
[train.small]
model = "small"
pack = "main"
objectives = { mlm = 1.0 }
dtype = "bf16"
batch = 32
steps = 20
log_every = 1
[train.large]
model = "large"
pack = "wide"
objectives = { mlm = 1.0 }
dtype = "bf16"
batch = 16
steps = 20
log_every = 1
[train.base]
model = "base"
pack = "main"
objectives = { mlm = 1.0 }
dtype = "bf16"
batch = 2
steps = 20
log_every = 1
"""


class Bench:
    def __init__(self, args):
        self.hexapla, self.data, self.work = str(args.hexapla), args.data, args.work
        self.runs, self.steps = args.runs, 4 if args.quick else 20
        self.missed, self.found = tasks.Missed(), {}
        self.project = self.work / "project"
        self.prepare()

    def close(self):
        shutil.rmtree(self.project / "runs", ignore_errors=True)

    def prepare(self):
        """The project up to its packs, made once."""
        if (self.project / ".ready").exists():
            return
        shutil.rmtree(self.project, ignore_errors=True)
        self.project.mkdir(parents=True)
        (self.project / "hexapla.toml").write_text(PROJECT)
        made = [sys.executable, str(HERE.parent / "dedup/prepare.py"), str(self.data), "--duplicates", "0"]
        subprocess.run([*made, "--out", str(self.project / "documents.jsonl"), "--size", str(20 * MB)], check=True)
        query = "SELECT text, lang FROM read('documents.jsonl')"
        trained = [self.hexapla, "tokenizer", "train", "--project", str(self.project), "-c", query, "-q"]
        folder = self.project / "tokenizer"
        subprocess.run([*trained, "--vocab", "32000", "-o", str(folder)], check=True, cwd=self.project)
        # As many tokens as XLM-R has; those beyond the first never occur.
        shutil.copytree(folder, self.project / "wide")
        file = self.project / "wide/tokenizer.json"
        json_of = json.loads(file.read_text(encoding="utf-8"))
        vocab = json_of["model"]["vocab"]
        vocab += [[f"<never{i}>", -99.0] for i in range(250_002 - len(vocab))]
        file.write_text(json.dumps(json_of, ensure_ascii=False), encoding="utf-8")
        run = [self.hexapla, "run", "--project", str(self.project), "-q", "pack.main", "pack.wide"]
        subprocess.run(run, check=True)
        (self.project / ".ready").touch()

    def ours(self, name, *sets, ranks=1, threads=2):
        """The lines of the metrics of a run, but for the first ones, and its peak memory."""
        shutil.rmtree(self.project / "runs", ignore_errors=True)
        command = [self.hexapla, "train", name, "--project", str(self.project), "-q", "--threads", str(threads)]
        for text in (f"steps={self.steps + 2}", "validate_every=1000000", "validate_rows=1", *sets):
            command += ["--set", text]
        command += ["--nproc", str(ranks)]
        env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}\n{done.stderr[-1500:]}")
        lines = (self.project / "runs" / name / "metrics.jsonl").read_text().splitlines()
        lines = [json.loads(line) for line in lines][2:]
        return {
            "tokens_per_second": statistics.median(line["tokens_per_second"] for line in lines),
            "peak": max(line["memory_bytes"] for line in lines),
            "wait": 100 * sum(line["wait_seconds"] for line in lines)
            / sum(line["seconds"] for line in lines),
            "lines": lines,
        }

    def peer(self, *what):
        command = [sys.executable, str(HERE / "peers.py"), *map(str, what)]
        # torch and transformers are found by the peer alone.
        env = {**os.environ, "PYTHONPATH": os.environ["PEERS"], "HF_HUB_OFFLINE": "1"}
        env.pop("LD_LIBRARY_PATH", None)
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}\n{done.stderr[-1500:]}")
        return json.loads(done.stdout)

    def turns(self, title, sides):
        """Runs that take turns; of each side the median speed and the largest peak."""
        found = {name: [] for name in sides}
        for _ in range(self.runs):
            for name, side in sides.items():
                found[name].append(side())
        middle = {}
        for name, runs in found.items():
            speed = statistics.median(run["tokens_per_second"] for run in runs)
            middle[name] = {"tokens_per_second": speed, "peak": max(run["peak"] for run in runs)}
            if "wait" in runs[0]:
                middle[name]["wait"] = statistics.median(run["wait"] for run in runs)
        self.found[title] = middle
        print(f"### {title}\n\n| what | tokens/s | peak memory, MB |\n| --- | ---: | ---: |")
        for name, row in middle.items():
            print(f"| {name} | {row['tokens_per_second']:,.0f} | {row['peak'] / MB:,.0f} |")
        print(flush=True)
        return middle

    def ratio(self, what, a, b, bar):
        print(f"{what}: {self.missed.bar(what, a / b, '>=', bar, '{:.2f}')} ({a / b:.2f})\n", flush=True)

    def small(self):
        found = self.turns("MLM, H=256 L=4 V=32,000, 32 x 128, bf16", {
            "hexapla": lambda: self.ours("small"),
            "transformers": lambda: self.peer("step", 256, 4, 32_000, 32, 128, self.steps),
        })
        ours, peer = found["hexapla"], found["transformers"]
        self.ratio("small: times transformers", ours["tokens_per_second"], peer["tokens_per_second"], SMALL_BAR)
        wait = ours["wait"]
        print(f"waiting for rows, %: {self.missed.bar('wait', wait, '<=', WAIT_BAR, '{:.3f}')} ({wait:.3f})\n")

    def large(self):
        found = self.turns("MLM, H=384 L=6 V=250,002, 16 x 128, bf16", {
            "hexapla": lambda: self.ours("large"),
            "transformers": lambda: self.peer("step", 384, 6, 250_002, 16, 128, self.steps),
        })
        ours, peer = found["hexapla"], found["transformers"]
        self.ratio("large: times transformers", ours["tokens_per_second"], peer["tokens_per_second"], LARGE_BAR)
        share = ours["peak"] / peer["peak"]
        print(f"memory: {self.missed.bar('large: memory', share, '<=', MEMORY_BAR, '{:.2f}')} ({share:.2f})\n")

    def mixed(self):
        file, tokenizer = self.project / "documents.jsonl", self.project / "tokenizer/tokenizer.json"
        found = self.turns("Documents of mixed length, H=256 L=4, up to 128 tokens, bf16", {
            "hexapla, packed": lambda: self.ours("small"),
            "transformers, padded": lambda: self.peer("documents", file, tokenizer, 256, 4, 32, 128, self.steps),
        })
        ours, peer = found["hexapla, packed"], found["transformers, padded"]
        self.ratio("mixed: times transformers", ours["tokens_per_second"], peer["tokens_per_second"], MIXED_BAR)

    def ranks(self):
        shape = ["batch=16", "accumulate=2"]
        found = self.turns("Two ranks of one thread against one of two, 2 x 16 x 128, bf16", {
            "1 rank": lambda: self.ours("small", *shape),
            "2 ranks": lambda: self.ours("small", *shape, ranks=2),
        })
        one, two = found["1 rank"]["tokens_per_second"], found["2 ranks"]["tokens_per_second"]
        self.ratio("2 ranks against 1", two, one, RANKS_BAR)

    def checkpoint(self):
        lines = self.ours("base", "steps=16", "save_every=5", "keep=1")["lines"]
        # The copy falls into the window of the step after the one that saves.
        seconds = {line["step"]: line["seconds"] for line in lines}
        saved = [seconds[step] for step in seconds if step % 5 == 1]
        other = statistics.median(seconds[step] for step in seconds if step % 5 == 0)
        held = max(saved) - other
        self.found["checkpoint"] = {"held": held, "seconds": seconds}
        print(f"### A checkpoint of 110 M parameters\n\nsteps take {other:.2f} s, the one that copies {max(saved):.2f} s")
        print(f"held up, s: {self.missed.bar('checkpoint', held, '<=', HELD_BAR, '{:.2f}')} ({held:.2f})\n", flush=True)


if __name__ == "__main__":
    tasks.main(Bench, ["small", "large", "mixed", "ranks", "checkpoint"])
