//! Words as contamination compares them: what case, accents, width and digits do not change.
//!
//! A word is folded letter by letter: NFKD, lower case, `ς` as `σ`, no non-spacing marks, each
//! number as one `0`. This is the folding of near duplicates, done after the words are cut and not
//! before, so that the place of each word in the text stays known. What Unicode cuts otherwise in
//! its compatibility form (`½`, kana of half width without spaces) is where the two may differ.

use std::sync::LazyLock;

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use unicode_normalization::UnicodeNormalization;

/// What a letter of the first plane becomes: a letter, or one of the marks below.
static FOLDED: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let entry = |code: u32| char::from_u32(code).map_or(NOTHING, entry);
    (0..=0xffff).map(entry).collect()
});

/// Nothing is left of it.
const NOTHING: u32 = u32::MAX;
/// A decimal digit.
const DIGIT: u32 = u32::MAX - 1;
/// Several letters, which are asked for.
const SEVERAL: u32 = u32::MAX - 2;

fn entry(c: char) -> u32 {
    if CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::DecimalNumber {
        return DIGIT;
    }
    let mut letters = letters(c);
    match (letters.next(), letters.next()) {
        (None, _) => NOTHING,
        (Some('0'), None) => DIGIT,
        (Some(one), None) => u32::from(one),
        _ => SEVERAL,
    }
}

/// What a letter becomes, by Unicode's tables.
fn letters(c: char) -> impl Iterator<Item = char> {
    let category = CodePointMapData::<GeneralCategory>::new();
    std::iter::once(c)
        .nfkd()
        .flat_map(char::to_lowercase)
        .nfd()
        .filter(move |c| category.get(*c) != GeneralCategory::NonspacingMark)
        .map(move |c| match c {
            'ς' => 'σ',
            c if category.get(c) == GeneralCategory::DecimalNumber => '0',
            c => c,
        })
}

/// Folds words, one after another.
#[derive(Debug, Default)]
pub struct Fold {
    out: Vec<u8>,
    in_number: bool,
    /// Whether a separator was left out, which counts when no digit follows.
    separator: Option<char>,
}

impl Fold {
    /// The word as UTF-8; empty when nothing is left of it.
    ///
    /// ```
    /// let mut fold = hexapla::dedup::contamination::fold::Fold::default();
    /// assert_eq!(fold.word("Élève"), "eleve".as_bytes());
    /// assert_eq!(fold.word("１２，5"), "0".as_bytes());
    /// ```
    pub fn word(&mut self, word: &str) -> &[u8] {
        self.out.clear();
        (self.in_number, self.separator) = (false, None);
        if word.bytes().all(|b| b.is_ascii_alphabetic()) {
            self.out.extend(word.bytes().map(|b| b.to_ascii_lowercase()));
            return &self.out;
        }
        for c in word.chars() {
            match FOLDED.get(c as usize).copied().unwrap_or(SEVERAL) {
                NOTHING => {}
                DIGIT => self.letter('0'),
                SEVERAL => letters(c).for_each(|c| self.letter(c)),
                one => self.letter(char::from_u32(one).unwrap_or(c)),
            }
        }
        if let Some(separator) = self.separator.take() {
            self.push(separator);
        }
        &self.out
    }

    fn letter(&mut self, c: char) {
        if c == '0' {
            self.separator = None;
            if !std::mem::replace(&mut self.in_number, true) {
                self.out.push(b'0');
            }
            return;
        }
        if let Some(separator) = self.separator.take() {
            self.push(separator);
        } else if self.in_number && is_separator(c) {
            // `1,234.5` is one number: a separator between digits belongs to it.
            self.separator = Some(c);
            return;
        }
        self.in_number = false;
        self.push(c);
    }

    fn push(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | ',' | '\'' | '’' | '٫' | '٬' | '،' | '…')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(word: &str) -> String {
        String::from_utf8(Fold::default().word(word).to_vec()).unwrap()
    }

    #[test]
    fn case_accents_width_and_numbers_do_not_count() {
        for (word, expected) in [
            ("ΟΔΌΣ", "οδοσ"),
            ("e\u{301}cole", "ecole"),
            ("ÉCOLE", "ecole"),
            ("ﬁn", "fin"),
            ("ＡＢＣ", "abc"),
            ("ﾊﾟﾝ", "ハン"),
            ("パン", "ハン"),
            ("1,234.5", "0"),
            ("١٢٫٥", "0"),
            ("3rd", "0rd"),
            ("b52s", "b0s"),
            ("don't", "don't"),
            ("5'", "0'"),
            ("İstanbul", "istanbul"),
            ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
            ("𝐀", "a"),
        ] {
            assert_eq!(folded(word), expected, "{word}");
        }
    }

    #[test]
    fn the_table_says_what_unicode_says() {
        for c in (0..0x11_0000).step_by(7).filter_map(char::from_u32) {
            let word = c.to_string();
            let slow: String = letters(c).collect();
            assert_eq!(folded(&word).replace('0', ""), slow.replace('0', ""), "{c:?}");
        }
    }
}
