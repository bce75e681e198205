//! `gopher_repetition`: the repetition rules of Gopher (arXiv 2112.11446, table A1).
//!
//! As datatrove's `GopherRepetitionFilter` orders, counts and names them, all shares in code
//! points of the whole text. Dolma, NeMo and datamap count otherwise under the same thresholds.

use arrow::datatypes::DataType;

use super::python::{split_at_line_feeds, strip};
use super::repeats::{Joined, duplicates};
use super::verdict::{self, Profile, first_broken, ratio};
use crate::error::Result;
use crate::function::{Family, Function, Row, Signature, Value};
use crate::text::segment;

const MAX_DUP: f64 = 0.3;
const MAX_DUP_CHARS: f64 = 0.2;
/// n, largest share of the most frequent n-gram, reason.
const TOP: [(usize, f64, &str); 3] =
    [(2, 0.2, "top_2_gram"), (3, 0.18, "top_3_gram"), (4, 0.16, "top_4_gram")];
/// n, largest share of repeated n-grams, reason.
const REPEATED: [(usize, f64, &str); 6] = [
    (5, 0.15, "duplicated_5_n_grams"),
    (6, 0.14, "duplicated_6_n_grams"),
    (7, 0.13, "duplicated_7_n_grams"),
    (8, 0.12, "duplicated_8_n_grams"),
    (9, 0.11, "duplicated_9_n_grams"),
    (10, 0.10, "duplicated_10_n_grams"),
];

/// `gopher_repetition(text, lang, profile)`.
pub const GOPHER_REPETITION: Function = Function {
    signature: Signature {
        name: "gopher_repetition",
        family: Family::Measure,
        args: verdict::ARGS,
        returns: || {
            verdict::verdict_of(
                &[
                    "dup_para_frac",
                    "dup_para_char_frac",
                    "dup_line_frac",
                    "dup_line_char_frac",
                    "top_2_gram",
                    "top_3_gram",
                    "top_4_gram",
                    "duplicated_5_n_grams",
                    "duplicated_6_n_grams",
                    "duplicated_7_n_grams",
                    "duplicated_8_n_grams",
                    "duplicated_9_n_grams",
                    "duplicated_10_n_grams",
                ]
                .map(|name| (name, DataType::Float64)),
            )
        },
        doc: "Gopher's repetition rules (arXiv 2112.11446, table A1) as datatrove applies them: \
              whether all hold, the first that does not, and the share of each repetition.",
        examples: &[
            ("gopher_repetition('')['reason']", "empty"),
            ("gopher_repetition('one line' || chr(10) || 'one line')['reason']", "dup_line_frac"),
            ("gopher_repetition('да нет да нет да нет')['reason']", "top_2_gram"),
            (
                "gopher_repetition('五月の朝、古い橋のそばで友人と長い手紙を読み、静かに海を見ていた。風は弱く、鳥だけが高い空で鳴き、夕方に家へ帰った。')['keep']",
                "true",
            ),
        ],
        version: 1,
    },
    body: call,
};

/// The numbers of the rules, as shares in [0, 1], and the first rule broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GopherRepetition {
    /// The first broken rule, by datatrove's name; `None` when all hold.
    pub reason: Option<&'static str>,
    /// Second and later occurrences among the paragraphs, and their share of code points.
    pub paragraphs: [f64; 2],
    /// Second and later occurrences among the lines, and their share of code points.
    pub lines: [f64; 2],
    /// Share of the most frequent 2-, 3- and 4-gram.
    pub top: [f64; 3],
    /// Share of repeated 5- to 10-grams.
    pub repeated: [f64; 6],
}

/// Gopher's repetition rules over a text in a language, named by a code in any form.
pub fn gopher_repetition(text: &str, lang: Option<&str>, profile: Profile) -> GopherRepetition {
    let Profile::Datatrove = profile;
    let n_chars = text.chars().count();
    let shares = |parts: Vec<&str>| {
        let n = parts.len();
        let (again, chars) = duplicates(parts);
        [ratio(again, n), ratio(chars, n_chars)]
    };
    let paragraphs = shares(split_at_line_feeds(strip(text), 2));
    let lines = shares(split_at_line_feeds(text, 1));
    let tokens: Vec<&str> = segment::tokens_in(text, lang).collect();
    let spaced = Joined::new(tokens.iter().copied(), 1);
    let top = TOP.map(|(n, _, _)| ratio(spaced.top(n), n_chars));
    let dense = Joined::new(tokens, 0);
    let repeated = REPEATED.map(|(n, _, _)| ratio(dense.repeated(n), n_chars));

    let mut rules = vec![
        (text.is_empty(), "empty"),
        (paragraphs[0] > MAX_DUP, "dup_para_frac"),
        (paragraphs[1] > MAX_DUP_CHARS, "dup_para_char_frac"),
        (lines[0] > MAX_DUP, "dup_line_frac"),
        (lines[1] > MAX_DUP_CHARS, "dup_line_char_frac"),
    ];
    rules.extend(TOP.iter().zip(top).map(|((_, most, reason), share)| (share > *most, *reason)));
    rules.extend(
        REPEATED.iter().zip(repeated).map(|((_, most, reason), share)| (share > *most, *reason)),
    );
    GopherRepetition { reason: first_broken(&rules), paragraphs, lines, top, repeated }
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let profile = Profile::named(args[2].text())?;
    let found = gopher_repetition(args[0].text().unwrap_or_default(), args[1].text(), profile);
    out.bool(found.reason.is_none());
    out.text(found.reason);
    for share in [&found.paragraphs[..], &found.lines, &found.top, &found.repeated].concat() {
        out.float(share);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> GopherRepetition {
        gopher_repetition(text, None, Profile::Datatrove)
    }

    #[test]
    fn each_rule_has_its_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("да\n\nда\n\nнет", "dup_para_frac"),
            ("长长长长长长\n\n长长长长长长\n\n一\n\n二\n\n三", "dup_para_char_frac"),
            ("\nहाँ\nहाँ\n", "dup_line_frac"),
            ("a longer line of words\nb\na longer line of words\nc\nd", "dup_line_char_frac"),
            ("no no no no", "top_2_gram"),
        ] {
            assert_eq!(of(text).reason, Some(reason), "{text}");
        }
    }

    #[test]
    fn shares_are_of_code_points() {
        let found = of("кот и пёс");
        // One 2-gram counts though it occurs once: "кот и" of 9 code points.
        assert_eq!(found.top, [5.0 / 9.0, 1.0, 0.0]);
        assert_eq!(found.repeated, [0.0; 6]);
        let twice = of("اب جد هو زح طي كل اب جد هو زح طي");
        assert_eq!(twice.repeated[0], 10.0 / 32.0);
    }

    #[test]
    fn varied_text_is_kept() {
        let text = "Early in May my oldest friend wrote me a long letter about bridges, \
                    and I read it by the sea while gulls argued over somebody's lost bread.";
        assert_eq!(of(text).reason, None);
        let text = "五月の朝、古い橋のそばで友人と長い手紙を読み、静かに海を見ていた。風は弱く、鳥だけが高い空で鳴き、夕方に家へ帰った。";
        assert_eq!(of(text).reason, None);
        assert_eq!(of("   ").reason, None);
    }
}
