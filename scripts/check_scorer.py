"""Runs a scorer in Python as a `-- run:` query of a small project, well and badly.

usage: check_scorer.py HEXAPLA PROJECT (a folder that does not exist yet)

The scorer is what a user would write: it reads batches of Arrow, answers with the ids it was given
and columns of its own. A file `fault` beside it makes it fail as its content says.
"""

import json
import pathlib
import subprocess
import sys

SCORER = '''
import os, pathlib, signal, sys
import pyarrow as pa

fault = pathlib.Path("fault").read_text() if pathlib.Path("fault").exists() else ""
if fault == "chatter":
    print("loading the model ...")
print("loading the model ...", file=sys.stderr)
schema = pa.schema([("doc_id", pa.uint64()), ("score", pa.float64()), ("reason", pa.string())])
done = 0
with pa.ipc.open_stream(sys.stdin.buffer) as rows, pa.ipc.new_stream(sys.stdout.buffer, schema) as out:
    for batch in rows:
        texts = batch.column("text").to_pylist()
        scores = [len(set(text)) / max(len(text), 1) for text in texts]
        reasons = ["dull" if score < float(os.environ["least"]) else None for score in scores]
        if fault == "crash":
            raise ValueError("no such weight")
        if fault == "kill" and done > 0:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = pa.record_batch([batch.column("doc_id"), scores, reasons], schema=schema)
        if fault == "lost row" and done == 0:
            answer = answer.slice(1)
        out.write_batch(answer)
        sys.stdout.flush()
        done += len(texts)
pathlib.Path("rows").write_text(str(done))
'''

QUERY = """-- scored: what a model thinks of each document.
-- in:    documents
-- out:   scored
-- param: least double = 0.01   -- documents with a lower score are dull
-- run:   python3 score.py
"""


class Check:
    def __init__(self, hexapla, project):
        self.hexapla, self.project = hexapla, project
        self.call("init", str(project), at=project.parent)
        (project / "queries").mkdir(exist_ok=True)
        (project / "queries" / "scored.sql").write_text(QUERY)
        (project / "score.py").write_text(SCORER)
        # One part a delivery: a new file never changes an old part.
        for n, name in enumerate(["a", "b", "c"]):
            path = project / "data" / "eng" / f"{name}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8") as out:
                for i in range(200):
                    text = f"Number {i} of {n}. " + "þæö ασδ עברית " * (i % 40 + 1)
                    out.write(json.dumps({"id": f"{n}-{i}", "text": text}) + "\n")
            self.ok(self.call("run", "documents"))

    def call(self, *args, at=None):
        command = [self.hexapla, *args]
        return subprocess.run(command, cwd=at or self.project, capture_output=True, text=True)

    def ok(self, result):
        assert result.returncode == 0, result.stderr
        return result.stdout

    def scored(self):
        sql = "SELECT count(*) AS n FROM (SELECT doc_id FROM scored UNION ALL SELECT doc_id FROM scored_dropped)"
        return json.loads(self.ok(self.call("sql", "-c", sql, "--format", "json")))[0]["n"]

    def parts(self):
        return len(list((self.project / "tables" / "scored").glob("part-*.parquet")))

    def fails(self, fault, words):
        (self.project / "fault").write_text(fault)
        result = self.call("run", "scored")
        assert result.returncode == 2, (fault, result.returncode, result.stderr)
        error = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(error) == 1 and words in error[0], (fault, result.stderr)
        assert not (self.project / "tables" / "scored" / "manifest.json").exists(), fault
        print(f"ok: {fault}: {error[0]}")

    def heal(self):
        (self.project / "fault").unlink()


def main():
    check = Check(sys.argv[1], pathlib.Path(sys.argv[2]))
    check.fails("chatter", "its output is no Arrow IPC stream")
    check.fails("lost row", "row 0 of its answer")
    assert check.parts() == 0
    check.fails("crash", "ValueError: no such weight")
    check.fails("kill", "Killed")
    # Of three parts, one was whole when it was killed; the next run asks about the other two.
    assert check.parts() == 1, check.parts()
    check.heal()
    check.ok(check.call("run", "scored"))
    assert (check.project / "rows").read_text() == "400"
    assert (check.scored(), check.parts()) == (600, 3)
    print("ok: resumed behind the part that was finished")
    (check.project / "rows").unlink()
    check.ok(check.call("run", "scored"))
    check.ok(check.call("run", "scored", "--param", "scored.least=0.01"))
    assert not (check.project / "rows").exists()
    print("ok: nothing to do, nothing asked")
    check.ok(check.call("run", "scored", "--param", "scored.least=0.5"))
    assert (check.project / "rows").read_text() == "600" and check.scored() == 600
    print("ok: another parameter, all rows again")
    (check.project / "score.py").write_text(SCORER + "\n# version 2\n")
    (check.project / "rows").unlink()
    check.ok(check.call("run", "scored"))
    assert (check.project / "rows").read_text() == "600"
    print("ok: another scorer, all rows again")


if __name__ == "__main__":
    main()
