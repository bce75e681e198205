//! Evaluation of language labels: precision, recall, F1, confusions, calibration.
//!
//! Of labels from any model; nothing is predicted here.

use std::collections::BTreeMap;

use crate::identify::tag::Tag;

/// Bins of equal width that the calibration error is measured in.
const BINS: usize = 15;

/// Counts of one language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Texts in it.
    pub texts: u64,
    /// Texts labelled so.
    pub labelled: u64,
    /// Texts in it that are labelled so.
    pub right: u64,
}

impl Counts {
    /// The share of texts labelled so that are; 0 if none is labelled so.
    pub fn precision(self) -> f64 {
        share(self.right, self.labelled)
    }

    /// The share of texts in it that are labelled so; 0 if there is none.
    pub fn recall(self) -> f64 {
        share(self.right, self.texts)
    }

    /// The harmonic mean of precision and recall.
    pub fn f1(self) -> f64 {
        share(2 * self.right, self.texts + self.labelled)
    }
}

/// What labels are worth, from texts of known language.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    languages: BTreeMap<Tag, Counts>,
    confusions: BTreeMap<(Tag, Option<Tag>), u64>,
    /// Texts, right ones and the sum of scores by score.
    bins: [(u64, u64, f64); BINS],
}

impl Evaluation {
    /// Adds a text: its language, its label if it has one, and the label's score in [0, 1].
    pub fn add(&mut self, truth: Tag, label: Option<Tag>, score: f64) {
        let right = label == Some(truth);
        let counts = self.languages.entry(truth).or_default();
        counts.texts += 1;
        counts.right += u64::from(right);
        if let Some(label) = label {
            self.languages.entry(label).or_default().labelled += 1;
            let score = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
            let bin = &mut self.bins[((score * BINS as f64) as usize).min(BINS - 1)];
            *bin = (bin.0 + 1, bin.1 + u64::from(right), bin.2 + score);
        }
        if !right {
            *self.confusions.entry((truth, label)).or_default() += 1;
        }
    }

    /// Languages that there are texts in, with their counts, by tag.
    pub fn languages(&self) -> impl Iterator<Item = (Tag, Counts)> + '_ {
        self.languages.iter().map(|(tag, counts)| (*tag, *counts)).filter(|(_, c)| c.texts > 0)
    }

    /// The mean F1 of the languages that there are texts in.
    pub fn macro_f1(&self) -> f64 {
        let n = self.languages().count();
        self.languages().map(|(_, counts)| counts.f1()).sum::<f64>() / n.max(1) as f64
    }

    /// The share of texts that are labelled rightly.
    pub fn accuracy(&self) -> f64 {
        let sum = |of: fn(Counts) -> u64| self.languages().map(|(_, counts)| of(counts)).sum();
        share(sum(|c| c.right), sum(|c| c.texts))
    }

    /// The expected calibration error: the mean distance of score and accuracy over fifteen bins
    /// of scores, each with the weight of its texts (Naeini et al., 2015); of texts with a label.
    pub fn calibration_error(&self) -> f64 {
        let texts: u64 = self.bins.iter().map(|bin| bin.0).sum();
        let off: f64 =
            self.bins.iter().map(|(_, right, scores)| (*right as f64 - scores).abs()).sum();
        off / texts.max(1) as f64
    }

    /// The commonest wrong answers: language, label (`None` without one), texts.
    pub fn confusions(&self, most: usize) -> Vec<(Tag, Option<Tag>, u64)> {
        let mut all: Vec<_> = self.confusions.iter().map(|((t, l), n)| (*t, *l, *n)).collect();
        all.sort_by_key(|(_, _, n)| std::cmp::Reverse(*n));
        all.truncate(most);
        all
    }
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::tag::find;

    #[test]
    fn figures_of_a_small_table() {
        let (deu, nld) = (find("de").unwrap(), find("nl").unwrap());
        let mut evaluation = Evaluation::default();
        for (truth, label) in
            [(deu, Some(deu)), (deu, Some(deu)), (deu, Some(nld)), (nld, Some(nld)), (nld, None)]
        {
            evaluation.add(truth, label, 0.75);
        }
        let counts: BTreeMap<_, _> = evaluation.languages().collect();
        assert_eq!(counts[&deu], Counts { texts: 3, labelled: 2, right: 2 });
        assert_eq!((counts[&nld].precision(), counts[&nld].recall()), (0.5, 0.5));
        assert!((evaluation.macro_f1() - 0.65).abs() < 1e-12);
        assert_eq!(evaluation.accuracy(), 0.6);
        // Three of four labels are right, as the scores say.
        assert!(evaluation.calibration_error() < 1e-12);
        assert_eq!(evaluation.confusions(1), [(deu, Some(nld), 1)]);
    }

    #[test]
    fn nothing_to_evaluate_is_zero() {
        let empty = Evaluation::default();
        assert_eq!(
            (empty.macro_f1(), empty.accuracy(), empty.calibration_error()),
            (0.0, 0.0, 0.0)
        );
    }
}
