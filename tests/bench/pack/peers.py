"""The peers of the benchmark of tokenizers and packs, each as its documentation shows, in a process.

usage: peers.py encode FILE TOKENIZER OUT      datasets.map in batches with two processes: token ids,
                                               then blocks of 512, as the examples of transformers do
       peers.py train KIND FILE OUT VOCAB      the trainers of the tokenizers package, KIND unigram or bpe

FILE is Parquet with a column `text`; TOKENIZER is a `tokenizer.json`.
"""

import sys
from pathlib import Path

LENGTH = 512


def encode(file, tokenizer, out):
    import datasets
    from tokenizers import Tokenizer

    datasets.disable_progress_bars()
    fast = Tokenizer.from_file(tokenizer)

    def ids(batch):
        return {"ids": [e.ids for e in fast.encode_batch_fast(batch["text"])]}

    def blocks(batch):
        joined = [i for ids in batch["ids"] for i in ids]
        return {"ids": [joined[n : n + LENGTH] for n in range(0, len(joined) // LENGTH * LENGTH, LENGTH)]}

    rows = datasets.Dataset.from_parquet(str(file), cache_dir=str(out / "cache"))
    rows = rows.map(ids, batched=True, num_proc=2, remove_columns=rows.column_names)
    rows = rows.map(blocks, batched=True, num_proc=2)
    rows.save_to_disk(str(out / "rows"), num_proc=2)


def train(kind, file, out, vocab):
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    if kind == "unigram":
        model = models.Unigram()
        trainer = trainers.UnigramTrainer(
            vocab_size=vocab, special_tokens=special, unk_token="<unk>", max_piece_length=16, show_progress=False
        )
    else:
        model = models.BPE(unk_token="<unk>")
        trainer = trainers.BpeTrainer(
            vocab_size=vocab, special_tokens=special, max_token_length=16, limit_alphabet=vocab // 2,
            show_progress=False,
        )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )

    def texts():
        for batch in pq.ParquetFile(file).iter_batches(1024, columns=["text"]):
            yield batch.column(0).to_pylist()

    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.save(str(out / "tokenizer.json"))


def main():
    match sys.argv[1:]:
        case ["encode", file, tokenizer, out]:
            encode(Path(file), tokenizer, Path(out))
        case ["train", kind, file, out, vocab]:
            train(kind, file, Path(out), int(vocab))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
