"""Texts of shared/data with their language and source, to train and judge language identification.

usage: lid_rows.py SHARED_DATA ROWS.parquet

Columns: text, lang (a code that `lang_tag` reads), source (the corpus). Lines that are still
English are left out, wikitext is stripped. The built-in model is trained on all of these rows:
`hexapla lid train -c "SELECT text, lang, source FROM 'ROWS.parquet'" -o src/identify/hexapla.lid`.
"""

import bz2
import csv
import gzip
import html
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from common import lines_of, text_of

NUSAX = {
    "acehnese": "ace", "balinese": "ban", "banjarese": "bjn", "english": "en", "indonesian": "id",
    "javanese": "jv", "madurese": "mad", "minangkabau": "min", "sundanese": "su",
}
# No language, several, or mixed with English.
UNUSED = {"und", "hbs", "sh"}
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def is_english(code):
    return re.split("[-_]", code)[0].lower() in ("en", "eng")


def plain(wikitext):
    for pattern in (r"<!--.*?-->", r"<ref[^>]*/>", r"<ref.*?</ref>",
                    r"<(math|gallery|timeline|source|code|pre|nowiki)[^>]*>.*?</\1>"):
        wikitext = re.sub(pattern, "", wikitext, flags=re.S)
    for _ in range(6):
        wikitext = re.sub(r"\{\{[^{}]*\}\}", "", wikitext)
    wikitext = re.sub(r"\{\|.*?\|\}", "", wikitext, flags=re.S)
    wikitext = re.sub(r"\[\[[^\[\]|]*:[^\[\]]*\]\]", "", wikitext)
    wikitext = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]", r"\1", wikitext)
    wikitext = re.sub(r"\[https?:\S+ ?([^\]]*)\]", r"\1", wikitext)
    for pattern in (r"https?:\S+", r"<[^>]*>", r"'''?"):
        wikitext = re.sub(pattern, "", wikitext)
    kept = (line.strip("*#:;= ") for line in wikitext.split("\n"))
    return "\n".join(line for line in kept if len(line) > 40 and not re.search(r"[{}|\[\]]", line))


