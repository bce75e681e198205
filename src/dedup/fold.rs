//! Folding at the speed of a table: NFKC, lower case and single spaces, character by character.
//!
//! Most characters of most texts stand for one character whatever is around them; what that is
//! stands in a table of the Basic Multilingual Plane, filled once. A stretch between white space
//! with any other character (marks that compose, ligatures, what is out of order) goes the long
//! way by itself: white space is inert in normalization, so the parts make the whole.

use std::sync::LazyLock;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// Characters that the table knows.
pub(super) const PLANE: usize = 0x1_0000;
/// What all white space becomes.
const SPACE: u32 = ' ' as u32;
/// The character needs its neighbours, or becomes several.
const LONG_WAY: u32 = 0;

/// For each character the one it becomes, with its combining class in the upper byte.
static TABLE: LazyLock<Vec<u32>> = LazyLock::new(|| (0..PLANE as u32).map(entry).collect());

fn entry(code: u32) -> u32 {
    let Some(c) = char::from_u32(code) else { return LONG_WAY };
    let mut normal = std::iter::once(c).nfkc();
    let (Some(n), None) = (normal.next(), normal.next()) else { return LONG_WAY };
    let class = canonical_combining_class(n);
    // What may compose with the character before it is no "yes".
    if is_nfkc_quick(std::iter::once(n)) != IsNormalized::Yes || (class != 0 && n != c) {
        return LONG_WAY;
    }
    let mut lower = n.to_lowercase().map(one_sigma);
    match (lower.next(), lower.next()) {
        (Some(l), None) if l.is_whitespace() => SPACE,
        (Some(l), None) => u32::from(l) | u32::from(class) << 24,
        _ => LONG_WAY,
    }
}

/// One letter at a time: the final-sigma rule of whole words would make it depend on what follows,
/// and capitals have only one sigma.
fn one_sigma(c: char) -> char {
    if c == 'ς' { 'σ' } else { c }
}

/// NFKC, lower case, every run of white space as one space, none at the ends.
pub(super) fn folded(text: &str) -> String {
    let table = &*TABLE;
    let mut out = Folded { text: String::with_capacity(text.len()), space: false };
    for piece in text.split_ascii_whitespace() {
        out.space = !out.text.is_empty();
        let (start, space) = (out.text.len(), out.space);
        if !short_way(piece, table, &mut out) {
            out.text.truncate(start);
            out.space = space;
            for c in piece.nfkc() {
                out.push_any(c);
            }
        }
    }
    out.text
}

/// Folds by the table; whether that was possible.
fn short_way(piece: &str, table: &[u32], out: &mut Folded) -> bool {
    if piece.is_ascii() {
        out.separate();
        let start = out.text.len();
        out.text.push_str(piece);
        // Vertical tab is white space to Unicode and not to ASCII.
        if piece.bytes().any(|b| b == 0x0b) {
            return false;
        }
        if let Some(added) = out.text.get_mut(start..) {
            added.make_ascii_lowercase();
        }
        return true;
    }
    let mut last = 0;
    // Most characters are lower case already: they are copied in runs.
    let mut run = 0;
    for (i, c) in piece.char_indices() {
        let found = table.get(c as usize).copied().unwrap_or(LONG_WAY);
        let class = found >> 24;
        if found == LONG_WAY || (class != 0 && class < last) {
            return false;
        }
        last = class;
        let to = found & 0x00ff_ffff;
        if to == u32::from(c) && to != SPACE {
            continue;
        }
        let Some(to) = char::from_u32(to) else { return false };
        out.push_run(&piece[run..i]);
        run = i + c.len_utf8();
        out.push(to);
    }
    out.push_run(&piece[run..]);
    true
}

struct Folded {
    text: String,
    space: bool,
}

impl Folded {
    fn separate(&mut self) {
        if std::mem::take(&mut self.space) {
            self.text.push(' ');
        }
    }

    /// Characters that stay as they are.
    fn push_run(&mut self, run: &str) {
        if !run.is_empty() {
            self.separate();
            self.text.push_str(run);
        }
    }

    /// A character in lower case.
    fn push(&mut self, c: char) {
        if c.is_whitespace() {
            self.space = !self.text.is_empty();
            return;
        }
        self.separate();
        self.text.push(c);
    }

    fn push_any(&mut self, c: char) {
        c.to_lowercase().map(one_sigma).for_each(|c| self.push(c));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, in one go over the whole text.
    fn long_way(text: &str) -> String {
        let lower: String = text.nfkc().flat_map(char::to_lowercase).map(one_sigma).collect();
        lower.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    proptest! {
        #[test]
        fn the_table_is_the_definition(text in "\\PC*") {
            prop_assert_eq!(folded(&text), long_way(&text));
        }

        #[test]
        fn marks_in_any_order_too(
            text in "[a-zÀ-ÿΑ-ω\u{300}-\u{345}\u{5b0}-\u{5c2}\u{93c}-\u{94d}ा한ᄀ-ᄃ\u{1161}-\u{1165}ｶﾞ，。 \u{a0}\u{b}İﬁ²]{0,40}",
        ) {
            prop_assert_eq!(folded(&text), long_way(&text));
        }
    }

    #[test]
    fn every_character_of_the_plane_alone_and_behind_a_letter() {
        for c in (0..PLANE as u32).filter_map(char::from_u32) {
            for text in [format!("{c}"), format!("a{c} {c}")] {
                assert_eq!(folded(&text), long_way(&text), "U+{:04X}", c as u32);
            }
        }
    }
}
