"""Reading packs against the peers' ways of reading rows, and a large pack opened in the middle.

usage: run.py HEXAPLA SHARED_DATA WORK [--quick] [--runs N] [--only read,open] [--json FILE]

read   batches of [32, 512] ids in a shuffled order, one thread, each batch summed so that its bytes
       are really read, and the same rows for all: hexapla (`probe`), datasets with a DataLoader,
       MosaicML streaming, and a gather from a numpy memory map. Processes take turns; medians.
open   a pack of 10 GB, made of the record batches of a small one again and again, opened at
       micro-batch 1,000,000: seconds, and resident memory

`--quick` reads a tenth and opens 1 GB. Exit code 1 when a bar is missed.
"""

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parent))

import tasks  # noqa: E402

ROWS, LENGTH = 32, 512
# Times faster than the peer that hexapla has to be.
BARS = {"datasets": 20, "streaming": 60, "memmap": 1}
OPEN_MS, OPEN_MB, OPEN_AT = 50, 100, 1_000_000
PEAK = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, end='')"""
PROJECT = """seed = 17
[source.web]
path = "data/*.jsonl"
[params.kept]
min_confidence = 2.0
gopher = false
[tokenizer.main]
train = { kind = "unigram", vocab = 8000, alpha = 0.3, max_chars = 4000000 }
[mix.main]
stages = [{ until = "1B", strategy = "proportional" }]
[pack.main]
mix = "main"
tokenizer = "main"
length = 512
"""


def made(hexapla, data, work, size):
    """A pack of some real text, and its rows as each peer wants them; made once."""
    note = work / ".ready"
    if not (note.exists() and note.read_text() == str(size)):
        shutil.rmtree(work, ignore_errors=True)
        (work / "project/data").mkdir(parents=True)
        (work / "project/hexapla.toml").write_text(PROJECT)
        documents = work / "project/data/documents.jsonl"
        prepared = [sys.executable, HERE.parent / "dedup/prepare.py", data, "--size", str(size), "--out", documents]
        subprocess.run([str(word) for word in prepared], check=True)
        subprocess.run([hexapla, "run", "--quiet", "pack.main", "--project", str(work / "project")], check=True)
        rows = np.concatenate([*parts(work / "project/packs/main")])
        rows.tofile(work / "rows.bin")
        subprocess.run([sys.executable, HERE / "peers.py", "make", work], check=True)
        note.write_text(str(size))
    return work / "project/packs/main", len(np.memmap(work / "rows.bin", np.int32, "r")) // LENGTH


def parts(pack):
    """The ids of a pack's files, [rows, 512]."""
    for file in sorted(pack.glob("*.arrow")):
        with pa.memory_map(str(file)) as source:
            table = ipc.open_file(source).read_all()
        for chunk in table["tokens"].chunks:
            yield chunk.flatten().to_numpy().reshape(-1, LENGTH)


