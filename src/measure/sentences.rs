//! How many sentences datatrove counts in a line of a language.
//!
//! It asks spaCy's `sentencizer` for most languages, over tokens that are here those of `tokens`;
//! the Indic NLP library for those of India; and for Thai a model of PyThaiNLP, of which here the
//! rule on Latin marks is kept and the number of sentences is estimated. Where Burmese, Khmer, Lao
//! and Korean end is ICU's answer. No abbreviations but single letters.

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
        "tha" => thai(line),
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

/// Ends by marks, and of the spaces between two Thai letters every third, beginning with the
/// second: nearest to the model's number in 1,493 paragraphs, a quarter of a sentence below it.
fn thai(line: &str) -> usize {
    let is_letter = |c| matches!(c, '\u{e01}'..='\u{e45}' | '\u{e47}'..='\u{e4e}');
    let (mut n_ends, mut n_spaces, mut last) = (0, 0, None);
    for word in line.split(segment::is_space).filter(|word| !word.is_empty()) {
        match last {
            Some('.' | '!' | '?') => n_ends += 1,
            Some(last) => n_spaces += usize::from(is_letter(last) && word.starts_with(is_letter)),
            None => {}
        }
        last = word.chars().next_back();
    }
    usize::from(last.is_some()) + n_ends + (n_spaces + 1) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_mark_is_one_as_a_token_alone() {
        let of = |line| count_sentences(line, Some("en"));
        assert_eq!(of("It costs 3.50 at example.org. \"Really?!\" he said."), 3);
        assert_eq!(of("Wait... what?"), 1);
        assert_eq!(of("Stop.) Go"), 2);
        assert_eq!(of(""), 0);
        assert_eq!(of("..."), 1);
        assert_eq!(count_sentences("Что? Где! Когда.", None), 3);
        assert_eq!(count_sentences("来た。見た。勝った。", Some("ja")), 3);
        assert_eq!(count_sentences("ሰላም። ደህና ነህ?", Some("am")), 2);
    }

    #[test]
    fn stops_are_cut_as_the_rules_of_a_language_say() {
        // Behind two letters that are not small.
        let arabic = "يعمل مع Linux. ثم توقف (هنا). عاد إلى البيت. نام";
        assert_eq!(count_sentences(arabic, Some("ar")), 2);
        assert_eq!(count_sentences(arabic, Some("en")), 4);
        assert_eq!(count_sentences("Am 3. Mai kam er. Sie ging.", Some("de")), 2);
        assert_eq!(count_sentences("On day 3. They left.", Some("en")), 2);
    }

    #[test]
    fn dandas_end_sentences_in_india() {
        let hindi = |line| count_sentences(line, Some("hin_Deva"));
        assert_eq!(hindi("वह आया। Mr. Rao आए। वे बैठे?"), 3);
        assert_eq!(hindi("वह आया. वह बैठा."), 2);
        // Behind a digit, a letter or in a word alone, a full stop ends nothing.
        assert_eq!(hindi("कुल 25. लोग आए. क. राव भी आए."), 1);
        assert_eq!(hindi("कुल 25. लोग आए. फिर राव भी आए."), 2);
        assert_eq!(count_sentences("அவன் வந்தான். அவள் போனாள்.", Some("ta")), 2);
    }

    #[test]
    fn thai_sentences_are_estimated() {
        let thai = |line| count_sentences(line, Some("th"));
        assert_eq!(thai("แมวนอน"), 1);
        assert_eq!(thai("แมวนอน หมาวิ่ง นกบิน"), 2);
        assert_eq!(thai("แมวนอน 3 ตัว. หมาวิ่ง"), 2);
        assert_eq!(thai(""), 0);
    }

    #[test]
    fn hostile_lines_take_linear_time() {
        for part in [".", "। ", "क. ", "ก ", "?!", "\u{200d}", "\u{202e}א. "] {
            for lang in [None, Some("ar"), Some("hi"), Some("ta"), Some("th"), Some("zh")] {
                assert!(count_sentences(&part.repeat(100_000), lang) > 0);
            }
        }
    }
}
