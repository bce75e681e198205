"""Made-up documents for a run, and its event file held against its metrics.

usage: check_tensorboard.py make FOLDER | read RUN
"""

import json
import pathlib
import random
import sys


def make(folder):
    random.seed(1)
    alphabets = {"isl": "aábdðeéfghiíjklmnoóprstuúvxyýþæö", "ell": "αβγδεζηθικλμνξοπρστυφχψω"}
    for lang, letters in alphabets.items():
        words = ["".join(random.choices(letters, k=random.randint(2, 9))) for _ in range(400)]
        out = folder / lang / "made.jsonl"
        out.parent.mkdir(parents=True)
        with out.open("w", encoding="utf-8") as file:
            for _ in range(300):
                file.write(json.dumps({"text": " ".join(random.choices(words, k=40)) + "."}) + "\n")


def expected(line):
    for name in ["loss", "lr", "grad_norm", "skipped", "tokens", "tokens_per_second", "wait_share"]:
        yield name, line[name]
    for tag, key in [("train", "losses")] + [(k, k) for k in ["validation", "perplexity", "bits_per_byte", "gap"]]:
        for name, value in line.get(key, {}).items():
            yield f"{tag}/{name}", value


def read(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    found = {(tag, e.step): e.value for tag in events.Tags()["scalars"] for e in events.Scalars(tag)}
    wanted = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        line = json.loads(line)
        wanted |= {(tag, line["step"]): value for tag, value in expected(line)}
    if found.keys() != wanted.keys():
        sys.exit(f"error: scalars differ: {sorted(found.keys() ^ wanted.keys())[:8]}")
    for key, value in wanted.items():
        if abs(found[key] - value) > 1e-6 * max(1.0, abs(value)):
            sys.exit(f"error: {key}: {found[key]} in the events, {value} in the metrics")
    steps = sorted({step for _, step in found})
    print(f"tensorboard read {len(found)} scalars of steps {steps}, all as in metrics.jsonl")


{"make": make, "read": read}[sys.argv[1]](pathlib.Path(sys.argv[2]))
