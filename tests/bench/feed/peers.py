"""The peers of the benchmark of reading, each as its documentation recommends, in one process and
without workers.

usage: peers.py make WORK             WORK/rows.bin, int32 [rows, 512], as a dataset and as shards
       peers.py datasets WORK N       datasets.load_from_disk and torch's DataLoader, shuffled
       peers.py streaming WORK N      MosaicML's StreamingDataset and StreamingDataLoader, shuffled
       peers.py memmap WORK N         numpy: rows gathered from a memory map by a permutation

Reads N batches of 32 rows, sums each, and prints `{"ids": …, "seconds": …}`.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np

ROWS, LENGTH = 32, 512


def rows_of(work):
    return np.memmap(work / "rows.bin", np.int32, "r").reshape(-1, LENGTH)


def make(work):
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset
    from streaming import MDSWriter

    rows = rows_of(work)
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), LENGTH)
    pq.write_table(pa.table({"input_ids": column}), work / "rows.parquet", row_group_size=1000)
    whole = Dataset.from_parquet(str(work / "rows.parquet"), cache_dir=str(work / "cache"))
    whole.save_to_disk(str(work / "datasets"))
    shutil.rmtree(work / "mds", ignore_errors=True)
    with MDSWriter(out=str(work / "mds"), columns={"input_ids": f"ndarray:int32:{LENGTH}"}) as writer:
        for row in rows:
            writer.write({"input_ids": np.asarray(row)})


def datasets(work):
    from datasets import load_from_disk
    from torch.utils.data import DataLoader

    whole = load_from_disk(str(work / "datasets")).with_format("torch")
    while True:
        for batch in DataLoader(whole, batch_size=ROWS, shuffle=True, drop_last=True):
            yield batch["input_ids"]


def streaming(work):
    from streaming import StreamingDataLoader, StreamingDataset

    whole = StreamingDataset(local=str(work / "mds"), shuffle=True, batch_size=ROWS)
    while True:
        for batch in StreamingDataLoader(whole, batch_size=ROWS, drop_last=True):
            yield batch["input_ids"]


def memmap(work):
    rows = rows_of(work)
    rng = np.random.default_rng(1)
    while True:
        order = rng.permutation(len(rows))
        for at in range(0, len(order) - ROWS + 1, ROWS):
            yield rows[order[at : at + ROWS]]


def main(kind, work, *count):
    if kind == "make":
        return make(Path(work))
    # One thread, as all of them.
    if kind != "memmap":
        import torch

        torch.set_num_threads(1)
    batches, ids, total = {"datasets": datasets, "streaming": streaming, "memmap": memmap}[kind](Path(work)), 0, 0
    next(batches)
    began = time.perf_counter()
    for _ in range(int(count[0])):
        batch = next(batches)
        total += int(batch.sum())
        ids += ROWS * LENGTH
    print(json.dumps({"ids": ids, "sum": total, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(*sys.argv[1:])
