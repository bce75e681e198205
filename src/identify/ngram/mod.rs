//! Language identification by n-grams of characters: the model that is built in, and the training
//! and evaluation of others.
//!
//! The script of a text is decided by Unicode (`script`); only the languages that are written in
//! it compete, by the weights of the n-grams of its words (`features`, `predict`). Weights come
//! from counts (`tables`), probabilities from texts held out (`calibrate`). No file is read or
//! written here.

pub mod calibrate;
pub mod evaluate;
pub mod features;
pub mod model;
pub mod predict;
mod tables;
pub mod train;

use std::sync::LazyLock;

use self::model::Model;
use super::detect_lang::Detected;
use super::tag::Tag;

/// The model that is built in, made of `shared/data` alone.
static BUILT_IN: LazyLock<Option<Model>> =
    LazyLock::new(|| Model::parse(include_bytes!("../hexapla.lid")).ok());

/// A text is in no language of the model if that is likelier than not.
const KNOWN: f64 = 0.5;
/// The score from which a label is called reliable.
const RELIABLE: f64 = 0.7;

/// The model that is built in; `None` if its file is damaged, which a test rules out.
pub fn built_in() -> Option<&'static Model> {
    BUILT_IN.as_ref()
}

/// The label of a text by the built-in model; `found` is the script of most of its letters.
pub fn detect(text: &str, found: &'static str) -> Detected {
    detect_with(built_in(), text, found)
}

/// The likeliest languages of a text by the built-in model.
pub fn rank(text: &str, found: &'static str, most: usize) -> Vec<(Tag, f64)> {
    built_in().map_or_else(Vec::new, |model| model.labels_of(text, found, most))
}

/// Whether the built-in model can answer a tag.
pub fn knows(tag: &str) -> bool {
    built_in().is_some_and(|model| model.labels().any(|label| label.to_string() == tag))
}

/// The label of a text by a model: no language where it is likelier in none of the model's.
pub fn detect_with(model: Option<&Model>, text: &str, found: &'static str) -> Detected {
    match model.and_then(|model| model.label(text, found)) {
        Some(label) if label.known >= KNOWN => Detected {
            tag: Some(label.tag),
            script: Some(label.tag.script),
            score: label.score,
            reliable: label.score >= RELIABLE,
        },
        _ => Detected { tag: None, script: Some(found), score: 0.0, reliable: false },
    }
}
