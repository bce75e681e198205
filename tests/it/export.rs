//! Hand-offs to other engines, from outside: what is written, refused, and left alone.
//!
//! The files are read here by their documentation; `make check-export` asks the engines themselves.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::util::{Dir, project};

/// A project with some exports added to its file.
fn with(dir: &Dir, exports: &str) {
    project(dir);
    let file = dir.join("hexapla.toml");
    let text = fs::read_to_string(&file).unwrap() + exports;
    fs::write(&file, text).unwrap();
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn u32s(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
}

/// The files of a folder and below with their hashes, without what a manifest has.
fn files(dir: &Path) -> Vec<(String, u64)> {
    let manifest = json(&dir.join("manifest.json"));
    let parts = manifest["parts"].as_array().unwrap();
    let mut all: Vec<(String, u64)> = parts
        .iter()
        .map(|p| (p["file"].as_str().unwrap().to_string(), p["bytes"].as_u64().unwrap()))
        .collect();
    all.sort();
    all
}

const PARTS: &str = r#"
[export.flat]
to = "flat"
mix = "main"
only = "documents"

[export.all]
to = "flat"
mix = "main"

[export.card]
to = "huggingface"
mix = "main"

[export.lines]
to = "tsv"
pack = "main"
only = "pairs"
"#;

#[test]
fn parts_hold_every_document_once() {
    let dir = Dir::new();
    with(&dir, PARTS);
    // What a killed run left is nobody's.
    dir.write("exports/.tmp-flat/train/isl_Latn/tokens.bin", "half of it");
    dir.ok(&["export"]);
    let mixture = json(&dir.join("exports/flat/mixture.json"));
    assert_eq!(mixture["mixture_applied"], false);
    let groups = mixture["groups"].as_object().unwrap();
    assert_eq!(groups.len(), 6);
    for (lang, counts) in groups {
        let sql = format!(
            "SELECT count(*), sum(tokens) - count(*) FROM selection.main WHERE lang = '{lang}'"
        );
        let done = dir.ok(&["sql", "--json", "-c", &sql]).json();
        let row: Vec<&Value> = done["rows"][0].as_object().unwrap().values().collect();
        assert_eq!(row, [&counts["train"]["rows"], &counts["train"]["tokens"]], "{lang}");
        // The first document, and a token that ends it.
        let sql = format!(
            "SELECT encode(d.text, 'main') FROM selection.main s JOIN documents d \
             ON s.doc_id = d.doc_id WHERE s.lang = '{lang}' ORDER BY s.doc_id LIMIT 1"
        );
        let first: Vec<u32> = serde_json::from_value(dir.value(&sql)).unwrap();
        let ids =
            u32s(&fs::read(dir.join(&format!("exports/flat/train/{lang}/tokens.bin"))).unwrap());
        assert_eq!(ids.len() as u64, counts["train"]["tokens"].as_u64().unwrap());
        assert_eq!(ids[..first.len()], first);
        assert_eq!(ids[first.len()], 2, "the end of the document");
    }
    // A pair is a document: source and target, each with its end.
    let all = json(&dir.join("exports/all/mixture.json"));
    let first = dir.ok(&[
        "sql",
        "--json",
        "-c",
        "SELECT encode(p.src, 'main'), encode(p.tgt, 'main') FROM selection.main s JOIN pairs p \
         ON s.doc_id = p.doc_id WHERE s.lang = 'eng_Latn-rus_Cyrl' ORDER BY s.doc_id LIMIT 1",
    ]);
    let sides = first.json()["rows"][0].as_object().unwrap().clone();
    let mut pair: Vec<u32> = Vec::new();
    for side in sides.values() {
        pair.extend(serde_json::from_value::<Vec<u32>>(side.clone()).unwrap());
        pair.push(2);
    }
    let folder = dir.join("exports/all/train/eng_Latn-rus_Cyrl");
    assert_eq!(u32s(&fs::read(folder.join("tokens.bin")).unwrap())[..pair.len()], pair);
    let offsets = fs::read(folder.join("document_offsets.npy")).unwrap();
    let rows = all["groups"]["eng_Latn-rus_Cyrl"]["train"]["rows"].as_u64().unwrap();
    let second = offsets.len() - 8 * rows as usize;
    assert_eq!(offsets[second..second + 8], (pair.len() as u64).to_le_bytes());
    for stage in mixture["stages"].as_array().unwrap() {
        let shares = stage["groups"].as_object().unwrap().values();
        let sum: f64 = shares.map(|g| g["token_share"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{stage}");
    }
    // Any Parquet file is a table: the card's rows are those of the selection.
    let rows = |what: &str| dir.value(&format!("SELECT count(*) FROM {what}"));
    assert_eq!(
        rows("'exports/card/data/isl_Latn/train-*.parquet'"),
        rows("selection.main WHERE lang = 'isl_Latn'")
    );
    let card = fs::read_to_string(dir.join("exports/card/README.md")).unwrap();
    assert!(card.contains("config_name: \"eng_Latn-rus_Cyrl\""), "{card}");
    let lines = fs::read_to_string(dir.join("exports/lines/train/eng_Latn-cmn_Hans.tsv")).unwrap();
    assert_eq!(
        Value::from(lines.lines().count()),
        rows("selection.main WHERE lang = 'eng_Latn-cmn_Hans'")
    );
    assert!(lines.lines().all(|line| line.split('\t').count() == 2));

    dir.ok(&["verify", "exports"]);
    let again = dir.ok(&["export", "flat", "--json"]).json();
    let node = again["nodes"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&node["node"], &node["state"]), (&"export.flat".into(), &"up to date".into()));
    // What is gone is written again, to the same bytes.
    let before = fs::read(dir.join("exports/flat/manifest.json")).unwrap();
    fs::remove_file(dir.join("exports/flat/train/eng_Latn/tokens.bin")).unwrap();
    dir.ok(&["export", "flat"]);
    assert_eq!(fs::read(dir.join("exports/flat/manifest.json")).unwrap(), before);
    let names: Vec<String> = fs::read_dir(dir.join("exports"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
}

const STREAMS: &str = r#"
[export.flat]
to = "flat"
layout = "stream"
pack = "main"
batch = 8

[export.gpt]
to = "llmc"
layout = "stream"
pack = "main"
batch = 8

[export.samples]
to = "mds"
layout = "stream"
pack = "main"
batch = 8
"#;

#[test]
fn a_stream_is_the_mixture_itself() {
    let dir = Dir::new();
    with(&dir, STREAMS);
    dir.ok(&["export"]);
    let mixture = json(&dir.join("exports/flat/mixture.json"));
    assert_eq!(mixture["mixture_applied"], true);
    let ids = u32s(&fs::read(dir.join("exports/flat/train/stream/tokens.bin")).unwrap());
    let groups = mixture["groups"].as_object().unwrap();
    let tokens: u64 = groups.values().map(|g| g["train"]["tokens"].as_u64().unwrap()).sum();
    let rows: u64 = groups.values().map(|g| g["train"]["rows"].as_u64().unwrap()).sum();
    assert_eq!(ids.len() as u64, tokens);
    // To one micro-batch of the last stage's end.
    let until = mixture["stages"][1]["until_tokens"].as_u64().unwrap();
    assert!(until > 15_000 && (until..until + 8 * 64).contains(&tokens), "{until} {tokens}");
    // Rows of a pack begin with <s>; their padding is left out.
    assert_eq!((ids[0], ids.contains(&1)), (0, false));
    // The same order in each format.
    let gpt = fs::read(dir.join("exports/gpt/train/stream_000000.bin")).unwrap();
    let header = u32s(&gpt[..1024]);
    assert_eq!(header[..3], [20_240_520, 1, ids.len() as u32]);
    let small: Vec<u32> =
        gpt[1024..].as_chunks::<2>().0.iter().map(|b| u32::from(u16::from_le_bytes(*b))).collect();
    assert_eq!(small, ids);
    let index = json(&dir.join("exports/samples/stream/train/index.json"));
    assert_eq!(index["shards"][0]["samples"], rows);
    let shard = fs::read(dir.join("exports/samples/stream/train/shard.00000.mds")).unwrap();
    let begin = u32s(&shard[4..8])[0] as usize;
    let samples: Vec<u32> = u32s(&shard[begin..]).into_iter().filter(|id| *id != 1).collect();
    assert_eq!(samples, ids);
    // Another number of threads writes the same bytes.
    let before = files(&dir.join("exports/flat"));
    dir.ok(&["export", "flat", "--force", "--threads", "1"]);
    assert_eq!(files(&dir.join("exports/flat")), before);
    // Planned and realised shares agree to a micro-batch a stage.
    let share = |stage: usize, name: &str| {
        mixture["stages"][stage]["groups"][name]["token_share"].as_f64().unwrap_or(0.0)
    };
    for (name, group) in groups {
        let first = mixture["stages"][0]["until_tokens"].as_f64().unwrap();
        let planned = first * share(0, name) + (until as f64 - first) * share(1, name);
        let found = group["train"]["tokens"].as_f64().unwrap();
        assert!((planned - found).abs() <= 4.0 * 8.0 * 64.0, "{name}: {planned} {found}");
    }
}

#[test]
fn what_cannot_be_written_is_told_before() {
    let dir = Dir::new();
    for (export, message, hint) in [
        ("to = \"megatorn\"\nmix = \"main\"", "unknown export format `megatorn`", "`megatron`"),
        (
            "to = \"tsv\"\nlayout = \"stream\"\npack = \"main\"",
            "no `layout = \"stream\"`",
            "weights",
        ),
        ("to = \"flat\"\nlayout = \"stream\"\nmix = \"main\"", "rows of a pack", ""),
        ("to = \"flat\"", "give `mix` or `pack`", ""),
        ("to = \"flat\"\nmix = \"mian\"", "unknown mix `mian`", "`main`"),
        ("to = \"mds\"\nmix = \"main\"", "give `length`", ""),
        ("to = \"flat\"\nmix = \"main\"\nlenght = 3", "unknown key `lenght`", "`length`"),
    ] {
        with(&dir, &format!("\n[export.x]\n{export}\n"));
        let done = dir.run(&["export"]);
        assert_eq!(done.code, 2, "{export}");
        assert!(done.stderr.contains(message), "{export}: {}", done.stderr);
        let hinted = done.stderr.lines().find(|line| line.starts_with("hint: "));
        assert!(hinted.unwrap_or_default().contains(hint), "{export}: {}", done.stderr);
    }
    assert_eq!(dir.run(&["export", "y"]).code, 2);
}

#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let dir = Dir::new();
    with(&dir, "\n[export.x]\nto = \"moses\"\nmix = \"main\"\n");
    let done = dir.run(&["export", "x"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("has documents too (`arb_Arab`)"), "{}", done.stderr);
    assert!(done.stderr.contains("hint: `only = \"pairs\"`"), "{}", done.stderr);
    assert_eq!(fs::read_dir(dir.join("exports")).unwrap().count(), 0);
}

/// A tokenizer of 65,537 tokens: one more than 16 bits can tell apart.
fn wide(dir: &Dir) {
    let mut vocab = serde_json::Map::new();
    for token in ["<s>", "<pad>", "</s>", "<unk>"] {
        vocab.insert(token.into(), vocab.len().into());
    }
    while vocab.len() < 65_537 {
        vocab.insert(format!("w{}", vocab.len()), vocab.len().into());
    }
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null,
        "decoder": null, "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
    });
    dir.write("wide/tokenizer.json", tokenizer.to_string());
}

#[test]
fn an_id_without_room_is_refused() {
    let dir = Dir::new();
    with(
        &dir,
        "\n[tokenizer.wide]\nload = \"wide\"\n\n\
         [export.gpt]\nto = \"llmc\"\nmix = \"main\"\ntokenizer = \"wide\"\nonly = \"documents\"\n\n\
         [export.llama]\nto = \"llmc-llama3\"\nmix = \"main\"\ntokenizer = \"wide\"\nonly = \"documents\"\n",
    );
    wide(&dir);
    let done = dir.run(&["export", "gpt"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("ids below 65536; tokenizer `wide` has 65537"), "{}", done.stderr);
    assert!(done.stderr.contains("`llmc-llama3`"), "{}", done.stderr);
    dir.ok(&["export", "llama"]);
    let shard = fs::read(dir.join("exports/llama/train/isl_Latn_000000.bin")).unwrap();
    let words = u32s(&shard);
    assert_eq!(words[..2], [20_240_801, 7]);
    assert_eq!(words[2] as usize, words.len() - 256);
}
