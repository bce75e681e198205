"""Makes the input files of the ingest benchmark from shared/data, the same bytes every time.

usage: prepare.py SHARED_DATA OUT [--quick]

Real text is recombined with a seeded generator rather than repeated, because copies inside one
compression window would flatter every tool. OUT/sizes.json lists what was made: for each input
its files, its bytes as they are and its bytes decompressed. Nothing is measured here.
"""

import argparse
import bz2
import gzip
import hashlib
import io
import json
import random
import re
import shutil
import sys
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
from warcio.archiveiterator import ArchiveIterator

# Counts up when the same data gives other files than before.
VERSION = 2
MB = 1_000_000
# Zip members carry no time of this machine.
DAY = (2024, 1, 1, 0, 0, 0)


def lines_of(path):
    """The lines of a text file, gzip or zstd by its ending."""
    codec = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    with pa.input_stream(str(path), compression=codec) as stream:
        return stream.read().decode("utf-8").split("\n")


class Text:
    """Lines of real text by language, and pairs of lines in German and English."""

    def __init__(self, data):
        pools = {}

        def add(lang, lines):
            kept = (line for line in lines if len(line.strip()) > 2)
            pools.setdefault(lang, []).extend(kept)

        for path in sorted(data.glob("jsonl/*")) + [data / "dedup/injected.jsonl.zst"]:
            for line in lines_of(path):
                if line:
                    row = json.loads(line)
                    # Some documents are in no language that has a code.
                    if row.get("lang") not in {None, "und"}:
                        add(row["lang"].split("-")[0], row["text"].split("\n"))
        for name in ["ntrex/ntrex.dev", "lohelp/lohelp.dev"]:
            for path in sorted((data / "moses").glob(f"{name}.*.gz")):
                lang = path.name.split(".")[2]
                if "ids" not in lang:
                    add(lang.split("-")[0], lines_of(path))
        for path in sorted((data / "moses/bible").glob("*.gz")):
            if ".ids." not in path.name:
                add(path.name.split(".")[2], lines_of(path))
        for line in lines_of(data / "tsv/sib200/sib200.train-dev.tsv.zst")[1:]:
            fields = line.split("\t")
            if len(fields) == 5:
                add(fields[0].split("_")[0], [fields[4]])
        # A pool of a few lines would give the same document again and again.
        self.pools = {k: pools[k] for k in sorted(pools) if sum(map(len, pools[k])) > 20_000}
        self.langs = list(self.pools)
        # Between "as it lies" and "all alike", as mixtures of languages usually are.
        self.weights = [sum(map(len, self.pools[k])) ** 0.7 for k in self.langs]

        self.pairs = []
        moses = data / "moses"
        for de, en in [
            ("lohelp/lohelp.dev.de.gz", "lohelp/lohelp.dev.en.gz"),
            ("bible-uedin/bible-uedin.de-en.de.gz", "bible-uedin/bible-uedin.de-en.en.gz"),
            ("ntrex/ntrex.dev.deu.gz", "ntrex/ntrex.dev.eng.gz"),
            ("tatoeba/tatoeba.deu-eng.deu.gz", "tatoeba/tatoeba.deu-eng.eng.gz"),
        ]:
            both = zip(lines_of(moses / de), lines_of(moses / en))
            self.pairs.extend((a, b) for a, b in both if a.strip() and b.strip())

    def documents(self, seed):
        """Endless documents: id, lang, source, url, lines. Runs of consecutive lines of a
        language, log-normal in length with a mean of some 3.7 kB, as web text roughly is."""
        draw = random.Random(seed)
        sources = ["web", "help", "news", "manual", "books"]
        n = 0
        while True:
            lang = draw.choices(self.langs, self.weights)[0]
            pool = self.pools[lang]
            wanted = min(draw.lognormvariate(7.6, 1.1), 400_000)
            at, lines, size = draw.randrange(len(pool)), [], 0
            while size < wanted and len(lines) < len(pool):
                line = pool[at]
                lines.append(line)
                size += len(line)
                at = (at + 1) % len(pool)
            source = sources[draw.randrange(len(sources))]
            number = f"{draw.getrandbits(64):016x}"
            url = f"https://www.site{draw.randrange(5000)}.example/{lang}/{source}/{number[:9]}.html"
            yield f"{source}-{number}", lang, source, url, lines
            n += 1

    def bitext(self, seed):
        """Endless pairs in German and English: one to three consecutive real pairs in one."""
        draw = random.Random(seed)
        while True:
            at = draw.randrange(len(self.pairs) - 3)
            some = self.pairs[at : at + draw.choice([1, 1, 1, 2, 3])]
            yield " ".join(de for de, _ in some), " ".join(en for _, en in some)


