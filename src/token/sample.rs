//! What a tokenizer is trained on: how much of each language, and which words.
//!
//! Everything is a function of the sizes, the seed and the row ids; word counts are integers and
//! sums over languages run in their order, so no number depends on threads or on hashing.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::words::WordCounts;
use crate::error::Result;
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

/// The words of a sample with their weighted counts, and its characters, most frequent first.
pub type Words = (Vec<(String, u64)>, Vec<(char, u64)>);

/// Words with their counts, rounded and at least 1, in the order of the words.
///
/// Of words with more than `most` characters in all, each language keeps those that are most
/// frequent in it, and of equally frequent ones those that a hash draws, up to its share of `most`
/// by its weight in the sample; what a language has no use for is shared by the others. Without
/// spaces a word is a clause and hardly ever repeated, which is why languages do not compete.
pub fn weighted(
    counts: &WordCounts,
    budgets: &BTreeMap<String, Budget>,
    most: u64,
) -> Result<Words> {
    let mut by_lang: BTreeMap<String, Spread> = BTreeMap::new();
    counts.each(|lang, word, n| {
        if !by_lang.contains_key(lang) {
            by_lang.insert(lang.to_string(), Spread::default());
        }
        if let Some(spread) = by_lang.get_mut(lang) {
            spread.add(word, n);
        }
    })?;
    let weight = |lang: &str| budgets.get(lang).map_or(1.0, Budget::weight);
    let last = last_ranks(&by_lang, budgets, most);

    let mut all: HashMap<String, f64> = HashMap::new();
    counts.each(|lang, word, n| {
        if last.get(lang).is_some_and(|last| rank(word, n) <= *last) {
            let n = n as f64 * weight(lang);
            match all.get_mut(word) {
                Some(sum) => *sum += n,
                None => {
                    all.insert(word.to_string(), n);
                }
            }
        }
    })?;
    let round = |n: f64| n.round().max(1.0) as u64;
    let mut words: Vec<(String, u64)> = all.into_iter().map(|(word, n)| (word, round(n))).collect();
    words.sort_unstable();
    if last.values().all(|last| *last == u64::MAX) {
        let characters = characters(&words);
        return Ok((words, characters));
    }
    // Characters are those of all words.
    let mut sums: BTreeMap<char, f64> = BTreeMap::new();
    for (lang, spread) in &by_lang {
        for (c, n) in &spread.characters {
            *sums.entry(*c).or_default() += *n as f64 * weight(lang);
        }
    }
    let mut characters: Vec<(char, u64)> = sums.into_iter().map(|(c, n)| (c, round(n))).collect();
    characters.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok((words, characters))
}

/// What a language has.
#[derive(Default)]
struct Spread {
    /// Characters of different words.
    text: u64,
    /// The same by rank.
    ranks: BTreeMap<u64, u64>,
    characters: HashMap<char, u64>,
}

impl Spread {
    fn add(&mut self, word: &str, n: u64) {
        let mut length = 0;
        for c in word.chars() {
            length += 1;
            *self.characters.entry(c).or_default() += n;
        }
        self.text += length;
        *self.ranks.entry(rank(word, n)).or_default() += length;
    }
}

/// The place of a word among those of its language, most frequent first: exactly by count where
/// counts are small, by powers of two above, and by a hash among the equally frequent.
fn rank(word: &str, n: u64) -> u64 {
    const SLICES: u64 = 256;
    let class = if n < 16 { n } else { 12 + u64::from(n.ilog2()) };
    (100 - class) * SLICES + id::hash64(word.as_bytes()) % SLICES
}

/// The last rank that each language keeps, none of it all.
fn last_ranks(
    by_lang: &BTreeMap<String, Spread>,
    budgets: &BTreeMap<String, Budget>,
    most: u64,
) -> BTreeMap<String, u64> {
    let target = |lang: &str| budgets.get(lang).map_or(1, |b| b.target.max(1)) as f64;
    let mut order: Vec<(&String, &Spread)> = by_lang.iter().collect();
    order.sort_by(|a, b| {
        let need = |(lang, spread): &(&String, &Spread)| spread.text as f64 / target(lang);
        need(a).total_cmp(&need(b)).then(a.0.cmp(b.0))
    });
    let mut left = most;
    let mut last = BTreeMap::new();
    for (i, (lang, spread)) in order.iter().enumerate() {
        let weights: f64 = order[i..].iter().map(|(lang, _)| target(lang)).sum();
        let share = (left as f64 * target(lang) / weights) as u64;
        if spread.text <= share {
            left -= spread.text;
            last.insert((*lang).clone(), u64::MAX);
            continue;
        }
        let mut used = 0;
        let mut end = 0;
        for (rank, text) in &spread.ranks {
            if used + text > share {
                break;
            }
            used += text;
            end = *rank;
        }
        left -= used;
        last.insert((*lang).clone(), end);
    }
    last
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
    use crate::token::train::{TrainSpec, parts::Parts};
    use crate::token::words::WordCounter;

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

    fn counted(texts: &[(&str, &str)]) -> WordCounts {
        let dir = tempfile::tempdir().unwrap();
        let parts = Parts::new(&TrainSpec::default(), false).unwrap();
        let mut counter = WordCounter::new(dir.path(), usize::MAX, &parts);
        texts.iter().for_each(|(lang, text)| counter.add(lang, text).unwrap());
        counter.finish().unwrap()
    }

    #[test]
    fn words_weigh_as_much_as_their_languages() {
        let counts = counted(&[("eng_Latn", "fine day fine day"), ("deu_Latn", "fine")]);
        let of = |available, target| Budget { available, target };
        let budgets = BTreeMap::from([
            ("eng_Latn".to_string(), of(10, 10)),
            ("deu_Latn".to_string(), of(10, 20)),
        ]);
        let (words, characters) = weighted(&counts, &budgets, 100).unwrap();
        assert_eq!(words, [("▁day".to_string(), 2), ("▁fine".to_string(), 4)]);
        assert_eq!(characters[0], ('▁', 6));
    }

    #[test]
    fn each_language_keeps_its_most_frequent_words() {
        // Swahili has 8 characters of different words, Japanese 17.
        let counts = counted(&[
            ("swh_Latn", "leo leo jua"),
            ("swh_Latn", "leo"),
            ("jpn_Jpan", "天気がいい 公園で遊ぶ 海へ行く"),
        ]);
        let budgets = sampling_budget(&sizes(&[("swh_Latn", 1), ("jpn_Jpan", 1)]), 1.0, 2);
        let (words, characters) = weighted(&counts, &budgets, 18).unwrap();
        let kept = |c: char| words.iter().filter(|(word, _)| word.contains(c)).count();
        assert_eq!((kept('j'), kept('l')), (1, 1));
        assert_eq!(words.len(), 3, "{words:?}");
        assert!(characters.contains(&('公', 1)) && characters.contains(&('海', 1)));
        let (words, _) = weighted(&counts, &budgets, 8).unwrap();
        assert_eq!(words, [("▁leo".to_string(), 3)]);
    }

    #[test]
    fn rare_characters_cut_words() {
        let words = vec![("▁a鬱b".to_string(), 3), ("▁a".to_string(), 2)];
        let kept = alphabet(&characters(&words), 1.0, 2);
        assert_eq!(kept.iter().map(|(c, _)| *c).collect::<String>(), "a▁");
        assert_eq!(restrict(words, &kept), [("▁a".to_string(), 5)]);
    }
}
