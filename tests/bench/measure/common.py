"""What the runners of this folder share: reading shared/data, asking hexapla, printing tables."""

import gzip
import io
import resource
import subprocess
from pathlib import Path


def opened(path):
    path = Path(path)
    if path.suffix == ".gz":
        return gzip.open(path)
    if path.suffix == ".zst":
        # Not every environment has it.
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True)
    return path.open("rb")


def text_of(path, errors="strict"):
    """The text of a file, gzip or zstd by its ending."""
    with opened(path) as file:
        return file.read().decode("utf-8", errors)


def lines_of(path, errors="strict"):
    """The lines of such a file without their ends, one by one."""
    with opened(path) as file:
        for line in io.TextIOWrapper(file, encoding="utf-8", errors=errors, newline="\n"):
            yield line.removesuffix("\n")


def own_seconds():
    """User seconds of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def children_seconds():
    """Processor seconds of the processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def asked(hexapla, columns, query, folder, threads=1):
    """hexapla's answer to a query over `rows`, a table of these columns and an `id`, Parquet to
    Parquet, and its processor seconds."""
    # Not every environment has it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    source, result = folder / "rows.parquet", folder / "answer.parquet"
    number = len(next(iter(columns.values())))
    pq.write_table(pa.table({"id": list(range(number)), **columns}), source)
    before = children_seconds()
    subprocess.run([hexapla, "sql", "--threads", str(threads), "-t", f"rows={source}", "-c", query,
                    "-o", str(result)], check=True, stdout=subprocess.DEVNULL)
    return pq.read_table(result), children_seconds() - before


def head(*names):
    """The head of a table of Markdown: words first, numbers then."""
    print(f"| {' | '.join(names)} |")
    print("| --- |" + " ---: |" * (len(names) - 1))


def row(*cells):
    print(f"| {' | '.join(map(str, cells))} |")
