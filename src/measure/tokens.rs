//! The tokens that the rules of datatrove are asked of: words, and punctuation where it stands
//! apart.
//!
//! datatrove cuts with spaCy, jieba, Sudachi, PyThaiNLP and others; here words of scripts that
//! write no spaces are ICU's, and stretches between white space are cut at the marks at which
//! spaCy's rules for all languages cut: at marks on either end (`("Hi"),`), and between letters at
//! hyphens, slashes, colons and the like. A path (`/usr/lib`), an option (`--help`), an address or
//! an abbreviation (`U.S.`) is one token. No list of abbreviations or contractions of a language.

use super::classes::{AFFIX, CUT, Classes, DIGIT, LETTER, SPACE, UNSPACED, UPPER};
use crate::identify::tag;
use crate::text::segment;

/// The tokens of a text in a language, named by a code in any form; in the order of the text.
///
/// ```
/// use hexapla::measure::tokens::tokens;
/// assert_eq!(tokens("См. /etc/passwd (это файл).", None), ["См", ".", "/etc", "/", "passwd", "(", "это", "файл", ")", "."]);
/// ```
pub fn tokens<'t>(text: &'t str, lang: Option<&str>) -> Vec<&'t str> {
    let classes = Classes::new();
    let mut found = Vec::with_capacity(text.len() / 6);
    let script = lang.and_then(tag::find).map_or("", |tag| tag.script);
    if let Some(unspaced) = Unspaced::of(script) {
        by_dictionary(text, lang, unspaced, &mut found);
        return found;
    }
    let (mut start, mut met) = (0, 0);
    for (at, c) in text.char_indices() {
        let class = classes.of(c);
        if class & SPACE == 0 {
            met |= class;
            continue;
        }
        push(&text[start..at], met, classes, &mut found);
        (start, met) = (at + c.len_utf8(), 0);
    }
    push(&text[start..], met, classes, &mut found);
    found
}

/// A way of writing without spaces, whose tokenizers cut numbers and names in their own way too.
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
fn by_dictionary<'t>(
    text: &'t str,
    lang: Option<&str>,
    unspaced: Unspaced,
    found: &mut Vec<&'t str>,
) {
    for segment in segment::segments(text, lang) {
        let text = segment.text;
        if !segment.is_word {
            found
                .extend(Some(text.trim_matches(segment::is_space)).filter(|mark| !mark.is_empty()));
        } else if unspaced == Unspaced::SouthEastAsian {
            found.push(text);
        } else {
            found.extend(split_word(text, unspaced == Unspaced::Japanese));
        }
    }
}

/// Pushes the tokens of a stretch without white space that has characters of the classes `met`.
fn push<'t>(stretch: &'t str, met: u16, classes: Classes, found: &mut Vec<&'t str>) {
    if met & UNSPACED != 0 {
        by_dictionary(stretch, None, Unspaced::SouthEastAsian, found);
    } else if met & CUT != 0 {
        cut(stretch, classes, found);
    } else if !stretch.is_empty() {
        found.push(stretch);
    }
}

/// The parts of a word that is cut at marks, which are parts too, and, if asked, at its digits.
fn split_word(word: &str, digits: bool) -> impl Iterator<Item = &str> {
    let is_part = move |c: char| matches!(c, '.' | '_' | '\'') || digits && c.is_ascii_digit();
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if is_part(first) {
            first.len_utf8()
        } else {
            rest.find(is_part).unwrap_or(rest.len())
        };
        let (part, tail) = rest.split_at(end);
        rest = tail;
        Some(part)
    })
}

