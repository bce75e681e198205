//! What is compared when duplicates are looked for: the normal form of a text, its content key, its
//! shingles and the bands of its signature.
//!
//! All of it is a function of the normal form alone, so that rows of equal content have equal
//! shingles whatever their language label says.

use super::content::folded;
use super::minhash::{self, Permutations};
use super::shingle::{self, set_of, windows};
use super::words::{each_plain_word, each_word};
use crate::error::{Error, Result};
use crate::id;

/// The text that content keys and shingles are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normal {
    /// NFKC, lower case, white space as single spaces: what `content_key` compares.
    Content,
    /// The text as it stands.
    None,
    /// Its letters alone, in lower case; no spaces (`letters_only` of OpusFilter's `RemoveDuplicates`).
    Letters,
    /// Its words without accents, punctuation and case, each number as `0` (as Bifixer's
    /// `--aggressive_dedup`).
    Folded,
}

/// What a shingle is a run of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Words, by dictionary in scripts without spaces.
    Words,
    /// Code points of the normal form.
    Characters,
    /// Ids of a tokenizer.
    Tokens,
}

/// The names of the normal forms.
pub const NORMALS: &[(&str, Normal)] = &[
    ("content", Normal::Content),
    ("none", Normal::None),
    ("letters", Normal::Letters),
    ("folded", Normal::Folded),
];

/// The names of the units.
pub const UNITS: &[(&str, Unit)] =
    &[("words", Unit::Words), ("characters", Unit::Characters), ("tokens", Unit::Tokens)];

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// The normal form.
    pub normal: Normal,
    /// What shingles are runs of.
    pub unit: Unit,
    /// Units in a shingle.
    pub ngram: u64,
    /// Bands of a signature.
    pub bands: u64,
    /// Numbers in each band.
    pub rows: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            normal: Normal::Content,
            unit: Unit::Words,
            ngram: shingle::WIDTH as u64,
            bands: minhash::BANDS as u64,
            rows: minhash::ROWS as u64,
        }
    }
}

/// The value of a name in such a list; errors name the others.
pub fn named<T: Copy>(what: &str, name: &str, all: &[(&str, T)]) -> Result<T> {
    let found = all.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    found.ok_or_else(|| Error::unknown(what, name, all.iter().map(|(n, _)| *n)))
}

