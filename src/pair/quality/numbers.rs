//! The numbers of a text as OpusCleaner's `num_mismatch` reads them, and how many two texts share.
//!
//! A number is decimal digits of one script or another, with single `.`, `,` or `:` between; it
//! is not part of a word (`1st`, `x86`). Which of the separators stands is not compared, nor are
//! zeros in front; a sign counts after white space. `٣` is not `3` here: see `numeral_agreement`.

use std::cmp::Ordering;

use crate::identify::script::{is_digit, is_letter};
use crate::text::segment::is_space;

/// The numbers that stand on both sides and one over those that stand on one side alone and one,
/// each counted once; `None` when neither side has any.
///
/// ```
/// use hexapla::pair::quality::numbers::overlap;
/// assert_eq!(overlap("3,5 af 1.000", "3.5 из 1 000"), Some(2.0 / 4.0));
/// assert_eq!(overlap("tala", "число"), None);
/// ```
pub fn overlap(src: &str, tgt: &str) -> Option<f64> {
    let (src, tgt) = (numbers(src), numbers(tgt));
    if src.is_empty() && tgt.is_empty() {
        return None;
    }
    let (mut i, mut j, mut both) = (0, 0, 0);
    while i < src.len() && j < tgt.len() {
        match src[i].compare(&tgt[j]) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => (i, j, both) = (i + 1, j + 1, both + 1),
        }
    }
    let apart = src.len() + tgt.len() - 2 * both;
    Some((both + 1) as f64 / (apart + 1) as f64)
}

#[derive(Debug, Clone, Copy)]
struct Number<'t> {
    sign: Option<char>,
    digits: &'t str,
}

impl Number<'_> {
    /// Orders by sign and digits; all separators are equal.
    fn compare(&self, other: &Self) -> Ordering {
        let plain = |c: char| if is_separator(c) { '*' } else { c };
        let digits = self.digits.chars().map(plain).cmp(other.digits.chars().map(plain));
        self.sign.cmp(&other.sign).then(digits)
    }
}

/// The numbers of a text, in order, each once.
fn numbers(text: &str) -> Vec<Number<'_>> {
    let mut numbers = Vec::new();
    let (mut at, mut before) = (0, None);
    while let Some(c) = text[at..].chars().next() {
        let signed = matches!(c, '-' | '+') && before.is_none_or(is_space);
        let start = at + if signed { 1 } else { 0 };
        let at_boundary = signed || before.is_none_or(|b| is_word_char(b) != is_word_char(c));
        match end_of_number(&text[start..]).filter(|_| at_boundary) {
            Some(length) => {
                let digits = &text[start..start + length];
                numbers.push(Number { sign: signed.then_some(c), digits: without_zeros(digits) });
                at = start + length;
                before = digits.chars().next_back();
            }
            None => {
                at += c.len_utf8();
                before = Some(c);
            }
        }
    }
    numbers.sort_unstable_by(Number::compare);
    numbers.dedup_by(|a, b| a.compare(b).is_eq());
    numbers
}

/// The length of the number that a text begins with: as many groups of digits as end before
/// something that is no word.
fn end_of_number(text: &str) -> Option<usize> {
    let (mut at, mut end) = (0, None);
    loop {
        let group = text[at..].find(|c| !is_digit(c)).unwrap_or(text.len() - at);
        if group == 0 {
            return end;
        }
        at += group;
        let next = text[at..].chars().next();
        if next.is_none_or(|c| !is_word_char(c)) {
            end = Some(at);
        }
        match next {
            Some(c) if is_separator(c) => at += 1,
            _ => return end,
        }
    }
}

/// Digits without the zeros in front; the last before a separator or the end stays.
fn without_zeros(digits: &str) -> &str {
    let rest = digits.trim_start_matches('0');
    if rest.starts_with(is_digit) { rest } else { &digits[digits.len() - rest.len() - 1..] }
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | ',' | ':')
}

/// `\w` of Python: letters, numbers of all kinds and the low line, but no marks.
fn is_word_char(c: char) -> bool {
    c == '_' || is_letter(c) || c.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let written =
            |n: Number<'_>| format!("{}{}", n.sign.map_or(String::new(), String::from), n.digits);
        numbers(text).into_iter().map(written).collect()
    }

    #[test]
    fn numbers_stand_apart_from_words() {
        assert_eq!(of("x86 1st 30beep a_1 3²"), [""; 0]);
        assert_eq!(of("30-40, tid-30"), ["30", "40"]);
        assert_eq!(of("3.5kg 1,000:7"), ["1,000:7", "3"]);
        assert_eq!(of("(٣) ৪৫、12"), ["12", "٣", "৪৫"]);
        assert_eq!(of("第3章"), [""; 0]);
    }

    #[test]
    fn zeros_in_front_and_signs() {
        assert_eq!(of("007 000 0.5 00.5 0"), ["0", "0.5", "7"]);
        assert_eq!(of("-5 +05 x-6 (-7)"), ["6", "7", "+5", "-5"]);
        assert_eq!(of("- 5 -x5 -0"), ["5", "-0"]);
    }

    #[test]
    fn sides_share_numbers_once() {
        assert_eq!(overlap("1 1 2", "2 1"), Some(3.0));
        assert_eq!(overlap("1", ""), Some(0.5));
        assert_eq!(overlap("1,5", "1:5"), Some(2.0));
        assert_eq!(overlap("3", "٣"), Some(1.0 / 3.0));
    }
}
