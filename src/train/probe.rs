//! A model's logits and gradients on rows made up for it, so that another implementation can be
//! held against them.
//!
//! The rows go through the objective of the model as any others do: three have one document and
//! padding, one is packed with three. Nothing is dropped and nothing is learned.

use std::path::Path;

use arrow::buffer::Buffer;
use tch::{Device, Kind as Number, Tensor};

use crate::error::Result;
use crate::id;
use crate::train::batch::{Kind, MicroBatch};
use crate::train::config::{Dtype, ModelKind};
use crate::train::layout::Layout;
use crate::train::model::Architecture;
use crate::train::objective::{self, Rows, Setting};
use crate::train::vocabulary::Vocabulary;
use crate::train::{predict, weights};

/// Tokens of the longest row.
const LONGEST: i64 = 24;

/// Writes what the model of a run or a Hugging Face folder makes of rows made up for it.
///
/// `input_ids`, `position_ids` and `documents` (which document of its row each place is in, −1 for
/// padding) are [rows, length]; `places` count through them, `gold` are the tokens predicted
/// there, `logits` [rows, length, vocabulary] and `gradient.NAME` those of the mean of −log P, all
/// in 32 bits.
pub fn write(model: &Path, path: &Path) -> Result<()> {
    let model = predict::load(model, Dtype::Fp32, Device::Cpu)?;
    let shape = model.architecture();
    let objective = objective::objective(match shape.kind() {
        ModelKind::Encoder => "mlm",
        ModelKind::Decoder => "clm",
    })?;
    let vocabulary = made_up_vocabulary(shape);
    let setting =
        Setting { vocabulary: &vocabulary, architecture: shape, mask_probability: 0.3, key: 1 };
    let work = (objective.prepare)(&Rows::Packed(&made_up_rows(shape)), &setting)?;
    let losses = (objective.score)(&model, &work, None)?;
    losses.f_mean(Number::Float)?.f_backward()?;

    let _guard = tch::no_grad_guard();
    let size = work.layout.shape();
    let wide = |values: &[i32]| -> Result<Tensor> {
        let values: Vec<i64> = values.iter().copied().map(i64::from).collect();
        Ok(Tensor::f_from_slice(&values)?.f_view(size)?)
    };
    let positions = |layout: &Layout| -> Result<Tensor> {
        let positions = layout.positions(shape.first_position(), Device::Cpu)?;
        Ok(positions.f_to_kind(Number::Int64)?)
    };
    let mut tensors = vec![
        ("input_ids".to_string(), wide(work.ids.typed_data::<i32>())?),
        ("position_ids".into(), positions(&work.layout)?),
        ("documents".into(), wide(&work.layout.documents)?),
        ("places".into(), Tensor::f_from_slice(&work.places)?),
        ("gold".into(), Tensor::f_from_slice(&work.gold)?),
        ("logits".into(), model.token_logits(&model.forward(&work, None)?)?),
    ];
    for parameter in model.parameters().iter() {
        let gradient = parameter.tensor.f_grad()?;
        if gradient.defined() {
            tensors.push((format!("gradient.{}", parameter.name), gradient));
        }
    }
    weights::write(path, &tensors)
}

/// The ids that `config.json` names, and the last one as mask.
fn made_up_vocabulary(shape: &Architecture) -> Vocabulary {
    let mask = shape.vocabulary as i32 - 1;
    let mut special = vec![shape.pad, shape.bos, shape.eos, mask];
    special.sort_unstable();
    special.dedup();
    Vocabulary {
        size: shape.vocabulary,
        pad: shape.pad,
        bos: shape.bos,
        eos: shape.eos,
        mask: Some(mask),
        special,
    }
}

/// Three rows with one document and padding, and one packed with three.
fn made_up_rows(shape: &Architecture) -> MicroBatch {
    let longest = shape.longest().min(LONGEST) as usize;
    let third = longest / 3;
    let rows =
        [vec![longest], vec![longest / 2], vec![3], vec![third, third - 1, longest - 2 * third]];
    // Ids that are special or unknown are avoided, so that padding means padding.
    let vocabulary = made_up_vocabulary(shape);
    let plain = |place: u64| {
        let low = vocabulary.special.iter().filter(|id| **id < 5).count() as u64;
        let rank = low + id::keyed(place, 3) % (vocabulary.plain() as u64 - low);
        vocabulary.plain_id(rank as i64)
    };
    let mut tokens: Vec<i32> = Vec::new();
    for (row, documents) in rows.iter().enumerate() {
        for &length in documents {
            tokens.push(shape.bos);
            let inner = (0..length as u64 - 2).map(|k| plain(tokens.len() as u64 + k));
            tokens.extend(inner.collect::<Vec<_>>());
            tokens.push(shape.eos);
        }
        tokens.resize((row + 1) * longest, shape.pad);
    }
    let lengths = |row: &Vec<usize>| row.iter().map(|&n| n as i32).collect();
    MicroBatch {
        kind: Kind::Documents,
        langs: vec![shape.languages.first().cloned().unwrap_or_default()],
        rows: rows.len(),
        length: longest,
        tokens: Buffer::from_vec(tokens),
        document_lengths: rows.iter().map(lengths).collect(),
        aliased: false,
        group: 0,
    }
}
