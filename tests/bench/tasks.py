"""What the benches of several tasks share: their command line, the bars they miss, the exit code."""

import argparse
import json
import sys
from pathlib import Path


class Missed(list):
    """The bars that were missed, and how a verdict is written."""

    def bar(self, what, value, relation, bar, form="{:.1f}"):
        met = value >= bar if relation == ">=" else value <= bar
        if not met:
            self.append(f"{what}: {form.format(value)}, bar {form.format(bar)}")
        return f"{relation} {form.format(bar)}: {'met' if met else 'MISSED'}"


def main(made, tasks):
    """Runs the tasks that are asked for, all unless some are named: methods of what `made` makes of
    the arguments, which has `missed` and `found`. Exits with 1 when a bar is missed or a task fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("hexapla", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    wanted = [name for name in args.only.split(",") if name] or tasks
    if unknown := [name for name in wanted if name not in tasks]:
        sys.exit(f"error: unknown task `{unknown[0]}`; expected one of: {', '.join(tasks)}")
    args.hexapla, args.work = args.hexapla.resolve(), args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    bench = made(args)
    for name in wanted:
        try:
            getattr(bench, name)()
        except RuntimeError as error:
            print(f"{name}: {error}", file=sys.stderr)
            bench.missed.append(f"{name} failed")
    bench.close()
    if args.json:
        args.json.write_text(json.dumps({"missed": bench.missed, **bench.found}, indent=1) + "\n")
    if bench.missed:
        print("missed:\n" + "\n".join(f"  {line}" for line in bench.missed), file=sys.stderr)
        sys.exit(1)
