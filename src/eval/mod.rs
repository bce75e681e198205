//! Evaluation of runs: classification and retrieval, scored per language.
//!
//! Trains nothing and loads nothing: it scores what a model answered.

pub mod metric;

use std::collections::BTreeMap;

/// One number about one run in one language.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The run, as the project file refers to it.
    pub run: String,
    /// `classification` or `retrieval`.
    pub task: &'static str,
    /// The language.
    pub lang: String,
    /// What is measured.
    pub metric: &'static str,
    /// The measure.
    pub value: f64,
    /// Over how many rows.
    pub n: u64,
    /// What always answering the commonest class of these very rows would score; the best that a
    /// constant can do.
    pub baseline_majority: Option<f64>,
}

/// Share of equal answers; 0 for none.
///
/// ```
/// assert_eq!(hexapla::eval::accuracy(&[0, 1, 1], &[0, 1, 0]), 2.0 / 3.0);
/// ```
pub fn accuracy(answers: &[usize], gold: &[usize]) -> f64 {
    let right = answers.iter().zip(gold).filter(|(a, g)| a == g).count();
    if gold.is_empty() { 0.0 } else { right as f64 / gold.len() as f64 }
}

/// Unweighted mean of the F1 of every class that occurs in `gold` or `answers`; 0 for none.
///
/// ```
/// let f1 = hexapla::eval::macro_f1(&[0, 0, 0, 0], &[0, 0, 1, 1]);
/// assert!((f1 - 1.0 / 3.0).abs() < 1e-12);
/// ```
pub fn macro_f1(answers: &[usize], gold: &[usize]) -> f64 {
    // Per class: answered rightly, answered, expected.
    let mut counts: BTreeMap<usize, (f64, f64, f64)> = BTreeMap::new();
    for (a, g) in answers.iter().zip(gold) {
        counts.entry(*a).or_default().1 += 1.0;
        counts.entry(*g).or_default().2 += 1.0;
        if a == g {
            counts.entry(*a).or_default().0 += 1.0;
        }
    }
    let f1: f64 = counts.values().map(|(hit, answered, gold)| 2.0 * hit / (answered + gold)).sum();
    if counts.is_empty() { 0.0 } else { f1 / counts.len() as f64 }
}

/// The share of the commonest class; 0 for none.
pub fn majority(gold: &[usize]) -> f64 {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for g in gold {
        *counts.entry(*g).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or(0);
    if gold.is_empty() { 0.0 } else { most as f64 / gold.len() as f64 }
}

/// How often the vector nearest by cosine to `queries[i]` among `keys` is `keys[i]` (XTREME's
/// Tatoeba protocol); of equally near ones the first is taken. 0 for none.
///
/// ```
/// use hexapla::eval::retrieval;
/// let a = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
/// let b = vec![vec![0.9, 0.1], vec![0.8, 0.2]];
/// assert_eq!(retrieval(&a, &b), 1.0);
/// assert_eq!(retrieval(&b, &a), 0.5);
/// ```
pub fn retrieval(queries: &[Vec<f32>], keys: &[Vec<f32>]) -> f64 {
    let unit = |vectors: &[Vec<f32>]| -> Vec<Vec<f32>> {
        let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        vectors.iter().map(|v| v.iter().map(|x| x / norm(v)).collect()).collect()
    };
    let (queries, keys) = (unit(queries), unit(keys));
    let mut right = 0;
    for (i, query) in queries.iter().enumerate() {
        let mut best = (f32::NEG_INFINITY, usize::MAX);
        for (j, key) in keys.iter().enumerate() {
            let cosine: f32 = query.iter().zip(key).map(|(a, b)| a * b).sum();
            if cosine > best.0 {
                best = (cosine, j);
            }
        }
        right += usize::from(best.1 == i);
    }
    if queries.is_empty() { 0.0 } else { right as f64 / queries.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majority_is_the_best_constant() {
        let gold = [2, 1, 2, 0, 2];
        let best = (0..3).map(|c| accuracy(&[c; 5], &gold)).fold(0.0, f64::max);
        assert_eq!(majority(&gold), best);
        assert_eq!(majority(&[]), 0.0);
    }

    #[test]
    fn a_perfect_answer_scores_one() {
        let gold = [0, 1, 2, 1];
        assert_eq!(accuracy(&gold, &gold), 1.0);
        assert_eq!(macro_f1(&gold, &gold), 1.0);
    }
}
