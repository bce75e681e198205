//! `c4_quality`: the line and page rules of C4 (Raffel et al., JMLR 21:140).
//!
//! As datatrove's `C4QualityFilter` orders, counts and names them, or as the code that made C4 did.
//! The kept lines are counted, not returned; no list of bad words, no deduplication of lines.

use std::borrow::Cow;
use std::sync::LazyLock;

use arrow::datatypes::DataType;
use regex::bytes::Regex;

use super::dolma;
use super::python::{lines, split, strip};
use super::sentences::count_sentences;
use super::verdict::{self, Profile};
use crate::error::Result;
use crate::function::{Family, Function, Row, Signature, Value};
use crate::identify::script;
use crate::text::segment;

const MAX_WORD_CHARS: usize = 1000;
const POLICIES: [&str; 6] = [
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
];
/// What any of the rules on phrases may find; no other letter than the Kelvin sign becomes one of
/// ASCII in lower case alone.
static PHRASE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        "(?i-u)lorem ipsum|javascript|terms of use|privacy policy|cookie policy\
         |uses cookies|use of cookies|use cookies|\\xe2\\x84\\xaa",
    )
    .ok()
});

/// `c4_quality(text, lang, profile)`.
pub const C4_QUALITY: Function = Function {
    signature: Signature {
        name: "c4_quality",
        family: Family::Measure,
        args: verdict::ARGS,
        returns: || {
            verdict::verdict_of(
                &[
                    "n_lines",
                    "n_lines_kept",
                    "n_sentences",
                    "n_too_long_word",
                    "n_no_terminal_punct",
                    "n_too_few_words",
                    "n_javascript",
                    "n_policy",
                ]
                .map(|name| (name, DataType::UInt64)),
            )
        },
        doc: "C4's rules (JMLR 21:140): whether the page is kept, the first page rule that is \
              broken, the lines before and after the line rules, the sentences of the kept \
              lines, and the lines dropped by each rule. Profiles `hexapla` and `datatrove`: as \
              `C4QualityFilter`, 3 words a line and 5 sentences a page. `tfds`: as the code that \
              made C4, 5 words and 3 sentences, no `'` among the end marks. `dolma`: its `c4_v2` \
              as in its replication of C4, pages with JavaScript go, sentences are not counted. \
              No list of bad words is applied, nor are lines deduplicated.",
        examples: &[
            ("c4_quality('One short line.')['reason']", "too_few_sentences"),
            ("c4_quality('function f() { return; } is code.')['reason']", "curly_bracket"),
            ("c4_quality('Это одно. Это два. Это три. Это четыре. Это пять.')['keep']", "true"),
            ("c4_quality('यह एक वाक्य है।')['n_no_terminal_punct']", "1"),
            ("c4_quality('Lorem ipsum is not a text.', 'en', 'tfds')['reason']", "loremipsum"),
        ],
        version: 3,
    },
    body: call,
};

/// The counts of the line rules and the page rule broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct C4Quality {
    /// The first broken page rule, by datatrove's name; `None` when all hold.
    pub reason: Option<&'static str>,
    /// All lines.
    pub n_lines: usize,
    /// Lines that every line rule keeps.
    pub n_lines_kept: usize,
    /// Sentences of the kept lines.
    pub n_sentences: usize,
    /// Lines dropped for a word of more than 1,000 code points.
    pub n_too_long_word: usize,
    /// Lines dropped for their end: no end mark, or an ellipsis.
    pub n_no_terminal_punct: usize,
    /// Lines dropped for too few words between white space.
    pub n_too_few_words: usize,
    /// Lines dropped for naming JavaScript.
    pub n_javascript: usize,
    /// Lines dropped for naming a policy of use, privacy or cookies.
    pub n_policy: usize,
}

/// What the peers set differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct C4Rules {
    /// The marks a line may end with.
    ends: &'static [char],
    /// Fewest words of a line.
    line_words: usize,
    /// Whether words are counted without citations.
    words_without_citations: bool,
    /// Fewest sentences of a page.
    sentences: usize,
    /// The reasons of filler and of a brace.
    reasons: [&'static str; 2],
}

