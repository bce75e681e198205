//! The label of a text by a model: sums of the weights of its features, made a probability.
//!
//! Of the n-grams that end at a character only the longest that the model knows count: shorter
//! ones say the same again. Features that it does not know say nothing about any language.

use super::calibrate::Fit;
use super::features::{self, Feature, KINDS, Letters, MAX_ORDER};
use super::model::{Group, MAX_LABELS, Model, Weights, entry};
use crate::identify::tag::{self, Tag};

/// How many of the n-grams that end at a character count.
const LONGEST: usize = 2;
/// Weights of one byte that can be summed in 16 bits.
const UNTIL_FLUSH: u32 = (u16::MAX / u8::MAX as u16) as u32;

/// Texts of more bytes are looked at in pieces.
const WHOLE: usize = 8 << 10;
/// Pieces of a longer text, evenly spaced.
const PIECES: usize = 16;

/// A label and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// The language.
    pub tag: Tag,
    /// The probability that it is the language of the text.
    pub score: f64,
    /// The probability that the language of the text is any of the model's.
    pub known: f64,
}

impl Model {
    /// The label of a text whose letters are mostly of the script `found`; `None` if the model has
    /// no language in that script, or knows nothing of what the text has in it.
    ///
    /// Of a text of more than 8 KiB, sixteen pieces of 512 bytes are looked at.
    pub fn label(&self, text: &str, found: &str) -> Option<Label> {
        let (odds, known) = self.odds(text, found)?;
        let (tag, _) = odds.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a })?;
        let all: f32 = odds.iter().map(|(_, odds)| odds).sum();
        // Chinese in either spelling is one language.
        let own: f32 = odds.iter().filter(|(t, _)| t.code == tag.code).map(|(_, odds)| odds).sum();
        let score = f64::from(known * (own / all));
        Some(Label { tag, score, known: f64::from(known) })
    }

    /// The likeliest labels of a text with their probabilities, at most `most`; see
    /// [`Model::label`].
    pub fn labels_of(&self, text: &str, found: &str, most: usize) -> Vec<(Tag, f64)> {
        let Some((mut odds, known)) = self.odds(text, found) else { return Vec::new() };
        let all: f32 = odds.iter().map(|(_, odds)| odds).sum();
        odds.sort_by(|a, b| b.1.total_cmp(&a.1));
        odds.truncate(most);
        odds.into_iter().map(|(tag, odds)| (tag, f64::from(known * (odds / all)))).collect()
    }

    /// The odds of the labels that compete against the best, and the probability that one of them
    /// is right.
    fn odds(&self, text: &str, found: &str) -> Option<(Vec<(Tag, f32)>, f32)> {
        let group = self.group(Letters::of(found)?)?;
        let scores = self.scores(group, text);
        if scores.features == 0 {
            return None;
        }
        let labels = group.labels.iter().zip(&scores.scores).enumerate();
        let mut odds: Vec<(Tag, f32)> = Vec::with_capacity(group.labels.len());
        let mut best = (0, f32::MIN);
        for (i, (tag, score)) in labels.filter(|(_, (l, _))| tag::script_agrees(l.script, found)) {
            odds.push((*tag, *score));
            best = if *score > best.1 { (i, *score) } else { best };
        }
        if odds.is_empty() {
            return None;
        }
        let temperature = self.calibration.temperature(scores.features as f32);
        for (_, odds) in &mut odds {
            *odds = ((*odds - best.1) / temperature).exp();
        }
        Some((odds, self.calibration.known(scores.fit(best.0, group.usual))))
    }

    /// The scores of all labels of a group for a text.
    pub(super) fn scores(&self, group: &Group, text: &str) -> Scores {
        let mut sums = Sums {
            narrow: [0; MAX_LABELS],
            wide: [0; MAX_LABELS],
            unflushed: 0,
            kinds: [0; KINDS],
            depths: 0,
            places: 0,
        };
        for piece in pieces(text) {
            features::for_each(piece, group.letters, |found| sums.add(group, found));
        }
        sums.flush(group.labels.len());
        let score = |(sum, misses): (&u32, &[f32; KINDS + 1])| {
            let of_kinds = misses.iter().zip(sums.kinds).map(|(miss, n)| miss * n as f32);
            *sum as f32 * self.step + of_kinds.sum::<f32>() + misses[KINDS]
        };
        Scores {
            scores: sums.wide.iter().zip(&group.misses).map(score).collect(),
            features: sums.kinds.iter().sum(),
            depth: sums.depths as f32 / sums.places.max(1) as f32,
        }
    }
}

/// The scores of one text before calibration.
pub(super) struct Scores {
    /// The score of each label of the group.
    pub(super) scores: Vec<f32>,
    /// Features that counted.
    pub(super) features: u32,
    /// The mean order of the longest known n-gram at a character.
    depth: f32,
}

impl Scores {
    /// How well the text fits a label, above what is usual.
    pub(super) fn fit(&self, label: usize, usual: [f32; 2]) -> Fit {
        let features = self.features as f32;
        let score = self.scores.get(label).copied().unwrap_or(0.0) / features.max(1.0);
        Fit { score: score - usual[0], depth: self.depth - usual[1], features }
    }
}

/// Sums of weights, in narrow numbers as long as these suffice.
struct Sums {
    narrow: [u16; MAX_LABELS],
    wide: [u32; MAX_LABELS],
    /// Weights in the narrow sums.
    unflushed: u32,
    /// Features that counted, by kind.
    kinds: [u32; KINDS],
    /// The sum of the orders of the longest known n-grams.
    depths: u32,
    /// Characters that n-grams end at.
    places: u32,
}

impl Sums {
    /// Adds the features that end at one place, the shortest first.
    fn add(&mut self, group: &Group, found: &[Feature]) {
        let mut used = 0;
        let is_word = found.first().is_some_and(|first| first.kind() == MAX_ORDER);
        self.places += u32::from(!is_word);
        for feature in found.iter().rev() {
            let Some(weights) = group.weights(*feature) else { continue };
            match weights {
                Weights::Row(row) => {
                    for (sum, weight) in self.narrow.iter_mut().zip(row) {
                        *sum = sum.wrapping_add(u16::from(*weight));
                    }
                }
                Weights::List(list) => {
                    for pair in list.chunks_exact(2) {
                        let (label, weight) = entry([pair[0], pair[1]]);
                        self.narrow[label] = self.narrow[label].wrapping_add(u16::from(weight));
                    }
                }
            }
            self.kinds[feature.kind()] += 1;
            self.unflushed += 1;
            // Nothing wraps that is flushed in time; unchecked sums are what can be vectorised.
            if self.unflushed == UNTIL_FLUSH {
                self.flush(group.labels.len());
            }
            if used == 0 && !is_word {
                self.depths += feature.kind() as u32 + 1;
            }
            used += 1;
            if used == LONGEST {
                break;
            }
        }
    }

    fn flush(&mut self, labels: usize) {
        for (wide, narrow) in self.wide.iter_mut().zip(&mut self.narrow).take(labels) {
            *wide += u32::from(std::mem::take(narrow));
        }
        self.unflushed = 0;
    }
}

/// A text whole, or pieces of it if it is long.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let (n, length) = if text.len() <= WHOLE { (1, text.len()) } else { (PIECES, WHOLE / PIECES) };
    let floor = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    (0..n).map(move |i| {
        let start = if n == 1 { 0 } else { floor((text.len() - length) / (n - 1) * i) };
        text.get(start..floor(start + length)).unwrap_or_default()
    })
}
