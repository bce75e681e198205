//! `detect_langs`: the likeliest languages of a text with their probabilities, the best first.
//!
//! One language of the whole text is `detect_lang`'s, languages of its parts are `detect_spans`'.

use arrow::datatypes::DataType;

use super::detect_lang::named;
use super::script;
use super::tag::Tag;
use crate::error::{Error, Result};
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value, list_of, struct_of};

/// Languages of a text unless a number is given.
const MOST: i64 = 5;

/// `detect_langs(text, model, most)`.
pub const DETECT_LANGS: Function = Function {
    signature: Signature {
        name: "detect_langs",
        family: Family::Language,
        args: &[
            Arg::text("text"),
            Arg::optional("model", Type::Text, "`hexapla`"),
            Arg::optional("most", Type::Int, "5"),
        ],
        returns: || {
            list_of(struct_of(&[
                ("lang", DataType::Utf8),
                ("score", DataType::Float64),
                ("label", DataType::Utf8),
            ]))
        },
        doc: "The likeliest languages of the text, at most `most` of them and the best first: the \
              tag as in `detect_lang`, its probability in [0, 1], and the model's own name for it \
              (fastText's without `__label__`); `lang` is null for a label that names no language. \
              `whatlang` tells one.",
        examples: &[
            ("detect_langs('Ég veit það ekki, en ég skal spyrja.')[1]['lang']", "isl_Latn"),
            ("array_length(detect_langs('Dette er en kort setning.', 'hexapla', 3))", "3"),
            ("detect_langs('吾輩は猫である。', 'whatlang')[1]['label']", "jpn_Jpan"),
            ("array_length(detect_langs('12:30'))", "0"),
        ],
        version: 1,
    },
    body: |args, out| {
        let text = args[0].text().unwrap_or_default();
        let found = detect_langs(text, args[1].text(), most(&args[2])?)?;
        write(found.iter().map(|(tag, score)| (Some(*tag), *score, tag.to_string())), out)
    },
};

/// How many languages are asked for. Errors for a number that cannot be one.
pub fn most(value: &Value<'_>) -> Result<usize> {
    let most = value.int().unwrap_or(MOST);
    usize::try_from(most).ok().filter(|most| *most > 0).ok_or_else(|| {
        Error::usage(format!("`detect_langs`: `most` must be 1 or more; it is {most}"))
    })
}

/// The likeliest languages of a text by one of [`MODELS`](super::detect_lang::MODELS), `hexapla` unless one is named.
///
/// Errors for an unknown model.
///
/// ```
/// use hexapla::identify::detect_langs::detect_langs;
/// let found = detect_langs("Hvað er klukkan núna í Reykjavík?", None, 2)?;
/// assert_eq!(found[0].0.to_string(), "isl_Latn");
/// # Ok::<(), hexapla::error::Error>(())
/// ```
pub fn detect_langs(text: &str, model: Option<&str>, most: usize) -> Result<Vec<(Tag, f64)>> {
    let model = named(model.unwrap_or("hexapla"))?;
    let ranked = script::script(text).map(|script| (model.rank)(text, script, most));
    Ok(ranked.unwrap_or_default())
}

/// Writes the cell of the languages of a text: tag, probability and label of each.
pub fn write(
    found: impl IntoIterator<Item = (Option<Tag>, f64, String)>,
    out: &mut Row<'_>,
) -> Result<()> {
    out.structs(found, |(tag, score, label), row| {
        row.text(tag.map(|tag| tag.to_string()).as_deref());
        row.float(score);
        row.text(label.as_str());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_comes_first_and_probabilities_add_up() {
        for text in ["Dette er en kort setning.", "Это короткое предложение.", "这是一句话。"]
        {
            let found = detect_langs(text, None, 1000).unwrap();
            assert!(found.is_sorted_by(|a, b| a.1 >= b.1), "{text}");
            let all: f64 = found.iter().map(|(_, score)| score).sum();
            assert!((0.0..1.0 + 1e-6).contains(&all), "{text}: {all}");
            assert_eq!(detect_langs(text, None, 2).unwrap(), found[..found.len().min(2)]);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        let error = detect_langs("text", Some("hexpla"), 1).unwrap_err().to_string();
        assert!(error.starts_with("unknown model `hexpla`"), "{error}");
        let error = most(&Value::Int(0)).unwrap_err().to_string();
        assert_eq!(error, "`detect_langs`: `most` must be 1 or more; it is 0");
    }
}
