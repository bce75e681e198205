"""Reads files as a careful user of another tool would, one tool a call, and writes Parquet.

usage: peers.py TOOL OUT FILE...; prints {"rows": N} on stdout.

Each tool is used as its own documentation recommends, with all cores where it has threads, and
with the compression of hexapla's tables: zstd at LEVEL. Nothing is timed here: run.py does.
"""

import bz2
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from html import unescape
from pathlib import Path

# That of src/store/part.rs.
LEVEL = 3
CORES = len(os.sched_getaffinity(0))
DOCUMENTS = ["id", "text", "lang", "url", "source"]
PAIRS = ["src", "tgt", "src_lang", "tgt_lang"]


class Rows:
    """Rows of strings to a Parquet file in batches."""

    def __init__(self, out, columns):
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.pa = pa
        self.schema = pa.schema([(name, pa.string()) for name in columns])
        self.writer = pq.ParquetWriter(
            out / "rows.parquet", self.schema, compression="zstd", compression_level=LEVEL
        )
        self.batch, self.size, self.rows = [], 0, 0

    def add(self, *row):
        self.batch.append(row)
        self.size += len(row[0] or "") + len(row[1] or "")
        if len(self.batch) >= 10_000 or self.size >= 16 << 20:
            self.flush()

    def flush(self):
        if self.batch:
            columns = [self.pa.array(column, self.pa.string()) for column in zip(*self.batch)]
            self.writer.write_table(self.pa.table(columns, schema=self.schema))
            self.rows += len(self.batch)
            self.batch, self.size = [], 0

    def close(self):
        self.flush()
        self.writer.close()
        return self.rows


def duckdb_jsonl(out, files, ordered=True):
    import duckdb

    db = duckdb.connect()
    db.execute(f"SET threads = {CORES}")
    # The guide on large files: without the order of rows it needs less memory and may be faster.
    db.execute(f"SET preserve_insertion_order = {str(ordered).lower()}")
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in DOCUMENTS)
    names = ", ".join(f"'{f}'" for f in files)
    (rows,) = db.execute(
        f"COPY (SELECT {', '.join(DOCUMENTS)} FROM read_json([{names}], "
        f"format = 'newline_delimited', columns = {{{columns}}})) "
        f"TO '{out}/rows.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {LEVEL})"
    ).fetchone()
    return rows


def duckdb_unordered(out, files):
    return duckdb_jsonl(out, files, ordered=False)


def polars_jsonl(out, files):
    import polars as pl

    schema = {name: pl.String for name in DOCUMENTS}
    rows = pl.scan_ndjson(files, schema=schema)
    rows.sink_parquet(out / "rows.parquet", compression="zstd", compression_level=LEVEL)
    return pl.scan_parquet(out / "rows.parquet").select(pl.len()).collect().item()


