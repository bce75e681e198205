//! A model's logits and gradients on rows made up for it, so that another implementation can be
//! held against them.
//!
//! The rows go through the objective of the model as any others do: three have one document (or
//! pair) and padding, one is packed with several. Nothing is dropped and nothing is learned.

use std::path::Path;

use arrow::buffer::Buffer;
use tch::{Device, Kind as Number, Tensor};

use crate::error::Result;
use crate::id;
use crate::train::batch::{Kind, MicroBatch};
use crate::train::config::{Dtype, Masking, ModelKind};
use crate::train::layout::Layout;
use crate::train::model::Architecture;
use crate::train::objective::{self, Rows, Setting};
use crate::train::pieces::Pieces;
use crate::train::vocabulary::Vocabulary;
use crate::train::work::Source;
use crate::train::{predict, weights};

/// Tokens of the longest row.
const LONGEST: i64 = 24;

/// Languages of the pairs.
const LANGS: [&str; 2] = ["isl_Latn", "ell_Grek"];

/// Writes what the model of a run or a Hugging Face folder makes of rows made up for it.
///
/// `input_ids`, `position_ids` and `documents` (which document of its row each place is in, −1 for
/// padding) are [rows, length]; `places` count through them, `gold` are the tokens predicted
/// there, `logits` [rows, length, vocabulary] and `gradient.NAME` those of the mean of −log P, all
/// in 32 bits. A model with an encoder has `source_ids` and `source_documents` besides, and the
/// rest is the decoder's.
pub fn write(model: &Path, path: &Path) -> Result<()> {
    let model = predict::load(model, Dtype::Fp32, Device::Cpu)?;
    let shape = model.architecture();
    let objective = objective::objective(match shape.kind() {
        ModelKind::Encoder => "mlm",
        ModelKind::Decoder => "clm",
        ModelKind::Seq2seq => "translation",
    })?;
    let vocabulary = made_up_vocabulary(shape);
    let masking = Masking { probability: 0.3, whole_words: false };
    let setting = Setting { vocabulary: &vocabulary, architecture: shape, masking, key: 1 };
    let work = (objective.prepare)(&Rows::Packed(&made_up_rows(shape)), &setting)?;
    let losses = (objective.score)(&model, &work, None)?;
    losses.f_mean(Number::Float)?.f_backward()?;

    let _guard = tch::no_grad_guard();
    let wide = |values: &[i32], layout: &Layout| -> Result<Tensor> {
        let values: Vec<i64> = values.iter().copied().map(i64::from).collect();
        Ok(Tensor::f_from_slice(&values)?.f_view(layout.shape())?)
    };
    let positions = |layout: &Layout| -> Result<Tensor> {
        let positions = layout.positions(shape.first_position(), Device::Cpu)?;
        Ok(positions.f_to_kind(Number::Int64)?)
    };
    let mut tensors = vec![
        ("input_ids".to_string(), wide(work.ids.typed_data::<i32>(), &work.layout)?),
        ("position_ids".into(), positions(&work.layout)?),
        ("documents".into(), wide(&work.layout.documents, &work.layout)?),
        ("places".into(), Tensor::f_from_slice(&work.places)?),
        ("gold".into(), Tensor::f_from_slice(&work.gold)?),
        ("logits".into(), model.token_logits(&model.forward(&work, None)?)?),
    ];
    if let Some(Source { ids, layout }) = &work.source {
        let ids = wide(ids.typed_data::<i32>(), layout)?;
        tensors.push(("source_ids".into(), ids));
        tensors.push(("source_documents".into(), wide(&layout.documents, layout)?));
    }
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
    let langs = LANGS.iter().zip([mask - 1, mask - 2]);
    Vocabulary {
        size: shape.vocabulary,
        pad: shape.pad,
        bos: shape.bos,
        eos: shape.eos,
        mask: Some(mask),
        special,
        pieces: Pieces::default(),
        languages: langs.map(|(lang, id)| ((*lang).to_string(), id)).collect(),
    }
}

/// Three rows with one document or pair and padding, and one packed with several.
fn made_up_rows(shape: &Architecture) -> MicroBatch {
    let longest = shape.longest().min(LONGEST) as usize;
    let (third, half) = (longest / 3, longest / 2);
    let pairs = shape.kind() == ModelKind::Seq2seq;
    let rows = match pairs {
        false => [vec![longest], vec![half], vec![3], vec![third, third - 1, longest - 2 * third]],
        true => [vec![half, longest - half], vec![half, 3], vec![4, half], vec![5, 7, 6, 4]],
    };
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
    let lang = shape.languages.first().cloned().unwrap_or_default();
    MicroBatch {
        kind: if pairs { Kind::Pairs } else { Kind::Documents },
        langs: if pairs { LANGS.map(String::from).into() } else { vec![lang] },
        rows: rows.len(),
        length: longest,
        tokens: Buffer::from_vec(tokens),
        document_lengths: rows.iter().map(lengths).collect(),
        aliased: false,
        group: 0,
    }
}
