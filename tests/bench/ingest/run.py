"""Times `hexapla ingest` against other tools on the same files, and prints one table.

usage: run.py HEXAPLA INPUTS [--runs N] [--only TASK,…] [--json FILE]

Every command is a process of its own; wall time is from its start to its end, processor time and
peak memory are what wait4 gives for it and the processes it waited for. The tools of a task take
turns, run by run, after every input was read once, so that all find it in the page cache.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MB = 1_000_000
MIB = 1 << 20
EQUAL = "equal"

# Each task: its input, how hexapla is called, and the peers: the function of peers.py, how many
# times faster hexapla has to be (None: for information), the input it gets where all of it would
# take too long, and why rows may differ (EQUAL: they may not).
TASKS = {
    "jsonl": {
        "input": "jsonl",
        "peers": [
            ("duckdb_jsonl", 1, None, EQUAL),
            ("duckdb_unordered", 1, None, EQUAL),
            ("polars_jsonl", 1, None, EQUAL),
        ],
        "size": 1.05,
        "memory": 1024,
    },
    "jsonl-shards": {
        "input": "jsonl-shards",
        "peers": [
            ("duckdb_jsonl", 1, None, EQUAL),
            ("duckdb_unordered", 1, None, EQUAL),
            ("polars_jsonl", 1, None, EQUAL),
        ],
        "size": 1.05,
        "memory": 1024,
    },
    "wet": {"input": "wet", "peers": [("warcio_wet", 20, None, EQUAL)], "memory": 1024},
    "html": {
        "input": "html",
        "peers": [
            ("trafilatura_html", 10, "html-part", "each extractor drops other pages"),
            ("trafilatura_fast", None, "html-part", "each extractor drops other pages"),
        ],
        "memory": 1024,
    },
    "wiki": {
        "input": "wiki",
        "peers": [
            ("regex_wiki", 10, None, EQUAL),
            ("wikiextractor", 10, None, "it keeps other pages"),
            ("mwparserfromhell_wiki", 10, "wiki-part", EQUAL),
        ],
        "memory": 1024,
    },
    "wiki-multistream": {
        "input": "wiki-multistream",
        "peers": [("regex_wiki", 10, None, EQUAL)],
        "memory": 1024,
    },
    "tmx": {
        "input": "tmx",
        "options": ["--langs", "de,en"],
        "peers": [
            ("translate_toolkit_tmx", 20, None, EQUAL),
            ("iterparse_tmx", None, None, EQUAL),
        ],
        "memory": 1024,
    },
    "opus-xml": {
        "input": "opus-xml",
        "first": True,
        "options": ["--langs", "de,en"],
        "peers": [("opustools_xml", 20, None, EQUAL)],
        "memory": 1024,
    },
    "opus-moses": {
        "input": "opus-moses",
        "options": ["--langs", "de,en"],
        "peers": [("python_zip", None, None, EQUAL)],
        "memory": 1024,
    },
    "moses": {
        "input": "moses",
        "options": ["--langs", "de,en"],
        "peers": [("python_moses", None, None, EQUAL)],
        "memory": 1024,
    },
}


class Run:
    """One call of a command."""

    def __init__(self, command, out):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        os.sync()
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            start = time.perf_counter()
            child = subprocess.Popen(command, stdout=stdout, stderr=stderr)
            _, status, usage = os.wait4(child.pid, 0)
            self.seconds = time.perf_counter() - start
            child.returncode = os.waitstatus_to_exitcode(status)
            stdout.seek(0)
            stderr.seek(0)
            self.stdout = stdout.read().decode("utf-8", "replace")
            words = stderr.read().decode("utf-8", "replace")
        if child.returncode != 0:
            raise RuntimeError(f"{' '.join(command[:6])}: exit {child.returncode}\n{words[-2000:]}")
        self.cpu = usage.ru_utime + usage.ru_stime
        # Linux counts in KiB.
        self.memory = usage.ru_maxrss * 1024 / MIB
        self.bytes = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())


def result_of(stdout):
    return json.loads(stdout[stdout.index("{") :])


def text_bytes(out):
    """The bytes of text that a tool wrote. In a process of its own: what this one once held
    would count as peak memory of every command it starts from then on."""
    files = sorted(map(str, [*out.glob("*.parquet"), *out.glob("rows.??")]))
    command = [sys.executable, str(HERE / "peers.py"), "text_bytes", str(out), *files]
    return result_of(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["rows"]


class Bench:
    def __init__(self, args):
        self.hexapla = str(args.hexapla.resolve())
        self.root = args.inputs.resolve()
        listing = json.loads((self.root / "sizes.json").read_text())
        self.inputs = listing["inputs"]
        self.runs = args.runs
        self.out = self.root / "out"

    def files(self, name):
        return [str(self.root / f) for f in self.inputs[name]["files"]]

    def ours(self, task, name):
        files = self.files(name)
        given = files[:1] if task.get("first") else files
        out = ["--out", str(self.out / "hexapla"), "--json", "--quiet"]
        return [self.hexapla, "ingest", *given, *task.get("options", []), *out]

    def peer(self, tool, name):
        peers = str(HERE / "peers.py")
        return [sys.executable, peers, tool, str(self.out / tool), *self.files(name)]

    def task(self, name):
        task = TASKS[name]
        # The command, its output, its input; hexapla first.
        calls = {"hexapla": (self.ours(task, task["input"]), task["input"])}
        for tool, _, part, _ in task["peers"]:
            given = part or task["input"]
            calls[tool] = (self.peer(tool, given), given)
        inputs = {given for _, given in calls.values()}
        # What hexapla makes of each input, untimed: rows and bytes of text to compare with.
        truth = {}
        for given in inputs:
            for file in self.files(given):
                with open(file, "rb") as f:
                    while f.read(1 << 20):
                        pass
            run = Run(self.ours(task, given), self.out / "hexapla")
            table = result_of(run.stdout)
            truth[given] = {
                "rows": table["rows"],
                "errors": table["errors"],
                "dropped": table["dropped"],
                "text": text_bytes(self.out / "hexapla"),
            }
        runs = {tool: [] for tool in calls}
        for n in range(self.runs):
            for tool, (command, _) in calls.items():
                print(f"\r{name}: run {n + 1} of {self.runs}, {tool:24}", end="", file=sys.stderr)
                runs[tool].append(Run(command, self.out / tool))
        print(f"\r{name}: done{'':40}", file=sys.stderr)
        return self.summary(name, task, calls, runs, truth)

    def summary(self, name, task, calls, runs, truth):
        lines = []
        whole = self.inputs[task["input"]]["content"]
        bars = {"hexapla": (None, EQUAL)}
        bars.update({tool: (bar, why) for tool, bar, _, why in task["peers"]})
        for tool, (_, given) in calls.items():
            content = self.inputs[given]["content"]
            scale = whole / content
            here = runs[tool]
            seconds = statistics.median(r.seconds for r in here) * scale
            line = {
                "task": name,
                "tool": tool,
                "input_mb": round(content / MB, 1),
                "fraction": round(1 / scale, 4),
                "seconds": round(seconds, 3),
                "runs": [round(r.seconds, 3) for r in here],
                "mb_per_second": round(whole / MB / seconds, 1),
                "cpu_seconds": round(statistics.median(r.cpu for r in here) * scale, 3),
                "peak_mib": round(max(r.memory for r in here)),
                "output_mb": round(here[-1].bytes / MB * scale, 2),
                "rows": result_of(here[-1].stdout)["rows"],
                "verdicts": [],
            }
            bar, why = bars[tool]
            if tool == "hexapla":
                line.update(errors=truth[given]["errors"], dropped=truth[given]["dropped"])
                if "memory" in task:
                    self.judge(line, "memory", line["peak_mib"], "<", task["memory"])
            else:
                ours = lines[0]
                line["ratio"] = round(seconds / ours["seconds"], 2)
                line["cpu_ratio"] = round(line["cpu_seconds"] / ours["cpu_seconds"], 2)
                line["bar"] = bar
                if bar:
                    self.judge(line, "time", line["ratio"], ">=", bar)
                if "size" in task:
                    size = round(ours["output_mb"] / line["output_mb"], 3)
                    self.judge(line, "size", size, "<=", task["size"])
                line["rows_of_hexapla"] = truth[given]["rows"]
                if why == EQUAL:
                    self.judge(line, "rows", line["rows"], "==", truth[given]["rows"])
                    if name not in {"wiki", "wiki-multistream"}:
                        text = text_bytes(self.out / tool)
                        self.judge(line, "text", text, "==", truth[given]["text"])
                elif line["rows"] != truth[given]["rows"]:
                    line["why"] = why
            lines.append(line)
        return lines

    @staticmethod
    def judge(line, what, value, relation, bar):
        met = {
            "<": value < bar,
            "<=": value <= bar,
            ">=": value >= bar,
            "==": value == bar,
        }[relation]
        line["verdicts"].append(
            {"what": what, "value": value, "relation": relation, "bar": bar, "met": met}
        )


def table(lines):
    heads = ["task", "tool", "input MB", "s", "MB/s", "CPU s", "peak MiB", "output MB", "rows"]
    heads += ["x ours", "CPU x", "bar"]
    rows = [heads]
    for line in lines:
        part = f" ({line['fraction']:.0%} of it)" if line["fraction"] < 1 else ""
        said = []
        for v in line["verdicts"]:
            if v["what"] in {"rows", "text"}:
                said += [] if v["met"] else [f"MISSED: {v['what']} {v['value']}, ours {v['bar']}"]
            else:
                word = "met" if v["met"] else "MISSED"
                said.append(f"{v['what']} {v['value']:g} {v['relation']} {v['bar']:g} {word}")
        if "why" in line:
            said.append(f"rows: ours {line['rows_of_hexapla']}; {line['why']}")
        rows.append(
            [
                line["task"] if line["tool"] == "hexapla" else "",
                line["tool"],
                f"{line['input_mb']:,.0f}{part}",
                f"{line['seconds']:,.2f}{'*' if part else ''}",
                f"{line['mb_per_second']:,.0f}",
                f"{line['cpu_seconds']:,.2f}",
                f"{line['peak_mib']:,}",
                f"{line['output_mb']:,.1f}",
                f"{line['rows']:,}",
                f"{line['ratio']:.2f}" if "ratio" in line else "",
                f"{line['cpu_ratio']:.2f}" if "ratio" in line else "",
                "; ".join(said),
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    right = {2, 3, 4, 5, 6, 7, 8, 9, 10}
    for n, row in enumerate(rows):
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths))]
        print("| " + " | ".join(cells) + " |")
        if n == 0:
            print("|" + "|".join("-" * (w + 1) + (":" if i in right else "-") for i, w in enumerate(widths)) + "|")


def machine():
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    return f"{len(os.sched_getaffinity(0))} cores, {model}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hexapla", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    bench = Bench(args)
    wanted = [name for name in args.only.split(",") if name] or list(TASKS)
    unknown = [name for name in wanted if name not in TASKS]
    if unknown:
        sys.exit(f"error: unknown task `{unknown[0]}`; expected one of: {', '.join(TASKS)}")
    lines, failed = [], []
    for name in wanted:
        try:
            lines += bench.task(name)
        except RuntimeError as error:
            print(f"\n{name}: {error}", file=sys.stderr)
            failed.append(name)
    version = subprocess.run([bench.hexapla, "--version"], capture_output=True, text=True)
    print(f"{version.stdout.strip()}, {machine()}, median of {args.runs} runs\n")
    table(lines)
    print("\n* scaled by bytes from the part of the input that was read.")
    if args.json:
        found = {"machine": machine(), "runs": args.runs, "failed": failed, "lines": lines}
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    missed = [v for line in lines for v in line["verdicts"] if not v["met"]]
    if failed or missed:
        print(f"\n{len(missed)} bars missed, {len(failed)} tasks failed", file=sys.stderr)
        sys.exit(1)


main()
