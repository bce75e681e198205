"""Holds a project's tables against DuckDB, Polars and datasets.

usage: check_readers.py PROJECT | check_readers.py --make PROJECT

Of every folder with a manifest.json below PROJECT/tables, the parts that it lists are read by each
of the three, and two things are checked:

1. each reader finds as many rows as the manifest counts, in all and in each part;
2. each reader finds the same values in every column, told by a hash of them in their order.

--make writes documents, pairs and labelled examples into a new project, and what reads them into
its hexapla.toml: several languages and scripts, nulls, structs, and rows that are dropped.
"""

import hashlib
import json
import pathlib
import random
import sys

LETTERS = {
    "isl": "aábdðeéfghiíjklmnoóprstuúvxyýþæö",
    "ell": "αβγδεζηθικλμνξοπρστυφχψω",
    "heb": "אבגדהוזחטיכלמנסעפצקרשת",
    "eng": "abcdefghijklmnopqrstuvwxyz",
}

SOURCES = """
[source.bitext]
path = "data/{name}.{src}-{tgt}.{lang}"
format = "moses"

[source.labels]
path = "data/labels.csv"
into = "labelled"
"""


def make(project):
    draw = random.Random(1)
    data = project / "data"
    texts = {}
    for lang, letters in LETTERS.items():
        words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(400)]
        texts[lang] = [" ".join(draw.choices(words, k=40)) + "." for _ in range(300)]
        out = data / lang / "made.jsonl"
        out.parent.mkdir(parents=True)
        with out.open("w", encoding="utf-8") as f:
            for i, text in enumerate(texts[lang] + texts[lang][:5] + [""]):
                row = {"id": f"{lang}-{i}", "text": text, "url": None, "stars": i % 5}
                f.write(json.dumps(row, ensure_ascii=False) + "\n")
    for lang in ("isl", "heb"):
        for side in ("eng", lang):
            lines = "".join(text + "\n" for text in texts[side])
            (data / f"made.eng-{lang}.{side}").write_text(lines, encoding="utf-8")
    rows = [f"{text},{'ab'[i % 2]},eng\n" for i, text in enumerate(texts["eng"][:40])]
    (data / "labels.csv").write_text("text,label,lang\n" + "".join(rows), encoding="utf-8")
    file = project / "hexapla.toml"
    text = file.read_text(encoding="utf-8")
    for old, new in (
        ("vocab = 32000", "vocab = 900"),
        ('until = "1B"', 'until = "50k"'),
        ("length = 512", "length = 64"),
        ("min_confidence = { default = 0.6 }", "min_confidence = 0.0\ngopher = false"),
    ):
        assert old in text, f"the template has no `{old}` any more"
        text = text.replace(old, new)
    file.write_text(text + SOURCES, encoding="utf-8")


def duckdb_rows(files):
    import duckdb

    relation = duckdb.connect().execute(
        "SELECT * FROM read_parquet(?, file_row_number = false)", [files]
    )
    names = [column[0] for column in relation.description]
    return [dict(zip(names, row)) for row in relation.fetchall()]


def polars_rows(files):
    import polars

    return [row for file in files for row in polars.read_parquet(file, glob=False).to_dicts()]


def datasets_rows(files):
    import datasets

    def load(streaming):
        return list(datasets.load_dataset("parquet", data_files=files, split="train", streaming=streaming))

    # It streams a table without rows, but refuses to load one.
    return load(streaming=True) and load(streaming=False)


READERS = {"duckdb": duckdb_rows, "polars": polars_rows, "datasets": datasets_rows}


def plain(value):
    """A value without what only one reader tells: a null struct is one of nulls to some."""
    if isinstance(value, dict):
        fields = {name: plain(field) for name, field in value.items()}
        return fields if any(field is not None for field in fields.values()) else None
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def columns(rows):
    """A hash of each column's values in their order."""
    hashes = {}
    for row in rows:
        for name, value in row.items():
            text = json.dumps(plain(value), ensure_ascii=False, sort_keys=True, default=repr)
            hashes.setdefault(name, hashlib.blake2b(digest_size=8)).update(text.encode() + b"\n")
    return {name: hash.hexdigest() for name, hash in hashes.items()}


def check(folder):
    """The faults of one table, and its rows."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    files = [str(folder / part["file"]) for part in manifest["parts"]]
    counts = [part["rows"] for part in manifest["parts"]]
    faults, found = [], {}
    if sum(counts) != manifest["rows_out"]:
        faults.append(f"the parts have {sum(counts)} rows, the manifest says {manifest['rows_out']}")
    for reader, read in READERS.items():
        for file, count in zip(files, counts):
            if (rows := len(read([file]))) != count:
                faults.append(f"{reader}: {rows} rows in {file}, not {count}")
        found[reader] = columns(read(files))
    first = found["duckdb"]
    for reader, hashes in found.items():
        names = sorted(name for name in first.keys() | hashes.keys() if first.get(name) != hashes.get(name))
        if names:
            faults.append(f"{reader}: other values than duckdb in {', '.join(names)}")
    return faults, sum(counts), len(first)


def main(project):
    folders = sorted(path.parent for path in (project / "tables").glob("*/manifest.json"))
    failed = not folders
    for folder in folders:
        faults, rows, n = check(folder)
        print(f"{folder.name}: {rows} rows" + (f", {n} columns" if rows else "") + ("" if faults else ", equal"))
        for fault in faults:
            print(f"error: {folder.name}: {fault}", file=sys.stderr)
        failed |= bool(faults)
    print("failed" if failed else f"ok: {len(folders)} tables, {len(READERS)} readers")
    return 1 if failed else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--make", project]:
            make(pathlib.Path(project))
        case [project]:
            sys.exit(main(pathlib.Path(project)))
        case _:
            sys.exit(__doc__)
