//! Counted tables of one group of languages: weights of features, and which of them are kept.
//!
//! A language is the frequencies of its features, smoothed towards the mean of the languages of
//! its group in the manner of Witten and Bell: the mass left to what was not seen is the share of
//! new features among all that were. The weight of a feature is the logarithm of its frequency
//! over that mean, so that the score of a text says how much likelier it is in a language than in
//! none in particular (multinomial naive Bayes with Dirichlet smoothing; Zhai and Lafferty, 2004).

use super::features::{self, Feature, KINDS, Letters};
use super::model;
use super::train::Options;
use crate::identify::tag::Tag;

/// A line of text.
pub(super) struct Line {
    pub(super) hash: u64,
    /// The side it is on when the calibration is measured, 0 or 1.
    pub(super) half: u8,
    pub(super) text: Box<str>,
}

/// The lines of one language that a model is made of, by hash.
pub(super) struct Language {
    pub(super) tag: Tag,
    pub(super) lines: Vec<Line>,
}

impl Language {
    fn lines(&self, half: Option<u8>) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .filter(move |line| half.is_none_or(|half| line.half == half))
            .map(|line| &*line.text)
    }
}

/// A weight below which a label is not listed.
const SMALLEST: f32 = 0.1;
/// What a feature is good for however alike it is in all languages: to show that a text is one of
/// theirs at all.
const FREQUENT: f32 = 0.2;

/// The weights of the languages of a group.
pub(super) struct Tables {
    pub(super) labels: Vec<Tag>,
    /// What every feature of a kind adds to a label's score, and what is added once.
    pub(super) misses: Vec<[f32; KINDS + 1]>,
    /// Features in ascending order.
    features: Vec<u32>,
    /// Where the entries of each feature begin; one more than features.
    starts: Vec<usize>,
    /// Labels and weights.
    entries: Vec<(u16, f32)>,
    /// How much a feature tells for each byte that it takes.
    uses: Vec<f32>,
}

impl Tables {
    /// Counts the features of the languages of a group, in one half of their lines or all, and
    /// weighs them. A half has languages with half the text.
    pub(super) fn count(
        letters: Letters,
        languages: &[Language],
        half: Option<u8>,
        options: &Options,
    ) -> Self {
        let least = if half.is_some() { options.min_chars / 2 } else { options.min_chars };
        let languages: Vec<(&Language, usize)> = languages
            .iter()
            .map(|l| (l, l.lines(half).map(|line| line.chars().count()).sum()))
            .filter(|(_, chars)| *chars >= least)
            .collect();
        let n = languages.len();
        let mut counts: Vec<(u32, u16, f32)> = Vec::new();
        let mut totals = vec![[0.0_f32; KINDS]; n];
        let mut priors = vec![[0.0_f32; KINDS]; n];
        let mut seen: Vec<u32> = Vec::new();
        for (label, (language, _)) in languages.iter().enumerate() {
            seen.clear();
            for line in language.lines(half) {
                let from = seen.len();
                features::for_each(line, letters, |found| seen.extend(found.iter().map(|f| f.0)));
                drop_repeated(&mut seen, from);
            }
            seen.sort_unstable();
            for same in seen.chunk_by(|a, b| a == b) {
                let kind = Feature(same[0]).kind();
                // A word that one text is full of is no more typical by that.
                let count = (same.len() as f32).powf(options.power);
                totals[label][kind] += count;
                priors[label][kind] += options.prior[kind];
                counts.push((same[0], label as u16, count));
            }
        }
        counts.sort_unstable_by_key(|(feature, label, _)| (*feature, *label));
        let most = languages.iter().map(|l| l.1).max().unwrap_or(1) as f32;
        for (priors, (_, chars)) in priors.iter_mut().zip(&languages) {
            let scarcity = (most / *chars as f32).powf(options.scarcity);
            priors.iter_mut().for_each(|prior| *prior *= scarcity);
        }
        let misses = (0..n)
            .map(|label| {
                let mut misses = [0.0; KINDS + 1];
                for kind in 0..KINDS {
                    let (prior, total) = (priors[label][kind], totals[label][kind]);
                    if prior > 0.0 {
                        misses[kind] = (prior / (total + prior)).ln() * options.kind[kind];
                    }
                }
                misses[KINDS] = options.bias * (languages[label].1 as f32 / most).ln();
                misses
            })
            .collect();
        let labels = languages.iter().map(|l| l.0.tag).collect();
        let mut tables = Self {
            labels,
            misses,
            features: Vec::new(),
            starts: vec![0],
            entries: Vec::new(),
            uses: Vec::new(),
        };
        for same in counts.chunk_by(|a, b| a.0 == b.0) {
            let kind = Feature(same[0].0).kind();
            let share =
                |(_, label, count): &(u32, u16, f32)| count / totals[usize::from(*label)][kind];
            let mean = same.iter().map(share).sum::<f32>() / n as f32;
            let mut use_ = 0.0;
            for one in same {
                let (_, label, count) = *one;
                let label = usize::from(label);
                let prior = priors[label][kind];
                let weight = (1.0 + count / (prior * mean)).ln() * options.kind[kind];
                let sure = (count - options.z * count.sqrt()).max(0.05 * count);
                let gain = FREQUENT + (weight + tables.misses[label][kind]).max(0.0);
                use_ += sure / (totals[label][kind] + prior) * gain;
                if weight > SMALLEST {
                    tables.entries.push((one.1, weight));
                }
            }
            let length = tables.entries.len() - tables.starts.last().copied().unwrap_or(0);
            if length > 0 {
                tables.features.push(same[0].0);
                tables.starts.push(tables.entries.len());
                tables.uses.push(use_ / tables.bytes(length) as f32);
            }
        }
        tables
    }

