//! `remove_spans`: a text without some of its parts.
//!
//! Which parts is said by others, such as `repeated_spans`; nothing is put in their place.

use arrow::datatypes::DataType;

use crate::error::{Error, Result};
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value};

/// `remove_spans(text [, starts] [, lengths])`.
pub const REMOVE_SPANS: Function = Function {
    signature: Signature {
        name: "remove_spans",
        family: Family::Text,
        args: &[
            Arg::text("text"),
            Arg::optional("starts", Type::UIntList, "nothing is removed"),
            Arg::optional("lengths", Type::UIntList, "nothing is removed"),
        ],
        returns: || DataType::Utf8,
        doc: "The text without its spans: where each begins, from 1, and how long it is, both in \
              code points as `substr` counts them. Spans may overlap and come in any order; what \
              lies outside of the text is not there to be removed. With the spans of \
              `repeated_spans`: `SELECT d.doc_id, remove_spans(d.text, s.starts, s.lengths) AS text \
              FROM documents d LEFT JOIN (SELECT doc_id, array_agg(start ORDER BY start) AS starts, \
              array_agg(length ORDER BY start) AS lengths FROM repeated_spans('documents') GROUP BY \
              doc_id) s ON d.doc_id = s.doc_id`.",
        examples: &[
            ("remove_spans('Góðan daginn, heimur', [6, 13], [7, 8])", "Góðan"),
            ("remove_spans('今日は今日は良い天気', [4], [3])", "今日は良い天気"),
            ("remove_spans('नमस्ते दुनिया', [7, 1], [99, 0])", "नमस्ते"),
            ("remove_spans('мир', NULL, NULL)", "мир"),
        ],
        version: 1,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let text = args[0].text().unwrap_or_default();
    match (args[1].uints(), args[2].uints()) {
        (Some(starts), Some(lengths)) if starts.len() != lengths.len() => {
            let (starts, lengths) = (starts.len(), lengths.len());
            return Err(Error::usage(format!(
                "{starts} `starts` and {lengths} `lengths`; expected one length for each start"
            ))
            .hint_with("gather both in one order: `array_agg(start ORDER BY start)`, `array_agg(length ORDER BY start)`"));
        }
        (Some(starts), Some(lengths)) => {
            let spans = starts.iter().copied().zip(lengths.iter().copied());
            out.text(remove_spans(text, spans).as_str());
        }
        _ => out.text(text),
    }
    Ok(())
}

/// The text without its spans, each where it begins, from 1, and how long it is, in code points.
///
/// ```
/// use hexapla::text::remove_spans::remove_spans;
/// assert_eq!(remove_spans("Здравствуй, мир", [(11, 2), (12, 9)]), "Здравствуй");
/// ```
pub fn remove_spans(text: &str, spans: impl IntoIterator<Item = (u64, u64)>) -> String {
    // From the first code point on, 0 counts as `substr` counts it: the place before the first.
    let mut spans: Vec<(u64, u64)> =
        spans.into_iter().map(|(start, length)| (start, start.saturating_add(length))).collect();
    spans.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // The number of the first code point of the rest.
    let mut next = 1;
    for (start, end) in spans {
        if end <= next.max(start) {
            continue;
        }
        let kept = start.saturating_sub(next);
        let (before, after) = split(rest, kept);
        out.push_str(before);
        let begin = next + kept;
        rest = split(after, end - begin).1;
        next = end;
    }
    out.push_str(rest);
    out
}

/// The first code points of a text, and the rest.
fn split(text: &str, chars: u64) -> (&str, &str) {
    let Ok(chars) = usize::try_from(chars) else { return (text, "") };
    if chars >= text.len() {
        return (text, "");
    }
    text.split_at(text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_are_cut_out() {
        for (text, spans, expected) in [
            ("Það er gott", vec![(1, 5)], "r gott"),
            ("Það er gott", vec![(5, 3), (1, 4)], "gott"),
            ("Það er gott", vec![(1, u64::MAX), (3, 2)], ""),
            ("Það er gott", vec![(u64::MAX, u64::MAX), (12, 4), (11, 0)], "Það er gott"),
            ("今天天气", vec![(2, 1), (2, 1), (2, 1)], "今天气"),
            ("สวัสดี", vec![(0, 2)], "วัสดี"),
            ("", vec![(1, 1)], ""),
            ("مرحبا", vec![], "مرحبا"),
        ] {
            assert_eq!(remove_spans(text, spans.clone()), expected, "{text} {spans:?}");
        }
    }

    proptest! {
        #[test]
        fn the_rest_is_every_code_point_that_no_span_holds(
            text in "[aþ日\u{301}]{0,30}",
            spans in prop::collection::vec((0u64..40, 0u64..12), 0..6),
        ) {
            let held = |i: u64| spans.iter().any(|(start, length)| (*start..start + length).contains(&i));
            let naive: String =
                text.chars().zip(1..).filter(|(_, i)| !held(*i)).map(|(c, _)| c).collect();
            prop_assert_eq!(remove_spans(&text, spans.clone()), naive);
        }
    }
}
