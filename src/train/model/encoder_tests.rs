//! Names, isolation of documents, determinism of the encoder.

use tch::Device;

use super::*;
use crate::train::config::{Dtype, ModelConfig};
use crate::train::layout::Layout;
use crate::train::model::Model;
use crate::train::objective::mlm::MLM;
use crate::train::vocabulary::tests::xlmr;
use arrow::buffer::Buffer;

pub(crate) fn tiny(vocabulary: i64) -> Architecture {
    let config = ModelConfig {
        hidden: 32,
        layers: 2,
        heads: Some(2),
        intermediate: Some(64),
        ..ModelConfig::default()
    };
    let mut shape = Architecture::new(&config, &xlmr(vocabulary), Some(32), &[]).unwrap();
    shape.tokens = true;
    shape
}

pub(crate) fn work(ids: &[i32], lengths: &[Vec<i32>], length: usize, unit: Unit) -> Work {
    Work {
        objective: &MLM,
        ids: Buffer::from_vec(ids.to_vec()),
        layout: Layout::new(lengths, length, unit, 32).unwrap(),
        source: None,
        langs: vec!["isl_Latn".into()],
        place_langs: Vec::new(),
        places: Vec::new(),
        target_langs: Vec::new(),
        gold: Vec::new(),
        tokens: 0,
        bytes_aliased: 0,
        bytes_gathered: 0,
    }
}

pub(crate) fn difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn names_and_shapes_are_those_of_transformers() {
    let mut shape = tiny(50);
    shape.labels = vec!["a".into(), "b".into(), "c".into()];
    let model = Model::new(shape, 17, Dtype::Fp32, Device::Cpu).unwrap();
    let have: Vec<String> =
        model.parameters().iter().map(|p| format!("{} {:?}", p.name, p.tensor.size())).collect();
    let mut want = vec![
        "roberta.embeddings.word_embeddings.weight [50, 32]".to_string(),
        "roberta.embeddings.position_embeddings.weight [34, 32]".into(),
        "roberta.embeddings.token_type_embeddings.weight [1, 32]".into(),
        "roberta.embeddings.LayerNorm.weight [32]".into(),
        "roberta.embeddings.LayerNorm.bias [32]".into(),
    ];
    for l in 0..2 {
        for (name, size) in [
            ("attention.self.query.weight", "[32, 32]"),
            ("attention.self.query.bias", "[32]"),
            ("attention.self.key.weight", "[32, 32]"),
            ("attention.self.key.bias", "[32]"),
            ("attention.self.value.weight", "[32, 32]"),
            ("attention.self.value.bias", "[32]"),
            ("attention.output.dense.weight", "[32, 32]"),
            ("attention.output.dense.bias", "[32]"),
            ("attention.output.LayerNorm.weight", "[32]"),
            ("attention.output.LayerNorm.bias", "[32]"),
            ("intermediate.dense.weight", "[64, 32]"),
            ("intermediate.dense.bias", "[64]"),
            ("output.dense.weight", "[32, 64]"),
            ("output.dense.bias", "[32]"),
            ("output.LayerNorm.weight", "[32]"),
            ("output.LayerNorm.bias", "[32]"),
        ] {
            want.push(format!("roberta.encoder.layer.{l}.{name} {size}"));
        }
    }
    want.extend(
        [
            "lm_head.dense.weight [32, 32]",
            "lm_head.dense.bias [32]",
            "lm_head.layer_norm.weight [32]",
            "lm_head.layer_norm.bias [32]",
            "lm_head.bias [50]",
            "classifier.dense.weight [32, 32]",
            "classifier.dense.bias [32]",
            "classifier.out_proj.weight [3, 32]",
            "classifier.out_proj.bias [3]",
        ]
        .map(String::from),
    );
    assert_eq!(have, want);
    assert!(model.parameters().iter().all(|p| p.decay == (p.tensor.dim() == 2)));
}

