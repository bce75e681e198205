//! Features of a text: character n-grams within the words of one script, and the words themselves.
//!
//! A word is a run of letters of the script with their marks. Letters of other scripts, digits and
//! punctuation end it and are no part of any feature: the script is decided before, by Unicode.
//! Nothing is counted or weighed here.

use std::sync::LazyLock;

use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, Script};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};
use icu_properties::{PropertyParser, PropertyParserBorrowed};

const SCRIPTS: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::<Script>::new();
const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();
const PARSER: PropertyParserBorrowed<'static, Script> = PropertyParser::<Script>::new();

/// The longest n-gram in characters, word boundaries counted.
pub const MAX_ORDER: usize = 5;
/// Kinds of features: n-grams of each order, then words.
pub const KINDS: usize = MAX_ORDER + 1;

/// A feature: its kind in the upper three bits, a hash of its characters below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Feature(pub u32);

impl Feature {
    /// The kind, below 8: an n-gram of n − 1 is the order, [`MAX_ORDER`] a word.
    pub fn kind(self) -> usize {
        (self.0 >> 29) as usize
    }
}

/// What a character does to a word.
type Class = u8;
/// Ends a word.
const BREAK: Class = 0;
/// Belongs to any word that has begun: marks and modifier letters.
const MARK: Class = 1;
/// Is no part of a word, nor its end: joiners and the tatweel.
const SKIP: Class = 2;
/// Belongs to a word when a letter follows.
const APOSTROPHE: Class = 3;
/// Letters: this and the number of their script.
const LETTER: Class = 8;

/// The boundary of a word inside an n-gram; a noncharacter, so no letter.
const BOUNDARY: u32 = 0xffff;

/// Scripts whose letters compete for one text: all of Japanese and Chinese are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Letters(Class);

impl Letters {
    /// The letters of an ISO 15924 code, as in tags or as `script::script` finds them; `None` for
    /// what is no script.
    pub fn of(script: &str) -> Option<Self> {
        let script = match script {
            "Hans" | "Hant" | "Jpan" | "Hani" => Script::Han,
            "Kore" => Script::Hangul,
            code => PARSER.get_strict(code)?,
        };
        class_of_script(script).map(Self)
    }
}

fn class_of_script(script: Script) -> Option<Class> {
    let script = match script {
        Script::Hiragana | Script::Katakana => Script::Han,
        Script::Common | Script::Inherited | Script::Unknown => return None,
        script => script,
    };
    let number = SCRIPT_NUMBERS.binary_search(&script).ok()?;
    Class::try_from(number).ok()?.checked_add(LETTER)
}

/// The scripts that have characters, for numbers that fit a byte.
static SCRIPT_NUMBERS: LazyLock<Vec<Script>> = LazyLock::new(|| {
    let mut scripts: Vec<Script> = (0..=u32::from(char::MAX)).map(|c| SCRIPTS.get32(c)).collect();
    // Neighbours are mostly of one script, so that there is little to sort.
    scripts.dedup();
    scripts.sort_unstable();
    scripts.dedup();
    scripts
});

/// For each character of the first plane its lower case in the upper 24 bits, its class below.
static CHARACTERS: LazyLock<Box<[u32]>> = LazyLock::new(|| {
    (0..=0xffff_u32)
        .map(|c| char::from_u32(c).map_or(0, |c| fold(c) << 8 | u32::from(class(c))))
        .collect()
});

fn lookup(c: char) -> (Class, u32) {
    let entry = match CHARACTERS.get(c as usize) {
        Some(entry) => *entry,
        None => fold(c) << 8 | u32::from(class(c)),
    };
    (entry as Class, entry >> 8)
}

/// The character in lower case, if that is one character; one apostrophe for all.
fn fold(c: char) -> u32 {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        _ if class(c) == APOSTROPHE => '\'' as u32,
        (Some(one), None) => one as u32,
        // U+0130, the only one: its first is the letter without the dot above.
        (Some(first), Some(_)) => first as u32,
        (None, _) => c as u32,
    }
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => class_of_script(Script::Latin).unwrap_or(BREAK),
        '\'' | '’' | '‘' | '`' | '´' | 'ʼ' | 'ʻ' | 'ʹ' | 'ʽ' => APOSTROPHE,
        '\0'..='\x7f' => BREAK,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{640}' | '\u{fe00}'..='\u{fe0f}' => SKIP,
        _ => match CATEGORIES.get(c) {
            category if GeneralCategoryGroup::Mark.contains(category) => MARK,
            category if GeneralCategoryGroup::Letter.contains(category) => {
                class_of_script(SCRIPTS.get(c)).unwrap_or(MARK)
            }
            _ => BREAK,
        },
    }
}

