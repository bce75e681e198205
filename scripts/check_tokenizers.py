"""Tokenizers against the packages that others encode with, on real text in some 70 languages.

usage: check_tokenizers.py prepare HEXAPLA SHARED_DATA PROJECT
       check_tokenizers.py sentencepiece|transformers PROJECT

prepare        trains SentencePiece models with its own package and tokenizers of every kind with
               hexapla, declares them all in a project, and writes what hexapla encodes
sentencepiece  what hexapla made of each model is what the package makes of it
transformers   what hexapla made of each tokenizer is what transformers makes of its folder

Lines that differ are counted and the first ones are printed; exit code 1 when a model differs in
more lines than LIMIT of it allows.
"""

import gzip
import json
import pathlib
import subprocess
import sys

# Ties of likelihood go by sums of 32 bits in SentencePiece, and what spells a control symbol is cut
# (src/token/sentencepiece.rs).
LIMIT = 0.0005
# The tokenizers crate applies SentencePiece's table of characters in its own way.
TABLE = 0.01
HARD = [
    "", " ", "  a  b ", "a\tb\r\nc", "▁a▁ ▁b", "e\u0301 \u1ebd\u0301 \u1100\u1161\u11a8", "ﬁ ½ ① ㍿ ｶﾞ ～ 〜",
    "\u00a0x\u3000y\u200bz\u2028w", "👨\u200d👩\u200d👧 🦅\U0010ffff", "क्‍ष हिन्दी में", "می\u200cشود كتاب", "a" * 300,
    "............ ---- hahahaha", "<0x41> <unk>", "\x00\x01\x7f\ufeff", "12345 67,890", "<sep> x<sep>y <sep>",
    "İstanbul ΣΟΦΟΣ ß", "\u1ea1\u0301 o\u0323\u0302", "ทดสอบ ำ", "ｆｕｌｌ ｗｉｄｔｈ",
]
# What each model is trained with, beside its size.
MODELS = {
    "unigram": {"model_type": "unigram"},
    "unigram_bytes": {"model_type": "unigram", "normalization_rule_name": "nfkc", "byte_fallback": True},
    "unigram_identity": {"model_type": "unigram", "normalization_rule_name": "identity", "add_dummy_prefix": False},
    "unigram_fold": {
        "model_type": "unigram", "normalization_rule_name": "nmt_nfkc_cf", "user_defined_symbols": ["<sep>", "★"],
        "split_digits": True,
    },
    "unigram_spaces": {
        "model_type": "unigram", "remove_extra_whitespaces": False, "split_by_whitespace": False,
        "input_sentence_size": 2000,
    },
    "unigram_pads": {"model_type": "unigram", "pad_id": 0, "unk_id": 3, "bos_id": 1, "eos_id": 2},
    "bpe": {"model_type": "bpe"},
    "bpe_llama": {
        "model_type": "bpe", "normalization_rule_name": "identity", "byte_fallback": True, "split_digits": True,
        "remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True,
    },
    "bpe_fold": {"model_type": "bpe", "normalization_rule_name": "nfkc_cf", "user_defined_symbols": ["<sep>"]},
    "char": {"model_type": "char", "normalization_rule_name": "nfkc"},
}
TRAINED = {
    "own_unigram": 'kind = "unigram", vocab = 8000, lang_tokens = true',
    "own_bpe": 'kind = "bpe", vocab = 8000, normalizer = "nmt_nfkc", pre_tokenizer = "whitespace"',
    "own_bpe_bytes": 'kind = "bpe", vocab = 8000, pre_tokenizer = "byte_level", normalizer = "nfc"',
    "own_digits": 'kind = "unigram", vocab = 8000, pre_tokenizer = "bert", split_digits = true, lowercase = true',
    "own_accents": 'kind = "bpe", vocab = 8000, strip_accents = true, byte_fallback = false',
    "own_char": 'kind = "char", vocab = 6000',
    "own_byte": 'kind = "byte", lang_tokens = true',
}


def texts(data):
    """Lines to train on and other lines to encode."""
    train, encode = [], list(HARD)
    for path in sorted((data / "moses/ntrex").glob("*.gz")):
        lines = gzip.open(path, "rt", encoding="utf-8").read().split("\n")
        lang = path.name.split(".")[2]
        train += [(lang, line) for line in lines[:400]]
        encode += lines[400:520]
    for path in sorted((data / "tsv/afrisenti").glob("*.gz")) + sorted((data / "noise").glob("*.gz")):
        encode += gzip.open(path, "rt", encoding="utf-8").read().split("\n")[:500]
    return train, [line for line in dict.fromkeys(encode)]