def warcio_wet(out, files):
    from warcio.archiveiterator import ArchiveIterator

    rows = Rows(out, DOCUMENTS[:4])
    for file in files:
        with open(file, "rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type == "conversion":
                    get = record.rec_headers.get_header
                    text = record.content_stream().read().decode("utf-8", "replace")
                    lang = get("WARC-Identified-Content-Language")
                    rows.add(get("WARC-Record-ID"), text, lang, get("WARC-Target-URI"))
    return rows.close()


def html_pages(files):
    from warcio.archiveiterator import ArchiveIterator

    for file in files:
        with open(file, "rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type != "response" or record.http_headers is None:
                    continue
                kind = record.http_headers.get_header("Content-Type", "")
                if record.http_headers.get_statuscode() == "200" and "html" in kind:
                    get = record.rec_headers.get_header
                    body = record.content_stream().read()
                    yield get("WARC-Record-ID"), get("WARC-Target-URI"), body


def trafilatura_html(out, files, fast=False):
    from trafilatura import extract

    rows = Rows(out, DOCUMENTS[:4])
    for id_, url, body in html_pages(files):
        text = extract(body, url=url, include_comments=False, fast=fast)
        if text:
            rows.add(id_, text, None, url)
    return rows.close()


def trafilatura_fast(out, files):
    return trafilatura_html(out, files, fast=True)


def wiki_pages(files):
    import mwxml

    for file in files:
        with bz2.open(file, "rb") as stream:
            for page in mwxml.Dump.from_file(stream):
                if page.namespace == 0 and not page.redirect:
                    for revision in page:
                        yield str(page.id), page.title, revision.text or ""


def mwparserfromhell_wiki(out, files):
    import mwparserfromhell

    rows = Rows(out, DOCUMENTS[:4])
    for id_, title, text in wiki_pages(files):
        plain = mwparserfromhell.parse(text).strip_code()
        rows.add(id_, plain, None, f"https://en.wikipedia.org/wiki/{title}")
    return rows.close()


COMMENT = re.compile(r"<!--.*?-->", re.S)
DROPPED = re.compile(
    r"<(ref|gallery|math|timeline|table|score|syntaxhighlight|nowiki|pre|code)\b[^>]*?"
    r"(?:/>|>.*?</\1\s*>)",
    re.S | re.I,
)
TAG = re.compile(r"</?[a-zA-Z][^>]*>")
TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
TABLE = re.compile(r"\{\|(?:(?!\{\|).)*?\|\}", re.S)
FILE = re.compile(r"\[\[(?:File|Image|Category):[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]", re.I)
LINK = re.compile(r"\[\[(?:[^|\]]*\|)?([^\]]*)\]\]")
EXTERNAL = re.compile(r"\[(?:https?:)?//[^\s\]]+ ?([^\]]*)\]")
QUOTES = re.compile(r"'{2,5}")
HEADING = re.compile(r"^=+ *(.*?) *=+ *$", re.M)
BLANK = re.compile(r"\n{3,}")


def regex_wiki(out, files):
    """wikiextractor's way in one process: a stack of regular expressions over each page."""
    rows = Rows(out, DOCUMENTS[:4])
    for id_, title, text in wiki_pages(files):
        text = DROPPED.sub("", COMMENT.sub("", text))
        while True:
            text, n = TEMPLATE.subn("", text)
            if not n:
                break
        while True:
            text, n = TABLE.subn("", text)
            if not n:
                break
        text = EXTERNAL.sub(r"\1", LINK.sub(r"\1", FILE.sub("", text)))
        text = HEADING.sub(r"\1", QUOTES.sub("", TAG.sub("", text)))
        text = BLANK.sub("\n\n", unescape(text)).strip()
        rows.add(id_, text, None, f"https://en.wikipedia.org/wiki/{title}")
    return rows.close()


def wikiextractor(out, files):
    """The tool itself, which writes JSON lines."""
    (file,) = files
    command = ["wikiextractor.WikiExtractor", "--json", "--quiet", "--no-templates"]
    command += ["--processes", str(CORES), "--output", str(out / "json"), str(file)]
    subprocess.run([sys.executable, "-m", *command], check=True, stdout=sys.stderr)
    rows = 0
    for path in sorted((out / "json").rglob("wiki_*")):
        with path.open("rb") as f:
            rows += sum(1 for line in f if line.strip())
    return rows


def translate_toolkit_tmx(out, files):
    from translate.storage.tmx import tmxfile

    rows = Rows(out, PAIRS)
    for file in files:
        with open(file, "rb") as f:
            store = tmxfile(f, "de", "en")
        for unit in store.unit_iter():
            rows.add(unit.source, unit.target, "de", "en")
    return rows.close()


def iterparse_tmx(out, files):
    """The standard library, streaming: what a user writes whom memory has taught."""
    from xml.etree.ElementTree import iterparse

    rows = Rows(out, PAIRS)
    lang = "{http://www.w3.org/XML/1998/namespace}lang"
    for file in files:
        events = iterparse(file, events=("start", "end"))
        body = None
        for event, element in events:
            if event == "start":
                body = element if element.tag == "body" else body
                continue
            if element.tag == "tu":
                texts = {v.get(lang): "".join(v.find("seg").itertext()) for v in element.iter("tuv")}
                rows.add(texts["de"], texts["en"], "de", "en")
                body.clear()
    return rows.close()


def opustools_xml(out, files):
    """opus_read over the zips that OPUS gives out, into Moses files."""
    import opustools

    folder = Path(files[0]).parent
    quiet = io.StringIO()
    reader = opustools.OpusRead(
        directory="Bench",
        source="de",
        target="en",
        release="latest",
        preprocess="raw",
        alignment_file=str(folder / "de-en.xml.gz"),
        source_zip=str(folder / "Bench_latest_raw_de.zip"),
        target_zip=str(folder / "Bench_latest_raw_en.zip"),
        write_mode="moses",
        write=[str(out / "rows.de"), str(out / "rows.en")],
        leave_non_alignments_out=True,
        suppress_prompts=True,
        verbose=False,
    )
    stdout, sys.stdout = sys.stdout, quiet
    try:
        reader.printPairs()
    finally:
        sys.stdout = stdout
    with (out / "rows.de").open("rb") as f:
        return sum(1 for _ in f)


def python_moses(out, files):
    rows = Rows(out, PAIRS)
    de, en = (open(f, encoding="utf-8", newline="\n") for f in files)
    with de, en:
        for a, b in zip(de, en, strict=True):
            rows.add(a.rstrip("\n"), b.rstrip("\n"), "de", "en")
    return rows.close()


def python_zip(out, files):
    rows = Rows(out, PAIRS)
    with zipfile.ZipFile(files[0]) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith((".de", ".en")))
        de, en = (
            io.TextIOWrapper(archive.open(n), encoding="utf-8", newline="\n") for n in names
        )
        with de, en:
            for a, b in zip(de, en, strict=True):
                rows.add(a.rstrip("\n"), b.rstrip("\n"), "de", "en")
    return rows.close()


def text_bytes(out, files):
    """Not a tool: the bytes of text in Parquet files, and those in Moses files less line ends."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    total = 0
    for path in files:
        if not path.endswith(".parquet"):
            with open(path, "rb") as f:
                total += sum(len(line.rstrip(b"\n")) for line in f)
            continue
        file = pq.ParquetFile(path)
        columns = [c for c in ["text", "src", "tgt"] if c in file.schema_arrow.names]
        for batch in file.iter_batches(columns=columns):
            for column in batch.columns:
                total += pc.sum(pc.binary_length(column)).as_py() or 0
    return total


def main():
    tool, out, *files = sys.argv[1:]
    rows = globals()[tool](Path(out), files)
    print(json.dumps({"rows": rows}))


# wikiextractor starts processes that import this module again on some systems.
if __name__ == "__main__":
    main()
