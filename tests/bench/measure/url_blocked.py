"""Compares hexapla's `url_blocked` with datatrove's URLFilter and with adblockparser.

usage: url_blocked.py HEXAPLA SHARED_DATA [--urls N] [--seed N]

Runs in an environment with datatrove 0.10, regex, tldextract, fasteners, pyahocorasick,
adblockparser 0.7, zstandard and pyarrow, all of them from PyPI. datatrove's lists are those of its
own package (4.6 million domains). URLs are those of shared/data, listed ones, ones near them, and
ones made of listed words. Prints Markdown; the exit code is 1 when a verdict differs for another
reason than these three: a listed host covers what is below it (datatrove asks for the host and its
registered domain alone); a listed host may be an IP address (datatrove asks for names alone); and a
listed address has no scheme (datatrove compares it with URLs that have one). Rules are compared with adblockparser one by one.
"""

import argparse
import importlib.metadata  # noqa: F401, datatrove needs it
import random
import re
import sys
import tarfile
import tempfile
from collections import defaultdict
from pathlib import Path

import tldextract
from adblockparser import AdblockRule
from datatrove.data import Document
from datatrove.pipeline.filters import url_filter

from common import asked, head, own_seconds, row, text_of

WORDS = ["banned_words", "soft_banned_words", "banned_subwords"]
FORMATS = {"banned_words": "words", "soft_banned_words": "soft_words", "banned_subwords": "subwords"}
HOSTS = ["a.de", "www.a.de", "ads.example.com", "example.com", "b.co.uk", "xa.de", "a.de.evil.org"]
PARTS = ["ads", "ad", "banner", "x", "track.gif", "a.de", "swf", "q", "b1", ".js"]


def real_urls(data):
    pattern = re.compile(r"https?://[^\s\"<>\\'|{}\[\]]+")
    paths = [p for end in ("gz", "zst", "md", "json") for p in sorted(data.glob(f"**/*.{end}"))]
    return sorted({url for path in paths for url in pattern.findall(text_of(path, "ignore"))})


def urls_of(data, lists, count, rng):
    domains, addresses, words = lists
    every_word = sum(words.values(), [])

    def path():
        plain = ["a", "index.html", "2020", "news", "x-y", "video?id=3", "über", "q&b"]
        return "/".join(rng.choice(plain + every_word[:40]).replace(" ", "-") for _ in range(rng.randrange(4)))

    yield from (("in shared/data", url) for url in real_urls(data))
    for domain in rng.sample(domains, count):
        below = rng.choice(["", "", "www.", "m.", "a.b."])
        yield "listed domains and below", f"{rng.choice(['http', 'https'])}://{below}{domain}/{path()}"
        yield "near listed domains", f"http://{domain.replace('.', 'x.', 1)}/{path()}"
    for address in rng.sample(addresses, min(count, len(addresses))):
        yield "listed addresses", address
        yield "listed addresses with a scheme", f"http://{address}"
    for _ in range(count):
        some = [rng.choice(every_word).replace(" ", rng.choice(["-", "", "_", "+", "%20"]))
                for _ in range(rng.randrange(1, 4))]
        some = [rng.choice([w, w, w.upper(), w.title(), w + "s", "x" + w]) for w in some]
        host = rng.choice(["ex.org", "www.blog.example.com", "пример.рф", "xn--e1afmkfd.xn--p1ai", "10.0.0.1:80"])
        yield "made of listed words", f"https://{host}/{rng.choice('-/_.?=').join(some)}"


def made_rules(count, rng):
    """Rules and URLs of the same few parts, so that they often meet."""
    for _ in range(count):
        parts = PARTS + HOSTS[:4] + ["/", "/", "^", "^", "*", ".", "-", "?", "&"]
        rule = "".join(rng.choice(parts) for _ in range(rng.randrange(1, 5)))
        rule = rng.choice(["", "", "|", "||", "||", "|http://"]) + rule + rng.choice(["", "", "|", "^", "*"])
        # A regular expression, a rule of signs alone, or `||` before what begins no host.
        if re.fullmatch(r"/.*/|[^a-z0-9]*|\|\|[^a-z0-9].*", rule):
            continue
        url = rng.choice(["http://", "https://"]) + rng.choice(HOSTS) + rng.choice(["", "", ":8080"])
        some = rng.randrange(4)
        if some:
            url += rng.choice("//?") + rng.choice(PARTS)
        for _ in range(some):
            url += rng.choice(["/", "/", ".", "-", "_", "%20", "?", "&", "="]) + rng.choice(PARTS)
        yield rule, url + rng.choice(["", "", "/"])


