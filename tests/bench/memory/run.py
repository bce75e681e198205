"""The memory law: every built-in node of a project finishes under its memory limit.

usage: run.py HEXAPLA SHARED_DATA WORK [--limit 128MB] [--times 8] [--threads 2] [--only NODE,…]

Each node is built by a process of its own, `hexapla run NODE --memory-limit L`, inside a cgroup that
gives it 1.25 x L + 200 MB and no swap, from documents and pairs of at least 8 x L each. A node that
fails is built again without any limit, so that those behind it have their input. Then, of a query
that spills: a full disk is one line `error: …` and exit 2, and neither it nor `kill -9` leaves a
file behind. Prints a Markdown table; exit code 1 when something does not hold.

`peak` is what the kernel counted for the cgroup, with the page cache, which it takes back when
memory runs short: it may stand at the limit. `own` is memory that cannot be taken back, sampled
every 20 ms. Where no cgroup can be made, `own` of the process is held against the same limit.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

from cgroup import Run

HERE = Path(__file__).resolve().parent
MB = 1_000_000
PROJECT = """seed = 17
[source.web]
path = "data/*.jsonl"
[source.bitext]
path = "data/bench.{src}-{tgt}.{lang}"
format = "moses"
[params.kept]
min_confidence = 2.0
gopher = false
[params.pairs_kept]
max_length_ratio = 1000.0
min_numerals = 0.0
[tokenizer.main]
train = { kind = "unigram", vocab = 32000, alpha = 0.3 }
[mix.main]
stages = [{ until = "1B", strategy = "temperature", alpha = 0.3, pairs = 0.3 }]
[pack.main]
mix = "main"
tokenizer = "main"
length = 512
"""


def bytes_of(size):
    for end, times in {"GB": 1000 * MB, "MB": MB}.items():
        if size.upper().endswith(end):
            return int(float(size[: -len(end)]) * times)
    return int(size)


def prepare(data, work, size):
    """The project's files, and the documents once more as WET; once for each size."""
    note = work / ".ready"
    if note.exists() and note.read_text() == str(size):
        return
    shutil.rmtree(work, ignore_errors=True)
    (work / "project/data").mkdir(parents=True)
    (work / "project/hexapla.toml").write_text(PROJECT)
    made = [sys.executable, str(HERE.parent / "dedup/prepare.py"), str(data), "--size", str(size)]
    documents = work / "project/data/documents.jsonl"
    subprocess.run([*made, "--out", str(documents)], check=True)
    subprocess.run([*made, "--moses", str(work / "project/data/bench.de-en")], check=True)
    wet(documents, work / "crawl.warc.wet.gz")
    note.write_text(str(size))


def wet(documents, path):
    """The documents as Common Crawl's WET files are: one gzip member a record."""
    with documents.open() as rows, path.open("wb") as file:
        for n, line in enumerate(rows):
            block = json.loads(line)["text"].encode()
            head = (
                "WARC/1.0\r\nWARC-Type: conversion\r\n"
                f"WARC-Target-URI: https://www.site.example/{n}\r\nWARC-Date: 2024-05-01T12:34:56Z\r\n"
                f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-a000-{n:012x}>\r\n"
                f"Content-Type: text/plain\r\nContent-Length: {len(block)}\r\n\r\n"
            )
            packed = zlib.compressobj(1, zlib.DEFLATED, 31)
            file.write(packed.compress(head.encode() + block + b"\r\n\r\n") + packed.flush())


