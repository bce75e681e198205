//! Labels of the crate `whatlang`: trigrams and alphabets of 69 languages, no model file.
//!
//! It knows no Swahili, Icelandic or Yoruba and calls them something else with confidence; wide
//! corpora need another model.

use super::detect_lang::Detected;
use super::{hans, tag};

/// The label of a text with letters in the script `found`.
pub fn detect(text: &str, found: &'static str) -> Detected {
    let nothing = Detected { tag: None, script: Some(found), score: 0.0, reliable: false };
    let Some(info) = ::whatlang::detect(text) else { return nothing };
    // Its codes are plain ISO 639-3, macrolanguages among them (`ara`, `aze`, `est`, `lav`,
    // `nep`, `ori`, `uzb`, `yid`), so that the general table maps them rightly.
    let Some(tag) = tag::find(info.lang().code()) else { return nothing };
    let tag = match tag.code {
        "cmn" => tag.in_script(hans::spelling(text)).unwrap_or(tag),
        _ => tag,
    };
    // It does not see scripts that it does not know, and names what is written in the rest.
    if !tag::script_agrees(tag.script, found) {
        return nothing;
    }
    let score = info.confidence();
    let score = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
    Detected {
        tag: Some(tag),
        script: Some(tag.script),
        score,
        reliable: score > 0.0 && info.is_reliable(),
    }
}

/// Whether one of its languages is that of the tag, in its script; Chinese in any.
pub fn knows(tag: &str) -> bool {
    ::whatlang::Lang::all().iter().filter_map(|lang| tag::find(lang.code())).any(|known| {
        known.to_string() == tag || (known.code == "cmn" && tag.starts_with("cmn_Han"))
    })
}
