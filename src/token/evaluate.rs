//! What a tokenizer makes of languages: tokens per word, bytes per token, what it cannot spell, and
//! how many tokens translations need.
//!
//! Everything is counted, nothing estimated; rates are of what was given. Tokens that begin and end
//! a text are not counted.

use std::collections::{BTreeMap, BTreeSet};

use super::Tokenizer;

/// One text and its tokens.
#[derive(Debug, Clone, Copy)]
pub struct Sentence<'a> {
    /// Its language.
    pub lang: &'a str,
    /// The text.
    pub text: &'a str,
    /// Its words.
    pub words: u64,
    /// What it has in common with its translations.
    pub parallel: Option<&'a str>,
    /// Its tokens.
    pub ids: &'a [i32],
}

/// Sums over the texts of a language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LangTokens {
    /// Texts.
    pub texts: u64,
    /// Words of them.
    pub words: u64,
    /// Bytes of UTF-8.
    pub bytes: u64,
    /// Tokens.
    pub tokens: u64,
    /// Tokens that stand for what cannot be spelled.
    pub unknown: u64,
    /// Tokens that are a byte for want of a better one.
    pub fallback: u64,
}

impl LangTokens {
    /// Tokens per word (Rust et al. 2021); 0 without words.
    pub fn fertility(&self) -> f64 {
        rate(self.tokens, self.words)
    }

    /// Bytes of text per token; 0 without tokens.
    pub fn bytes_per_token(&self) -> f64 {
        rate(self.bytes, self.tokens)
    }

    /// The share of tokens that are unknown.
    pub fn unknown_rate(&self) -> f64 {
        rate(self.unknown, self.tokens)
    }

    /// The share of tokens that are bytes.
    pub fn fallback_rate(&self) -> f64 {
        rate(self.fallback, self.tokens)
    }
}

fn rate(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Counts texts.
pub struct Evaluation {
    unknown: Option<i32>,
    bytes: BTreeSet<i32>,
    langs: BTreeMap<String, LangTokens>,
    /// Texts and tokens of a sentence in a language.
    parallel: BTreeMap<String, BTreeMap<String, (u64, u64)>>,
}

impl Evaluation {
    /// Of the texts of a tokenizer.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let byte = |b: u8| tokenizer.token_id(&format!("<0x{b:02X}>"));
        Self {
            unknown: tokenizer.special().unk,
            bytes: (0..=255).filter_map(byte).collect(),
            langs: BTreeMap::new(),
            parallel: BTreeMap::new(),
        }
    }

    /// Counts a text.
    pub fn add(&mut self, sentence: &Sentence<'_>) {
        let Sentence { lang, text, words, parallel, ids } = *sentence;
        let sums = self.langs.entry(lang.into()).or_default();
        sums.texts += 1;
        sums.words += words;
        sums.bytes += text.len() as u64;
        sums.tokens += ids.len() as u64;
        sums.unknown += ids.iter().filter(|id| Some(**id) == self.unknown).count() as u64;
        sums.fallback += ids.iter().filter(|id| self.bytes.contains(id)).count() as u64;
        if let Some(key) = parallel {
            let of = self.parallel.entry(key.into()).or_default().entry(lang.into()).or_default();
            *of = (of.0 + 1, of.1 + ids.len() as u64);
        }
    }

    /// The languages in the order of their names.
    pub fn languages(&self) -> impl Iterator<Item = (&str, &LangTokens)> {
        self.langs.iter().map(|(lang, sums)| (lang.as_str(), sums))
    }

    /// Tokens of all translations into a language, relative to those of the reference for the same
    /// sentences (the premium of Petrov et al. 2023), and how many sentences that are; `None`
    /// without a sentence in both. Of several translations of a sentence the mean counts.
    pub fn parity(&self, lang: &str, reference: &str) -> Option<(f64, u64)> {
        let mean = |&(texts, tokens): &(u64, u64)| tokens as f64 / texts as f64;
        let both =
            self.parallel.values().filter_map(|of| Some((of.get(lang)?, of.get(reference)?)));
        let (mut own, mut other, mut n) = (0.0, 0.0, 0);
        for (a, b) in both {
            own += mean(a);
            other += mean(b);
            n += 1;
        }
        (other > 0.0).then(|| (own / other, n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tokenizer::tests::counting;

    #[test]
    fn tokens_are_counted_by_language_and_against_translations() {
        let tokenizer = counting(10);
        let mut found = Evaluation::new(&tokenizer);
        for (lang, text, parallel) in [
            ("eng_Latn", "1 2 3 4", Some("a")),
            ("eng_Latn", "5 6", Some("b")),
            ("eng_Latn", "7", None),
            ("swh_Latn", "1 2 3 4 5 6", Some("a")),
            ("swh_Latn", "1 2 x y 5 6", Some("a")),
            ("isl_Latn", "ö", Some("c")),
        ] {
            let ids = tokenizer.encode(text).unwrap();
            let words = text.split(' ').count() as u64;
            found.add(&Sentence { lang, text, words, parallel, ids: &ids });
        }
        let langs: BTreeMap<&str, &LangTokens> = found.languages().collect();
        let swahili = langs["swh_Latn"];
        assert_eq!(
            (swahili.texts, swahili.tokens, swahili.unknown, swahili.fallback),
            (2, 12, 2, 0)
        );
        assert_eq!((swahili.fertility(), swahili.bytes_per_token()), (1.0, 22.0 / 12.0));
        assert_eq!(swahili.unknown_rate(), 2.0 / 12.0);
        assert_eq!(found.parity("swh_Latn", "eng_Latn"), Some((1.5, 1)));
        assert_eq!(found.parity("eng_Latn", "eng_Latn"), Some((1.0, 2)));
        assert_eq!(found.parity("isl_Latn", "eng_Latn"), None);
        assert_eq!(LangTokens::default().fertility(), 0.0);
    }
}