class Law:
    def __init__(self, args):
        self.hexapla = str(args.hexapla.resolve())
        self.work = args.work.resolve()
        self.project = self.work / "project"
        self.limit = bytes_of(args.limit)
        self.group = self.limit * 5 // 4 + 200 * MB
        self.times = args.times
        self.threads = str(args.threads)
        self.temp = self.work / "temp"
        self.missed = []
        prepare(args.data, self.work, self.limit * args.times)

    def call(self, command, temp=None, limit=True, stop=None):
        temp = temp or self.temp
        temp.mkdir(exist_ok=True)
        env = {**os.environ, "TMPDIR": str(temp)}
        return Run([self.hexapla, *command], self.group if limit else None, env, stop=stop)

    def left(self, temp=None):
        """What lies in the temporary folder, and what was begun in the project and not finished."""
        found = [p for p in (temp or self.temp).rglob("*") if p.is_file()]
        return found + [p for p in self.project.rglob(".tmp-*")]

    def row(self, what, run):
        mib = lambda n: "" if n is None else f"{n / MB:.0f}"
        wrong = []
        if run.code != 0:
            wrong.append(f"exit {run.code}")
        if run.kills:
            wrong.append("killed by the kernel")
        if run.why and run.anon > self.group:
            wrong.append("above the limit")
        left = self.left()
        if left:
            wrong.append(f"{len(left)} temporary files left")
            shutil.rmtree(self.temp)
        said = next((l for l in run.stderr.splitlines() if l.startswith("error")), "")
        verdict = "holds" if not wrong else "**FAILS**: " + ", ".join(wrong)
        print(f"| {what} | {mib(run.anon)} | {mib(run.peak)} | {mib(run.rss)} | {run.seconds:.1f} | {run.cpu:.1f} "
              f"| {verdict}{' `' + said[:300] + '`' if said else ''} |", flush=True)
        if wrong:
            self.missed.append(what)
        return not wrong

    def head(self):
        print(f"### Memory: `--memory-limit` {self.limit / MB:.0f} MB in a cgroup of {self.group / MB:.0f} MB, "
              f"input {self.limit * self.times / MB:,.0f} MB of documents and of pairs, {self.threads} threads\n")
        print("| node | own, MB | peak with cache, MB | resident, MB | wall, s | CPU, s | |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")

    def ingest(self, wanted):
        data = self.project / "data"
        for kind, files, more in [
            ("ingest jsonl", [data / "documents.jsonl"], []),
            ("ingest wet", [self.work / "crawl.warc.wet.gz"], []),
            ("ingest moses", [data / "bench.de-en.de", data / "bench.de-en.en"], ["--langs", "de,en"]),
        ]:
            if wanted and kind.replace(" ", "-") not in wanted:
                continue
            out = self.work / "out"
            shutil.rmtree(out, ignore_errors=True)
            # It takes no limit: what it holds does not grow with its input.
            command = ["ingest", *map(str, files), *more, "--out", str(out), "--threads", self.threads, "-q"]
            self.row(kind, self.call(command))
            shutil.rmtree(out, ignore_errors=True)

    def nodes(self, wanted):
        run = ["run", "--project", str(self.project), "--threads", self.threads, "-q"]
        listed = subprocess.run(
            [self.hexapla, *run, "--dry-run", "--json"], check=True, capture_output=True, text=True
        )
        nodes = [n["node"] for n in json.loads(listed.stdout)["nodes"]]
        for node in nodes:
            if wanted and node not in wanted:
                continue
            # What it needs is there already; `--force` is for itself alone.
            made = self.call([*run, node, "--force", "--memory-limit", str(self.limit)])
            if not self.row(f"`{node}`", made):
                again = self.call([*run, node], limit=False)
                if again.code != 0:
                    print(f"error: {node}, without a limit: {again.stderr[-500:]}", file=sys.stderr)
                    return

    def spilling(self):
        """The query whose spilled files the next two need: it sorts what does not fit."""
        query = "SELECT text, doc_id FROM documents ORDER BY text"
        command = ["sql", "--project", str(self.project), "-c", query, "--threads", self.threads]
        return [*command, "--memory-limit", str(self.limit), "-o", str(self.work / "sorted.parquet")]

    def duplicates(self):
        query = "SELECT * FROM near_duplicates('documents')"
        command = ["sql", "--project", str(self.project), "-c", query, "--threads", self.threads]
        return [*command, "--memory-limit", str(self.limit), "-o", str(self.work / "sorted.parquet")]

    def full_disk(self, what, command):
        small = self.work / "small"
        small.mkdir(exist_ok=True)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(small)], capture_output=True, text=True
        )
        if mounted.returncode != 0:
            print(f"| {what}, full disk | | | | | | not run: {mounted.stderr.strip()} |")
            return
        try:
            run = self.call(command, temp=small)
            said = [l for l in run.stderr.splitlines() if l.strip()]
            errors = [l for l in said if l.startswith("error: ")]
            left = self.left(small) + [p for p in self.work.glob("sorted.parquet*")]
            wrong = []
            if run.code != 2:
                wrong.append(f"exit {run.code}")
            if len(errors) != 1 or any(not l.startswith(("error: ", "hint: ")) for l in said):
                wrong.append("not one line `error: …`")
            if left:
                wrong.append(f"{len(left)} files left")
            self.verdict(f"{what}, full disk", run, wrong, " ".join(said))
        finally:
            subprocess.run(["umount", str(small)], check=True)

    def killed(self, what, command):
        spilled = []

        def stop(child, ended):
            # Once it has spilled something, or after 20 s: some spill under names that are gone.
            end = time.monotonic() + 20
            while not ended.wait(0.02) and time.monotonic() < end:
                if sum(p.stat().st_size for p in self.temp.rglob("*") if p.is_file()) > 20 * MB:
                    spilled.append(True)
                    break
            if not ended.is_set():
                child.send_signal(signal.SIGKILL)

        run = self.call(command, stop=stop)
        left = [*self.left(), *self.work.glob("*sorted.parquet*"), *self.work.glob(".tmp-*")]
        wrong = [f"{len(left)} files left, {sum(p.stat().st_size for p in left) / MB:.0f} MB, "
                 f"such as {left[0].relative_to(self.work)}"] if left else []
        if run.code != -signal.SIGKILL:
            wrong.append(f"not killed: exit {run.code}")
        self.verdict(f"{what}, kill -9", run, wrong, "" if spilled else "nothing spilled under a name")
        for path in left:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.temp, ignore_errors=True)

    def verdict(self, what, run, wrong, said):
        if wrong:
            self.missed.append(what)
        word = "holds" if not wrong else "**FAILS**: " + ", ".join(wrong)
        print(f"| {what} | {run.anon / MB:.0f} | | {run.rss / MB:.0f} | {run.seconds:.1f} | {run.cpu:.1f} "
              f"| {word}{' `' + said[:300] + '`' if said else ''} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hexapla", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--limit", default="128MB")
    parser.add_argument("--times", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    wanted = [name for name in args.only.split(",") if name]
    law = Law(args)
    probe = Run(["true"])
    if probe.why:
        print(f"No cgroup can be made here ({probe.why}): memory of the process is held against the limit.\n")
    law.head()
    law.ingest(wanted)
    law.nodes(wanted)
    if not wanted or "failures" in wanted:
        for what, command in [("a sort", law.spilling()), ("`near_duplicates`", law.duplicates())]:
            law.full_disk(what, command)
            law.killed(what, command)
    if law.missed:
        print(f"\n{len(law.missed)} do not hold: {', '.join(law.missed)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