/// Cuts a stretch: marks off its beginning, then off its end, then inside.
fn cut<'t>(stretch: &'t str, classes: Classes, found: &mut Vec<&'t str>) {
    let mut middle = stretch;
    while let Some(length) = prefix(middle, classes) {
        let (mark, rest) = middle.split_at(length);
        found.push(mark);
        middle = rest;
    }
    let all = middle;
    while let Some(length) = suffix(middle, classes) {
        middle = &middle[..middle.len() - length];
    }
    if is_address(middle, classes) {
        found.push(middle);
    } else {
        inside(middle, classes, found);
    }
    // Marks at the end, from left to right.
    let mut marks = &all[middle.len()..];
    while let Some(first) = marks.chars().next() {
        let dots = marks.bytes().take_while(|byte| *byte == b'.').count();
        let length = match first.len_utf8() {
            _ if dots > 0 => dots,
            one if marks[one..].starts_with(['s', 'S']) => one + 1,
            one => one,
        };
        let (mark, rest) = marks.split_at(length);
        found.push(mark);
        marks = rest;
    }
}

/// The length of the mark that a stretch begins with.
fn prefix(stretch: &str, classes: Classes) -> Option<usize> {
    let mut chars = stretch.chars();
    let first = chars.next()?;
    let next = chars.next();
    match first {
        '.' if next == Some('.') => Some(stretch.bytes().take_while(|byte| *byte == b'.').count()),
        '+' if next.is_none_or(|next| !next.is_ascii_digit()) => Some(1),
        '§' | '%' | '=' => Some(first.len_utf8()),
        _ if classes.of(first) & AFFIX != 0 || is_currency(first) => Some(first.len_utf8()),
        _ => None,
    }
}

/// The length of the mark that a stretch ends with.
fn suffix(stretch: &str, classes: Classes) -> Option<usize> {
    let mut chars = stretch.chars().rev();
    let last = chars.next()?;
    let length = last.len_utf8();
    let before = chars.next();
    let class = before.map_or(0, |c| classes.of(c));
    match last {
        '.' => match before? {
            '.' => Some(stretch.bytes().rev().take_while(|byte| *byte == b'.').count()),
            '%' | '²' | '-' | '+' => Some(length),
            _ if class & (DIGIT | AFFIX) != 0 => Some(length),
            _ if class & UPPER != 0 => (classes.of(chars.next()?) & UPPER != 0).then_some(length),
            _ => (class & LETTER != 0).then_some(length),
        },
        's' | 'S' => {
            matches!(before?, '\'' | '’').then(|| length + before.map_or(0, char::len_utf8))
        }
        '+' | '%' => (class & DIGIT != 0).then_some(length),
        _ if is_currency(last) => (class & DIGIT != 0).then_some(length),
        _ => (classes.of(last) & AFFIX != 0).then_some(length),
    }
}

/// Cuts where a mark stands between two characters that it parts.
fn inside<'t>(middle: &'t str, classes: Classes, found: &mut Vec<&'t str>) {
    let (mut start, mut at) = (0, 0);
    let mut before = 0;
    while let Some(c) = middle[at..].chars().next() {
        let class = classes.of(c);
        let length = if class & CUT == 0 || at == 0 {
            None
        } else {
            parting(&middle[at..], c, before, classes)
        };
        let Some(length) = length else {
            at += c.len_utf8();
            before = class;
            continue;
        };
        if start < at {
            found.push(&middle[start..at]);
        }
        found.push(&middle[at..at + length]);
        at += length;
        start = at;
        before = class;
    }
    if start < middle.len() {
        found.push(&middle[start..]);
    }
}

/// The length of the mark at the beginning of `rest`, if it parts what is before it, of class
/// `before`, from what is behind it.
fn parting(rest: &str, mark: char, before: u16, classes: Classes) -> Option<usize> {
    let length = mark.len_utf8();
    let next = rest[length..].chars().next();
    let behind = next.map_or(0, |c| classes.of(c));
    let parts = match mark {
        '…' => true,
        '.' if next == Some('.') => {
            return Some(rest.bytes().take_while(|byte| *byte == b'.').count());
        }
        '.' => before & LETTER != 0 && before & UPPER == 0 && behind & UPPER != 0,
        ',' => before & behind & LETTER != 0,
        '-' if next == Some('-') && before & LETTER != 0 => {
            let dashes = rest.bytes().take_while(|byte| *byte == b'-').count();
            let behind = rest[dashes..].chars().next().map_or(0, |c| classes.of(c));
            return (dashes <= 3 && behind & LETTER != 0).then_some(dashes);
        }
        '-' | '–' | '—' | '~' => {
            before & (LETTER | DIGIT) != 0 && behind & LETTER != 0
                || mark == '-' && before & behind & DIGIT != 0
        }
        ':' | '<' | '>' | '=' | '/' => before & (LETTER | DIGIT) != 0 && behind & LETTER != 0,
        '+' | '*' | '^' => before & behind & DIGIT != 0,
        // Signs and pictures: neither quotes nor brackets.
        _ => {
            classes.of(mark) & (AFFIX | super::classes::PUNCTUATION | super::classes::SYMBOL)
                == AFFIX
                && !matches!(mark, '`' | '´' | '<' | '>')
        }
    };
    parts.then_some(length)
}

