//! How many sentences datatrove counts in a line of a language.
//!
//! It asks spaCy's `sentencizer` for most languages, over tokens that are here those of `tokens`;
//! the Indic NLP library for those of India; and a model of its own for Thai, of which here the
//! rule on Latin marks is kept, and a space between two clauses of usual length stands for what
//! the model finds. Where Burmese, Khmer, Lao and Korean end is ICU's answer. No abbreviations
//! but single letters.

use super::classes::{Classes, DIGIT, LETTER, PUNCTUATION};
use super::tokens::tokens;
use super::verdict::is_terminal;
use crate::identify::tag;
use crate::text::segment;

/// The number of sentences of a line in a language, named by a code in any form.
///
/// ```
/// use hexapla::measure::sentences::count_sentences;
/// assert_eq!(count_sentences("Où est-il ? À 3.5 km d'ici...", Some("fr")), 2);
/// assert_eq!(count_sentences("वह आया। वह बैठा।", Some("hi")), 2);
/// ```
pub fn count_sentences(line: &str, lang: Option<&str>) -> usize {
    let code = lang.and_then(tag::find).map_or("", |tag| tag.code);
    match code {
        "asm" | "ben" | "hin" | "npi" | "ory" | "pan" | "san" => indic(line, true),
        "guj" | "kan" | "mal" | "mar" | "sin" | "tam" | "tel" => indic(line, false),
        "khm" | "kor" | "lao" | "mya" => segment::sentences(line).count(),
        _ => sentencizer(&tokens(line, lang)),
    }
}

/// spaCy's rule: a sentence ends behind the marks that follow an end mark which is a token.
fn sentencizer(tokens: &[&str]) -> usize {
    let classes = Classes::new();
    let is_end = |token: &str| {
        let mut chars = token.chars();
        chars.next().is_some_and(is_terminal) && chars.next().is_none()
    };
    let (mut n, mut ended) = (usize::from(!tokens.is_empty()), false);
    for token in tokens {
        if is_end(token) {
            ended = true;
        } else if ended && !token.chars().all(|c| classes.of(c) & PUNCTUATION != 0) {
            n += 1;
            ended = false;
        }
    }
    n
}

/// The rule of the Indic NLP library: a sentence ends at an end mark that does not follow a
/// digit; a full stop is one where no danda stands, and does not end a word alone or a letter.
fn indic(line: &str, writes_danda: bool) -> usize {
    let is_danda = |c| matches!(c, '।' | '॥');
    let stops = !(writes_danda && line.contains(is_danda));
    let is_end = |c: char| match c {
        '.' => stops,
        '?' | '!' => true,
        '\u{aaf0}' | '\u{aaf1}' | '\u{abeb}'..='\u{abef}' | '\u{1c7e}' | '\u{1c7f}' => stops,
        _ => is_danda(c),
    };
    let classes = Classes::new();
    let is_digit = |c: char| classes.of(c) & DIGIT != 0;
    let is_letter = |word: &str| {
        let mut chars = word.chars();
        let is_indic = |c| ('\u{900}'..='\u{dff}').contains(&c) && classes.of(c) & LETTER != 0;
        chars.next().is_some_and(is_indic) && chars.next().is_none()
    };
    // Whether there is a sentence that has not been counted, and whether the next one belongs to it.
    let (mut n, mut open, mut goes_on) = (0, false, false);
    let mut take = |sentence: &str| {
        let Some(sentence) = Some(sentence.trim()).filter(|s| !s.is_empty()) else { return };
        let before_stop = sentence.strip_suffix('.').filter(|_| stops);
        let last = before_stop.map(|s| s.rsplit(' ').next().unwrap_or(s));
        if before_stop.is_some_and(|s| !s.contains(' ')) {
            (open, goes_on) = (true, true);
        } else if last.is_some_and(is_letter) {
            n += usize::from(open && !goes_on);
            (open, goes_on) = (true, true);
        } else if goes_on {
            n += 1;
            (open, goes_on) = (false, false);
        } else {
            n += usize::from(open);
            open = true;
        }
    };
    let (mut start, mut before) = (0, None);
    for (place, c) in line.char_indices() {
        if is_end(c) && !before.is_some_and(is_digit) {
            let end = place + c.len_utf8();
            take(&line[start..end]);
            start = end;
        }
        before = Some(c);
    }
    take(&line[start..]);
    n + usize::from(open)
}