class Made:
    """What was made, for sizes.json."""

    def __init__(self, out):
        self.out = out
        self.inputs = {}

    def add(self, name, paths, content):
        paths = [self.out / p for p in ([paths] if isinstance(paths, str) else paths)]
        files = [str(p.relative_to(self.out)) for p in paths]
        self.inputs[name] = {
            "files": files,
            "bytes": sum(p.stat().st_size for p in paths),
            "content": content,
        }
        print(f"  {name}: {content / MB:,.0f} MB", file=sys.stderr)


def jsonl(text, made, size):
    """One file, and the same documents in 16 files."""
    out = made.out / "jsonl"
    out.mkdir()
    total, shards = 0, 16
    encode = json.JSONEncoder(ensure_ascii=False).encode
    whole = (made.out / "documents.jsonl").open("wb", buffering=1 << 20)
    names, shard = [], None
    for id_, lang, source, url, lines in text.documents(1):
        row = {"id": id_, "text": "\n".join(lines), "lang": lang, "url": url, "source": source}
        line = (encode(row) + "\n").encode("utf-8")
        if total >= len(names) * size // shards:
            if len(names) == shards:
                break
            names.append(f"jsonl/part-{len(names):02}.jsonl")
            if shard:
                shard.close()
            shard = (made.out / names[-1]).open("wb", buffering=1 << 20)
        whole.write(line)
        shard.write(line)
        total += len(line)
    whole.close()
    shard.close()
    made.add("jsonl", "documents.jsonl", total)
    made.add("jsonl-shards", names, total)


def uuid(*parts):
    hex_ = hashlib.sha1("/".join(map(str, parts)).encode()).hexdigest()
    return f"<urn:uuid:{hex_[:8]}-{hex_[8:12]}-4{hex_[13:16]}-a{hex_[17:20]}-{hex_[20:32]}>"


def record(headers, block):
    head = "WARC/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers)
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def warcinfo(name):
    block = b"isPartOf: BENCH\r\npublisher: nobody\r\nsoftware: prepare.py\r\n"
    return record(
        [
            ("WARC-Type", "warcinfo"),
            ("WARC-Date", "2024-05-01T00:00:00Z"),
            ("WARC-Filename", name),
            ("WARC-Record-ID", uuid("info", name)),
            ("Content-Type", "application/warc-fields"),
        ],
        block,
    )


def member(data):
    """A gzip member without a time."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as f:
        f.write(data)
    return out.getvalue()


def wet(text, made, size):
    """A file as Common Crawl's WET files are: one gzip member a record."""
    total = 0
    with (made.out / "crawl.warc.wet.gz").open("wb") as f:
        info = warcinfo("crawl.warc.wet.gz")
        f.write(member(info))
        total += len(info)
        for id_, lang, _, url, lines in text.documents(2):
            block = "\n".join(lines).encode("utf-8")
            digest = hashlib.sha1(block).hexdigest().upper()[:32]
            data = record(
                [
                    ("WARC-Type", "conversion"),
                    ("WARC-Target-URI", url),
                    ("WARC-Date", "2024-05-01T12:34:56Z"),
                    ("WARC-Record-ID", uuid("wet", id_)),
                    ("WARC-Refers-To", uuid("response", id_)),
                    ("WARC-Block-Digest", f"sha1:{digest}"),
                    ("WARC-Identified-Content-Language", lang),
                    ("Content-Type", "text/plain"),
                ],
                block,
            )
            f.write(member(data))
            total += len(data)
            if total >= size:
                break
    made.add("wet", "crawl.warc.wet.gz", total)


PARAGRAPH = re.compile(rb'<div class="para">.*?</div>', re.S)


def pages(data):
    """The HTML pages of the crawl: address, headers, body without any transfer coding."""
    found = []
    with (data / "warc/handbook-crawl.warc.gz").open("rb") as stream:
        for rec in ArchiveIterator(stream):
            if rec.rec_type != "response" or rec.http_headers.get_statuscode() != "200":
                continue
            body = rec.content_stream().read()
            headers = [
                (k, v)
                for k, v in rec.http_headers.headers
                if k.lower() not in {"content-encoding", "transfer-encoding", "content-length"}
            ]
            if len(body) > 500:
                url = rec.rec_headers.get_header("WARC-Target-URI").strip("<>")
                found.append((url, headers, body))
    return found