/// Calls `visit` with the features of the words that are written in `letters`: at each character
/// the n-grams that end there, the shortest first, and at the end of a word the word.
pub fn for_each(text: &str, letters: Letters, mut visit: impl FnMut(&[Feature])) {
    let mut word = Word::default();
    let mut apostrophe = false;
    for c in text.chars() {
        let (class, folded) = lookup(c);
        if class == letters.0 || (class == MARK && word.length > 0) {
            if std::mem::take(&mut apostrophe) {
                word.push('\'' as u32, &mut visit);
            }
            word.push(folded, &mut visit);
        } else if class == APOSTROPHE && word.length > 0 && !apostrophe {
            apostrophe = true;
        } else if class != SKIP {
            word.end(&mut visit);
            apostrophe = false;
        }
    }
    word.end(&mut visit);
}

/// The word that is being read.
#[derive(Default)]
struct Word {
    /// Characters so far, without the boundary.
    length: usize,
    /// The last characters, the newest first.
    last: [u32; MAX_ORDER],
    hash: u64,
}

impl Word {
    fn push(&mut self, c: u32, visit: &mut impl FnMut(&[Feature])) {
        if self.length == 0 {
            self.last[0] = BOUNDARY;
            self.hash = 0;
        }
        self.length += 1;
        self.hash = mix(self.hash, c);
        self.shift(c);
        self.visit_suffixes(1, visit);
    }

    fn end(&mut self, visit: &mut impl FnMut(&[Feature])) {
        if self.length == 0 {
            return;
        }
        self.shift(BOUNDARY);
        // A boundary alone says nothing.
        self.visit_suffixes(2, visit);
        // Shorter words are n-grams with both boundaries.
        if self.length + 2 > MAX_ORDER {
            visit(&[feature(MAX_ORDER, self.hash)]);
        }
        self.length = 0;
    }

    fn shift(&mut self, c: u32) {
        self.last.copy_within(..MAX_ORDER - 1, 1);
        self.last[0] = c;
    }

    /// The n-grams that end here, from the order `shortest`.
    fn visit_suffixes(&self, shortest: usize, visit: &mut impl FnMut(&[Feature])) {
        let known = (self.length + if self.last[0] == BOUNDARY { 2 } else { 1 }).min(MAX_ORDER);
        let mut hash = 0;
        let mut suffixes = [Feature(0); MAX_ORDER];
        for (i, (suffix, c)) in suffixes.iter_mut().zip(&self.last[..known]).enumerate() {
            hash = mix(hash, *c);
            *suffix = feature(i, hash);
        }
        visit(suffixes.get(shortest - 1..known).unwrap_or_default());
    }
}

/// A step of a multiplicative hash.
fn mix(hash: u64, c: u32) -> u64 {
    (hash ^ u64::from(c) ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

fn feature(kind: usize, hash: u64) -> Feature {
    let hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 35;
    Feature((kind as u32) << 29 | hash as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features_of(text: &str, script: &str) -> Vec<Feature> {
        let mut features = Vec::new();
        for_each(text, Letters::of(script).unwrap(), |found| features.extend_from_slice(found));
        features
    }

    #[test]
    fn a_word_has_its_ngrams_and_itself() {
        // a: a, _a; b: b, ab, _ab; end: b_, ab_, _ab_.
        assert_eq!(features_of("ab", "Latn").len(), 8);
        let kinds: Vec<usize> = features_of("abcdef", "Latn").iter().map(|f| f.kind()).collect();
        assert_eq!(kinds.iter().filter(|kind| **kind == MAX_ORDER).count(), 1);
        assert_eq!(kinds.iter().filter(|kind| **kind == 0).count(), 6);
        assert_eq!(features_of("ab ab", "Latn").len(), 16);
    }

    #[test]
    fn case_marks_of_the_reader_and_other_scripts_do_not_matter() {
        let plain = features_of("привет", "Cyrl");
        for text in ["ПРИВЕТ", "«Привет»", "hello привет 12", "при\u{ad}вет", "при\u{200d}вет"]
        {
            assert_eq!(features_of(text, "Cyrl"), plain, "{text}");
        }
        assert_eq!(features_of("o’zbek", "Latn"), features_of("Oʻzbek", "Latn"));
        assert_ne!(features_of("o’zbek", "Latn"), features_of("o zbek", "Latn"));
        assert_eq!(features_of("’tis’ ", "Latn"), features_of("tis", "Latn"));
    }

    #[test]
    fn marks_belong_to_words_and_east_asian_scripts_to_each_other() {
        assert_ne!(features_of("नमस्ते", "Deva"), features_of("नमसत", "Deva"));
        assert_eq!(features_of("\u{93e}", "Deva"), []);
        assert_eq!(Letters::of("Jpan"), Letters::of("Hant"));
        assert_eq!(Letters::of("Kore"), Letters::of("Hang"));
        assert_eq!(Letters::of("Zyyy"), None);
        assert_eq!(Letters::of("Latm"), None);
    }

    #[test]
    fn hostile_text_has_few_features() {
        for text in ["", "'", "\u{ffff}", "\u{378}", "\u{10ffff}", "\u{301}\u{301}", "'''a"] {
            assert!(features_of(text, "Latn").len() <= 4, "{text:?}");
        }
    }
}