def labelled(data):
    for kind in ("sentences", "word-pairs", "single-words"):
        for line in list(lines_of(data / f"lid/lingua.{kind}.tsv.zst"))[1:]:
            code, text = line.split("\t", 1)
            yield f"lid-{kind}", code, text
    for path in sorted((data / "tsv/sib200").glob("*.zst"))[:1]:
        for line in list(lines_of(path))[1:]:
            row = line.split("\t")
            yield "sib", row[0], row[4]
    for path in sorted((data / "tsv/afrisenti").iterdir()):
        code = path.name.split(".")[0]
        if code != "pcm":
            for line in list(lines_of(path))[1:]:
                yield "afrisenti", code, line.split("\t")[0]
    for path in sorted((data / "csv/nusax").iterdir()):
        if not path.name.startswith("mt."):
            code = NUSAX[path.name.split("senti.")[1].split(".")[0]]
            with gzip.open(path, "rt", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    yield "nusax", code, row["text"]
    for path in sorted((data / "benchmarks/mgsm").iterdir()):
        for line in lines_of(path):
            yield "mgsm", path.name[-6:-4], line.split("\t")[0]


def parallel(data):
    for name, folder in (("tatoeba", "tatoeba"), ("ntrex", "ntrex"), ("pud", "pud"), ("bible", "bible*")):
        for path in sorted((data / "moses").glob(f"{folder}/*.gz")):
            code = path.name.split(".")[-2]
            again = name == "tatoeba" and code == "eng" and "deu-eng" not in path.name
            if code not in ("ids", "docids") and not again:
                for line in lines_of(path):
                    yield name, code, line
    english = set(lines_of(data / "moses/lohelp/lohelp.dev.en.gz"))
    for path in sorted((data / "moses/lohelp").glob("*.gz")):
        code = path.name.split(".")[-2]
        if code != "ids":
            for line in lines_of(path):
                if code == "en" or line not in english:
                    yield "lohelp", code, line
    for path in sorted((data / "tmx/tico19").iterdir()):
        if path.suffix == ".zip":
            archive = zipfile.ZipFile(path)
            content = archive.read(archive.namelist()[0])
        else:
            content = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
        for variant in ElementTree.fromstring(content).iter("tuv"):
            code = variant.get(XML_LANG) or variant.get("lang")
            if not is_english(code) or "en-fr" in path.name:
                yield "tico", code, "".join(variant.find("seg").itertext())
    for path in sorted((data / "opus/LibreOfficeUI").glob("*.zip")):
        archive = zipfile.ZipFile(path)
        sides = [f for f in archive.namelist() if re.search(r"\.[a-z]{2}-[a-z]{2}\.[a-z]{2}$", f)]
        if len(sides) == 2:
            for pair in zip(*(archive.read(side).decode().split("\n") for side in sides)):
                for side, text in zip(sides, pair):
                    if pair[0] != pair[1] and (not side.endswith(".en") or "uk" in path.name):
                        yield "oui", side[-2:], text.replace("~", "").replace("_", "")
    for path in sorted((data / "lexicon/gatitos").iterdir()):
        for line in lines_of(path):
            row = line.split("\t")
            if len(row) > 1 and row[0] != row[1]:
                yield "gatitos", path.name.split(".")[0][3:], row[1]
    for path in sorted((data / "lexicon/tico19-terms").glob("*.csv")):
        code = re.sub(r"^.*_en-", "", path.name)[:-4]
        with path.open(encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                term, translation = row.get("sourceString"), row.get("targetString")
                if term and translation and term != translation:
                    yield "ticoterms", code, translation


def documents(data):
    for line in lines_of(data / "jsonl/udhr.jsonl.zst"):
        row = json.loads(line)
        yield "udhr", row["lang"], row["text"]
    for name in ("gnome-user-docs", "debian-handbook"):
        rows = [json.loads(line) for line in lines_of(data / f"jsonl/{name}.jsonl.zst")]
        texts = [row["text"] for row in rows if is_english(row["lang"])]
        english = {line for text in texts for line in text.split("\n")}
        for row in rows:
            kept = row["text"].split("\n")
            if not is_english(row["lang"]):
                kept = [line for line in kept if line not in english]
            yield name, row["lang"], "\n".join(kept)
    for path in sorted((data / "jsonl").glob("noisy*")):
        for line in lines_of(path):
            row = json.loads(line)
            yield "noisy", row["lang"], row["text"]
    for path in sorted((data / "json/xquad").iterdir()):
        code = path.name.split(".")[-3]
        for article in json.loads(text_of(path))["data"]:
            for paragraph in article["paragraphs"]:
                yield "xquad", code, paragraph["context"]
                for question in paragraph["qas"]:
                    yield "xquad", code, question["question"]
    dumps = sorted((data / "wikixml/minidumps").iterdir()) + sorted((data / "wikixml").glob("*.bz2"))
    for path in dumps:
        content = bz2.open(path).read()
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        pages = re.findall(r"<text[^>]*>(.*?)</text>", content.decode(encoding, "replace"), flags=re.S)
        for page in map(html.unescape, pages):
            if not page.lower().startswith("#redirect"):
                yield "wiki", re.sub(r"wiki.*", "", path.name), plain(page)


def main():
    csv.field_size_limit(1 << 30)
    data, out = Path(sys.argv[1]), sys.argv[2]
    columns = {"text": [], "lang": [], "source": []}
    for rows in (labelled(data), parallel(data), documents(data)):
        for source, code, text in rows:
            text = re.sub(r"\n+", "\n", text.replace("\r", "").strip())
            if text and code not in UNUSED:
                columns["text"].append(text)
                columns["lang"].append({"fil": "tgl", "tl": "tgl"}.get(code, code))
                columns["source"].append(source)
    pq.write_table(pa.table(columns), out)
    print(f"{len(columns['text'])} texts", file=sys.stderr)


if __name__ == "__main__":
    main()
