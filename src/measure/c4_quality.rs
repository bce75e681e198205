//! `c4_quality`: the line and page rules of C4 (Raffel et al., JMLR 21:140).
//!
//! As datatrove's `C4QualityFilter` orders, counts and names them, with sentences by ICU. The
//! kept lines are counted, not returned; no list of bad words, no deduplication of lines.

use arrow::datatypes::DataType;

use super::python::{lines, split, strip};
use super::verdict::{self, Profile};
use crate::error::Result;
use crate::function::{Family, Function, Row, Signature, Value};
use crate::text::segment;

const MAX_WORD_CHARS: usize = 1000;
const MIN_LINE_WORDS: usize = 3;
const MIN_SENTENCES: usize = 5;
const ENDS: [char; 5] = ['.', '?', '!', '"', '\''];
const POLICIES: [&str; 6] = [
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
];

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
        doc: "C4's rules (JMLR 21:140) as datatrove applies them: whether the page is kept, the \
              first page rule that is broken, the lines before and after the line rules, the \
              sentences of the kept lines, and the lines dropped by each rule.",
        examples: &[
            ("c4_quality('One short line.')['reason']", "too_few_sentences"),
            ("c4_quality('function f() { return; } is code.')['reason']", "curly_bracket"),
            ("c4_quality('Это одно. Это два. Это три. Это четыре. Это пять.')['keep']", "true"),
            ("c4_quality('यह एक वाक्य है।')['n_no_terminal_punct']", "1"),
        ],
        version: 1,
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
    /// Lines dropped for their end: none of `. ? ! " '`, or an ellipsis.
    pub n_no_terminal_punct: usize,
    /// Lines dropped for fewer than 3 words between white space.
    pub n_too_few_words: usize,
    /// Lines dropped for naming JavaScript.
    pub n_javascript: usize,
    /// Lines dropped for naming a policy of use, privacy or cookies.
    pub n_policy: usize,
}

/// C4's rules over a text.
///
/// Counts go on behind the line at which the page is dropped.
pub fn c4_quality(text: &str, profile: Profile) -> C4Quality {
    let Profile::Datatrove = profile;
    let mut c4 = C4Quality::default();
    for line in lines(text) {
        c4.n_lines += 1;
        let line = strip(line);
        if split(line).any(|word| word.chars().count() > MAX_WORD_CHARS) {
            c4.n_too_long_word += 1;
            continue;
        }
        // Words are those of before; what stood around a citation stays.
        let n_words = split(line).count();
        let line = without_citations(line);
        if !line.ends_with(ENDS) || line.ends_with("...") {
            c4.n_no_terminal_punct += 1;
            continue;
        }
        if n_words < MIN_LINE_WORDS {
            c4.n_too_few_words += 1;
            continue;
        }
        let lower = line.to_lowercase();
        if lower.contains("lorem ipsum") {
            c4.reason = c4.reason.or(Some("lorem_ipsum"));
            continue;
        }
        if lower.contains("javascript") {
            c4.n_javascript += 1;
            continue;
        }
        if line.contains('{') {
            c4.reason = c4.reason.or(Some("curly_bracket"));
            continue;
        }
        if POLICIES.iter().any(|policy| lower.contains(policy)) {
            c4.n_policy += 1;
            continue;
        }
        c4.n_sentences += segment::sentences(&line).count();
        c4.n_lines_kept += 1;
    }
    if c4.n_sentences < MIN_SENTENCES {
        c4.reason = c4.reason.or(Some("too_few_sentences"));
    }
    c4
}

/// A line without `[1]`, `[]`, `[edit]` and `[citation needed]`.
fn without_citations(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        kept.push_str(before);
        let close = from.find(']').map_or("", |close| &from[1..close]);
        let is_citation = from.contains(']')
            && (matches!(close, "edit" | "citation needed")
                || close.chars().all(crate::identify::script::is_digit));
        if is_citation {
            rest = &from[close.len() + 2..];
        } else {
            kept.push('[');
            rest = &from[1..];
        }
    }
    kept.push_str(rest);
    kept
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let c4 = c4_quality(args[0].text().unwrap_or_default(), Profile::named(args[2].text())?);
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

    fn of(text: &str) -> C4Quality {
        c4_quality(text, Profile::Datatrove)
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
    fn only_latin_ends_count() {
        let c4 = of("वह घर गया और सो गया।\n他回家睡觉了。\nเขากลับบ้าน\nعاد إلى البيت.");
        assert_eq!((c4.n_no_terminal_punct, c4.n_too_few_words), (3, 0));
    }

    #[test]
    fn citations_go_and_brackets_stay() {
        assert_eq!(without_citations("a[1] b[] c[edit] d[citation needed]."), "a b c d.");
        assert_eq!(without_citations("[[12] एक[१२] [x] ["), "[ एक [x] [");
        // datatrove does not strip again: the space left behind is no end mark.
        assert_eq!(of("It is cited here. [3]").n_no_terminal_punct, 1);
    }
}
