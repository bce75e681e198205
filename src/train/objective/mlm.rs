//! `mlm`: masked language modelling, each document for itself.

use tch::Tensor;

use crate::error::{Error, Result};
use crate::train::batch::{Kind, MicroBatch};
use crate::train::ffi;
use crate::train::layout::{Layout, Unit};
use crate::train::model::{Encoder, Noise};
use crate::train::objective::{Objective, Rows, Setting, mask, negative_log_likelihood};
use crate::train::work::{Gold, Work};

/// Masked language modelling.
pub static MLM: Objective = Objective {
    name: "mlm",
    doc: "Predict hidden tokens from the rest of their document (Devlin et al. 2019).",
    prepare,
    score,
};

fn prepare(rows: &Rows<'_>, setting: &Setting<'_>) -> Result<Work> {
    masked(&MLM, rows, setting, Unit::Document)
}

/// The work of predicting hidden tokens, seeing as much as the unit allows.
pub(super) fn masked(
    objective: &'static Objective,
    rows: &Rows<'_>,
    setting: &Setting<'_>,
    unit: Unit,
) -> Result<Work> {
    let Rows::Packed(batch) = rows else {
        return Err(Error::internal(format!("`{}` reads packs", objective.name)));
    };
    let places = batch.rows * batch.length;
    let aligned = batch.tokens.as_ptr().align_offset(align_of::<i32>()) == 0;
    if !aligned || batch.tokens.len() < places * 4 || batch.document_lengths.len() != batch.rows {
        return Err(Error::internal("a micro-batch is not what it says"));
    }
    let layout = Layout::new(
        &batch.document_lengths,
        batch.length,
        unit,
        setting.vocabulary.pad,
        setting.longest,
    )?;
    let read = batch.tokens.slice_with_length(0, places * 4);
    let tokens = read.typed_data::<i32>();
    let masked = mask::mask(tokens, setting.vocabulary, setting.mask_probability, setting.key);
    let place_langs = place_langs(batch, &layout);
    let target_langs = match place_langs.is_empty() {
        true => vec![0; masked.places.len()],
        false => masked.places.iter().map(|&place| place_langs[place as usize]).collect(),
    };
    let bytes = (places * 4) as u64;
    Ok(Work {
        objective,
        ids: arrow::buffer::Buffer::from_vec(masked.ids),
        layout,
        langs: batch.langs.clone(),
        place_langs,
        places: masked.places,
        target_langs,
        gold: Gold::Tokens(batch.tokens.clone()),
        tokens: batch.real_tokens(),
        bytes_aliased: if batch.aliased { bytes } else { 0 },
        bytes_gathered: if batch.aliased { 0 } else { bytes },
    })
}

/// For pairs, the side that each place is on; padding counts to the source.
fn place_langs(batch: &MicroBatch, layout: &Layout) -> Vec<u8> {
    match batch.kind {
        Kind::Documents => Vec::new(),
        Kind::Pairs => layout.documents.iter().map(|&d| u8::from(d >= 0 && d % 2 == 1)).collect(),
    }
}

/// −log P of the hidden tokens. Logits are computed at their places only.
pub(super) fn score(model: &Encoder, work: &Work, noise: Noise) -> Result<Tensor> {
    let Gold::Tokens(tokens) = &work.gold else {
        return Err(Error::internal("masked tokens are scored against tokens"));
    };
    let places = Tensor::f_from_slice(&work.places)?;
    let count = (work.layout.rows * work.layout.length) as i64;
    // The rows as they were read, often the mapped file: only read here.
    let read = ffi::tensor_over(tokens.clone(), &[count])?;
    let gold = read.f_index_select(0, &places)?.f_to_kind(tch::Kind::Int64)?;
    let hidden = model.forward(work, noise)?;
    let width = model.architecture().hidden;
    let at = places.f_to_device(model.device())?;
    let chosen = hidden.f_view([-1, width])?.f_index_select(0, &at)?;
    let logits = model.token_logits(&chosen)?;
    negative_log_likelihood(&logits, &gold.f_to_device(model.device())?)
}