impl C4Rules {
    /// The default arguments of datatrove.
    pub const DATATROVE: Self = Self {
        ends: &['.', '?', '!', '"', '\''],
        line_words: 3,
        words_without_citations: false,
        sentences: 5,
        reasons: ["lorem_ipsum", "curly_bracket"],
    };
    /// The code that made C4.
    pub const TFDS: Self = Self {
        ends: &['.', '?', '!', '"'],
        line_words: 5,
        words_without_citations: true,
        sentences: 3,
        reasons: ["loremipsum", "squigglybracket"],
    };
}

/// C4's rules over a text; `sentences` counts those of a kept line.
///
/// Counts go on behind the line at which the page is dropped.
pub fn c4_quality(
    text: &str,
    rules: &C4Rules,
    mut sentences: impl FnMut(&str) -> usize,
) -> C4Quality {
    let mut c4 = C4Quality::default();
    let [filler, brace] = rules.reasons;
    for line in lines(text) {
        c4.n_lines += 1;
        let stripped = strip(line);
        if has_too_long_word(stripped) {
            c4.n_too_long_word += 1;
            continue;
        }
        // What stood around a citation stays.
        let line = without_citations(stripped);
        if !line.ends_with(rules.ends) || line.ends_with("...") {
            c4.n_no_terminal_punct += 1;
            continue;
        }
        let counted = if rules.words_without_citations { &line } else { stripped };
        if split(counted).take(rules.line_words).count() < rules.line_words {
            c4.n_too_few_words += 1;
            continue;
        }
        let lower = if has_phrase(&line) { line.to_lowercase() } else { String::new() };
        if lower.contains("lorem ipsum") {
            c4.reason = c4.reason.or(Some(filler));
            continue;
        }
        if lower.contains("javascript") {
            c4.n_javascript += 1;
            continue;
        }
        if line.contains('{') {
            c4.reason = c4.reason.or(Some(brace));
            continue;
        }
        if POLICIES.iter().any(|policy| lower.contains(policy)) {
            c4.n_policy += 1;
            continue;
        }
        c4.n_sentences += sentences(&line);
        c4.n_lines_kept += 1;
    }
    if c4.n_sentences < rules.sentences {
        c4.reason = c4.reason.or(Some("too_few_sentences"));
    }
    c4
}

/// Whether a word between white space has more than 1,000 code points.
fn has_too_long_word(line: &str) -> bool {
    // A code point takes a byte at least.
    line.len() > MAX_WORD_CHARS
        && split(line)
            .any(|word| word.len() > MAX_WORD_CHARS && word.chars().count() > MAX_WORD_CHARS)
}

/// Whether a line may have one of the phrases in some case.
fn has_phrase(line: &str) -> bool {
    PHRASE.as_ref().is_none_or(|phrase| phrase.is_match(line.as_bytes()))
}

/// A line without `[1]`, `[]`, `[edit]` and `[citation needed]`.
fn without_citations(line: &str) -> Cow<'_, str> {
    if !line.contains('[') {
        return Cow::Borrowed(line);
    }
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        kept.push_str(before);
        rest = &from[1..];
        let behind = ["edit]", "citation needed]"]
            .iter()
            .find_map(|citation| rest.strip_prefix(citation))
            .or_else(|| rest.trim_start_matches(script::is_digit).strip_prefix(']'));
        match behind {
            Some(behind) => rest = behind,
            None => kept.push('['),
        }
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// The profiles, the default first.
const PROFILES: &[Profile] = &[Profile::Hexapla, Profile::Datatrove, Profile::Tfds, Profile::Dolma];

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let text = args[0].text().unwrap_or_default();
    let lang = args[1].text();
    let c4 = match Profile::named(args[2].text(), PROFILES)? {
        Profile::Dolma => dolma::c4_quality(text),
        Profile::Tfds => c4_quality(text, &C4Rules::TFDS, |line| segment::sentences(line).count()),
        _ => c4_quality(text, &C4Rules::DATATROVE, |line| count_sentences(line, lang)),
    };
    write(&c4, out)
}