fn is_currency(c: char) -> bool {
    matches!(c, '$' | '£' | '€' | '¥' | '฿' | '\u{20a0}'..='\u{20bf}')
}

/// Whether a stretch is an address: an optional scheme, names joined by dots of which the last has
/// lower-case letters alone, an optional port, and anything behind a `/`, `?` or `#`.
fn is_address(stretch: &str, classes: Classes) -> bool {
    let rest = match stretch.split_once("://") {
        Some((scheme, rest)) if scheme.len() > 1 => rest,
        _ => stretch,
    };
    // Of user and password the last `@` in the stretch is the end.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, port) = match rest[..end].split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (&rest[..end], None),
    };
    let port_is_right = port.is_none_or(|port| {
        2 <= port.len() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let Some((names, top)) = host.rsplit_once('.') else { return false };
    port_is_right
        && top.chars().nth(1).is_some()
        && top.chars().all(|c| classes.of(c) & (LETTER | UPPER) == LETTER)
        && names.split('.').all(|name| {
            let is_inner =
                |c: char| c.is_ascii_alphanumeric() || c >= '\u{a1}' || c == '_' || c == '-';
            !name.is_empty()
                && !name.starts_with(['_', '-'])
                && !name.ends_with(['_', '-'])
                && name.chars().all(is_inner)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<&str> {
        tokens(text, None)
    }

    #[test]
    fn marks_come_off_both_ends() {
        assert_eq!(of("(\"Hi\"), he's…"), ["(", "\"", "Hi", "\"", ")", ",", "he", "'s", "…"]);
        assert_eq!(of("«Да»—нет."), ["«", "Да»", "—", "нет", "."]);
        assert_eq!(of("वह गया।"), ["वह", "गया", "।"]);
        assert_eq!(of("ماذا؟"), ["ماذا", "؟"]);
        assert_eq!(of("wait... .. 5% $7 7$"), ["wait", "...", "..", "5", "%", "$", "7", "7", "$"]);
    }

    #[test]
    fn dots_stay_with_initials_and_numbers() {
        assert_eq!(of("The U.S. is 3.5 NATO."), ["The", "U.S.", "is", "3.5", "NATO", "."]);
        assert_eq!(of("end.Begin a.b"), ["end", ".", "Begin", "a.b"]);
    }

    #[test]
    fn letters_are_parted_by_hyphens_and_slashes() {
        assert_eq!(
            of("apt-get и/или 5-6 a--b"),
            ["apt", "-", "get", "и", "/", "или", "5", "-", "6", "a", "--", "b"]
        );
        assert_eq!(of("--help -x /usr foo(bar"), ["--help", "-x", "/usr", "foo(bar"]);
    }

    #[test]
    fn an_address_is_one_token() {
        for address in [
            "https://example.org/a-b/c",
            "www.example.org",
            "user@example.org",
            "example.org:8080/x",
        ] {
            assert_eq!(of(&format!("({address}).")), ["(", address, ")", "."]);
        }
        assert_eq!(of("a.B:80/x-y").len(), 5);
    }

    #[test]
    fn words_without_spaces_are_cut_by_dictionary() {
        assert_eq!(tokens("我喜欢foo.bar。", Some("zh")), ["我", "喜欢", "foo", ".", "bar", "。"]);
        assert_eq!(tokens("東京に12人", Some("ja")), ["東京", "に", "1", "2", "人"]);
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
