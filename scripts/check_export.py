"""Holds a project's exports against the readers of the engines that they are for.

usage: check_export.py HEXAPLA PROJECT | check_export.py --add PROJECT

What is expected comes from hexapla's SQL: of `parts`, the token ids of every selected document with
the end-of-document token after it, or its text; of `stream`, rows of the pack, each once an epoch,
in the same order whatever the format. Each format is read back whole by its engine's own reader.

--add writes one export of each format and layout into the project's hexapla.toml, and a mixture of
documents and pairs in two stages.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys

LENGTH = 64
TOKENS = ("datatrove", "flat", "litdata", "llmc", "llmc-llama3", "mds", "megatron")
MIXTURE = """
stages = [
  { until = "50k", strategy = "temperature", alpha = 0.3, pairs = 0.2 },
  { until = "120k", strategy = "unimax", max_epochs = 8, pairs = 0.4 },
]
"""


def add(project):
    file = project / "hexapla.toml"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith("stages = "))
    lines[at] = MIXTURE.lstrip()
    for name in TOKENS:
        key = name.replace("-", "_")
        only = 'only = "documents"\n' if name == "llmc-llama3" else ""
        lines.append(f'\n[export.{key}]\nto = "{name}"\nmix = "main"\n{only}')
        lines.append(f'length = {LENGTH}\nstep_tokens = "1k"\n' if name in ("mds", "datatrove") else "")
        lines.append(f'\n[export.{key}_stream]\nto = "{name}"\npack = "main"\nlayout = "stream"\nbatch = 8\n')
    lines.append('\n[export.huggingface]\nto = "huggingface"\nmix = "main"\nlicense = "cc0-1.0"\n')
    lines.append('\n[export.huggingface_stream]\nto = "huggingface"\npack = "main"\nlayout = "stream"\nbatch = 8\n')
    for name in ("moses", "tsv"):
        lines.append(f'\n[export.{name}]\nto = "{name}"\nmix = "main"\nonly = "pairs"\n')
    file.write_text("".join(lines), encoding="utf-8")


class Failed(Exception):
    """An export that its engine reads differently."""


def same(what, found, expected):
    if found == expected:
        return
    if isinstance(found, list) and isinstance(expected, list):
        pairs = list(zip(found, expected))
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        what += f", {len(found)} for {len(expected)}, from {at}"
        found, expected = found[at : at + 1], expected[at : at + 1]
    raise Failed(f"{what}: {str(found)[:300]} is not {str(expected)[:300]}")


def query(hexapla, project, sql):
    command = [hexapla, "sql", "--project", str(project), "--format", "ndjson", "-c", sql]
    out = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    return [json.loads(line) for line in out.splitlines()]


class Expected:
    """What the exports must hold, by split and group."""

    def __init__(self, hexapla, project):
        train = "selection.main s JOIN {0} x ON s.doc_id = x.doc_id WHERE s.kind = '{0}'"
        held = "split s JOIN {} x ON s.doc_id = x.doc_id {} WHERE s.split = 'validation'"
        measured = "JOIN measured m ON s.doc_id = m.doc_id"
        declared, pair = "coalesce(m.lang, m.detected.lang)", "concat(x.src_lang, '-', x.tgt_lang)"
        documents = "encode(x.text, 'main') AS ids, x.text FROM"
        pairs = "encode(x.src, 'main') AS a, encode(x.tgt, 'main') AS b, x.src, x.tgt FROM"
        self.rows = collections.defaultdict(list)
        for split, lang, rest in (
            ("train", "s.lang", f"{documents} {train.format('documents')}"),
            ("train", "s.lang", f"{pairs} {train.format('pairs')}"),
            ("validation", declared, f"{documents} {held.format('documents', measured)}"),
            ("validation", pair, f"{pairs} {held.format('pairs', '')}"),
        ):
            sql = f"SELECT s.doc_id, {lang} AS lang, {rest} ORDER BY s.doc_id"
            for row in query(hexapla, project, sql):
                self.rows[split, row["lang"]].append(row)
        vocab = project / "tokenizers/main/tokenizer.json"
        self.eos = next(
            token["id"] for token in json.loads(vocab.read_text())["added_tokens"] if token["content"] == "</s>"
        )

    def groups(self, split, pairs):
        return sorted(name for found, name in self.rows if found == split and ("-" in name) == pairs)

    def ids(self, split, group):
        """A document and its end; of a pair, each side and its end."""
        sides = ("a", "b") if "-" in group else ("ids",)
        return [flattened(row[side] + [self.eos] for side in sides) for row in self.rows[split, group]]


def mixture(folder):
    return json.loads((folder / "mixture.json").read_text(encoding="utf-8"))


def flattened(lists):
    return [item for items in lists for item in items]


def read_megatron(folder, split, name):
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    dataset = IndexedDataset(str(folder / split / name))
    same("documents", dataset.document_indices.tolist(), list(range(len(dataset) + 1)))
    return [dataset[i].tolist() for i in range(len(dataset))]


def read_llmc(magic, version, dtype):
    def read(folder, split, name):
        import numpy

        found = []
        for file in sorted((folder / split).glob(f"{name}_*.bin")):
            header = numpy.fromfile(file, dtype=numpy.int32, count=256)
            ids = numpy.fromfile(file, dtype=dtype, offset=1024)
            same("header", header.tolist(), [magic, version, len(ids)] + [0] * 253)
            found += ids.tolist()
        return found

    return read


def read_flat(folder, split, name):
    import numpy

    ids = numpy.memmap(folder / split / name / "tokens.bin", dtype=numpy.uint32, mode="r")
    offsets = numpy.load(folder / split / name / "document_offsets.npy")
    same("end", int(offsets[-1]), len(ids))
    return [ids[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:])]


def read_mds(folder, split, name):
    from streaming import StreamingDataset

    dataset = StreamingDataset(local=str(folder / name), split=split, shuffle=False, batch_size=1)
    samples = [dataset[i]["tokens"] for i in range(dataset.num_samples)]
    assert all(sample.dtype == "int32" and len(sample) == LENGTH for sample in samples)
    return [sample.tolist() for sample in samples]


def read_datatrove(folder, split, name):
    from datatrove.utils.dataset import DatatroveFolderDataset

    first = (folder / split / name / "00000_tokens.ds.metadata").read_text().split("\n")
    size = int(first[0].split("|")[1])
    # Windows of one token, so that the reader leaves no rest out.
    dataset = DatatroveFolderDataset(str(folder / split / name), seq_len=0, token_size=size)
    same("count", int(first[1]), len(dataset))
    ids = [int(dataset[i]["input_ids"][0]) for i in range(len(dataset))]
    ends = []
    data = (folder / split / name / "00000_tokens.ds.index").read_bytes()
    for at in range(0, len(data), 8):
        ends.append(int.from_bytes(data[at : at + 8], "little"))
    if len(ids) > 40:
        windows = DatatroveFolderDataset(
            str(folder / split / name), seq_len=39, token_size=size, return_positions=True
        )
        starts = [0, *ends]
        for n in range(min(3, len(windows))):
            window = windows[n]
            same("window", window["input_ids"].tolist(), ids[40 * n : 40 * n + 40])
            origin = lambda at: max([s for s in starts if s <= at] + [40 * n])
            positions = [at - max(origin(at), 40 * n) for at in range(40 * n, 40 * n + 40)]
            same("positions", window["positions"].tolist(), positions)
    return [ids[a:b] for a, b in zip([0, *ends[:-1]], ends)]


def read_litdata(folder, split, name):
    from litdata import StreamingDataset, TokensLoader

    dataset = StreamingDataset(str(folder / split / name), item_loader=TokensLoader(block_size=1), shuffle=False)
    return [int(dataset[i][0]) for i in range(len(dataset))]


def read_huggingface(folder, split, name):
    import datasets

    return list(datasets.load_dataset(str(folder), name, split=split))


READERS = {
    "datatrove": read_datatrove,
    "flat": read_flat,
    "litdata": read_litdata,
    "llmc": read_llmc(20240520, 1, "uint16"),
    "llmc-llama3": read_llmc(20240801, 7, "uint32"),
    "mds": read_mds,
    "megatron": read_megatron,
}


def padded(ids, pad):
    return [ids[i : i + LENGTH] + [pad] * (LENGTH - len(ids[i : i + LENGTH])) for i in range(0, len(ids), LENGTH)]


def check_parts(name, folder, expected):
    plan = mixture(folder)
    assert plan["mixture_applied"] is False
    rows = 0
    for split in ("train", "validation"):
        kinds = (False,) if name == "llmc-llama3" else (False, True)
        for group in flattened(expected.groups(split, pairs) for pairs in kinds):
            ids = expected.ids(split, group)
            counts = plan["groups"][group][split]
            same("counts", counts, {"rows": len(ids), "tokens": len(flattened(ids))})
            found = READERS[name](folder, split, group)
            if name == "mds":
                same(f"{split} {group}", found, padded(flattened(ids), 1))
            else:
                flat = name.startswith("llmc") or name == "litdata"
                same(f"{split} {group}", found, flattened(ids) if flat else ids)
            rows += len(ids)
    return rows


def check_stream(name, folder, order, pad):
    assert mixture(folder)["mixture_applied"] is True
    found = READERS[name](folder, "train", "stream")
    if name == "mds":
        same("samples", found, [row["input_ids"] + [pad] * (LENGTH - len(row["input_ids"])) for row in order])
    elif name == "megatron":
        same("sequences", found, [row["input_ids"] for row in order])
    else:
        if name in ("flat", "datatrove"):
            same("lengths", [len(ids) for ids in found], flattened(row["document_lengths"] for row in order))
            found = flattened(found)
        same("ids", found, flattened(row["input_ids"] for row in order))
    return len(order)


def pack_rows(project, pad):
    """The rows of each group of the pack, without padding."""
    import pyarrow

    rows = {}
    for file in sorted((project / "packs/main").glob("*.arrow")):
        table = pyarrow.ipc.open_file(file).read_all().to_pylist()
        rows[file.stem] = [tuple(row["tokens"][: sum(row["document_lengths"])]) for row in table]
    return rows


def check_order(project, folder):
    """The rows of a stream are those of the pack, gone through epoch by epoch."""
    order = read_huggingface(folder, "train", "stream")
    pack = pack_rows(project, 1)
    by_group = collections.defaultdict(list)
    for row in order:
        by_group[row["group"]].append(tuple(row["input_ids"]))
    for group, rows in by_group.items():
        n = len(pack[group])
        for first in range(0, len(rows), n):
            epoch = collections.Counter(rows[first : first + n])
            rest = epoch - collections.Counter(pack[group])
            same(f"epoch {first // n} of {group}", rest, collections.Counter())
        counts = mixture(folder)["groups"][group]["train"]
        same("counts", counts, {"rows": len(rows), "tokens": sum(map(len, rows))})
    assert len(by_group) > 4 and any(len(rows) > len(pack[group]) for group, rows in by_group.items())
    return order


def check_texts(folder, expected):
    rows = 0
    for split in ("train", "validation"):
        for pairs, columns in ((False, ["doc_id", "text"]), (True, ["doc_id", "src", "tgt"])):
            for group in expected.groups(split, pairs):
                found = read_huggingface(folder, split, group)
                wanted = [[row[c] for c in columns] for row in expected.rows[split, group]]
                same(f"{split} {group}", [[row[c] for c in columns] for row in found], wanted)
                rows += len(found)
    import datasets

    infos = datasets.get_dataset_config_names(str(folder))
    groups = {name for _, name in expected.rows}
    same("configurations", sorted(infos), sorted(groups))
    return rows


def check_lines(name, folder, expected):
    rows = 0
    for split in ("train", "validation"):
        for group in expected.groups(split, pairs=True):
            stem = folder / split / group
            if name == "moses":
                sides = [f"{stem}.{lang}" for lang in group.split("-")]
                texts = [pathlib.Path(side).read_text(encoding="utf-8").split("\n") for side in sides]
                found = list(zip(*texts))
            else:
                lines = pathlib.Path(f"{stem}.tsv").read_text(encoding="utf-8").split("\n")
                found = [tuple(line.split("\t")) for line in lines]
            # A last line end is the end of a line, not an empty one.
            same("end", found.pop(), ("", "") if name == "moses" else ("",))
            same(f"{split} {group}", found, [(row["src"], row["tgt"]) for row in expected.rows[split, group]])
            rows += len(found)
    return rows


def blended(folder, blend, seed, samples=4000):
    """The shares of Megatron's own samples, by data set."""
    import tempfile

    import torch.distributed
    from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig

    class Tokenizer:
        eod, pad, vocab_size, unique_identifiers = 2, 1, 900, {"class": "check"}

    if not torch.distributed.is_initialized():
        store = f"file://{tempfile.mkdtemp()}/store"
        torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    config = GPTDatasetConfig(
        random_seed=seed,
        sequence_length=LENGTH,
        blend=blend,
        split="1000,0,0",
        tokenizer=Tokenizer(),
        reset_position_ids=True,
        reset_attention_mask=True,
        eod_mask_loss=True,
        path_to_cache=tempfile.mkdtemp(),
    )
    before = os.getcwd()
    os.chdir(folder)
    try:
        builder = BlendedMegatronDatasetBuilder(GPTDataset, [samples, 0, 0], lambda: True, config)
        train = builder.build()[0]
    finally:
        os.chdir(before)
    counts = collections.Counter(int(train.dataset_index[i]) for i in range(samples))
    return [counts[i] / samples for i in range(len(blend[0]))]


