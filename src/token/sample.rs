//! What a tokenizer is trained on: how much of each language, and which words.
//!
//! Everything is a function of the sizes, the seed and the row ids; word counts are integers and
//! sums over languages run in their order, so no number depends on threads or on hashing. Words
//! are those of the tokenizer itself (NFKC, split at white space); nothing is lower-cased.

use std::collections::{BTreeMap, HashMap, HashSet};

use unicode_normalization::UnicodeNormalization;

use crate::id;

/// The mark of a word's beginning, as in SentencePiece.
pub const METASPACE: char = '▁';

/// No language's words count more than this many times for want of more text.
pub const MAX_REPEAT: f64 = 10.0;

/// Words are cut after this many characters: longer ones cost time and no piece is as long.
const LONGEST_WORD: usize = 48;

/// How much of a language is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Characters there are.
    pub available: u64,
    /// Characters that the language should weigh in the sample.
    pub target: u64,
}

impl Budget {
    /// The share of documents to draw, at most one.
    pub fn rate(&self) -> f64 {
        match self.available {
            0 => 0.0,
            n => (self.target as f64 / n as f64).min(1.0),
        }
    }

    /// How often the words of a drawn document count, from one to [`MAX_REPEAT`].
    pub fn weight(&self) -> f64 {
        match self.available {
            0 => 1.0,
            n => (self.target as f64 / n as f64).clamp(1.0, MAX_REPEAT),
        }
    }

    /// Whether a document belongs to the sample.
    pub fn takes(&self, doc_id: u64, seed: u64) -> bool {
        id::uniform(doc_id, seed) < self.rate()
    }
}

/// Characters per language with probabilities proportional to sizeᵅ (Conneau and Lample 2019).
///
/// The sum is the smaller of `max_chars` and all there is. A target may exceed what a language
/// has; its words then count more than once ([`Budget::weight`]), which is how XLM-R repeats
/// small languages. `alpha` 1 keeps proportions, 0 gives every language the same.
pub fn sampling_budget(
    chars_by_lang: &BTreeMap<String, u64>,
    alpha: f64,
    max_chars: u64,
) -> BTreeMap<String, Budget> {
    let all: u64 = chars_by_lang.values().fold(0, |sum, n| sum.saturating_add(*n));
    let powers: Vec<f64> = chars_by_lang
        .values()
        .map(|n| match n {
            0 => 0.0,
            n => (*n as f64 / all as f64).powf(alpha),
        })
        .collect();
    let norm: f64 = powers.iter().sum();
    let total = all.min(max_chars) as f64;
    chars_by_lang
        .iter()
        .zip(powers)
        .map(|((lang, available), power)| {
            let target = if norm > 0.0 { (total * power / norm).round() as u64 } else { 0 };
            (lang.clone(), Budget { available: *available, target })
        })
        .collect()
}

/// Counts words language by language.
#[derive(Default)]
pub struct WordCounts {
    by_lang: BTreeMap<String, HashMap<String, u64>>,
}

impl WordCounts {
    /// Counts the words of a text.
    pub fn add(&mut self, lang: &str, text: &str) {
        if !self.by_lang.contains_key(lang) {
            self.by_lang.insert(lang.to_string(), HashMap::new());
        }
        let Some(counts) = self.by_lang.get_mut(lang) else { return };
        let normal: String = text.nfkc().collect();
        let mut word = String::new();
        for piece in normal.split(|c: char| c.is_whitespace() || c == METASPACE) {
            if piece.is_empty() {
                continue;
            }
            word.clear();
            word.push(METASPACE);
            word.push_str(piece);
            match counts.get_mut(&word) {
                Some(n) => *n += 1,
                None => {
                    counts.insert(word.clone(), 1);
                }
            }
        }
    }

    /// Whether no word was counted.
    pub fn is_empty(&self) -> bool {
        self.by_lang.values().all(HashMap::is_empty)
    }

    /// Words with their weighted counts, rounded and at least 1, in the order of the words.
    pub fn weighted(self, weight: impl Fn(&str) -> f64) -> Vec<(String, u64)> {
        let mut all: HashMap<String, f64> = HashMap::new();
        for (lang, counts) in self.by_lang {
            let weight = weight(&lang);
            for (word, n) in counts {
                *all.entry(word).or_default() += n as f64 * weight;
            }
        }
        let mut words: Vec<(String, u64)> =
            all.into_iter().map(|(word, n)| (word, n.round().max(1.0) as u64)).collect();
        words.sort_unstable();
        words
    }
}