def html(data, made, size, part):
    """A crawl of manual pages, their paragraphs in another order in every copy; and the first
    part of it, for a peer that would take too long for all."""
    draw = random.Random(3)
    found = pages(data)
    total, copy, cut = 0, 0, None
    whole = (made.out / "crawl.warc.gz").open("wb")
    info = warcinfo("crawl.warc.gz")
    whole.write(member(info))
    total += len(info)
    while total < size:
        draw.shuffle(found)
        for url, headers, body in found:
            # A stateful encoding, or one of two bytes a character, cannot be cut anywhere.
            ascii_ = b"\x1b" not in body and b"\0" not in body
            paragraphs = PARAGRAPH.findall(body) if ascii_ else []
            draw.shuffle(paragraphs)
            rest = iter(paragraphs)
            if paragraphs:
                body = PARAGRAPH.sub(lambda _: next(rest), body)
            address = url.replace(".example/", f".example/{copy}/")
            lines = ["HTTP/1.1 200 OK"] + [f"{k}: {v}" for k, v in headers]
            head = "\r\n".join(lines + [f"Content-Length: {len(body)}", "", ""]).encode()
            path = address.split("/", 3)[-1]
            ask = f"GET /{path} HTTP/1.1\r\nHost: handbook.debian.example\r\n\r\n".encode()
            common = [("WARC-Target-URI", address), ("WARC-Date", "2024-05-01T12:34:56Z")]
            request = record(
                [("WARC-Type", "request"), *common, ("WARC-Record-ID", uuid("ask", address)),
                 ("Content-Type", "application/http; msgtype=request")],
                ask,
            )
            response = record(
                [("WARC-Type", "response"), *common, ("WARC-Record-ID", uuid("page", address)),
                 ("Content-Type", "application/http; msgtype=response"),
                 ("WARC-Identified-Payload-Type", "text/html")],
                head + body,
            )
            whole.write(member(request))
            whole.write(member(response))
            total += len(request) + len(response)
            if cut is None and total >= part:
                cut = (whole.tell(), total)
            if total >= size:
                break
        copy += 1
    whole.close()
    made.add("html", "crawl.warc.gz", total)
    with (made.out / "crawl.warc.gz").open("rb") as f, (made.out / "part.warc.gz").open("wb") as g:
        g.write(f.read(cut[0]))
    made.add("html-part", "part.warc.gz", cut[1])


PAGE = re.compile(rb"  <page>.*?</page>\n", re.S)


def wiki(data, made, size, part):
    """A dump as a single bzip2 stream, as streams of 100 pages like Wikipedia's, and a part."""
    big = next((data / "wikixml").glob("enwiki-latest*"))
    dump = bz2.decompress(big.read_bytes())
    head = dump[: dump.index(b"  <page>")]
    tail = b"</mediawiki>\n"
    found = PAGE.findall(dump)
    tables = bz2.decompress((data / "wikixml/enwiki-table-markup.xml.bz2").read_bytes())
    found += PAGE.findall(tables)
    draw = random.Random(4)
    total, number, out = len(head), 0, []
    while total < size:
        draw.shuffle(found)
        for page in found:
            number += 1
            page = re.sub(rb"<id>\d+</id>", b"<id>%d</id>" % number, page, count=1)
            page = page.replace(b"</title>", b" (%d)</title>" % number, 1)
            out.append(page)
            total += len(page)
            if total >= size:
                break
    content = head + b"".join(out) + tail
    (made.out / "wiki.xml.bz2").write_bytes(bz2.compress(content))
    made.add("wiki", "wiki.xml.bz2", len(content))
    with (made.out / "wiki-multistream.xml.bz2").open("wb") as f:
        f.write(bz2.compress(head))
        for at in range(0, len(out), 100):
            f.write(bz2.compress(b"".join(out[at : at + 100])))
        f.write(bz2.compress(tail))
    made.add("wiki-multistream", "wiki-multistream.xml.bz2", len(content))
    some, n = len(head), 0
    while some < part:
        some += len(out[n])
        n += 1
    content = head + b"".join(out[:n]) + tail
    (made.out / "wiki-part.xml.bz2").write_bytes(bz2.compress(content))
    made.add("wiki-part", "wiki-part.xml.bz2", len(content))


def tmx(text, made, size):
    head = (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<tmx version="1.4">\n'
        '<header creationtool="prepare" creationtoolversion="1" segtype="sentence"\n'
        '        o-tmf="x" adminlang="en" srclang="de" datatype="PlainText" />\n<body>\n'
    )
    tail = "</body>\n</tmx>\n"
    total = 0
    with (made.out / "tmx.tmx").open("wb", buffering=1 << 20) as f:
        total += f.write(head.encode())
        for n, (de, en) in enumerate(text.bitext(5)):
            if total >= size:
                break
            total += f.write(
                f'<tu tuid="{n}">\n<tuv xml:lang="de"><seg>{escape(de)}</seg></tuv>\n'
                f'<tuv xml:lang="en"><seg>{escape(en)}</seg></tuv>\n</tu>\n'.encode()
            )
        total += f.write(tail.encode())
    made.add("tmx", "tmx.tmx", total)


