//! `mlm`: masked language modelling, each document for itself.

use arrow::buffer::Buffer;

use crate::error::{Error, Result};
use crate::train::config::ModelKind;
use crate::train::layout::Unit;
use crate::train::objective::packed::{self, Packed};
use crate::train::objective::{Objective, Rows, Setting, mask};
use crate::train::work::Work;

/// Masked language modelling.
pub static MLM: Objective = Objective {
    name: "mlm",
    doc: "Predict hidden tokens from the rest of their document (Devlin et al. 2019).",
    model: ModelKind::Encoder,
    prepare,
    score: packed::score,
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
    let rows = Packed::read(objective, rows, setting, unit)?;
    let tokens = rows.tokens();
    let Some(hidden) = setting.vocabulary.mask else {
        return Err(Error::usage(format!("`{}` with a tokenizer without mask", objective.name))
            .hint_with("`mask_token` in tokenizer_config.json names it"));
    };
    let masked = mask::mask(tokens, setting.vocabulary, hidden, setting.masking, setting.key);
    let gold = masked.places.iter().map(|&place| i64::from(tokens[place as usize])).collect();
    Ok(rows.work(objective, Buffer::from_vec(masked.ids), masked.places, gold))
}
