//! `classify`: the class of a text or a pair of texts, from its first token.

use arrow::buffer::Buffer;
use tch::{Kind, Reduction, Tensor};

use crate::error::{Error, Result};
use crate::train::config::ModelKind;
use crate::train::layout::{Layout, Unit};
use crate::train::model::{Architecture, Model, Noise};
use crate::train::objective::{Objective, Rows, Setting};
use crate::train::work::Work;

/// Classification of sequences.
pub static CLASSIFY: Objective = Objective {
    name: "classify",
    doc: "Predict the label of a text (or two texts) from its first token.",
    model: ModelKind::Encoder,
    prepare,
    score,
};

fn prepare(rows: &Rows<'_>, setting: &Setting<'_>) -> Result<Work> {
    let Rows::Labelled(examples, chosen) = rows else {
        return Err(Error::internal("`classify` reads labelled rows"));
    };
    let ids: Vec<&[i32]> = chosen.iter().map(|&row| examples.ids[row].as_slice()).collect();
    let langs: Vec<&str> = chosen.iter().map(|&row| examples.langs[row].as_str()).collect();
    let classes = chosen.iter().map(|&row| examples.labels[row]).collect();
    padded(&CLASSIFY, &ids, &langs, classes, setting.architecture)
}

/// Texts as rows padded to the longest, one prediction at the first token of each.
pub(crate) fn padded(
    objective: &'static Objective,
    texts: &[&[i32]],
    langs: &[&str],
    classes: Vec<i64>,
    architecture: &Architecture,
) -> Result<Work> {
    let length = texts.iter().map(|text| text.len()).max().unwrap_or(0).max(1);
    let mut ids = Vec::with_capacity(texts.len() * length);
    for text in texts {
        ids.extend_from_slice(text);
        ids.resize(ids.len() + length - text.len(), architecture.pad);
    }
    let lengths: Vec<Vec<i32>> = texts.iter().map(|text| vec![text.len() as i32]).collect();
    let layout = Layout::new(&lengths, length, Unit::Document, architecture.longest())?;
    let mut names: Vec<String> = langs.iter().map(|lang| (*lang).to_string()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > usize::from(u8::MAX) {
        return Err(
            Error::usage("more than 255 languages in one batch").hint_with("set a smaller `batch`")
        );
    }
    let index = |lang: &str| names.iter().position(|name| name == lang).unwrap_or(0) as u8;
    let target_langs: Vec<u8> = langs.iter().map(|lang| index(lang)).collect();
    let place_langs = match names.len() {
        0 | 1 => Vec::new(),
        _ => target_langs.iter().flat_map(|&lang| std::iter::repeat_n(lang, length)).collect(),
    };
    let bytes = (ids.len() * 4) as u64;
    Ok(Work {
        objective,
        ids: Buffer::from_vec(ids),
        layout,
        source: None,
        langs: names,
        place_langs,
        places: (0..texts.len()).map(|row| (row * length) as i64).collect(),
        target_langs,
        gold: classes,
        tokens: texts.iter().map(|text| text.len() as u64).sum(),
        bytes_aliased: 0,
        bytes_gathered: bytes,
    })
}

fn score(model: &Model, work: &Work, noise: Noise) -> Result<Tensor> {
    let hidden = model.forward(work, noise)?;
    let logits = model.class_logits(&hidden, noise)?.f_to_kind(Kind::Float)?;
    let gold = Tensor::f_from_slice(&work.gold)?.f_to_device(model.device())?;
    Ok(logits.f_cross_entropy_loss(&gold, None::<Tensor>, Reduction::None, -100, 0.0)?)
}
