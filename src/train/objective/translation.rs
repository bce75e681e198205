//! `translation`: the target of a pair from its source.

use crate::error::{Error, Result};
use crate::train::batch::Kind;
use crate::train::config::ModelKind;
use crate::train::layout::Unit;
use crate::train::objective::packed::{self, Packed};
use crate::train::objective::sides::{self, Pair};
use crate::train::objective::{Objective, Rows, Setting};
use crate::train::work::Work;

/// Translation.
pub static TRANSLATION: Objective = Objective {
    name: "translation",
    doc: "Predict the target of a pair from its source (Sutskever et al. 2014).",
    model: ModelKind::Seq2seq,
    prepare,
    score: packed::score,
};

fn prepare(rows: &Rows<'_>, setting: &Setting<'_>) -> Result<Work> {
    let packed = Packed::read(&TRANSLATION, rows, setting, Unit::Pair)?;
    if packed.batch.kind != Kind::Pairs {
        return Err(Error::internal("`translation` reads pairs"));
    }
    let pair = |sides: &[&[i32]]| match *sides {
        [source, target] => Some(Pair { source: source.to_vec(), target: target.to_vec() }),
        _ => None,
    };
    let texts = sides::texts(&packed);
    let rows: Vec<Vec<Pair>> =
        texts.iter().map(|row| row.chunks(2).filter_map(pair).collect()).collect();
    sides::work(&TRANSLATION, packed.batch, &rows, [0, 1], setting)
}