#[test]
fn a_document_does_not_feel_its_neighbours() {
    let model = Model::new(tiny(50), 3, Dtype::Fp32, Device::Cpu).unwrap();
    let row = [0, 10, 11, 2, 0, 20, 21, 22, 2, 1];
    let mut other = row;
    other[1] = 40;
    other[2] = 41;
    let lengths = [vec![4, 5]];
    let a = model.forward(&work(&row, &lengths, 10, Unit::Document), None).unwrap();
    let b = model.forward(&work(&other, &lengths, 10, Unit::Document), None).unwrap();
    assert_eq!(difference(&a.narrow(1, 4, 5), &b.narrow(1, 4, 5)), 0.0);
    assert!(difference(&a.narrow(1, 0, 4), &b.narrow(1, 0, 4)) > 0.01);
    // Alone it gets the same states, so positions restart.
    let alone = model.forward(&work(&row[4..9], &[vec![5]], 5, Unit::Document), None).unwrap();
    assert!(difference(&a.narrow(1, 4, 5), &alone) < 1e-5);
}

#[test]
fn sides_of_a_pair_do_feel_each_other() {
    let model = Model::new(tiny(50), 3, Dtype::Fp32, Device::Cpu).unwrap();
    let row = [0, 10, 11, 2, 0, 20, 21, 2];
    let mut other = row;
    other[1] = 40;
    let a = model.forward(&work(&row, &[vec![4, 4]], 8, Unit::Pair), None).unwrap();
    let b = model.forward(&work(&other, &[vec![4, 4]], 8, Unit::Pair), None).unwrap();
    assert!(difference(&a.narrow(1, 4, 4), &b.narrow(1, 4, 4)) > 1e-4);
}

#[test]
fn weights_are_a_function_of_the_seed_and_bf16_stays_near() {
    let at = |seed, dtype| {
        let model = Model::new(tiny(50), seed, dtype, Device::Cpu).unwrap();
        let work = work(&[0, 10, 11, 2, 1, 1], &[vec![4]], 6, Unit::Document);
        let hidden = model.forward(&work, None).unwrap();
        model.token_logits(&hidden).unwrap().to_kind(Kind::Float).detach()
    };
    assert_eq!(difference(&at(1, Dtype::Fp32), &at(1, Dtype::Fp32)), 0.0);
    assert!(difference(&at(1, Dtype::Fp32), &at(2, Dtype::Fp32)) > 0.01);
    assert!(difference(&at(1, Dtype::Fp32), &at(1, Dtype::Bf16)) < 0.02);
}

#[test]
fn plain_products_are_the_fused_kernel() {
    let mut shape = tiny(50);
    // With a share this small no weight of so short a text is dropped, but the path is taken.
    shape.attention_dropout = 1e-4;
    shape.dropout = 0.0;
    let model = Model::new(shape, 3, Dtype::Fp32, Device::Cpu).unwrap();
    let text = work(&[0, 10, 11, 2, 0, 7, 2, 1], &[vec![4, 3]], 8, Unit::Document);
    let fused = model.forward(&text, None).unwrap();
    let plain = model.forward(&text, Some(1)).unwrap();
    assert!(difference(&fused, &plain) < 1e-3);
}

#[test]
fn languages_have_vectors_where_asked() {
    let config = ModelConfig {
        hidden: 32,
        layers: 1,
        heads: Some(2),
        language_embeddings: true,
        ..ModelConfig::default()
    };
    let langs = ["isl_Latn".to_string(), "yor_Latn".to_string()];
    let shape = Architecture::new(&config, &xlmr(50), Some(32), &langs).unwrap();
    let model = Model::new(shape, 3, Dtype::Fp32, Device::Cpu).unwrap();
    let mut text = work(&[0, 10, 11, 2], &[vec![4]], 4, Unit::Document);
    let a = model.forward(&text, None).unwrap();
    text.langs = vec!["yor_Latn".into()];
    assert!(difference(&a, &model.forward(&text, None).unwrap()) > 0.001);
    text.langs = vec!["deu_Latn".into()];
    let error = model.forward(&text, None).unwrap_err().to_string();
    assert!(error.contains("unknown language `deu_Latn`"), "{error}");
}
