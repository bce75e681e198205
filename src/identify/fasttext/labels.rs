//! Labels of language models as our tags.
//!
//! Most labels are a code that the general table reads: of ISO 639 (`__label__de`), of FLORES with
//! its script (`__label__deu_Latn`), or of Wikipedia. Those without a script leave it to the text.

use super::dictionary::LABEL;
use crate::identify::hans;
use crate::identify::tag::{self, Tag};

/// The further scripts of languages that are written in more than one.
const SCRIPTS: &[(&str, &[&str])] = &[
    ("ace", &["Arab"]),
    ("azj", &["Arab", "Cyrl"]),
    ("bjn", &["Arab"]),
    ("bos", &["Cyrl"]),
    ("cmn", &["Hans", "Hant", "Hani"]),
    ("crh", &["Cyrl"]),
    ("gan", &["Hans", "Hant", "Hani"]),
    ("gom", &["Latn", "Knda"]),
    ("hak", &["Hans", "Hant", "Hani", "Latn"]),
    ("hau", &["Arab"]),
    ("hbs", &["Cyrl", "Latn"]),
    ("hif", &["Deva"]),
    ("jav", &["Arab", "Java"]),
    ("kaa", &["Arab", "Cyrl", "Latn"]),
    ("kas", &["Arab", "Deva"]),
    ("kaz", &["Arab", "Latn"]),
    ("khk", &["Mong"]),
    ("kir", &["Arab", "Latn"]),
    ("kmr", &["Arab", "Cyrl"]),
    ("knc", &["Arab", "Latn"]),
    ("mni", &["Beng", "Mtei"]),
    ("nan", &["Hans", "Hant", "Hani", "Latn"]),
    ("pan", &["Arab"]),
    ("ron", &["Cyrl"]),
    ("snd", &["Deva"]),
    ("srp", &["Cyrl", "Latn"]),
    ("sun", &["Sund"]),
    ("taq", &["Latn", "Tfng"]),
    ("tat", &["Latn"]),
    ("tgk", &["Arab", "Latn"]),
    ("tuk", &["Arab", "Cyrl"]),
    ("uig", &["Cyrl", "Latn"]),
    ("uzn", &["Arab", "Cyrl"]),
    ("wuu", &["Hans", "Hant", "Hani"]),
    ("yue", &["Hans", "Hant", "Hani"]),
    ("zsm", &["Arab"]),
];

/// The tags of one label.
pub struct Tags {
    /// In the script that it names, or else in the usual one.
    usual: Tag,
    /// In the other scripts that the language is written in, if the label names none.
    others: Vec<Tag>,
}

impl Tags {
    /// The tags of a label among those of its model; `None` if it names no language of our table.
    pub fn of(label: &str, has: impl Fn(&str) -> bool) -> Option<Self> {
        let code = label.strip_prefix(LABEL).unwrap_or(label);
        // Alemannic has this code in Wikipedia and so in lid.176, Albanian has another there.
        let code = if code == "als" && has("sq") { "gsw" } else { code };
        let usual = tag::find(code)?;
        let names_script = code.split(['_', '-']).skip(1).any(|subtag| subtag.len() == 4);
        let scripts = SCRIPTS.iter().find(|(language, _)| *language == usual.code);
        let others = match scripts {
            // The script may make it another member of its macrolanguage.
            Some((_, scripts)) if !names_script => {
                scripts.iter().filter_map(|script| tag::find(&format!("{code}_{script}"))).collect()
            }
            _ => Vec::new(),
        };
        Some(Self { usual, others })
    }

    /// The tag of a text of which most letters are of a script.
    pub fn in_script(&self, text: &str, script: Option<&str>) -> Tag {
        if self.others.is_empty() {
            return self.usual;
        }
        let script = match script {
            Some("Hani") => Some(hans::spelling(text)),
            other => other,
        };
        let fits = |tag: &&Tag| Some(tag.script) == script;
        self.others.iter().find(fits).copied().unwrap_or(self.usual)
    }

    /// Every tag of the label.
    pub fn all(&self) -> impl Iterator<Item = Tag> {
        std::iter::once(self.usual).chain(self.others.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::script::script;

    fn of(label: &str, text: &str) -> String {
        let tags = Tags::of(label, |code| code == "sq");
        tags.map_or("?".into(), |tags| tags.in_script(text, script(text)).to_string())
    }

    #[test]
    fn labels_of_the_known_models_have_tags() {
        for (label, tag) in [
            ("__label__de", "deu_Latn"),
            ("__label__deu_Latn", "deu_Latn"),
            ("__label__zho_Hant", "cmn_Hant"),
            ("__label__als", "gsw_Latn"),
            ("__label__als_Latn", "als_Latn"),
            ("__label__sq", "als_Latn"),
            ("__label__ceb", "ceb_Latn"),
            ("sw", "swh_Latn"),
            ("__label__hq", "?"),
            ("__label__", "?"),
        ] {
            assert_eq!(of(label, ""), tag, "{label}");
        }
        let without_albanian = Tags::of("__label__als", |_| false);
        assert_eq!(without_albanian.map(|tags| tags.usual.code), Some("als"));
    }

    #[test]
    fn the_text_decides_the_script_where_the_label_does_not() {
        for (label, text, tag) in [
            ("__label__sr", "добар дан", "srp_Cyrl"),
            ("__label__sr", "dobar dan", "srp_Latn"),
            ("__label__srp_Cyrl", "dobar dan", "srp_Cyrl"),
            ("__label__zh", "这是中国", "cmn_Hans"),
            ("__label__zh", "這是中國", "cmn_Hant"),
            ("__label__zh", "北京", "cmn_Hani"),
            ("__label__zh", "Beijing", "cmn_Hans"),
            ("__label__pa", "ਸਤ ਸ੍ਰੀ ਅਕਾਲ", "pan_Guru"),
            ("__label__pa", "پنجاب دی بولی", "pnb_Arab"),
            ("__label__az", "Азәрбајҹан", "azj_Cyrl"),
            ("__label__ja", "東京", "jpn_Jpan"),
            ("__label__ru", "po-russki", "rus_Cyrl"),
        ] {
            assert_eq!(of(label, text), tag, "{label} {text}");
        }
    }

    #[test]
    fn every_script_of_the_table_makes_a_tag() {
        for (code, scripts) in SCRIPTS {
            let tags = Tags::of(code, |_| false).map(|tags| tags.others.len());
            assert_eq!(tags, Some(scripts.len()), "{code}");
        }
    }
}
