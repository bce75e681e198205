//! Names, isolation of documents and the past, grouped heads of the decoder.

use tch::Device;

use super::*;
use crate::train::config::{Dtype, ModelConfig, ModelKind};
use crate::train::layout::Unit;
use crate::train::model::Model;
use crate::train::model::encoder::tests::{difference, work};
use crate::train::vocabulary::tests::xlmr;

pub(crate) fn tiny(vocabulary: i64) -> Architecture {
    let config = ModelConfig {
        kind: ModelKind::Decoder,
        hidden: 32,
        layers: 2,
        heads: Some(4),
        kv_heads: Some(2),
        intermediate: Some(48),
        ..ModelConfig::default()
    };
    let mut shape = Architecture::new(&config, &xlmr(vocabulary), Some(32), &[]).unwrap();
    shape.tokens = true;
    shape
}

fn model(shape: Architecture) -> Model {
    Model::new(shape, 3, Dtype::Fp32, Device::Cpu).unwrap()
}

#[test]
fn names_and_shapes_are_those_of_transformers() {
    let mut shape = tiny(50);
    let Family::Llama(llama) = &mut shape.family else { unreachable!() };
    (llama.tied, llama.attention_bias) = (false, true);
    let model = model(shape);
    let have: Vec<String> =
        model.parameters().iter().map(|p| format!("{} {:?}", p.name, p.tensor.size())).collect();
    let mut want = vec!["model.embed_tokens.weight [50, 32]".to_string()];
    for l in 0..2 {
        for (name, size) in [
            ("input_layernorm.weight", "[32]"),
            ("self_attn.q_proj.weight", "[32, 32]"),
            ("self_attn.q_proj.bias", "[32]"),
            ("self_attn.k_proj.weight", "[16, 32]"),
            ("self_attn.k_proj.bias", "[16]"),
            ("self_attn.v_proj.weight", "[16, 32]"),
            ("self_attn.v_proj.bias", "[16]"),
            ("self_attn.o_proj.weight", "[32, 32]"),
            ("self_attn.o_proj.bias", "[32]"),
            ("post_attention_layernorm.weight", "[32]"),
            ("mlp.gate_proj.weight", "[48, 32]"),
            ("mlp.up_proj.weight", "[48, 32]"),
            ("mlp.down_proj.weight", "[32, 48]"),
        ] {
            want.push(format!("model.layers.{l}.{name} {size}"));
        }
    }
    want.extend(["model.norm.weight [32]", "lm_head.weight [50, 32]"].map(String::from));
    assert_eq!(have, want);
    assert!(model.parameters().iter().all(|p| p.decay == (p.tensor.dim() == 2)));
}

#[test]
fn a_place_feels_neither_the_future_nor_other_documents() {
    let model = model(tiny(50));
    let row = [0, 10, 11, 12, 2, 0, 20, 21, 22, 2, 1];
    let lengths = [vec![5, 5]];
    let states =
        |row: &[i32]| model.forward(&work(row, &lengths, 11, Unit::Document), None).unwrap();
    let before = states(&row);
    let mut other = row;
    other[2] = 40;
    let after = states(&other);
    // The past of place 2 and the second document stay to the bit.
    for (start, length, same) in [(0, 2, true), (2, 3, false), (5, 5, true)] {
        let moved = difference(&before.narrow(1, start, length), &after.narrow(1, start, length));
        assert_eq!(moved == 0.0, same, "{start}: {moved}");
    }
    // Alone, on the way without a mask, it gets the same states, so positions restart.
    let alone = model.forward(&work(&row[5..10], &[vec![5]], 5, Unit::Document), None).unwrap();
    assert!(difference(&before.narrow(1, 5, 5), &alone) < 1e-5);
}

#[test]
fn plain_products_are_the_fused_kernel() {
    let mut shape = tiny(50);
    // With a share this small no weight of so short a text is dropped, but the path is taken.
    shape.attention_dropout = 1e-4;
    let model = model(shape);
    for (ids, lengths) in
        [(vec![0, 10, 11, 12, 7, 2], vec![6]), (vec![0, 10, 2, 0, 7, 2, 1], vec![3, 3])]
    {
        let text = work(&ids, &[lengths], ids.len(), Unit::Document);
        let fused = model.forward(&text, None).unwrap();
        assert!(difference(&fused, &model.forward(&text, Some(1)).unwrap()) < 1e-3);
    }
}

#[test]
fn bf16_stays_near() {
    let logits = |dtype| {
        let model = Model::new(tiny(50), 3, dtype, Device::Cpu).unwrap();
        let text = work(&[0, 10, 11, 2, 1, 1], &[vec![4]], 6, Unit::Document);
        let hidden = model.forward(&text, None).unwrap();
        model.token_logits(&hidden).unwrap().to_kind(Kind::Float).detach()
    };
    assert!(difference(&logits(Dtype::Fp32), &logits(Dtype::Bf16)) < 0.02);
}