def put(archive, name, data):
    info = zipfile.ZipInfo(name, DAY)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def moses(text, made, size, zipped):
    for name, seed, size in [("moses", 6, size), ("opus-moses", 7, zipped)]:
        sides, total = ([], []), 0
        for both in text.bitext(seed):
            if total >= size:
                break
            for side, line in zip(sides, both):
                side.append(line)
                total += len(line.encode()) + 1
        contents = [("\n".join(side) + "\n").encode() for side in sides]
        total = sum(map(len, contents))
        if name == "moses":
            (made.out / "moses").mkdir()
            for lang, content in zip(["de", "en"], contents):
                (made.out / f"moses/Bench.de-en.{lang}").write_bytes(content)
            made.add(name, ["moses/Bench.de-en.de", "moses/Bench.de-en.en"], total)
        else:
            with zipfile.ZipFile(made.out / "de-en.txt.zip", "w") as archive:
                for lang, content in zip(["de", "en"], contents):
                    put(archive, f"Bench.de-en.{lang}", content)
                put(archive, "README", b"Corpus Name: Bench\n")
                put(archive, "LICENSE", b"see shared/data\n")
            made.add(name, "de-en.txt.zip", total)


def opus_xml(text, made, size):
    """Documents of 500 links and their alignment, in the zips that OPUS gives out and unpacked."""
    out = made.out / "opus-xml"
    (out / "de").mkdir(parents=True)
    (out / "en").mkdir()
    draw = random.Random(8)
    bitext = text.bitext(8)
    total, number, groups = 0, 0, []
    zips = {
        lang: zipfile.ZipFile(out / f"Bench_latest_raw_{lang}.zip", "w")
        for lang in ["de", "en"]
    }
    while total < size:
        sides, links, ids = {"de": [], "en": []}, [], {"de": 0, "en": 0}
        for link in range(500):
            # Most sentences have one of the other side, some two, a few none.
            kind = draw.choices([(1, 1), (2, 1), (1, 2), (0, 1), (1, 0)], [90, 4, 4, 1, 1])[0]
            both, numbers = next(bitext), []
            for lang, line, n in zip(["de", "en"], both, kind):
                words = line.split(" ")
                cut = len(words) // 2 if n == 2 else 0
                texts = {0: [], 1: [line]}.get(n, [" ".join(words[:cut]), " ".join(words[cut:])])
                here = []
                for sentence in texts:
                    ids[lang] += 1
                    here.append(str(ids[lang]))
                    sides[lang].append(f'<s id="{ids[lang]}">{escape(sentence)}</s>\n')
                numbers.append(" ".join(here))
            links.append(f'<link id="SL{link}" xtargets="{numbers[0]};{numbers[1]}" />\n')
        document = f"{number:05}.xml"
        for lang, sentences in sides.items():
            content = (
                '<?xml version="1.0" encoding="utf-8"?>\n'
                f"<document id={quoteattr(document)}>\n{''.join(sentences)}</document>\n"
            ).encode()
            total += len(content)
            put(zips[lang], f"Bench/raw/{lang}/{document}", content)
            (out / lang / f"{document}.gz").write_bytes(member(content))
        groups.append(
            f'<linkGrp targType="s" fromDoc="de/{document}.gz" toDoc="en/{document}.gz">\n'
            + "".join(links)
            + "</linkGrp>\n"
        )
        number += 1
    for archive in zips.values():
        archive.close()
    content = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<!DOCTYPE cesAlign PUBLIC "-//CES//DTD XML cesAlign//EN" "">\n'
        '<cesAlign version="1.0">\n' + "".join(groups) + "</cesAlign>\n"
    ).encode()
    total += len(content)
    (out / "de-en.xml.gz").write_bytes(member(content))
    files = ["de-en.xml.gz"] + [f"{a}/{n:05}.xml.gz" for a in ("de", "en") for n in range(number)]
    made.add("opus-xml", [f"opus-xml/{f}" for f in files], total)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    scale = 0.1 if args.quick else 1.0
    note = {"version": VERSION, "scale": scale}
    listing = args.out / "sizes.json"
    if listing.exists():
        old = json.loads(listing.read_text())
        if old["note"] == note:
            return
    if not (args.data / "MANIFEST.tsv").exists():
        sys.exit(f"error: {args.data} has no MANIFEST.tsv; the benchmark needs shared/data")
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    print(f"making inputs in {args.out} (once)", file=sys.stderr)
    made = Made(args.out)
    text = Text(args.data)
    of = lambda mb: int(mb * MB * scale)
    jsonl(text, made, of(1000))
    wet(text, made, of(300))
    tmx(text, made, of(100))
    moses(text, made, of(200), of(100))
    opus_xml(text, made, of(100))
    html(args.data, made, of(150), of(15))
    wiki(args.data, made, of(100), of(10))
    listing.write_text(json.dumps({"note": note, "inputs": made.inputs}, indent=1) + "\n")


main()