def measured(hexapla, rows, expression, folder):
    """hexapla's verdicts, one thread, and its processor time."""
    columns = dict(zip(["url", "rule"], map(list, zip(*rows))))
    query = f"SELECT id, url_blocked(url, {expression}) AS blocked FROM rows ORDER BY id"
    verdicts, seconds = asked(hexapla, columns, query, folder)
    return verdicts["blocked"].to_pylist(), seconds


def datatrove(folder, lists):
    """The filter with its lists, without the download of public suffixes."""
    domains, addresses, _ = lists
    extract = tldextract.TLDExtract
    tldextract.TLDExtract = lambda: extract(suffix_list_urls=())
    peer = url_filter.URLFilter(extra_domains=domains, extra_urls=addresses, use_integrated_lists=False,
                                **{name: open(folder / f"{name}.txt") for name in WORDS})
    return peer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hexapla")
    parser.add_argument("data", type=Path)
    parser.add_argument("--urls", type=int, default=10_000, help="URLs of each kind")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    assets = Path(url_filter.ASSETS_PATH)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(next(assets.glob("url_filterblacklists*.tar.gz"))) as tar:
            tar.extractall(folder, filter="data")
        for word_list in WORDS:
            (folder / f"{word_list}.txt").write_bytes((assets / f"{word_list}.txt").read_bytes())
        read = lambda path: [line for line in path.read_text().split("\n") if line and line[0] != "#"]
        words = {name: read(folder / f"{name}.txt") for name in WORDS}
        lists = read(folder / "domains"), read(folder / "urls"), words
        cases = list(urls_of(args.data, lists, args.urls, rng))
        files = [f"domains:{folder}/domains", f"urls:{folder}/urls"]
        files += [f"{kind}:{folder}/{name}.txt" for name, kind in FORMATS.items()]
        rows = [(url, "") for _, url in cases]
        ours, _ = measured(args.hexapla, rows, f"'{','.join(files)}'", folder)
        peer = datatrove(folder, lists)
        domains = set(lists[0])
        before = own_seconds()
        theirs = [peer.filter(Document(text="", id="", metadata={"url": url})) is not True for _, url in cases]
        seconds = own_seconds() - before
        counts, samples = defaultdict(lambda: [0, 0, 0, 0]), []
        for (kind, url), own, other in zip(cases, ours, theirs):
            host = re.sub(r"^[a-z]+://", "", url).split("/")[0]
            labels = host.split(".")
            above = any(".".join(labels[i:]) in domains for i in range(1, len(labels)))
            number = re.fullmatch(r"[0-9.]+", host) and host in domains
            explained = own and not other and bool(above or number or kind.endswith("scheme"))
            for place, more in enumerate([1, other, own == other, explained]):
                counts[kind][place] += more
            if own != other and not explained and len(samples) < 10:
                samples.append((url, other, own))
        # The difference of two runs, so that reading the lists does not count.
        _, once = measured(args.hexapla, rows, f"'{','.join(files)}'", folder)
        _, often = measured(args.hexapla, rows * 11, f"'{','.join(files)}'", folder)
        rules = [(url, rule) for rule, url in made_rules(args.urls, rng)]
        # Rules are given inline behind one that blocks nothing.
        with_rules, _ = measured(args.hexapla, rules, "'||nowhere.invalid^ ' || rule", folder)
    asked = [bool(AdblockRule(rule).match_url(url)) for url, rule in rules]
    same = sum(own == other for own, other in zip(with_rules, asked))
    samples += [(f"{rule} {url}", other, own) for (url, rule), own, other in zip(rules, with_rules, asked)
                if own != other][:10]
    print("### `url_blocked` and datatrove 0.10's URLFilter with its own lists\n")
    head("URLs", "number", "blocked by datatrove", "equal", "below a listed host, a number, or a scheme")
    for kind, (count, other, equal, explained) in counts.items():
        row(kind, count, other, f"{equal / count:.2%}", explained)
    print(f"\nAdblock rules and adblockparser 0.7: {same} of {len(rules)} verdicts equal, {sum(asked)} block.")
    for url, other, own in samples:
        print(f"\n- {url!r}: the peer {other}, hexapla {own}")
    rate, peer_rate = 10 * len(rows) / max(often - once, 1e-3), len(rows) / seconds
    print(f"\nURLs a processor second: hexapla {rate:,.0f}, datatrove {peer_rate:,.0f}, ratio {rate / peer_rate:.0f}.")
    return 1 if samples else 0


if __name__ == "__main__":
    sys.exit(main())
