//! The tokens that the rules of datatrove are asked of: words, and punctuation where it stands
//! apart.
//!
//! datatrove cuts with spaCy, jieba, Sudachi, PyThaiNLP and others; here words of scripts that
//! write no spaces are ICU's, and stretches between white space are cut at the marks at which
//! spaCy's rules for all languages cut: at marks on either end (`("Hi"),`), and between letters at
//! hyphens, slashes, colons and the like. A path (`/usr/lib`), an option (`--help`), an address or
//! an abbreviation (`U.S.`) is one token. No list of abbreviations or contractions of a language.

use super::classes::{CUT, SPACE, UNSPACED};
use super::stretch::Cutter;
use crate::identify::tag;
use crate::text::segment;

/// The tokens of a text in a language, named by a code in any form; in the order of the text.
///
/// ```
/// use hexapla::measure::tokens::tokens;
/// assert_eq!(tokens("См. /etc/passwd (это файл).", None), ["См", ".", "/etc", "/", "passwd", "(", "это", "файл", ")", "."]);
/// ```
pub fn tokens<'t>(text: &'t str, lang: Option<&str>) -> Vec<&'t str> {
    let mut found = Vec::with_capacity(text.len() / 6);
    let tag = lang.and_then(tag::find);
    if let Some(unspaced) = tag.and_then(|tag| Unspaced::of(tag.script)) {
        by_dictionary(text, lang, unspaced, &mut found);
        return found;
    }
    let cutter = Cutter::of(tag.map_or("", |tag| tag.code));
    let (mut start, mut at, mut met) = (0, 0, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        // Decoding a character is dear where one byte is one.
        let ascii = if byte.is_ascii() { Some(char::from(*byte)) } else { None };
        let Some(c) = ascii.or_else(|| text[at..].chars().next()) else { break };
        let class = cutter.classes.of(c);
        let end = at;
        at += c.len_utf8();
        if class & SPACE == 0 {
            met |= class;
            continue;
        }
        push(&text[start..end], met, cutter, &mut found);
        (start, met) = (at, 0);
    }
    push(&text[start..], met, cutter, &mut found);
    found
}

/// A way of writing without spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unspaced {
    Chinese,
    Japanese,
    SouthEastAsian,
}

impl Unspaced {
    fn of(script: &str) -> Option<Self> {
        match script {
            "Hans" | "Hant" | "Hani" => Some(Self::Chinese),
            "Jpan" => Some(Self::Japanese),
            "Thai" | "Laoo" | "Khmr" | "Mymr" => Some(Self::SouthEastAsian),
            _ => None,
        }
    }
}

/// Pushes the words that ICU finds, and each mark.
///
/// Two single Chinese characters side by side are most often a word that ICU's dictionary lacks,
/// and one token: jieba, which knows more words and guesses the others, has 5 % fewer tokens than
/// ICU, and agreement with it grows by more than a point.
fn by_dictionary<'t>(
    text: &'t str,
    lang: Option<&str>,
    unspaced: Unspaced,
    found: &mut Vec<&'t str>,
) {
    let (mut start, mut single) = (0, None);
    for segment in segment::segments(text, lang) {
        let end = start + segment.text.len();
        let is_single = unspaced == Unspaced::Chinese && is_han(segment.text);
        if let (true, Some(before)) = (is_single, single) {
            found.pop();
            found.push(&text[before..end]);
            single = None;
        } else {
            let parted = segment.is_word && unspaced != Unspaced::SouthEastAsian;
            if parted {
                found.extend(split_word(segment.text));
            } else {
                let mark = segment.text.trim_matches(segment::is_space);
                found.extend(Some(mark).filter(|mark| !mark.is_empty()));
            }
            single = is_single.then_some(start);
        }
        start = end;
    }
}

/// Whether a segment is one Chinese character.
fn is_han(segment: &str) -> bool {
    let mut chars = segment.chars();
    matches!((chars.next(), chars.next()), (Some('\u{4e00}'..='\u{9fff}'), None))
}

/// Pushes the tokens of a stretch without white space that has characters of the classes `met`.
#[inline]
fn push<'t>(stretch: &'t str, met: u16, cutter: Cutter, found: &mut Vec<&'t str>) {
    if met & UNSPACED != 0 {
        by_dictionary(stretch, None, Unspaced::SouthEastAsian, found);
    } else if met & CUT != 0 {
        cutter.cut(stretch, found);
    } else if !stretch.is_empty() {
        found.push(stretch);
    }
}

/// The parts of a word that is cut at its marks, which are parts too.
fn split_word(word: &str) -> impl Iterator<Item = &str> {
    let is_mark = |c| matches!(c, '.' | '_' | '\'');
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if is_mark(first) {
            first.len_utf8()
        } else {
            rest.find(is_mark).unwrap_or(rest.len())
        };
        let (part, tail) = rest.split_at(end);
        rest = tail;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<&str> {
        tokens(text, None)
    }

    #[test]
    fn words_without_spaces_are_cut_by_dictionary() {
        assert_eq!(tokens("我喜欢foo.bar。", Some("zh")), ["我", "喜欢", "foo", ".", "bar", "。"]);
        assert_eq!(tokens("東京に12人", Some("ja")), ["東京", "に", "12", "人"]);
        // Neither is in ICU's dictionary.
        assert_eq!(tokens("点击文档", Some("zh")), ["点击", "文档"]);
        assert_eq!(tokens("ภาษาไทย", Some("th")), ["ภาษา", "ไทย"]);
        // Without a language, too.
        assert_eq!(of("see 我喜欢猫"), ["see", "我", "喜欢", "猫"]);
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for part in ["(", ".", "-", "a.", "'s", "@:", "://", "\u{200d}", "\u{202e}א", "\u{e0fff}"]
        {
            let text = part.repeat(300_000);
            let joined: String = of(&text).concat();
            assert_eq!(joined, text);
        }
        assert!(of("").is_empty() && of(" \u{a0}\n").is_empty());
    }
}
