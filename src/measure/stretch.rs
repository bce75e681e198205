//! Cutting a stretch between white space at its marks, as spaCy's rules for all languages do.
//!
//! White space and scripts without it are `tokens`'. No list of abbreviations, contractions or
//! faces of a language; the few languages whose words have hyphens or colons inside are told apart.

use super::classes::{AFFIX, ALPHABET, CUT, Classes, DIGIT, LETTER, PUNCTUATION, SYMBOL, UPPER};

/// Cuts stretches of a language.
#[derive(Clone, Copy)]
pub struct Cutter {
    /// The classes of characters.
    pub classes: Classes,
    /// Marks that do not part letters.
    joins: &'static str,
    /// Whether a full stop behind a digit is part of an ordinal.
    writes_ordinals: bool,
}

impl Cutter {
    /// For a language by its ISO 639-3 code, which may be empty.
    pub fn of(code: &str) -> Self {
        let joins = match code {
            "fin" | "swe" => "-:",
            "cat" | "dan" | "deu" | "hun" | "ltz" | "nld" | "nno" | "nob" | "por" | "ron"
            | "spa" | "srp" => "-",
            // Their rules for full stops know no lower case.
            "amh" | "arb" | "pes" | "tir" => ".",
            _ => "",
        };
        let writes_ordinals =
            matches!(code, "dan" | "deu" | "hun" | "nno" | "nob" | "slv" | "srp" | "tur");
        Self { classes: Classes::new(), joins, writes_ordinals }
    }