fn name_of<T: PartialEq>(value: &T, all: &[(&'static str, T)]) -> &'static str {
    all.iter().find(|(_, v)| v == value).map_or("", |(name, _)| *name)
}

/// A text, or both sides of a pair, in its normal form.
pub struct Content {
    text: String,
    /// Equal for rows of equal content.
    pub key: u128,
    /// Characters of the text as it is.
    pub chars: u64,
}

/// What a signature holds.
pub struct Signed {
    /// The key of each band; none without shingles.
    pub bands: Vec<u64>,
    /// The hash of the set of shingles.
    pub set: u64,
    /// Distinct shingles.
    pub size: u64,
}

impl Recipe {
    /// Errors when a number is out of its range or two of the choices do not go together.
    pub fn check(&self) -> Result<()> {
        for (name, value, most) in
            [("bands", self.bands, 1024), ("rows", self.rows, 64), ("ngram", self.ngram, 256)]
        {
            if !(1..=most).contains(&value) {
                return Err(Error::usage(format!(
                    "`{name}` must be in 1 to {most}; it is {value}"
                )));
            }
        }
        match (self.unit, self.normal) {
            (Unit::Words, Normal::Letters) => {
                Err(Error::usage("`normalize` 'letters' leaves no words to make shingles of")
                    .hint_with("add `unit: 'characters'`"))
            }
            (Unit::Tokens, normal) if normal != Normal::None => Err(Error::usage(
                "tokens are those of the text as it stands, so `normalize` must be 'none' with them",
            )),
            _ => Ok(()),
        }
    }

    /// The normal form of a text or a pair.
    pub fn content(&self, first: &str, second: Option<&str>) -> Content {
        let mut text = self.normal_form(first);
        let mut chars = first.chars().count();
        let mut key = 0;
        if let Some(second) = second {
            // As in `content::pair_key`: no normal form has a line break but the raw text, which
            // is told apart by where its first side ends.
            if self.normal == Normal::None {
                key = u128::from(id::keyed(text.len() as u64, 2));
            }
            text.push('\n');
            text.push_str(&self.normal_form(second));
            chars += second.chars().count();
        }
        key ^= id::hash128(text.as_bytes());
        Content { text, key, chars: chars as u64 }
    }

    fn normal_form(&self, text: &str) -> String {
        match self.normal {
            Normal::Content => folded(text),
            Normal::None => text.into(),
            Normal::Letters => folded(text).chars().filter(|c| c.is_alphabetic()).collect(),
            Normal::Folded => {
                let (text, mut all) = (folded(text), String::new());
                each_plain_word(&text, |word| {
                    if !all.is_empty() && !word.is_empty() {
                        all.push(' ');
                    }
                    all.push_str(word);
                });
                all
            }
        }
    }

    /// The hashes of the distinct shingles, ascending. With tokens they are runs of `tokens`.
    pub fn shingles(&self, content: &Content, tokens: &[i32]) -> Vec<u64> {
        let width = self.ngram as usize;
        let hash = |word: &str| id::hash64(word.as_bytes());
        let mut units = Vec::with_capacity(content.text.len() / 6);
        match (self.unit, self.normal) {
            (Unit::Words, Normal::Folded) => {
                units.extend(content.text.split_whitespace().map(hash));
            }
            (Unit::Words, Normal::None) => each_word(&content.text, |word| units.push(hash(word))),
            (Unit::Words, _) => return shingle::shingles_of(&content.text, "", width),
            (Unit::Characters, _) => {
                let ends = content.text.char_indices().map(|(i, _)| i).chain([content.text.len()]);
                let ends: Vec<usize> = ends.collect();
                let run = |w: &[usize]| match w {
                    [from, .., to] => id::hash64(&content.text.as_bytes()[*from..*to]),
                    _ => 0,
                };
                return set_of(ends.windows(width + 1).map(run).collect());
            }
            (Unit::Tokens, _) => units.extend(tokens.iter().map(|t| *t as u32 as u64)),
        }
        set_of(windows(&units, width))
    }

    /// The permutations that its signatures are made with.
    pub fn permutations(&self) -> Permutations {
        Permutations::new((self.bands * self.rows) as usize)
    }

    /// The signature of a set of shingles.
    pub fn sign(&self, set: &[u64], permutations: &Permutations) -> Signed {
        let signature = permutations.signature(set);
        let mixed =
            |hash: u64, x: &u64| (hash ^ x).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        Signed {
            bands: minhash::bands(&signature, self.rows as usize).collect(),
            set: set.iter().fold(set.len() as u64, mixed),
            size: set.len() as u64,
        }
    }

    /// What it is, in words; signatures with an equal one can be compared.
    pub fn name(&self, pair: bool) -> String {
        format!(
            "{} of {} {}, {} x {}, normalize {}",
            self.ngram,
            name_of(&self.unit, UNITS),
            if pair { "in pairs" } else { "in texts" },
            self.bands,
            self.rows,
            name_of(&self.normal, NORMALS),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedup::content::{content_key, pair_key};
    use crate::dedup::shingle::shingles;

    fn of(normal: Normal) -> Recipe {
        Recipe { normal, ..Recipe::default() }
    }

    #[test]
    fn the_default_is_what_the_scalar_functions_do() {
        let recipe = Recipe::default();
        for text in ["Það var einu sinni gömul kona í koti", "今天我们去北京看博物馆", ""]
        {
            let content = recipe.content(text, None);
            assert_eq!(content.key, content_key(text));
            assert_eq!(recipe.shingles(&content, &[]), shingles(text, ""));
            assert_eq!(recipe.content(text, Some("б в")).key, pair_key(text, "б в"));
        }
    }

    #[test]
    fn normal_forms_forget_what_they_say() {
        let same =
            |normal, a, b| of(normal).content(a, None).key == of(normal).content(b, None).key;
        assert!(same(Normal::Letters, "Γειά, σου 12!", "γειάσου"));
        assert!(!same(Normal::Letters, "été", "ete"));
        assert!(same(Normal::Folded, "L'été: 12 jours?", "l'ete 3 JOURS"));
        assert!(same(Normal::Folded, "١٢ кота — «да»", "7 кота да"));
        assert!(!same(Normal::Folded, "ab c", "a bc"));
        assert!(!same(Normal::None, "A", "a") && same(Normal::Content, "A ", "a"));
        let pair = |a, b| of(Normal::None).content(a, Some(b)).key;
        assert_ne!(pair("a\nb", "c"), pair("a", "b\nc"));
    }

    #[test]
    fn units_are_words_characters_or_tokens() {
        let n = |unit, normal, text: &str| {
            let recipe = Recipe { unit, normal, ngram: 3, ..Recipe::default() };
            recipe.shingles(&recipe.content(text, None), &[1, 2, 3, 4, 1, 2, 3]).len()
        };
        assert_eq!(n(Unit::Words, Normal::Content, "один два три четыре"), 2);
        assert_eq!(n(Unit::Words, Normal::Folded, "один два три четыре"), 2);
        assert_eq!(n(Unit::Words, Normal::None, "one two three ONE two three"), 4);
        assert_eq!(n(Unit::Characters, Normal::Letters, "你好, 世界"), 2);
        assert_eq!(n(Unit::Characters, Normal::Content, "ab"), 0);
        assert_eq!(n(Unit::Tokens, Normal::None, ""), 4);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let letters = of(Normal::Letters);
        assert!(letters.check().is_err());
        assert!(Recipe { unit: Unit::Characters, ..letters }.check().is_ok());
        assert!(Recipe { unit: Unit::Tokens, ..Recipe::default() }.check().is_err());
        assert!(Recipe { bands: 0, ..Recipe::default() }.check().is_err());
    }
}