/// The characters of words with their counts, most frequent first.
pub fn characters(words: &[(String, u64)]) -> Vec<(char, u64)> {
    let mut counts: HashMap<char, u64> = HashMap::new();
    for (word, n) in words {
        for c in word.chars() {
            *counts.entry(c).or_default() += n;
        }
    }
    let mut sorted: Vec<(char, u64)> = counts.into_iter().collect();
    sorted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    sorted
}

/// The most frequent characters that cover a share of all occurrences, at most `limit` of them.
pub fn alphabet(characters: &[(char, u64)], coverage: f64, limit: usize) -> Vec<(char, u64)> {
    let total: u64 = characters.iter().map(|(_, n)| n).sum();
    let enough = total as f64 * coverage;
    let mut covered = 0u64;
    let mut kept = Vec::new();
    for &(c, n) in characters {
        if kept.len() >= limit || covered as f64 >= enough {
            break;
        }
        covered += n;
        kept.push((c, n));
    }
    kept
}

/// Words cut at characters outside of the alphabet and at the greatest length, merged and sorted.
pub fn restrict(words: Vec<(String, u64)>, alphabet: &[(char, u64)]) -> Vec<(String, u64)> {
    let known: HashSet<char> = alphabet.iter().map(|(c, _)| *c).collect();
    let mut cut: Vec<(String, u64)> = Vec::with_capacity(words.len());
    for (word, n) in words {
        for span in word.split(|c| !known.contains(&c)).filter(|span| !span.is_empty()) {
            let chars: Vec<char> = span.chars().collect();
            cut.extend(chars.chunks(LONGEST_WORD).map(|chunk| (chunk.iter().collect(), n)));
        }
    }
    cut.sort_unstable();
    cut.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
        of.iter().map(|(lang, n)| (lang.to_string(), *n)).collect()
    }

    #[test]
    fn alpha_one_keeps_proportions_and_zero_levels_them() {
        let sizes = sizes(&[("eng_Latn", 900), ("isl_Latn", 100)]);
        let even = sampling_budget(&sizes, 0.0, 500);
        assert_eq!((even["eng_Latn"].target, even["isl_Latn"].target), (250, 250));
        assert_eq!((even["isl_Latn"].rate(), even["isl_Latn"].weight()), (1.0, 2.5));
        let same = sampling_budget(&sizes, 1.0, 500);
        assert_eq!((same["eng_Latn"].target, same["isl_Latn"].target), (450, 50));
        assert_eq!(same["eng_Latn"].rate(), 0.5);
    }

    #[test]
    fn an_empty_language_gets_nothing_and_does_no_harm() {
        let budget = sampling_budget(&sizes(&[("swh_Latn", 0), ("yor_Latn", 10)]), 0.3, 100);
        assert_eq!(budget["swh_Latn"].target, 0);
        assert_eq!(budget["yor_Latn"].target, 10);
        assert!(!budget["swh_Latn"].takes(1, 17));
        assert!(sampling_budget(&sizes(&[]), 0.3, 100).is_empty());
    }

    #[test]
    fn words_are_those_of_the_tokenizer() {
        let mut counts = WordCounts::default();
        counts.add("eng_Latn", "ﬁne\tday fine\u{3000}day");
        counts.add("deu_Latn", "fine");
        let words = counts.weighted(|lang| if lang == "deu_Latn" { 2.0 } else { 1.0 });
        assert_eq!(words, [("▁day".to_string(), 2), ("▁fine".to_string(), 4)]);
    }

    #[test]
    fn rare_characters_cut_words() {
        let words = vec![("▁a鬱b".to_string(), 3), ("▁a".to_string(), 2)];
        let kept = alphabet(&characters(&words), 1.0, 2);
        assert_eq!(kept.iter().map(|(c, _)| *c).collect::<String>(), "a▁");
        assert_eq!(restrict(words, &kept), [("▁a".to_string(), 5)]);
    }
}
