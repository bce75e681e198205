//! Trimmed tokenizers cut the same texts into the same pieces, and rows follow their tokens.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

use super::*;
use crate::token::train::TrainSpec;
use crate::token::train::tests::{spec, texts, trained};

const CORPUS: &[&str] = &[
    "Það er gott veður í dag",
    "Habari za asubuhi, leo kuna jua",
    "Καλημέρα, σήμερα 🦅",
    "今日は天気がいい ﬁ",
    "",
];

fn used(tokenizer: &Tokenizer) -> BTreeSet<i32> {
    CORPUS.iter().flat_map(|text| tokenizer.encode(text).unwrap()).collect()
}

fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    tokenizer.encode(text).unwrap().iter().map(|id| tokenizer.token(*id).unwrap()).collect()
}

fn all() -> Vec<Tokenizer> {
    let mut all = Vec::new();
    for (kind, cut, bytes) in [
        ("unigram", "metaspace", true),
        ("unigram", "bert", false),
        ("bpe", "metaspace", true),
        ("bpe", "metaspace", false),
        ("bpe", "byte_level", false),
        ("char", "metaspace", true),
        ("byte", "byte_level", false),
    ] {
        let spec = TrainSpec {
            pre_tokenizer: Some(cut.into()),
            byte_fallback: bytes,
            lang_tokens: true,
            ..spec(kind, 700)
        };
        all.push(trained(&spec, &texts()).unwrap());
    }
    all
}

#[test]
fn pieces_of_the_corpus_stay_and_others_go() {
    for tokenizer in all() {
        for characters in [Characters::All, Characters::Used] {
            let Trimmed { tokenizer: small, kept } =
                trim(&tokenizer, &used(&tokenizer), characters).unwrap();
            assert_eq!(small.vocab_size(), kept.len());
            // Where all tokens are bytes, or characters that are kept, none goes.
            let longer = (0..tokenizer.vocab_size() as i32)
                .filter_map(|id| tokenizer.token(id))
                .any(|token| token.chars().nth(1).is_some() && !token.starts_with('<'));
            assert_eq!(
                small.vocab_size() < tokenizer.vocab_size(),
                longer || { characters == Characters::Used && tokenizer.vocab_size() != 266 }
            );
            for text in CORPUS {
                assert_eq!(pieces(&small, text), pieces(&tokenizer, text), "{text}");
                let old = tokenizer.encode(text).unwrap();
                let new = small.encode(text).unwrap();
                let back: Vec<i32> = new.iter().map(|id| kept[*id as usize] as i32).collect();
                assert_eq!(back, old, "{text}");
            }
            let token = |t: &Tokenizer, id: Option<i32>| id.and_then(|id| t.token(id));
            let (a, b) = (small.special(), tokenizer.special());
            assert_eq!(token(&small, a.mask), token(&tokenizer, b.mask));
            assert_eq!((a.bos, a.pad, a.eos, a.unk), (b.bos, b.pad, b.eos, b.unk));
            let id = small.lang_token("swh_Latn").unwrap();
            assert_eq!(small.token(id).as_deref(), Some("<2swh_Latn>"));
            // What could be spelled can be spelled.
            if characters == Characters::All {
                for (_, _, text) in texts() {
                    let lost = |t: &Tokenizer| t.encode(&text).unwrap().contains(&3);
                    assert_eq!(lost(&small), lost(&tokenizer), "{text}");
                }
            }
        }
    }
}

fn numbers(rows: usize, width: usize) -> Vec<u8> {
    (0..rows * width).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

fn write_model(dir: &Path, rows: usize, sharded: bool) {
    let config = json!({"model_type": "x", "vocab_size": rows, "hidden_size": 4,
        "decoder_start_token_id": rows - 1, "pad_token_id": 1, "deeper": {"vocab_size": rows}});
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let generation = json!({"suppress_tokens": [2, 300], "eos_token_id": [2]});
    fs::write(dir.join("generation_config.json"), generation.to_string()).unwrap();
    let (wide, bias, other) = (numbers(rows, 4), numbers(rows, 1), numbers(3, 4));
    let view = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.into(), bytes).unwrap();
    let embeddings = ("model.embed_tokens.weight", view(&[rows, 4], &wide));
    let logits = ("final_logits_bias", view(&[1, rows], &bias));
    let norm = ("norm.weight", view(&[3, 4], &other));
    let write = |name: &str, tensors: Vec<(&str, TensorView<'_>)>| {
        safetensors::serialize_to_file(tensors, None, &dir.join(name)).unwrap();
    };
    if !sharded {
        return write("model.safetensors", vec![embeddings, logits, norm]);
    }
    let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let map =
        json!({"model.embed_tokens.weight": one, "final_logits_bias": two, "norm.weight": two});
    let index = json!({"metadata": {"total_size": 0}, "weight_map": map});
    fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
    write(one, vec![embeddings]);
    write(two, vec![logits, norm]);
}

#[test]
fn rows_follow_their_tokens() {
    let tokenizer = all().swap_remove(0);
    let rows = tokenizer.vocab_size();
    for sharded in [false, true] {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_model(from.path(), rows, sharded);
        let mut wanted = used(&tokenizer);
        wanted.extend(named_ids(from.path()).unwrap());
        let trimmed = trim(&tokenizer, &wanted, Characters::Used).unwrap();
        assert_eq!(model(from.path(), to.path(), &trimmed).unwrap(), 2);

        let config: Value =
            serde_json::from_slice(&fs::read(to.path().join("config.json")).unwrap()).unwrap();
        let n = trimmed.kept.len();
        assert_eq!(
            (&config["vocab_size"], &config["deeper"]["vocab_size"]),
            (&json!(n), &json!(n))
        );
        assert_eq!(config["decoder_start_token_id"], n - 1);
        let generation = fs::read(to.path().join("generation_config.json")).unwrap();
        let generation: Value = serde_json::from_slice(&generation).unwrap();
        assert!(generation["suppress_tokens"].as_array().unwrap().contains(&json!(2)));
        let back = Tokenizer::load(to.path()).unwrap();
        assert_eq!(back.json(), trimmed.tokenizer.json());

        let mut seen = 0;
        for entry in fs::read_dir(to.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "safetensors") {
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
            assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            for (name, tensor) in tensors.tensors() {
                let values: Vec<f32> = tensor
                    .data()
                    .chunks(4)
                    .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                    .collect();
                let of = |width: usize| -> Vec<f32> {
                    let row = |id: &u32| {
                        let start = *id as usize * width;
                        (start..start + width).map(|i| i as f32)
                    };
                    trimmed.kept.iter().flat_map(row).collect()
                };
                match name.as_str() {
                    "model.embed_tokens.weight" => assert_eq!(values, of(4)),
                    "final_logits_bias" => {
                        assert_eq!((tensor.shape(), values), (&[1, n][..], of(1)));
                    }
                    _ => assert_eq!(values.len(), 12),
                }
                seen += 1;
            }
        }
        assert_eq!(seen, 3);
    }
}

#[test]
fn a_model_of_another_tokenizer_is_refused() {
    let tokenizer = all().swap_remove(0);
    let trimmed = trim(&tokenizer, &used(&tokenizer), Characters::All).unwrap();
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let error = model(from.path(), to.path(), &trimmed).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("no `config.json`"), "{error}");
    write_model(from.path(), tokenizer.vocab_size() - 1, false);
    let error = model(from.path(), to.path(), &trimmed).map(|_| ()).unwrap_err();
    assert!(error.hint().unwrap().contains("another tokenizer"), "{error}");
}
