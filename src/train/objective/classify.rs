//! `classify`: the class of a text or a pair of texts, from its first token.

use arrow::buffer::Buffer;
use tch::Tensor;

use crate::error::{Error, Result};
use crate::train::layout::{Layout, Unit};
use crate::train::model::Encoder;
use crate::train::objective::{Objective, Rows, Setting, negative_log_likelihood};
use crate::train::work::{Gold, Work};

/// Classification of sequences.
pub static CLASSIFY: Objective = Objective {
    name: "classify",
    doc: "Predict the label of a text (or two texts) from its first token.",
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
    padded(&CLASSIFY, &ids, &langs, classes, setting.vocabulary.pad, setting.longest)
}

/// Texts as rows padded to the longest, one prediction at the first token of each.
pub(crate) fn padded(
    objective: &'static Objective,
    texts: &[&[i32]],
    langs: &[&str],
    classes: Vec<i64>,
    pad: i32,
    longest: i64,
) -> Result<Work> {
    let length = texts.iter().map(|text| text.len()).max().unwrap_or(0).max(1);
    let mut ids = Vec::with_capacity(texts.len() * length);
    for text in texts {
        ids.extend_from_slice(text);
        ids.resize(ids.len() + length - text.len(), pad);
    }
    let lengths: Vec<Vec<i32>> = texts.iter().map(|text| vec![text.len() as i32]).collect();
    let layout = Layout::new(&lengths, length, Unit::Document, pad, longest)?;
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
        langs: names,
        place_langs,
        places: (0..texts.len()).map(|row| (row * length) as i64).collect(),
        target_langs,
        gold: Gold::Classes(classes),
        tokens: texts.iter().map(|text| text.len() as u64).sum(),
        bytes_aliased: 0,
        bytes_gathered: bytes,
    })
}

fn score(model: &Encoder, work: &Work, train: bool) -> Result<Tensor> {
    let Gold::Classes(classes) = &work.gold else {
        return Err(Error::internal("classes are scored against classes"));
    };
    let hidden = model.forward(work, train)?;
    let logits = model.class_logits(&hidden, train)?;
    let gold = Tensor::f_from_slice(classes)?.f_to_device(model.device())?;
    negative_log_likelihood(&logits, &gold)
}