/// Writes the cells of one row.
pub fn write(c4: &C4Quality, out: &mut Row<'_>) -> Result<()> {
    out.bool(c4.reason.is_none());
    out.text(c4.reason);
    for count in [
        c4.n_lines,
        c4.n_lines_kept,
        c4.n_sentences,
        c4.n_too_long_word,
        c4.n_no_terminal_punct,
        c4.n_too_few_words,
        c4.n_javascript,
        c4.n_policy,
    ] {
        out.uint(count as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Этот дом старый. Он стоит у моря! Кто в нём живёт? Я не знаю. Спроси её.";

    fn by(text: &str, rules: &C4Rules) -> C4Quality {
        c4_quality(text, rules, |line| segment::sentences(line).count())
    }

    fn of(text: &str) -> C4Quality {
        by(text, &C4Rules::DATATROVE)
    }

    #[test]
    fn page_rules_in_their_order() {
        assert_eq!(of(GOOD).reason, None);
        assert_eq!(of("").reason, Some("too_few_sentences"));
        assert_eq!(of(&format!("{GOOD}\nThis is Lorem Ipsum.")).reason, Some("lorem_ipsum"));
        assert_eq!(of(&format!("{GOOD}\nA brace {{ is there.")).reason, Some("curly_bracket"));
        // The rule on line ends comes first, so the brace is never seen.
        assert_eq!(of(&format!("{GOOD}\na brace {{ is there")).reason, None);
    }

    #[test]
    fn line_rules_count_what_they_drop() {
        let long = "x".repeat(1001);
        let text = format!(
            "{GOOD}\nno end\nends so...\ntoo few.\nPlease enable Javascript now.\n\
             We use cookies here.\n{long} is long."
        );
        let c4 = of(&text);
        assert_eq!((c4.n_lines, c4.n_lines_kept, c4.n_sentences), (7, 1, 5));
        assert_eq!((c4.n_no_terminal_punct, c4.n_too_few_words), (2, 1));
        assert_eq!((c4.n_javascript, c4.n_policy, c4.n_too_long_word), (1, 1, 1));
    }

    #[test]
    fn phrases_are_found_in_any_case() {
        // The Kelvin sign is a k.
        let c4 = of(&format!("{GOOD}\nWe use coo\u{212a}ies here.\nSee our TERMS OF USE now."));
        assert_eq!(c4.n_policy, 2);
        assert_eq!(of("Чтение java[1]Script здесь.").n_javascript, 1);
        assert!(PHRASE.is_some());
    }

    #[test]
    fn tfds_asks_for_longer_lines_and_fewer_sentences() {
        let text = "Кот спит на старом диване. А пёс лежит! Где?\nОн ест 'рыбу и хлеб'";
        let c4 = by(text, &C4Rules::TFDS);
        assert_eq!((c4.reason, c4.n_no_terminal_punct), (None, 1));
        assert_eq!(of(text).reason, Some("too_few_sentences"));
        // A citation is no word.
        let cited = by("[5] Один два три четыре.", &C4Rules::TFDS);
        assert_eq!(cited.n_too_few_words, 1);
        assert_eq!(by("a { b c d.", &C4Rules::TFDS).reason, Some("squigglybracket"));
    }

    #[test]
    fn only_latin_ends_count() {
        let c4 = of("वह घर गया और सो गया।\n他回家睡觉了。\nเขากลับบ้าน\nعاد إلى البيت.");
        assert_eq!((c4.n_no_terminal_punct, c4.n_too_few_words), (3, 0));
    }

    #[test]
    fn citations_go_and_brackets_stay() {
        assert_eq!(without_citations("a[1] b[] c[edit] d[citation needed]."), "a b c d.");
        assert_eq!(without_citations("[[12] एक[१२] [x] ["), "[ एक [x] [");
        assert!(matches!(without_citations("नहीं"), Cow::Borrowed(_)));
        let open = "[1".repeat(200_000);
        assert_eq!(without_citations(&open), open);
        // datatrove does not strip again: the space left behind is no end mark.
        assert_eq!(of("It is cited here. [3]").n_no_terminal_punct, 1);
    }
}
