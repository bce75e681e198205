//! Names, and who feels whom, of encoder and decoder.

use arrow::buffer::Buffer;

use super::*;
use crate::train::config::{Dtype, ModelConfig, ModelKind};
use crate::train::layout::Unit;
use crate::train::model::Model;
use crate::train::model::encoder::tests::{difference, work};
use crate::train::vocabulary::tests::xlmr;
use crate::train::work::Source;

pub(crate) fn tiny(vocabulary: i64, is_mbart: bool) -> Architecture {
    let config = ModelConfig {
        kind: ModelKind::Seq2seq,
        hidden: 32,
        layers: 2,
        decoder_layers: Some(1),
        heads: Some(2),
        intermediate: Some(48),
        ..ModelConfig::default()
    };
    let mut shape = Architecture::new(&config, &xlmr(vocabulary), Some(32), &[]).unwrap();
    shape.tokens = true;
    if let Family::Seq2seq(own) = &mut shape.family {
        own.is_mbart = is_mbart;
    }
    shape
}

fn model(is_mbart: bool) -> Model {
    Model::new(tiny(50, is_mbart), 3, Dtype::Fp32, Device::Cpu).unwrap()
}

fn names(model: &Model) -> Vec<String> {
    model.parameters().iter().map(|p| format!("{} {:?}", p.name, p.tensor.size())).collect()
}

#[test]
fn names_and_shapes_are_those_of_transformers() {
    let have = names(&model(false));
    for name in [
        "model.shared.weight [50, 32]",
        "model.encoder.layers.1.self_attn.k_proj.weight [32, 32]",
        "model.encoder.layers.0.self_attn_layer_norm.bias [32]",
        "model.encoder.layers.0.fc1.weight [48, 32]",
        "model.encoder.layers.0.final_layer_norm.weight [32]",
        "model.encoder.layer_norm.weight [32]",
        "model.decoder.layers.0.encoder_attn.out_proj.bias [32]",
        "model.decoder.layers.0.encoder_attn_layer_norm.weight [32]",
        "model.decoder.layers.0.fc2.weight [32, 48]",
        "model.decoder.layer_norm.bias [32]",
    ] {
        assert!(have.iter().any(|n| n == name), "{name}");
    }
    // 16 to a layer of the encoder, 26 to one of the decoder.
    assert_eq!(have.len(), 1 + 2 * 16 + 2 + 26 + 2);
    let mbart = names(&model(true));
    let more: Vec<&String> = mbart.iter().filter(|n| !have.contains(n)).collect();
    assert_eq!(
        more,
        [
            "model.encoder.embed_positions.weight [34, 32]",
            "model.encoder.layernorm_embedding.weight [32]",
            "model.encoder.layernorm_embedding.bias [32]",
            "model.decoder.embed_positions.weight [34, 32]",
            "model.decoder.layernorm_embedding.weight [32]",
            "model.decoder.layernorm_embedding.bias [32]",
            "final_logits_bias [1, 50]",
        ]
    );
    let learned = |p: &&crate::train::model::Parameter| p.tensor.requires_grad();
    assert_eq!(model(true).parameters().iter().filter(learned).count(), mbart.len() - 1);
}

#[test]
fn a_target_feels_its_own_source_and_past() {
    let lengths = [vec![3, 4]];
    for is_mbart in [false, true] {
        let model = model(is_mbart);
        let states = |source: [i32; 7], target: [i32; 8]| {
            let mut work = work(&target, &lengths, 8, Unit::Document);
            let layout = Layout::new(&lengths, 7, Unit::Document, 32).unwrap();
            work.source = Some(Source { ids: Buffer::from_vec(source.to_vec()), layout });
            model.forward(&work, None).unwrap()
        };
        let (source, target) = ([9, 10, 2, 9, 20, 21, 2], [2, 30, 31, 2, 40, 41, 42, 1]);
        let before = states(source, target);
        let moved = |after: &Tensor, start, length| {
            difference(&before.narrow(1, start, length), &after.narrow(1, start, length)) > 0.0
        };
        let mut other = source;
        other[1] = 11;
        let after = states(other, target);
        assert!(moved(&after, 0, 3) && !moved(&after, 3, 4));
        let mut other = target;
        other[5] = 45;
        let after = states(source, other);
        assert!(!moved(&after, 0, 5) && moved(&after, 5, 2));
    }
}
