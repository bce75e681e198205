//! Tokenizers from outside: choices of training, models of SentencePiece, tokens of languages,
//! smaller vocabularies, and what is said of mistakes.

use std::fs;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use crate::util::{Dir, sentence};

const QUERY: &str = "SELECT lang, text, parallel FROM 'made.jsonl'";

/// Sentences in four languages, the same ones in each.
fn corpus() -> Dir {
    let dir = Dir::new();
    let mut lines = String::new();
    for (lang, tag) in ["eng_Latn", "isl_Latn", "swh_Latn", "rus_Cyrl"].iter().enumerate() {
        for n in 0..80 {
            let row = json!({"lang": tag, "parallel": n, "text": sentence(lang, n)});
            lines.push_str(&format!("{row}\n"));
        }
    }
    dir.write("made.jsonl", lines);
    dir
}

fn json_of(dir: &Dir, path: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(path)).unwrap()).unwrap()
}

#[test]
fn kinds_and_parts_are_chosen_by_name() {
    let dir = corpus();
    let train = |options: &[&str], out: &str| {
        dir.run(&[&["tokenizer", "train", "-c", QUERY, "-o", out], options].concat())
    };
    let parts = ["--kind", "char", "--vocab", "600", "--lowercase", "--lang-tokens"];
    let done = train(&parts, "small");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let json = json_of(&dir, "small/tokenizer.json");
    assert_eq!(json["model"]["merges"], json!([]));
    assert_eq!(json["normalizer"]["normalizers"][1]["type"], "Lowercase");
    let config = json_of(&dir, "small/tokenizer_config.json");
    assert_eq!(config["tokenizer_class"], "PreTrainedTokenizerFast");
    assert_eq!(config["lang_tokens"]["isl_Latn"], "<2isl_Latn>");
    assert_eq!(config["additional_special_tokens"].as_array().unwrap().len(), 4);

    let done = train(&["--kind", "byte"], "bytes");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("261 tokens"), "{}", done.stderr);

    let done = train(&["--pre-tokenizer", "bytelevel"], "x");
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("unknown pre_tokenizer `bytelevel`"), "{}", done.stderr);
    assert!(done.stderr.contains("did you mean `byte_level`?"), "{}", done.stderr);
    let done = train(&["--normalizer", "nfkd"], "x");
    assert!(done.stderr.contains("nfkc, nmt_nfkc, nfc, none"), "{}", done.stderr);
}

#[test]
fn an_evaluation_is_drawn() {
    let dir = corpus();
    for kind in ["unigram", "byte"] {
        let out = format!("{kind}-one");
        let train = ["tokenizer", "train", "-q", "-c", QUERY, "--vocab", "600", "--kind", kind];
        dir.ok(&[&train[..], &["-o", &out]].concat());
    }
    let tokenizers = ["tokenizer", "eval", "unigram-one", "byte-one", "-c", QUERY];
    dir.ok(&[&tokenizers[..], &["--plot", "charts.html"]].concat());
    let page = fs::read_to_string(dir.join("charts.html")).unwrap();
    for words in ["Parity", "Fertility", "rus_Cyrl", "byte-one", "<svg"] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("http"), "the page asks for something from outside");
}