class Bench:
    def __init__(self, args):
        part = 10 if args.quick else 1
        self.hexapla, self.data, self.work, self.runs = str(args.hexapla), args.data, args.work, args.runs
        self.size, self.batches, self.large = 200_000_000 // part, 60_000 // part, 10_000_000_000 // part
        self.missed, self.found = tasks.Missed(), {}

    def close(self):
        shutil.rmtree(self.work / "large", ignore_errors=True)

    def read(self):
        pack, rows = made(self.hexapla, self.data, self.work / "read", self.size)
        batches = {"hexapla": self.batches, "memmap": self.batches}
        # Slower ones read fewer.
        batches |= {"datasets": self.batches // 20, "streaming": self.batches // 60}
        rates = {name: [] for name in batches}
        for _ in range(self.runs):
            for name, count in batches.items():
                if name == "hexapla":
                    command = [self.hexapla, "probe", "--json", pack, "--rows", ROWS, "--batches", count]
                else:
                    command = [sys.executable, HERE / "peers.py", name, self.work / "read", count]
                done = subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE)
                said = done.stdout.decode().strip()
                # A peer may say more than its last line.
                said = json.loads(said if name == "hexapla" else said.split("\n")[-1])
                rates[name].append(said["ids"] / said["seconds"])
        rates = {name: statistics.median(each) for name, each in rates.items()}
        print(f"### Packs as [{ROWS}, {LENGTH}] tensors, shuffled, one thread, each batch summed; {rows:,} rows\n")
        print("| reader | million ids a second | hexapla is times faster | bar |")
        print("| --- | ---: | ---: | --- |")
        for name, rate in rates.items():
            times, bar = rates["hexapla"] / rate, BARS.get(name)
            verdict = self.missed.bar(f"read, {name}", times, ">=", bar) if bar else ""
            print(f"| {name} | {rate / 1e6:,.0f} | {times:.1f} | {verdict} |")
        print()
        self.found["read"] = rates

    def open(self):
        pack, _ = made(self.hexapla, self.data, self.work / "read", self.size)
        large = self.work / "large"
        try:
            size = grown(pack, large, self.large)
            seconds, resident = [], []
            for _ in range(max(3, self.runs)):
                command = [self.hexapla, "probe", "--json", large, "--rows", ROWS, "--batches", 1,
                           "--from", OPEN_AT]
                # A child's peak counts that of the process that began it: a small one does.
                small = [sys.executable, "-c", PEAK, *(str(c) for c in command)]
                out = subprocess.run(small, stdout=subprocess.PIPE, check=True).stdout
                found, peak = out.decode().rsplit("\n", 1)
                seconds.append(json.loads(found)["open_seconds"])
                resident.append(int(peak) / 1e3)
        finally:
            shutil.rmtree(large, ignore_errors=True)
        took, used = statistics.median(seconds), statistics.median(resident)
        print(f"### A pack of {size / 1e9:.1f} GB, opened at micro-batch {OPEN_AT:,}\n")
        print("| | measured | bar |")
        print("| --- | ---: | --- |")
        print(f"| opened and there, ms | {took * 1e3:.1f} "
              f"| {self.missed.bar('open, ms', took * 1e3, '<=', OPEN_MS)} |")
        print(f"| resident, MB | {used:.0f} | {self.missed.bar('open, MB', used, '<=', OPEN_MB)} |")
        print()
        self.found["open"] = {"seconds": took, "resident_mb": used}


def grown(pack, large, size):
    """The pack with its record batches written again and again, until it has that size."""
    shutil.rmtree(large, ignore_errors=True)
    large.mkdir(parents=True)
    manifest = json.loads((pack / "manifest.json").read_text())
    files = [(part, pack / part["file"]) for part in manifest["parts"]]
    times = -(-size // sum(path.stat().st_size for _, path in files))
    total = 0
    for part, path in files:
        with pa.memory_map(str(path)) as source:
            reader = ipc.open_file(source)
            # All record batches but the last are full; a small group is made to fill one.
            full = [reader.get_batch(n) for n in range(reader.num_record_batches)]
            last = [full.pop()] if full[-1].num_rows < 1024 else []
            if not full:
                many = pa.Table.from_batches(last * -(-1024 // last[0].num_rows))
                full = many.slice(0, 1024).combine_chunks().to_batches()
            with ipc.new_file(str(large / part["file"]), reader.schema) as writer:
                for batch in full * times + last:
                    writer.write_batch(batch)
        rows = sum(b.num_rows for b in full) * times + sum(b.num_rows for b in last)
        stats = manifest["params"]["groups"][path.stem]
        for key in ("tokens", "rows"):
            stats[key] = stats[key] * rows // part["rows"] if key == "tokens" else rows
        part["rows"], part["bytes"] = rows, (large / part["file"]).stat().st_size
        total += part["bytes"]
    (large / "manifest.json").write_text(json.dumps(manifest))
    return total


if __name__ == "__main__":
    tasks.main(Bench, ["read", "open"])
