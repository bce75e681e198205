//! Tercom's normalizer: lower case, then on request punctuation apart or away.
//!
//! Rules of Tercom that can never apply in sacreBLEU's form (hiragana at the very beginning of a
//! text that has a space in front) are left out.

use super::super::bleu::tokenize::{is_western_mark, spaced, western_points};
use super::super::python;

/// What is done to a text.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Entities undone, punctuation apart.
    pub normalized: bool,
    /// Punctuation away.
    pub no_punct: bool,
    /// Both for ideographs and full-width marks too.
    pub asian_support: bool,
    /// Letter case is left.
    pub case_sensitive: bool,
}

/// A text with its words between spaces.
pub fn tokenize(text: &str, how: Options) -> String {
    let mut text = python::trim_end(text).to_string();
    if !how.case_sensitive {
        text = text.to_lowercase();
    }
    if how.normalized && !text.is_empty() {
        text = normalized(&text);
        if how.asian_support {
            text = spaced(&text, |c| is_asian(c) || is_asian_mark(c));
        }
    }
    if how.no_punct {
        text.retain(|c| !matches!(c, '.' | ',' | '?' | ':' | ';' | '!' | '"' | '(' | ')'));
        if how.asian_support {
            text.retain(|c| !is_asian_mark(c));
        }
    }
    python::split(&text).collect::<Vec<_>>().join(" ")
}

fn normalized(text: &str) -> String {
    let text = text.replace("\n-", "").replace('\n', " ").replace("&quot;", "\"");
    let text = text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let text = spaced(&format!(" {text} "), is_western_mark);
    western_points(&text.replace("'s ", " 's "))
}

fn is_asian(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{31c0}'..='\u{31ef}'
        | '\u{2e80}'..='\u{2eff}' | '\u{3300}'..='\u{33ff}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}' | '\u{3200}'..='\u{3f22}')
}

fn is_asian_mark(c: char) -> bool {
    matches!(c,
        '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}'
        | '\u{ff61}'..='\u{ff65}' | '\u{30fb}' | '\u{ff0e}' | '\u{ff0c}' | '\u{ff1f}' | '\u{ff1a}'
        | '\u{ff1b}' | '\u{ff01}' | '\u{ff02}' | '\u{ff08}' | '\u{ff09}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_off_or_go() {
        let plain = Options {
            normalized: false,
            no_punct: false,
            asian_support: false,
            case_sensitive: false,
        };
        let of = |text: &str, how| {
            python::split(&tokenize(text, how)).map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(of("Это, Дом.", plain), ["это,", "дом."]);
        let normal = Options { normalized: true, ..plain };
        assert_eq!(of("Tom's 1,5 (x).", normal), ["tom", "'s", "1,5", "(", "x", ")", "."]);
        assert_eq!(
            of("我喜欢。", Options { asian_support: true, ..normal }),
            ["我", "喜", "欢", "。"]
        );
        let bare = Options { no_punct: true, asian_support: true, ..plain };
        assert_eq!(of("「猫」 a.b", bare), ["猫", "ab"]);
        assert!(of("\u{a0}", normal).is_empty());
    }
}