    /// Cuts a stretch: marks off its beginning, then off its end, then inside.
    pub fn cut<'t>(&self, stretch: &'t str, found: &mut Vec<&'t str>) {
        let mut middle = stretch;
        while let Some(length) = self.prefix(middle) {
            let (mark, rest) = middle.split_at(length);
            found.push(mark);
            middle = rest;
        }
        let all = middle;
        while let Some(length) = self.suffix(middle) {
            middle = &middle[..middle.len() - length];
        }
        if self.is_address(middle) {
            found.push(middle);
        } else {
            self.inside(middle, found);
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
    fn prefix(&self, stretch: &str) -> Option<usize> {
        let mut chars = stretch.chars();
        let first = chars.next()?;
        let next = chars.next();
        match first {
            '.' if next == Some('.') => {
                Some(stretch.bytes().take_while(|byte| *byte == b'.').count())
            }
            '+' if next.is_none_or(|next| !next.is_ascii_digit()) => Some(1),
            '§' | '%' | '=' => Some(first.len_utf8()),
            _ if self.classes.of(first) & AFFIX != 0 || is_currency(first) => {
                Some(first.len_utf8())
            }
            _ => None,
        }
    }

    /// The length of the mark that a stretch ends with.
    fn suffix(&self, stretch: &str) -> Option<usize> {
        let mut chars = stretch.chars().rev();
        let last = chars.next()?;
        let length = last.len_utf8();
        let before = chars.next();
        let class = before.map_or(0, |c| self.classes.of(c));
        match last {
            '.' if self.joins == "." && before != Some('.') => {
                // Two letters before it, neither of them small.
                let is_large = |c: char| self.classes.of(c) & ALPHABET != 0 && !c.is_lowercase();
                (is_large(before?) && is_large(chars.next()?)).then_some(length)
            }
            '.' => match before? {
                '.' => Some(stretch.bytes().rev().take_while(|byte| *byte == b'.').count()),
                '%' | '²' | '-' | '+' => Some(length),
                _ if class & DIGIT != 0 => (!self.writes_ordinals).then_some(length),
                _ if class & AFFIX != 0 => Some(length),
                _ if class & UPPER != 0 => {
                    (self.classes.of(chars.next()?) & UPPER != 0).then_some(length)
                }
                _ => (class & ALPHABET != 0).then_some(length),
            },
            's' | 'S' => {
                matches!(before?, '\'' | '’').then(|| length + before.map_or(0, char::len_utf8))
            }
            '+' | '%' => (class & DIGIT != 0).then_some(length),
            _ if is_currency(last) => (class & DIGIT != 0).then_some(length),
            _ => (self.classes.of(last) & AFFIX != 0).then_some(length),
        }
    }

    /// Cuts where a mark stands between two characters that it parts.
    fn inside<'t>(&self, middle: &'t str, found: &mut Vec<&'t str>) {
        let (mut start, mut at) = (0, 0);
        let mut before = 0;
        while let Some(c) = middle[at..].chars().next() {
            let class = self.classes.of(c);
            let length = if class & CUT == 0 || at == 0 {
                None
            } else {
                self.parting(&middle[at..], c, before)
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
    fn parting(&self, rest: &str, mark: char, before: u16) -> Option<usize> {
        let length = mark.len_utf8();
        let next = rest[length..].chars().next();
        let behind = next.map_or(0, |c| self.classes.of(c));
        let parts = match mark {
            '-' | ':' if self.joins.contains(mark) => false,
            '…' => true,
            '.' if next == Some('.') => {
                return Some(rest.bytes().take_while(|byte| *byte == b'.').count());
            }
            '.' => before & ALPHABET != 0 && before & UPPER == 0 && behind & UPPER != 0,
            ',' => before & behind & ALPHABET != 0,
            '-' if next == Some('-') && before & ALPHABET != 0 => {
                let dashes = rest.bytes().take_while(|byte| *byte == b'-').count();
                let behind = rest[dashes..].chars().next().map_or(0, |c| self.classes.of(c));
                return (dashes <= 3 && behind & ALPHABET != 0).then_some(dashes);
            }
            '-' | '–' | '—' | '~' => {
                before & (ALPHABET | DIGIT) != 0 && behind & ALPHABET != 0
                    || mark == '-' && before & behind & DIGIT != 0
            }
            ':' | '<' | '>' | '=' | '/' => {
                before & (ALPHABET | DIGIT) != 0 && behind & ALPHABET != 0
            }
            '+' | '*' | '^' => before & behind & DIGIT != 0,
            // Signs and pictures: neither quotes nor brackets.
            _ => {
                self.classes.of(mark) & (AFFIX | PUNCTUATION | SYMBOL) == AFFIX
                    && !matches!(mark, '`' | '´' | '<' | '>')
            }
        };
        parts.then_some(length)
    }

    /// Whether a stretch is an address: an optional scheme, names joined by dots of which the last has
    /// lower-case letters alone, an optional port, and anything behind a `/`, `?` or `#`.
    fn is_address(&self, stretch: &str) -> bool {
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
            && top.chars().all(|c| self.classes.of(c) & (LETTER | UPPER) == LETTER)
            && names.split('.').all(|name| {
                let is_inner =
                    |c: char| c.is_ascii_alphanumeric() || c >= '\u{a1}' || c == '_' || c == '-';
                !name.is_empty()
                    && !name.starts_with(['_', '-'])
                    && !name.ends_with(['_', '-'])
                    && name.chars().all(is_inner)
            })
    }
}

fn is_currency(c: char) -> bool {
    matches!(c, '$' | '£' | '€' | '¥' | '฿' | '\u{20a0}'..='\u{20bf}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by<'t>(text: &'t str, code: &str) -> Vec<&'t str> {
        let mut found = Vec::new();
        for stretch in text.split(' ') {
            Cutter::of(code).cut(stretch, &mut found);
        }
        found
    }

    fn of(text: &str) -> Vec<&str> {
        by(text, "")
    }

    #[test]
    fn marks_come_off_both_ends() {
        assert_eq!(of("(\"Hi\"), he's…"), ["(", "\"", "Hi", "\"", ")", ",", "he", "'s", "…"]);
        assert_eq!(of("«Да» — нет."), ["«", "Да", "»", "—", "нет", "."]);
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
        // No name ends in a capital.
        assert_eq!(of("a.B/c"), ["a", ".", "B", "/", "c"]);
    }

    #[test]
    fn hyphens_and_colons_stay_where_words_have_them() {
        assert_eq!(by("E-Mail 5-6", "deu"), ["E-Mail", "5-6"]);
        assert_eq!(by("EU:n lait", "fin"), ["EU:n", "lait"]);
        assert_eq!(of("EU:n"), ["EU", ":", "n"]);
        assert_eq!(by("كلمة. file.", "arb"), ["كلمة", ".", "file."]);
    }
}