def prepare(hexapla, data, project):
    import sentencepiece

    train, encode = texts(data)
    project.mkdir(parents=True)
    with open(project / "lines.jsonl", "w", encoding="utf-8") as out:
        for i, line in enumerate(encode):
            out.write(json.dumps({"n": i, "text": line}) + "\n")
    (project / "text").mkdir()
    with open(project / "text/train.jsonl", "w", encoding="utf-8") as out:
        for lang, line in train:
            out.write(json.dumps({"lang": lang, "text": line}) + "\n")
    plain = project / "train.txt"
    plain.write_text("\n".join(line for _, line in train), encoding="utf-8")
    for name, options in MODELS.items():
        sentencepiece.SentencePieceTrainer.train(
            input=str(plain), model_prefix=str(project / name), vocab_size=8000, character_coverage=0.9995,
            minloglevel=2, num_threads=2, hard_vocab_limit=False, **options,
        )
    toml = ["seed = 17\n"] + [f'[tokenizer.{name}]\nload = "{name}.model"\n' for name in MODELS]
    (project / "hexapla.toml").write_text("".join(toml))
    call = lambda *args: subprocess.run([hexapla, *args], check=True, cwd=project, stdout=subprocess.PIPE).stdout
    call("tokenizer", "build", "-q", *MODELS)
    for name, spec in TRAINED.items():
        options = []
        for option in spec.split(", "):
            key, value = option.split(" = ")
            if key == "byte_fallback":
                options.append("--no-byte-fallback")
                continue
            options.append("--" + key.replace("_", "-"))
            options += [] if value == "true" else [json.loads(value) if value[0] == '"' else value]
        query = "SELECT lang_tag(lang) AS lang, text FROM 'text/train.jsonl' WHERE lang_tag(lang) IS NOT NULL"
        call("tokenizer", "train", "-q", "-c", query, "-o", f"trained/{name}", *options)
        toml.append(f'[tokenizer.{name}]\nload = "trained/{name}"\n')
    (project / "hexapla.toml").write_text("".join(toml))
    call("tokenizer", "build", "-q", *MODELS, *TRAINED)
    all_ids = ", ".join(f"encode(text, '{name}') AS {name}" for name in [*MODELS, *TRAINED])
    query = f"SELECT n, {all_ids} FROM 'lines.jsonl' ORDER BY n"
    (project / "ids.ndjson").write_bytes(call("sql", "-q", "-c", query, "--format", "ndjson"))


def found(project):
    lines = [json.loads(line)["text"] for line in open(project / "lines.jsonl", encoding="utf-8")]
    ids = [json.loads(line) for line in open(project / "ids.ndjson", encoding="utf-8")]
    assert len(lines) == len(ids), f"{len(ids)} rows of {len(lines)}"
    return lines, ids


def compare(what, lines, ours, theirs, limit):
    differs = [i for i in range(len(lines)) if ours[i] != theirs(lines[i])]
    hard = sum(i < len(HARD) for i in differs)
    print(f"{what}: {len(differs)} of {len(lines):,} lines differ ({hard} of {len(HARD)} hard ones)", flush=True)
    for i in differs[:6]:
        a, b = ours[i], theirs(lines[i])
        at = next((k for k, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        print(f"   {lines[i][:60]!r} from {at}: {a[at:at + 8]} for {b[at:at + 8]}")
    return len(differs) <= limit * len(lines)


def by_sentencepiece(project):
    import sentencepiece

    lines, ids = found(project)
    good = True
    for name in MODELS:
        model = sentencepiece.SentencePieceProcessor(model_file=str(project / f"{name}.model"))
        ours = [row[name] for row in ids]
        good &= compare(f"sentencepiece {sentencepiece.__version__}, {name}", lines, ours, model.encode, LIMIT)
    return good


def by_transformers(project):
    import transformers

    transformers.logging.set_verbosity_error()
    lines, ids = found(project)
    # transformers takes what spells a special token for that token; hexapla never does.
    plain = [i for i, line in enumerate(lines) if "<" not in line]
    good = True
    for name in [*MODELS, *TRAINED]:
        theirs = transformers.AutoTokenizer.from_pretrained(project / "tokenizers" / name)
        encode = lambda line: theirs.encode(line, add_special_tokens=False)
        what = f"transformers {transformers.__version__}, {name} as {type(theirs).__name__}"
        good &= compare(what, [lines[i] for i in plain], [ids[i][name] for i in plain], encode, TABLE if name in MODELS else 0)
        if name == "own_unigram":
            assert theirs.convert_tokens_to_ids("<2deu_Latn>") == len(theirs) - 1 - len(
                [t for t in theirs.get_added_vocab() if t.startswith("<2") and t >= "<2deu_Latn>"]
            ), "language tokens are not where they were"
    return good


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    if verb == "prepare":
        prepare(rest[0], *map(pathlib.Path, rest[1:]))
    else:
        check = {"sentencepiece": by_sentencepiece, "transformers": by_transformers}[verb]
        sys.exit(0 if check(pathlib.Path(rest[0]).resolve()) else 1)
