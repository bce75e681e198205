//! chrF and chrF++ (Popović 2015, 2017) as sacreBLEU defines them.
//!
//! Precision and recall of character n-grams (and, in chrF++, of words and pairs of words), summed
//! over the corpus an order at a time; of several references the one with the best score of its
//! own counts.

use super::options::Choice;
use super::{Metric, Needs, Rows, SACREBLEU, Scale, Scored, Statistics, python};
use crate::error::Result;

const fn options(words: &'static str) -> [Choice; 6] {
    [
        Choice::number("char_order", "6", "the longest n-gram of characters"),
        Choice::number("word_order", words, "the longest n-gram of words"),
        Choice::number("beta", "2", "how many times recall weighs what precision does"),
        Choice::flag("lowercase", "letter case does not count"),
        Choice::flag("whitespace", "spaces are characters too"),
        Choice::flag("eps_smoothing", "the mean of scores by order, as NLTK and Moses have it"),
    ]
}

const CHARACTERS: [Choice; 6] = options("0");
const WORDS: [Choice; 6] = options("2");

/// `chrf`.
pub const CHRF: Metric = Metric {
    name: "chrf",
    doc: "chrF, equal to sacreBLEU's",
    needs: Needs::Texts,
    scale: Scale::Hundred,
    lower_is_better: false,
    options: &CHARACTERS,
    score,
};

/// `chrf++`.
pub const CHRF_PLUS_PLUS: Metric =
    Metric { name: "chrf++", doc: "chrF++, equal to sacreBLEU's", options: &WORDS, ..CHRF };

fn score(rows: &Rows<'_>) -> Result<Scored> {
    let options = rows.options;
    let (chars, words) = (options.count("char_order", 0, 64)?, options.count("word_order", 0, 64)?);
    let (beta, smoothed) = (options.number("beta")?, options.flag("eps_smoothing"));
    let orders = Orders {
        chars,
        words,
        whitespace: options.flag("whitespace"),
        lowercase: options.flag("lowercase"),
    };
    let formula = move |sums: &[f64]| f_score(sums, beta, smoothed);
    let mut statistics = Vec::with_capacity(rows.items.len());
    for item in rows.items {
        let hypothesis = Text::new(item.hypothesis()?, &orders);
        let mut best: (f64, Vec<f64>) = (-1.0, Vec::new());
        for reference in item.references()? {
            let sums = overlap(&hypothesis, &Text::new(reference, &orders), &orders);
            let score = formula(&sums);
            if score > best.0 {
                best = (score, sums);
            }
        }
        statistics.push(best.1);
    }
    let signature = format!(
        "nrefs:{}|case:{}|eff:{}|nc:{chars}|nw:{words}|space:{}|version:{SACREBLEU}",
        rows.reference_count()?,
        if orders.lowercase { "lc" } else { "mixed" },
        if smoothed { "no" } else { "yes" },
        options.get("whitespace"),
    );
    let statistics = Statistics::dense(3 * (chars + words), statistics, Box::new(formula));
    Ok(Scored { statistics, signature, warnings: Vec::new() })
}

/// The score of sums: n-grams of the hypothesis, of the reference and of both, an order at a time.
fn f_score(sums: &[f64], beta: f64, smoothed: bool) -> f64 {
    const EPSILON: f64 = 1e-16;
    let factor = beta * beta;
    let (mut total, mut orders) = (0.0, 0.0);
    let (mut precisions, mut recalls) = (0.0, 0.0);
    for counts in sums.chunks_exact(3) {
        let (hypothesis, reference, both) = (counts[0], counts[1], counts[2]);
        let precision = if hypothesis > 0.0 { both / hypothesis } else { EPSILON };
        let recall = if reference > 0.0 { both / reference } else { EPSILON };
        let below = factor * precision + recall;
        total += if below > 0.0 { (1.0 + factor) * precision * recall / below } else { EPSILON };
        if hypothesis > 0.0 && reference > 0.0 {
            precisions += precision;
            recalls += recall;
            orders += 1.0;
        }
    }
    if smoothed {
        return 100.0 * total / (sums.len() / 3).max(1) as f64;
    }
    if orders == 0.0 || precisions + recalls == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precisions / orders, recalls / orders);
    100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall))
}

struct Orders {
    chars: usize,
    words: usize,
    whitespace: bool,
    lowercase: bool,
}

/// A text as characters and as words.
struct Text {
    chars: Vec<char>,
    words: Vec<String>,
}

impl Text {
    fn new(text: &str, orders: &Orders) -> Self {
        let lower = orders.lowercase.then(|| text.to_lowercase());
        let text = lower.as_deref().unwrap_or(text);
        let chars = if orders.whitespace {
            text.chars().collect()
        } else {
            python::split(text).flat_map(str::chars).collect()
        };
        let words = if orders.words > 0 { words(text) } else { Vec::new() };
        Self { chars, words }
    }
}

/// Words with one mark of ASCII punctuation taken off, at the end if there is one, else in front;
/// never both, as in the original `chrF++.py`.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in python::split(text) {
        let chars: Vec<char> = word.chars().collect();
        let at = match chars.as_slice() {
            [_, .., last] if python::is_ascii_punctuation(*last) => chars.len() - 1,
            [first, _, ..] if python::is_ascii_punctuation(*first) => 1,
            _ => chars.len(),
        };
        let (front, back) = chars.split_at(at);
        words.extend([front, back].iter().filter(|p| !p.is_empty()).map(|p| p.iter().collect()));
    }
    words
}

fn overlap(hypothesis: &Text, reference: &Text, orders: &Orders) -> Vec<f64> {
    let mut sums = Vec::with_capacity(3 * (orders.chars + orders.words));
    for n in 1..=orders.chars {
        sums.extend(shared(&hypothesis.chars, &reference.chars, n));
    }
    for n in 1..=orders.words {
        sums.extend(shared(&hypothesis.words, &reference.words, n));
    }
    sums
}

/// N-grams of one, of the other, and of both with their multiplicity; those of the hypothesis do
/// not count where the reference has none.
fn shared<T: Ord>(hypothesis: &[T], reference: &[T], n: usize) -> [f64; 3] {
    let mut ours: Vec<&[T]> = hypothesis.windows(n).collect();
    let mut theirs: Vec<&[T]> = reference.windows(n).collect();
    if theirs.is_empty() {
        return [0.0; 3];
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    let (mut a, mut b, mut both) = (0, 0, 0.0);
    while a < ours.len() && b < theirs.len() {
        match ours[a].cmp(theirs[b]) {
            std::cmp::Ordering::Less => a += 1,
            std::cmp::Ordering::Greater => b += 1,
            std::cmp::Ordering::Equal => {
                both += 1.0;
                a += 1;
                b += 1;
            }
        }
    }
    [ours.len() as f64, theirs.len() as f64, both]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_comes_off() {
        assert_eq!(
            words("(hi) \"x, ok! ! ¿qué?"),
            ["(hi", ")", "\"x", ",", "ok", "!", "!", "¿qué", "?"]
        );
    }

    #[test]
    fn shared_counts_multiplicity() {
        assert_eq!(shared(&['a', 'a', 'b'], &['a', 'b', 'b'], 1), [3.0, 3.0, 2.0]);
        assert_eq!(shared(&['a', 'b'], &['a'], 2), [0.0; 3]);
    }
}
