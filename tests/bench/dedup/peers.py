"""The peers of the benchmark of duplicates, each as its documentation recommends, in a process.

usage: peers.py datatrove PARTS OUT      MinHash in four stages, two workers, Parquet to Parquet
       peers.py rensa FILE OUT           RMinHashDeduplicator over text.split(), as its README
       peers.py rensa-grams FILE OUT     the same over word 5-grams, as the others compare
       peers.py pairs-KIND …             the same, and which row each removed one was like

OUT is a folder. rensa writes the ids that it keeps; `pairs-` writes OUT/pairs.tsv, `id` and
`like` a line, which is not timed. datatrove names no matches: there it is a row of its cluster.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def grams(text):
    words = text.split()
    return [" ".join(words[n : n + 5]) for n in range(len(words) - 4)] or [text]


def rensa(file, out, tokens, pairs):
    from rensa import RMinHash, RMinHashDeduplicator

    seen = RMinHashDeduplicator(threshold=0.8, num_perm=128, use_lsh=True)
    kept = []
    found = (out / "pairs.tsv").open("w") if pairs else None
    for batch in pq.ParquetFile(file).iter_batches(1024, columns=["doc_id", "text"]):
        ids, texts = (column.to_pylist() for column in batch.columns)
        if pairs:
            for id_, text in zip(ids, texts):
                sketch = RMinHash(num_perm=128, seed=42)
                sketch.update(tokens(text))
                like = seen.get_duplicates(sketch)
                if like:
                    found.write(f"{id_}\t{like[0]}\n")
                else:
                    seen.add(str(id_), sketch)
            continue
        keep = seen.add_pairs((str(id_), tokens(text)) for id_, text in zip(ids, texts))
        kept += [id_ for id_, k in zip(ids, keep) if k]
    if not pairs:
        pq.write_table(pa.table({"doc_id": pa.array(kept, pa.uint64())}), out / "kept.parquet")


def datatrove(parts, out, pairs):
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
    )
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    config = MinhashConfig()
    tasks = len(list(Path(parts).glob("*.parquet")))
    # Ids have to be text there.
    text_id = lambda self, row, path, n: {
        "text": row.pop("text"), "id": str(row.pop("doc_id")), "metadata": row
    }

    def read():
        return ParquetReader(parts, adapter=text_id, glob_pattern="*.parquet")

    def stage(name, steps, tasks):
        LocalPipelineExecutor(steps, tasks=tasks, workers=2, logging_dir=f"{out}/logs/{name}").run()

    stage("signatures", [read(), MinhashDedupSignature(f"{out}/signatures", config)], tasks)
    stage("buckets", [MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)],
          config.num_buckets)
    cluster = MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config, save_cluster_id=pairs)
    stage("cluster", [cluster], 1)
    removed = ParquetWriter(f"{out}/removed") if pairs else None
    last = MinhashDedupFilter(f"{out}/remove", exclusion_writer=removed, load_cluster_ids=pairs)
    stage("filter", [read(), last, ParquetWriter(f"{out}/kept")], tasks)
    if pairs:
        kept = {}
        rows = lambda name: (
            row for path in sorted(Path(out, name).glob("*.parquet"))
            for row in pq.read_table(path, columns=["id", "metadata"]).to_pylist()
        )
        cluster_of = lambda row: (row["metadata"] or {}).get("minhash_cluster_id")
        for row in rows("kept"):
            if cluster_of(row) not in (None, -1):
                kept[cluster_of(row)] = row["id"]
        with (out / "pairs.tsv").open("w") as file:
            for row in rows("removed"):
                file.write(f"{row['id']}\t{kept.get(cluster_of(row), '')}\n")


def main():
    kind, given, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    pairs = kind.startswith("pairs-")
    out.mkdir(parents=True, exist_ok=True)
    match kind.removeprefix("pairs-"):
        case "datatrove":
            datatrove(given, out, pairs)
        case "rensa":
            rensa(given, out, str.split, pairs)
        case "rensa-grams":
            rensa(given, out, grams, pairs)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