#[test]
fn a_vocabulary_is_cut_to_a_corpus_with_its_model() {
    let dir = corpus();
    let train = ["tokenizer", "train", "-q", "-c", QUERY, "--vocab", "900", "-o", "full"];
    dir.ok(&train);
    let rows = {
        let json = json_of(&dir, "full/tokenizer.json");
        json["model"]["vocab"].as_array().unwrap().len()
    };
    fs::create_dir(dir.join("model")).unwrap();
    let config = json!({"vocab_size": rows, "hidden_size": 2, "pad_token_id": 1});
    dir.write("model/config.json", config.to_string());
    let values: Vec<u8> = (0..rows * 2).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![rows, 2], &values).unwrap();
    let weights = dir.join("model/model.safetensors");
    safetensors::serialize_to_file([("embed_tokens.weight", view)], None, &weights).unwrap();

    let russian = "SELECT text FROM 'made.jsonl' WHERE lang = 'rus_Cyrl'";
    let trim = ["tokenizer", "trim", "full", "-c", russian, "--model", "model", "-o", "small"];
    let found = dir.ok(&[&trim[..], &["--json"]].concat()).json();
    let after = found["after"].as_u64().unwrap() as usize;
    assert!(after < rows && found["before"] == rows && found["tensors"] == 1, "{found}");
    assert_eq!(json_of(&dir, "small/config.json")["vocab_size"], after);
    let bytes = fs::read(dir.join("small/model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("embed_tokens.weight").unwrap().shape(), [after, 2]);

    // The same pieces, and of each the row that it had.
    dir.write(
        "hexapla.toml",
        "[tokenizer.full]\nload = 'full'\n[tokenizer.small]\nload = 'small'\n",
    );
    dir.ok(&["tokenizer", "build", "full", "small"]);
    let value = dir.value(&format!(
        "SELECT count(*) FILTER (WHERE token_count(text, 'full') <> token_count(text, 'small')) \
         FROM ({russian})"
    ));
    assert_eq!(value, json!(0));

    let done = dir.run(&["tokenizer", "trim", "full", "-c", russian, "--model", "full", "-o", "x"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("no `config.json` here"), "{}", done.stderr);
}

/// A field of a protocol buffer: numbers, or bytes with their length.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn bytes(field: u8, of: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2, of.len() as u8];
    out.extend_from_slice(of);
    out
}

/// A unigram model as SentencePiece writes it, whose pieces are one letter more likely each.
fn model(pieces: &[&str]) -> Vec<u8> {
    let piece = |text: &str, score: f32, kind: u8| {
        let score = [vec![2 << 3 | 5], score.to_le_bytes().to_vec()].concat();
        bytes(1, &[bytes(1, text.as_bytes()), score, number(3, kind)].concat())
    };
    let mut out = [piece("<unk>", 0.0, 2), piece("<s>", 0.0, 3), piece("</s>", 0.0, 3)].concat();
    for text in pieces {
        out.extend(piece(text, -10.0 + text.chars().count() as f32, 1));
    }
    out.extend(bytes(2, &number(3, 1)));
    out
}

#[test]
fn a_model_of_sentencepiece_is_loaded() {
    let dir = Dir::new();
    let pieces = ["▁", "▁δ", "▁dag", "d", "a", "g", "ur", "δ"];
    dir.write("m.model", model(&pieces));
    dir.write("xlmr/sentencepiece.bpe.model", model(&pieces));
    dir.write("xlmr/tokenizer_config.json", "{\"tokenizer_class\": \"XLMRobertaTokenizer\"}");
    dir.write("hexapla.toml", "[tokenizer.m]\nload = 'm.model'\n[tokenizer.xlmr]\nload = 'xlmr'\n");
    dir.ok(&["tokenizer", "build", "m", "xlmr"]);
    let ids = |name: &str| dir.value(&format!("SELECT encode('  dagur  δ x', '{name}')"));
    // Unknown, begin and end first; fairseq puts padding among them and one more at the end.
    assert_eq!(ids("m"), json!([5, 9, 4, 3, 0]));
    assert_eq!(ids("xlmr"), json!([6, 10, 5, 4, 3]));
    let json = json_of(&dir, "tokenizers/xlmr/tokenizer.json");
    assert_eq!(json["model"]["vocab"].as_array().unwrap().last().unwrap()[0], "<mask>");

    dir.write("m.model", &model(&pieces)[..40]);
    let done = dir.run(&["tokenizer", "build", "m"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("no SentencePiece model, or a damaged one"), "{}", done.stderr);
}

#[test]
fn languages_have_the_tokens_that_are_named() {
    let dir = corpus();
    let train = ["tokenizer", "train", "-q", "-c", QUERY, "--vocab", "600", "--lang-tokens"];
    dir.ok(&[&train[..], &["-o", "own"]].concat());
    let project = |table: &str| {
        dir.write(
            "hexapla.toml",
            format!("[tokenizer.own]\nload = 'own'\n[tokenizer.own.lang_tokens]\n{table}\n"),
        );
        dir.run(&["tokenizer", "build", "own"])
    };
    let done = project("nob_Latn = '<2isl_Latn>'");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let config = json_of(&dir, "tokenizers/own/tokenizer_config.json");
    assert_eq!(config["lang_tokens"], json!({"nob_Latn": "<2isl_Latn>"}));

    let done = project("nob_Latn = '<2ils_Latn>'");
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("unknown token `<2ils_Latn>`"), "{}", done.stderr);
    assert!(done.stderr.contains("did you mean `<2isl_Latn>`?"), "{}", done.stderr);
    let done = project("de = '<2isl_Latn>'");
    assert!(done.stderr.contains("`de` is no tag of a language"), "{}", done.stderr);
    assert!(done.stderr.contains("did you mean `deu_Latn`?"), "{}", done.stderr);

    dir.write(
        "hexapla.toml",
        "[tokenizer.own]\ntrain = { vocab = 600 }\nlang_tokens = { deu_Latn = 'x' }\n",
    );
    let done = dir.run(&["tokenizer", "build", "own"]);
    assert!(done.stderr.contains("of a tokenizer that is loaded"), "{}", done.stderr);
}