def check_weights(exports, pad):
    """What is written beside the rows, given to what reads it."""
    import yaml
    from megatron.core.datasets.utils import get_blend_from_list
    from opustrainer.trainer import CurriculumLoader
    from streaming import Stream, StreamingDataset

    plan = mixture(exports / "megatron")
    for i, stage in enumerate(plan["stages"]):
        shares = {group: share["token_share"] for group, share in stage["groups"].items()}
        words = (exports / f"megatron/data-path-stage-{i + 1}.txt").read_text().split()
        paths, weights = get_blend_from_list(words)
        same("blend", dict(zip(paths, weights)), {f"train/{group}": share for group, share in shares.items()})
        drawn = blended(exports / "megatron", (paths, weights), seed=i)
        assert all(abs(a - b) < 2e-3 for a, b in zip(drawn, weights)), (drawn, weights)
        text = (exports / f"mds/streams-stage-{i + 1}.yaml").read_text(encoding="utf-8")
        streams = [
            Stream(**{**stream, "local": str(exports / "mds" / stream["local"])})
            for stream in yaml.safe_load(text)["streams"].values()
        ]
        dataset = StreamingDataset(streams=streams, batch_size=1, epoch_size=1000)
        drawn = [stream.choose / 1000 for stream in dataset.streams]
        assert all(abs(a - b) < 2e-3 for a, b in zip(drawn, shares.values())), (drawn, shares)
        stages = yaml.safe_load((exports / "datatrove/data_stages.yaml").read_text())["data_stages"]
        nanoset = stages[i]["data"]["dataset"]
        same("folders", nanoset["dataset_folder"], [f"train/{group}" for group in shares])
        same("weights", nanoset["dataset_weights"], list(shares.values()))
    same("steps", [stage["start_training_step"] for stage in stages][0], 1)
    assert stages[1]["start_training_step"] == 1 + -(-plan["stages"][0]["until_tokens"] // 1000), stages[1]
    blend = get_blend_from_list((exports / "megatron_stream/data-path.txt").read_text().split())
    same("blend", blend, (["train/stream"], [1.0]) if isinstance(blend, tuple) else [["train/stream"], [1.0]])
    with (exports / "tsv/opustrainer.yaml").open(encoding="utf-8") as file:
        curriculum = CurriculumLoader().load(file, basepath=str(exports / "tsv"))
    for stage, planned in zip(curriculum.stages.values(), mixture(exports / "tsv")["stages"]):
        found = {dataset.name: weight for dataset, weight in stage.datasets}
        same("lines", found, {group: share["row_share"] for group, share in planned["groups"].items()})
        assert all(os.path.exists(file) for dataset, _ in stage.datasets for file in dataset.files)
    from transformers import AutoTokenizer

    same("pad", AutoTokenizer.from_pretrained(str(exports / "megatron/tokenizer")).pad_token_id, pad)


def main(hexapla, project):
    exports = project / "exports"
    expected = Expected(hexapla, project)
    pad = 1
    order = check_order(project, exports / "huggingface_stream")
    checks = [("weights", lambda: check_weights(exports, pad) or 0)]
    for name in TOKENS:
        key = name.replace("-", "_")
        checks.append((name, lambda n=name, k=key: check_parts(n, exports / k, expected)))
        checks.append((f"{name} stream", lambda n=name, k=key: check_stream(n, exports / f"{k}_stream", order, pad)))
    checks.append(("huggingface", lambda: check_texts(exports / "huggingface", expected)))
    checks.append(("moses", lambda: check_lines("moses", exports / "moses", expected)))
    checks.append(("tsv", lambda: check_lines("tsv", exports / "tsv", expected)))
    failed = 0
    for name, check in checks:
        try:
            rows = check()
            print(f"{name}: {rows} rows, equal" if rows else f"{name}: equal", flush=True)
        except (Failed, AssertionError) as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            failed += 1
    print("failed" if failed else f"ok: {len(checks)} checks, a stream of {len(order)} rows")
    return 1 if failed else 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--add", project]:
            add(pathlib.Path(project))
        case [hexapla, project]:
            sys.exit(main(os.path.abspath(hexapla), pathlib.Path(project).absolute()))
        case _:
            sys.exit(__doc__)
