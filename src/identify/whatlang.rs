//! Labels of the crate `whatlang`: trigrams and alphabets of 70 languages, no model file.
//!
//! It knows no Swahili, Icelandic or Yoruba and calls them something else with confidence; wide
//! corpora need another model.

use super::detect_lang::Detected;
use super::script::{is_letter, is_of};
use super::tag::Tag;
use super::{hans, tag};

/// The label of a text with letters in the script `found`.
pub fn detect(text: &str, found: &'static str) -> Detected {
    label(text, found)
        // It weighs kana and Han one by one and ignores scripts that it does not know, and then
        // names the language of some other letters: those are taken away for a second look.
        .or_else(|| {
            let own: String = text
                .chars()
                .map(|c| if is_letter(c) && !is_of(c, found) { ' ' } else { c })
                .collect();
            label(&own, found)
        })
        .unwrap_or(Detected { tag: None, script: Some(found), score: 0.0, reliable: false })
}

/// The one language that it tells.
pub fn rank(text: &str, found: &'static str, most: usize) -> Vec<(Tag, f64)> {
    let best = detect(text, found);
    best.tag.map(|tag| (tag, best.score)).into_iter().take(most).collect()
}

/// The label, if its script is the one that was found.
fn label(text: &str, found: &str) -> Option<Detected> {
    let info = ::whatlang::detect(text)?;
    // Its codes are plain ISO 639-3, macrolanguages among them (`ara`, `aze`, `est`, `lav`,
    // `nep`, `ori`, `uzb`, `yid`), so that the general table maps them rightly.
    let tag = tag::find(info.lang().code())?;
    let tag = match tag.code {
        "cmn" => tag.in_script(hans::spelling(text)).unwrap_or(tag),
        _ => tag,
    };
    if !tag::script_agrees(tag.script, found) {
        return None;
    }
    let score = info.confidence();
    let score = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
    Some(Detected {
        tag: Some(tag),
        script: Some(tag.script),
        score,
        reliable: score > 0.0 && info.is_reliable(),
    })
}

/// Whether one of its languages is that of the tag, in its script; Chinese in any.
pub fn knows(tag: &str) -> bool {
    ::whatlang::Lang::all().iter().filter_map(|lang| tag::find(lang.code())).any(|known| {
        known.to_string() == tag || (known.code == "cmn" && tag.starts_with("cmn_Han"))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_knows_as_many_languages_as_the_header_says() {
        assert_eq!(::whatlang::Lang::all().len(), 70);
    }
}
