//! Our own way gives the ids of the crate, for texts that are hard to cut.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::token::Tokenizer;
use crate::token::train::tests::{spec, texts, trained};

const HARD: &[&str] = &[
    "\u{301}\n",
    "",
    " ",
    "  Það  er\u{a0}gott \t veður\r\n í dag ",
    "▁leo ▁▁ kuna▁jua",
    "ﬁne ¨ ½ \u{3000}天気\u{2003}がいい\u{85}x",
    // Marks that join the white space in front of them, signs that join what is behind them.
    "a \u{301}b \u{200d}c \u{600} d e\u{301}\u{323} \u{1f3fb}",
    "हिन्दी में लिखा \u{93f} है",
    "<s> </s> <unk> <mask> <0x41> <unk><unk>x",
    "Kolur``heitir'' ``x`` İSTANBUL ΣΟΦΟΣ",
    "🦅🦅 ทดสอบทดสอบ \u{10ffff}\u{0}\u{7f} \u{feff}x\u{fffd}",
];

/// Parts in place of those of a trained tokenizer.
fn with(kind: &str, bytes: bool, normalizer: &Value, splitter: &Value) -> Tokenizer {
    let spec = crate::token::train::TrainSpec { byte_fallback: bytes, ..spec(kind, 600) };
    let mut json: Value = serde_json::from_str(trained(&spec, &texts()).unwrap().json()).unwrap();
    json["normalizer"] = normalizer.clone();
    json["pre_tokenizer"] = splitter.clone();
    Tokenizer::parse(json.to_string(), Map::new()).unwrap()
}

fn normalizers() -> Vec<Value> {
    let all = |parts: Value| json!({"type": "Sequence", "normalizers": parts});
    vec![
        Value::Null,
        json!({"type": "NFKC"}),
        all(json!([{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}])),
        all(json!([
            {"type": "Strip", "strip_left": false, "strip_right": true},
            {"type": "Replace", "pattern": {"String": "``"}, "content": "\""},
            {"type": "Nmt"}, {"type": "NFKC"},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
        ])),
    ]
}

fn splitters() -> Vec<Value> {
    let mark = |scheme: &str| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true});
    vec![
        json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, mark("always")]}),
        mark("always"),
        mark("first"),
        mark("never"),
        json!({"type": "BertPreTokenizer"}),
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
               "use_regex": true}),
    ]
}

/// As models of SentencePiece are written, with a mark in front and without.
fn loaded() -> Vec<Tokenizer> {
    let mark = |scheme: &str| splitters().into_iter().find(|s| s["prepend_scheme"] == scheme);
    let parts = json!({"type": "Sequence", "normalizers": [
        {"type": "NFC"},
        {"type": "Replace", "pattern": {"Regex": r"\A +| +\z"}, "content": ""},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    ]});
    let schemes = ["always", "never"].map(|scheme| mark(scheme).unwrap());
    let all =
        schemes.iter().flat_map(|s| ["unigram", "bpe"].map(|kind| with(kind, true, &parts, s)));
    all.collect()
}

/// One of each choice of training.
fn choices() -> Vec<Tokenizer> {
    use crate::token::train::{KINDS, NORMALIZERS, PRE_TOKENIZERS, TrainSpec};
    let mut all = Vec::new();
    for (i, kind) in KINDS.iter().enumerate() {
        for (j, cut) in PRE_TOKENIZERS.iter().enumerate() {
            for (k, form) in NORMALIZERS.iter().enumerate() {
                let byte = kind.name == "byte";
                if byte && cut.name != "byte_level" {
                    continue;
                }
                let spec = TrainSpec {
                    normalizer: Some(form.name.into()),
                    pre_tokenizer: (!byte).then(|| cut.name.into()),
                    lowercase: (i + j + k) % 3 == 0,
                    strip_accents: (i + j + k) % 4 == 1,
                    split_digits: (i + j + k) % 2 == 0,
                    lang_tokens: k == 0,
                    ..spec(kind.name, 700)
                };
                all.push(trained(&spec, &texts()).unwrap());
            }
        }
    }
    all
}

fn same(tokenizer: &Tokenizer, text: &str) {
    let crate_ids: Vec<i32> =
        tokenizer.by_crate(text).unwrap().into_iter().filter_map(|id| tokenizer.kept(id)).collect();
    // The second time from the cache.
    for _ in 0..2 {
        assert_eq!(tokenizer.encode(text).unwrap(), crate_ids, "{text:?}");
    }
}

fn tokenizers() -> Vec<Tokenizer> {
    let mut all = Vec::new();
    for (kind, bytes) in [("unigram", true), ("unigram", false), ("bpe", true), ("bpe", false)] {
        for normalizer in normalizers() {
            all.extend(splitters().iter().map(|s| with(kind, bytes, &normalizer, s)));
        }
    }
    all
}

#[test]
fn ids_are_those_of_the_crate() {
    let all = tokenizers();
    // `first` is known without normalisers that drop letters alone.
    assert_eq!(all.iter().filter(|t| t.encoder.is_none()).count(), 2 * 4);
    let choices = choices();
    assert!(choices.iter().all(|t| t.encoder.is_some()));
    let loaded = loaded();
    // Without a mark it matters whether a space stands at the beginning of the text.
    assert_eq!(loaded.iter().filter(|t| t.encoder.is_none()).count(), 2);
    for tokenizer in all.into_iter().chain(choices).chain(loaded) {
        for text in HARD {
            same(&tokenizer, text);
        }
        for (_, _, text) in texts() {
            same(&tokenizer, &text);
        }
        same(&tokenizer, &HARD.join(" "));
        same(&tokenizer, &HARD.concat());
    }
}

#[test]
fn tokenizers_that_look_at_whole_texts_are_left_to_the_crate() {
    let metaspace = splitters().swap_remove(1);
    let mut unsplit = metaspace.clone();
    unsplit["split"] = json!(false);
    let lead = json!({"type": "Prepend", "prepend": "▁"});
    let space = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    for (normalizer, splitter) in [
        (Value::Null, Value::Null),
        (Value::Null, unsplit),
        (lead, metaspace.clone()),
        (space, metaspace),
    ] {
        let tokenizer = with("bpe", true, &normalizer, &splitter);
        assert!(tokenizer.encoder.is_none(), "{normalizer} {splitter}");
        assert_eq!(tokenizer.decode(&tokenizer.encode("leo").unwrap()).unwrap().trim(), "leo");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_text_is_encoded_as_the_crate_does(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                " ", "  ", "\n", "\u{a0}", "\u{301}", "▁", "ﬁ", "天気", "veður", "jua", "x", "'s", "1",
                "😀", "한", "\u{1100}\u{1161}", "é", "<unk>", ".", "Κα", "<0x41>",
            ]),
            0..24,
        ),
        any in ".{0,12}",
    ) {
        use std::sync::LazyLock;
        static ALL: LazyLock<Vec<Tokenizer>> =
            LazyLock::new(|| tokenizers().into_iter().chain(choices()).chain(loaded()).collect());
        let text = parts.concat() + &any;
        for tokenizer in ALL.iter() {
            same(tokenizer, &text);
        }
    }
}
