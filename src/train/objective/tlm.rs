//! `tlm`: translation language modelling, both sides of a pair in sight.

use crate::error::Result;
use crate::train::config::ModelKind;
use crate::train::layout::Unit;
use crate::train::objective::{Objective, Rows, Setting, mlm, packed};
use crate::train::work::Work;

/// Translation language modelling.
pub static TLM: Objective = Objective {
    name: "tlm",
    doc: "Predict hidden tokens of a pair from both of its sides (Conneau and Lample 2019).",
    model: ModelKind::Encoder,
    prepare,
    score: packed::score,
};

fn prepare(rows: &Rows<'_>, setting: &Setting<'_>) -> Result<Work> {
    mlm::masked(&TLM, rows, setting, Unit::Pair)
}
