//! ROUGE-1, -2 and -L (Lin 2004): F1 of shared words, pairs of words, longest common subsequences.
//!
//! `words=rouge` (the default) is Google's rouge_score without its stemmer: lower case, and every
//! run of other characters than a-z and 0-9 is a space. Text in any other script has no words at
//! all there and scores 0, and letters with accents cut a word in two; a warning says so.
//! `words=unicode` takes the words of the language instead, by dictionary where a script has no
//! spaces. Of several references the best counts, for each kind of ROUGE by itself.

use std::collections::HashMap;

use super::options::Choice;
use super::{Metric, Needs, Rows, Scale, Scored, Statistics};
use crate::error::Result;
use crate::text::segment;

const OPTIONS: &[Choice] = &[Choice::one_of(
    "words",
    "rouge",
    &["rouge", "unicode"],
    "words of ASCII letters and digits, or those of the language",
)];

/// `rouge1`.
pub const ROUGE_1: Metric = Metric {
    name: "rouge1",
    doc: "ROUGE-1, equal to rouge_score's without the stemmer; or over words of any script",
    needs: Needs::Texts,
    scale: Scale::One,
    lower_is_better: false,
    options: OPTIONS,
    score: |rows| score(rows, |a, b| shared(a, b, 1)),
};

/// `rouge2`.
pub const ROUGE_2: Metric = Metric {
    name: "rouge2",
    doc: "ROUGE-2, likewise",
    score: |rows| score(rows, |a, b| shared(a, b, 2)),
    ..ROUGE_1
};

/// `rougeL`.
pub const ROUGE_L: Metric = Metric {
    name: "rougeL",
    doc: "ROUGE-L of whole texts, likewise",
    score: |rows| score(rows, longest),
    ..ROUGE_1
};

fn score(rows: &Rows<'_>, f1: impl Fn(&[String], &[String]) -> f64) -> Result<Scored> {
    let ascii = rows.options.get("words") == "rouge";
    let words = |text: &str| -> Vec<String> {
        let text = text.to_lowercase();
        if ascii {
            let other = |c: char| !c.is_ascii_alphanumeric();
            return text.split(other).filter(|w| !w.is_empty()).map(String::from).collect();
        }
        segment::words_in(&text, rows.lang).map(String::from).collect()
    };
    let mut blind = 0;
    let mut values = Vec::with_capacity(rows.items.len());
    for item in rows.items {
        let hypothesis = words(item.hypothesis()?);
        let mut best: f64 = 0.0;
        for reference in item.references()? {
            blind += usize::from(reference.chars().any(|c| c.is_alphabetic() && !c.is_ascii()));
            best = best.max(f1(&hypothesis, &words(reference)));
        }
        values.push(best);
    }
    let mut warnings = Vec::new();
    if ascii && blind > 0 {
        warnings.push(format!(
            "{blind} references have letters that `words=rouge` does not see; `words=unicode` does"
        ));
    }
    let signature = format!("words:{}|stemmer:no", rows.options.get("words"));
    Ok(Scored { statistics: Statistics::mean(values, 1.0), signature, warnings })
}

fn harmonic(both: usize, answered: usize, expected: usize) -> f64 {
    if both == 0 {
        return 0.0;
    }
    let (precision, recall) = (both as f64 / answered as f64, both as f64 / expected as f64);
    2.0 * precision * recall / (precision + recall)
}

fn shared(answer: &[String], expected: &[String], n: usize) -> f64 {
    let mut left: HashMap<&[String], usize> = HashMap::new();
    expected.windows(n).for_each(|gram| *left.entry(gram).or_default() += 1);
    let mut both = 0;
    for gram in answer.windows(n) {
        if let Some(n) = left.get_mut(gram).filter(|n| **n > 0) {
            *n -= 1;
            both += 1;
        }
    }
    let grams = |words: &[String]| (words.len() + 1).saturating_sub(n);
    harmonic(both, grams(answer), grams(expected))
}

fn longest(answer: &[String], expected: &[String]) -> f64 {
    let mut row = vec![0; expected.len() + 1];
    for word in answer {
        let mut corner = 0;
        for (j, other) in expected.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if word == other { corner + 1 } else { above.max(row[j]) };
            corner = above;
        }
    }
    harmonic(row[expected.len()], answer.len(), expected.len())
}

#[cfg(test)]
mod tests {
    use crate::eval::metric::{Item, find, score};

    fn of(spec: &str, hypothesis: &str, reference: &str) -> f64 {
        let (metric, options) = find(spec).unwrap();
        let rows = [Item::texts(hypothesis, &[reference])];
        score(metric, &options, None, &rows).unwrap().statistics.value()
    }

    #[test]
    fn other_scripts_are_nothing_to_rouge() {
        assert_eq!(of("rouge1", "съешь ещё", "съешь ещё"), 0.0);
        assert_eq!(of("rouge1:words=unicode", "съешь ещё", "съешь ещё"), 1.0);
        assert_eq!(of("rouge2:words=unicode", "我喜欢猫", "我喜欢猫。"), 1.0);
        // An accent cuts a word: `caf` is right, whatever follows.
        assert_eq!(of("rouge1", "cafè", "café"), 1.0);
        assert_eq!(of("rouge1:words=unicode", "cafè", "café"), 0.0);
    }

    #[test]
    fn order_counts_in_a_subsequence() {
        assert_eq!(of("rouge1", "b a", "a b"), 1.0);
        assert_eq!(of("rougeL", "b a", "a b"), 0.5);
        assert_eq!(of("rouge2", "a", "a"), 0.0);
        assert_eq!(of("rougeL", "", ""), 0.0);
    }
}
