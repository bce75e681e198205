"""Holds hexapla against an S3 server and a web server without ranges.

usage: check_s3.py serve
       check_s3.py check HEXAPLA WEB

`serve` runs moto on a free port and prints the port. `check` expects it under AWS_ENDPOINT_URL, and
in the folder it runs in a folder `web` that is served at WEB.
"""

import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

LANGUAGES = {"isl_Latn": "Einn góður dagur", "ell_Grek": "Μια καλή μέρα", "jpn_Jpan": "よい一日"}
ROWS = 50


def serve():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    signal.pause()


def lines(text, rows=ROWS):
    return "".join(json.dumps({"text": f"{text} {n}"}) + "\n" for n in range(rows)) + "not json\n"


class Check:
    def __init__(self, hexapla, web):
        import boto3

        self.hexapla = hexapla
        self.web = web
        self.s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        self.s3.create_bucket(Bucket="corpus")

    def run(self, *args, code=0):
        done = subprocess.run([self.hexapla, *args], capture_output=True, text=True)
        if done.returncode != code:
            sys.exit(f"hexapla {args}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *args):
        return json.loads(self.run(*args, "--json").stdout)

    def value(self, sql, *args):
        [row] = self.json("sql", "-c", sql, *args)["rows"]
        return next(iter(row.values()))

    def expect(self, what, found, wanted):
        if found != wanted:
            sys.exit(f"{what}: {found!r} instead of {wanted!r}")
        print(f"ok  {what}")

    def keys(self, prefix):
        found = self.s3.list_objects_v2(Bucket="corpus", Prefix=prefix).get("Contents", [])
        return {o["Key"].removeprefix(prefix): o["LastModified"] for o in found}

    def ingest(self, out, *inputs):
        return self.json("ingest", *inputs, "--out", out)

    def stopped(self, out, *inputs):
        """An ingest that is held when its parts are made and not sent yet."""
        stage = pathlib.Path(f"stage-{time.monotonic_ns()}")
        args = [self.hexapla, "ingest", *inputs, "--out", out, "--stage", str(stage)]
        process = subprocess.Popen(args, stderr=subprocess.PIPE, text=True)
        while not (stage / "manifest.json").exists():
            if process.poll() is not None:
                sys.exit(f"the ingest ended too early: {process.stderr.read()}")
        process.send_signal(signal.SIGSTOP)
        return process, str(stage)

    def tables(self):
        url = "s3://corpus/tables/documents"
        for lang, text in LANGUAGES.items():
            path = pathlib.Path("in") / lang / "a.jsonl"
            path.parent.mkdir(parents=True)
            path.write_text(lines(text))
        pattern = "in/{lang}/*.jsonl"
        done = self.ingest(url, pattern)
        self.expect("ingest into s3", (done["rows"], done["errors"]), (3 * ROWS, 3))
        first = self.keys("tables/documents/")
        self.expect("a manifest, a part, its errors", len(first), 3)
        self.expect("nothing is left in the cache", list(pathlib.Path("cache/stage").glob("*/*")), [])
        done = self.ingest(url, pattern)
        self.expect("again: nothing is written", done["parts_written"], 0)
        self.expect("again: nothing is replaced", self.keys("tables/documents/"), first)

        self.expect("a table by its manifest", self.value("SELECT count(*) FROM t", "-t", f"t={url}"), 150)
        greek = f"SELECT count(*) FROM '{url}' WHERE lang = 'ell_Grek' AND text LIKE '%4%'"
        self.expect("a table by its URL", self.value(greek), 14)
        glob = f"SELECT count(*) FROM '{url}/*.parquet'"
        self.expect("a glob of Parquet", self.value(glob), 150)
        shown = self.run("show", url, str(self.value(f"SELECT min(doc_id) FROM '{url}'"))).stdout
        self.expect("a row with its bytes", "\nin/" in shown and '{"text":' in shown, True)
        result = "s3://corpus/results/x.parquet"
        self.run("sql", "-c", f"SELECT lang, text FROM '{url}' ORDER BY lang, text", "-o", result)
        self.expect("a result on s3", self.value(f"SELECT count(DISTINCT lang) FROM '{result}'"), 3)

    def writers(self):
        url = "s3://corpus/raced/documents"
        process, stage = self.stopped(url, "in/isl_Latn/*.jsonl")
        process.kill()
        process.wait()
        self.expect("a killed run commits nothing", "manifest.json" in self.keys("raced/documents/"), False)
        args = ("ingest", "in/isl_Latn/*.jsonl", "--out", url, "--stage", stage)
        self.expect("the next run sends the rest", self.json(*args)["rows"], ROWS)
        process, stage = self.stopped(url.replace("raced", "lost"), "in/isl_Latn/*.jsonl")
        self.ingest(url.replace("raced", "lost"), "in/ell_Grek/*.jsonl")
        process.send_signal(signal.SIGCONT)
        words = process.communicate()[1]
        self.expect("the slower of two writers fails", process.returncode, 2)
        self.expect("and says why", "another hexapla wrote this table meanwhile" in words, True)
        greek = f"SELECT count(*) FROM '{url.replace('raced', 'lost')}' WHERE text LIKE 'Μια%'"
        self.expect("the faster one's table stands", self.value(greek), ROWS)

    def pages(self):
        pathlib.Path("web/a.jsonl").write_text(lines("x").removesuffix("not json\n"))
        query = f"SELECT count(*) AS n FROM '{self.web}/a.jsonl'"
        self.expect("lines of a web server", self.value(query), ROWS)
        self.run("sql", "-c", f"SELECT * FROM '{self.web}/a.jsonl'", "-o", "web/a.parquet")
        query = f"SELECT count(*) AS n FROM '{self.web}/a.parquet'"
        self.expect("Parquet of a server without ranges", self.value(query), ROWS)
        self.s3.upload_file("web/a.parquet", "corpus", "a.parquet", ExtraArgs={"ACL": "public-read"})
        plain = f"{os.environ['AWS_ENDPOINT_URL']}/corpus/a.parquet"
        self.expect("Parquet of a server with ranges", self.value(f"SELECT count(*) AS n FROM '{plain}'"), ROWS)
        signed = self.s3.generate_presigned_url("get_object", Params={"Bucket": "corpus", "Key": "a.parquet"})
        query = f"SELECT count(*) AS n FROM read('{signed}', {{format: 'parquet'}})"
        self.expect("a signed URL", self.value(query), ROWS)
        for url in ["s3://corpus/no.parquet", "s3://no-such-bucket/a.parquet", f"{self.web}/no.jsonl"]:
            words = self.run("sql", "-c", f"SELECT * FROM '{url}'", code=2).stderr
            self.expect(f"{url} is not there", words.startswith(f"error: {url}: "), True)

    def sources(self):
        for lang, text in LANGUAGES.items():
            key = f"in/{lang}/b.jsonl.gz"
            self.s3.put_object(Bucket="corpus", Key=key, Body=gzip.compress(lines(text).encode()))
        done = self.ingest("from-s3", "s3://corpus/in/{lang}/*.jsonl.gz")
        self.expect("ingest from s3", (done["files"], done["rows"], done["errors"]), (3, 3 * ROWS, 3))
        langs = self.value("SELECT count(DISTINCT lang) FROM 'from-s3/'")
        self.expect("languages from the keys", langs, 3)
        done = self.ingest("from-s3", "s3://corpus/in/{lang}/*.jsonl.gz")
        self.expect("again: nothing is written", done["parts_written"], 0)
        done = self.ingest("from-web", f"{self.web}/a.jsonl", "--lang", "en")
        self.expect("ingest from a web server", done["rows"], ROWS)
        done = self.ingest("s3://corpus/copied", f"{self.web}/a.parquet", "s3://corpus/a.parquet")
        self.expect("from both into s3", done["rows"], 2 * ROWS)


if sys.argv[1] == "serve":
    serve()
else:
    check = Check(*sys.argv[2:])
    check.tables()
    check.writers()
    check.pages()
    check.sources()
