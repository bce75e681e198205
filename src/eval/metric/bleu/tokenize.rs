//! The tokenizers of sacreBLEU that need no other package: `13a`, `zh`, `intl`, `char`, `none`.
//!
//! Written from the rules of mteval-v13a and v14, which are substitutions that never overlap; each
//! is one pass here. Where sacreBLEU's table has a slip that moves scores, the slip is kept.

use super::super::python;

/// A text with its words between spaces.
pub fn tokenize(tokenizer: &str, text: &str, lowercase: bool) -> String {
    let lower = if lowercase { text.to_lowercase() } else { String::new() };
    let text = python::trim_end(if lowercase { &lower } else { text });
    match tokenizer {
        "13a" => western(&format!(" {} ", plain(text))),
        "zh" => western(&chinese(python::trim(text))),
        "intl" => international(text),
        "char" => text.chars().flat_map(|c| [c, ' ']).collect(),
        _ => text.to_string(),
    }
}

/// Whether a language as a table names it is Chinese.
pub fn is_chinese(lang: &str) -> bool {
    let code = lang.split(['_', '-']).next().unwrap_or_default().to_lowercase();
    matches!(code.as_str(), "zh" | "zho" | "cmn" | "yue" | "wuu" | "lzh" | "chi")
}

/// Whether a letter is of a script that writes no spaces between words.
pub fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

/// mteval's part for all languages: line breaks and entities undone.
fn plain(text: &str) -> String {
    let text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if !text.contains('&') {
        return text;
    }
    let text = text.replace("&quot;", "\"").replace("&amp;", "&");
    text.replace("&lt;", "<").replace("&gt;", ">")
}

/// mteval's part for Western languages: punctuation apart, but points and commas between digits.
fn western(text: &str) -> String {
    western_points(&spaced(text, is_western_mark))
}

/// Points and commas apart unless between digits, and dashes after digits.
pub(crate) fn western_points(text: &str) -> String {
    let digit = |c: char| c.is_ascii_digit();
    let mark = |c: char| matches!(c, '.' | ',');
    let text = pairs(text, |a, b| !digit(a) && mark(b), |a, b| [a, ' ', b, ' ']);
    let text = pairs(&text, |a, b| mark(a) && !digit(b), |a, b| [' ', a, ' ', b]);
    pairs(&text, |a, b| digit(a) && b == '-', |a, b| [a, ' ', b, ' '])
}

/// ASCII punctuation but for `'`, `,`, `-` and `.`; the space too, which changes nothing.
pub(crate) fn is_western_mark(c: char) -> bool {
    matches!(c, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/')
}

/// mteval-v14: punctuation of Unicode apart unless between numbers, symbols always.
fn international(text: &str) -> String {
    let (mark, number) = (python::is_punctuation, python::is_number);
    let text = pairs(text, |a, b| !number(a) && mark(b), |a, b| [a, ' ', b, ' ']);
    let text = pairs(&text, |a, b| mark(a) && !number(b), |a, b| [' ', a, ' ', b]);
    spaced(&text, python::is_symbol)
}

/// Ideographs, kana's punctuation and full-width forms apart.
fn chinese(text: &str) -> String {
    spaced(text, |c| {
        // Two ranges of the table are written with five digits where Python reads four: they hold
        // U+2001 to U+2A6D and U+2F81 to U+2FA1 instead of the supplementary ideographs. Scores of
        // text with curly quotes depend on it.
        matches!(c,
            '\u{3400}'..='\u{4db5}' | '\u{4e00}'..='\u{9fbb}' | '\u{f900}'..='\u{fa2d}'
            | '\u{fa30}'..='\u{fa6a}' | '\u{fa70}'..='\u{fad9}' | '\u{2001}'..='\u{2a6d}'
            | '\u{ff00}'..='\u{ffef}' | '\u{2e80}'..='\u{2eff}' | '\u{3000}'..='\u{303f}'
            | '\u{31c0}'..='\u{31ef}' | '\u{2f00}'..='\u{2fdf}' | '\u{2ff0}'..='\u{2fff}'
            | '\u{3100}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' | '\u{fe10}'..='\u{fe1f}'
            | '\u{fe30}'..='\u{fe4f}' | '\u{3200}'..='\u{33ff}')
    })
}

/// Spaces around some characters.
pub(crate) fn spaced(text: &str, apart: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    for c in text.chars() {
        if apart(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

/// Neighbours rewritten from left to right; what was rewritten is not looked at again.
fn pairs<const N: usize>(
    text: &str,
    fits: impl Fn(char, char) -> bool,
    rewritten: impl Fn(char, char) -> [char; N],
) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    let mut waiting: Option<char> = None;
    for c in text.chars() {
        match waiting.take() {
            Some(before) if fits(before, c) => out.extend(rewritten(before, c)),
            Some(before) => {
                out.push(before);
                waiting = Some(c);
            }
            None => waiting = Some(c),
        }
    }
    out.extend(waiting);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tokenizer: &str, text: &str) -> Vec<String> {
        python::split(&tokenize(tokenizer, text, false)).map(String::from).collect()
    }

    #[test]
    fn numbers_stay_whole_in_western_text() {
        assert_eq!(
            of("13a", "Pay 1,234.50 (or 3-4)."),
            ["Pay", "1,234.50", "(", "or", "3", "-", "4", ")", "."]
        );
        assert_eq!(of("13a", "&quot;Don't&quot;"), ["\"", "Don't", "\""]);
        // Spaces do not make the devanagari danda a mark of its own in 13a; in intl it is one.
        assert_eq!(of("13a", "मैं घर जाता हूँ।").len(), 4);
        assert_eq!(of("intl", "मैं घर जाता हूँ।").len(), 5);
    }

    #[test]
    fn a_year_before_the_last_stop_is_mtevals() {
        assert_eq!(of("intl", "in 1999."), ["in", "1999."]);
        assert_eq!(of("13a", "in 1999."), ["in", "1999", "."]);
        assert_eq!(of("intl", "5€ + ২,৫"), ["5", "€", "+", "২,৫"]);
    }

    #[test]
    fn ideographs_are_words() {
        assert_eq!(of("zh", "我喜欢猫。OK"), ["我", "喜", "欢", "猫", "。", "OK"]);
        assert_eq!(of("zh", "“a”"), ["“", "a", "”"]);
        assert_eq!(of("char", "ab c"), ["a", "b", "c"]);
        assert_eq!(of("none", "a.b  c"), ["a.b", "c"]);
    }

    #[test]
    fn hostile_text_passes() {
        for text in ["", " ", "\u{202e}", "\u{200d}", "\u{378}", ".", ",.", "-\n", "\u{10ffff}"] {
            for tokenizer in ["13a", "zh", "intl", "char", "none"] {
                let kept: String = of(tokenizer, text).concat();
                assert!(kept.chars().all(|c| text.contains(c)), "{tokenizer} {text:?}");
            }
        }
    }
}