    /// What a feature takes in the file.
    fn bytes(&self, length: usize) -> usize {
        6 + if self.is_row(length) { self.labels.len() } else { 2 * length }
    }

    /// Whether a list is so long that a row of all labels is read faster.
    fn is_row(&self, length: usize) -> bool {
        4 * length > self.labels.len()
    }

    /// The largest weight.
    pub(super) fn most(&self) -> f32 {
        self.entries.iter().map(|(_, weight)| *weight).fold(0.0, f32::max)
    }

    /// What the group takes in the file without features.
    pub(super) fn fixed_bytes(&self) -> usize {
        16 + self.labels.len() * (9 + 1 + 4 * (KINDS + 1))
    }

    /// The use of each feature with the bytes that it takes.
    pub(super) fn uses(&self) -> impl Iterator<Item = (f32, usize)> + '_ {
        let lengths = self.starts.windows(2).map(|w| w[1] - w[0]);
        self.uses.iter().copied().zip(lengths.map(|length| self.bytes(length)))
    }

    /// Writes the group as it stands in the file, with the features of at least some use.
    pub(super) fn write(&self, usual: [f32; 2], least: f32, step: f32, bytes: &mut Vec<u8>) {
        let lists: Vec<(u32, &[(u16, f32)])> = self
            .features
            .iter()
            .zip(self.starts.windows(2).map(|w| &self.entries[w[0]..w[1]]))
            .zip(&self.uses)
            .filter(|(_, use_)| **use_ >= least)
            .map(|((feature, entries), _)| (*feature, entries))
            .collect();
        bytes.extend_from_slice(&(self.labels.len() as u32).to_le_bytes());
        for label in &self.labels {
            let label = label.to_string();
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        for value in usual {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        for kind in 0..=KINDS {
            for misses in &self.misses {
                bytes.extend_from_slice(&misses[kind].to_le_bytes());
            }
        }
        bytes.extend_from_slice(&(lists.len() as u32).to_le_bytes());
        for (feature, _) in &lists {
            bytes.extend_from_slice(&feature.to_le_bytes());
        }
        for (_, entries) in &lists {
            let length = if self.is_row(entries.len()) { 0 } else { entries.len() as u16 };
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        for (_, entries) in &lists {
            if self.is_row(entries.len()) {
                let mut row = vec![0; self.labels.len()];
                for (label, weight) in *entries {
                    row[usize::from(*label)] = (weight / step).round().min(255.0) as u8;
                }
                bytes.extend_from_slice(&row);
            } else {
                for (label, weight) in *entries {
                    let code = (weight / step / 4.0).round().min(63.0) as u8;
                    bytes.extend_from_slice(&model::entry_bytes(*label, code));
                }
            }
        }
    }
}

/// Leaves each feature of a line once.
fn drop_repeated(features: &mut Vec<u32>, from: usize) {
    features[from..].sort_unstable();
    let mut kept = from;
    for i in from..features.len() {
        if kept == from || features[i] != features[kept - 1] {
            features[kept] = features[i];
            kept += 1;
        }
    }
    features.truncate(kept);
}
