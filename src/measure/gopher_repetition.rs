//! `gopher_repetition`: the repetition rules of Gopher (arXiv 2112.11446, table A1).
//!
//! As datatrove's `GopherRepetitionFilter` orders, counts and names them, all shares in code
//! points of the whole text. Others count otherwise under the same thresholds: dolma's way is in
//! `dolma`.

use arrow::datatypes::DataType;

use super::dolma;
use super::grams::Grams;
use super::python::{split_at_line_feeds, strip};
use super::repeats::duplicates;
use super::tokens::tokens;
use super::verdict::{self, Profile, ratio};
use crate::error::Result;
use crate::function::{Family, Function, Row, Signature, Value};

const TOP: [&str; 3] = ["top_2_gram", "top_3_gram", "top_4_gram"];
const REPEATED: [&str; 6] = [
    "duplicated_5_n_grams",
    "duplicated_6_n_grams",
    "duplicated_7_n_grams",
    "duplicated_8_n_grams",
    "duplicated_9_n_grams",
    "duplicated_10_n_grams",
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
                    &["dup_para_frac", "dup_para_char_frac", "dup_line_frac", "dup_line_char_frac"],
                    &TOP[..],
                    &REPEATED,
                ]
                .concat()
                .into_iter()
                .map(|name| (name, DataType::Float64))
                .collect::<Vec<_>>(),
            )
        },
        doc: "Gopher's repetition rules (arXiv 2112.11446, table A1): whether all hold, the first \
              that does not, and the share of each repetition in the text's code points. Profiles \
              `hexapla` and `datatrove`: as `GopherRepetitionFilter`. `dolma`: its `gopher_v1` and \
              the thresholds of its mixes: words stand between white space, every occurrence of \
              what is repeated counts, and paragraphs, which it does not look at, are null.",
        examples: &[
            ("gopher_repetition('')['reason']", "empty"),
            ("gopher_repetition('one line' || chr(10) || 'one line')['reason']", "dup_line_frac"),
            ("gopher_repetition('да нет да нет да нет')['reason']", "top_2_gram"),
            (
                "gopher_repetition('五月の朝、古い橋のそばで友人と長い手紙を読み、静かに海を見ていた。風は弱く、鳥だけが高い空で鳴き、夕方に家へ帰った。')['keep']",
                "true",
            ),
            (
                "gopher_repetition('да нет да нет да нет', 'ru', 'dolma')['reason']",
                "fraction_of_characters_in_most_common_2grams",
            ),
        ],
        version: 3,
    },
    body: call,
};

/// The numbers of the rules, as shares in [0, 1], and the first rule broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GopherRepetition {
    /// The first broken rule, by datatrove's name; `None` when all hold.
    pub reason: Option<&'static str>,
    /// Second and later occurrences among the paragraphs, and their share of code points; `None`
    /// where no rule asks for them.
    pub paragraphs: Option<[f64; 2]>,
    /// Second and later occurrences among the lines, and their share of code points.
    pub lines: [f64; 2],
    /// Share of the most frequent 2-, 3- and 4-gram.
    pub top: [f64; 3],
    /// Share of repeated 5- to 10-grams.
    pub repeated: [f64; 6],
}

/// The largest share that each rule keeps; `None` asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GopherRepetitionRules {
    /// Repeated paragraphs, and their code points.
    pub paragraphs: [Option<f64>; 2],
    /// Repeated lines, and their code points.
    pub lines: [Option<f64>; 2],
    /// The most frequent 2-, 3- and 4-gram.
    pub top: [f64; 3],
    /// Repeated 5- to 10-grams.
    pub repeated: [f64; 6],
}

impl GopherRepetitionRules {
    /// The default arguments of datatrove, which are those of the paper.
    pub const DATATROVE: Self = Self {
        paragraphs: [Some(0.3), Some(0.2)],
        lines: [Some(0.3), Some(0.2)],
        top: [0.2, 0.18, 0.16],
        repeated: [0.15, 0.14, 0.13, 0.12, 0.11, 0.10],
    };
}

/// Gopher's repetition rules over a text and its words and punctuation, as datatrove counts.
pub fn gopher_repetition<'t>(
    text: &str,
    tokens: impl IntoIterator<Item = &'t str>,
    rules: &GopherRepetitionRules,
) -> GopherRepetition {
    let n_chars = text.chars().count();
    let shares = |parts: Vec<&str>| {
        let found = duplicates(parts);
        [ratio(found.later, found.n), ratio(found.later_chars, n_chars)]
    };
    let paragraphs = shares(split_at_line_feeds(strip(text), 2));
    let lines = shares(split_at_line_feeds(text, 1));
    let mut grams = Grams::new(tokens);
    let top = [2, 3, 4].map(|n| {
        let top = grams.top(n);
        // Joined with spaces.
        ratio(top.count * (top.chars + n - 1), n_chars)
    });
    let repeated = [5, 6, 7, 8, 9, 10].map(|n| ratio(grams.repeated(n), n_chars));

    let above = |share: f64, most: Option<f64>| most.is_some_and(|most| share > most);
    let reason = match () {
        _ if text.is_empty() => Some("empty"),
        _ if above(paragraphs[0], rules.paragraphs[0]) => Some("dup_para_frac"),
        _ if above(paragraphs[1], rules.paragraphs[1]) => Some("dup_para_char_frac"),
        _ if above(lines[0], rules.lines[0]) => Some("dup_line_frac"),
        _ if above(lines[1], rules.lines[1]) => Some("dup_line_char_frac"),
        _ => first_above(&TOP, &top, &rules.top)
            .or_else(|| first_above(&REPEATED, &repeated, &rules.repeated)),
    };
    GopherRepetition { reason, paragraphs: Some(paragraphs), lines, top, repeated }
}

/// The name of the first share above its bound.
pub fn first_above(names: &[&'static str], shares: &[f64], bounds: &[f64]) -> Option<&'static str> {
    let above = shares.iter().zip(bounds).position(|(share, bound)| share > bound)?;
    names.get(above).copied()
}

/// The profiles, the default first.
const PROFILES: &[Profile] = &[Profile::Hexapla, Profile::Datatrove, Profile::Dolma];

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let (text, lang) = (args[0].text().unwrap_or_default(), args[1].text());
    if Profile::named(args[2].text(), PROFILES)? == Profile::Dolma {
        return write(&dolma::gopher_repetition(text), out);
    }
    write(&gopher_repetition(text, tokens(text, lang), &GopherRepetitionRules::DATATROVE), out)
}

/// Writes the cells of one row.
pub fn write(found: &GopherRepetition, out: &mut Row<'_>) -> Result<()> {
    out.bool(found.reason.is_none());
    out.text(found.reason);
    out.float(found.paragraphs.map(|shares| shares[0]));
    out.float(found.paragraphs.map(|shares| shares[1]));
    for share in found.lines.iter().chain(&found.top).chain(&found.repeated) {
        out.float(*share);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> GopherRepetition {
        gopher_repetition(
            text,
            crate::text::segment::words(text),
            &GopherRepetitionRules::DATATROVE,
        )
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
    fn a_rule_may_be_left_out() {
        let text = "да\n\nда\n\nнет";
        let mut rules = GopherRepetitionRules::DATATROVE;
        rules.paragraphs = [None; 2];
        let found = gopher_repetition(text, crate::text::segment::words(text), &rules);
        assert_eq!(found.reason, Some("dup_line_frac"));
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
