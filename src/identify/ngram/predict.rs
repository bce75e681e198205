//! The label of a text by a model: sums of the weights of its features, made a probability.
//!
//! Of the n-grams that end at a character only the longest that the model knows count: shorter
//! ones say the same again. Features that it does not know say nothing about any language.

use super::calibrate::Fit;
use super::features::{self, Feature, KINDS, Letters, MAX_ORDER};
use super::model::{Group, MAX_LABELS, Model, Weights, entry};
use crate::identify::tag::Tag;

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
        let odds = self.odds(text, found)?;
        let tag = *odds.labels.get(odds.best)?;
        // Chinese in either spelling is one language.
        let same = odds.labels.iter().zip(&odds.odds).filter(|(label, _)| label.code == tag.code);
        let own: f32 = same.map(|(_, odds)| odds).sum();
        let score = f64::from(odds.known * (own / odds.all));
        Some(Label { tag, score, known: f64::from(odds.known) })
    }

    /// The likeliest labels of a text with their probabilities, at most `most`; see
    /// [`Model::label`].
    pub fn labels_of(&self, text: &str, found: &str, most: usize) -> Vec<(Tag, f64)> {
        let Some(odds) = self.odds(text, found) else { return Vec::new() };
        let part = f64::from(odds.known) / f64::from(odds.all);
        let labels = odds.labels.iter().zip(&odds.odds).filter(|(_, odds)| **odds > 0.0);
        let mut labels: Vec<(Tag, f64)> =
            labels.map(|(label, odds)| (*label, f64::from(*odds) * part)).collect();
        labels.sort_by(|a, b| b.1.total_cmp(&a.1));
        labels.truncate(most);
        labels
    }

    fn odds(&self, text: &str, found: &str) -> Option<Odds<'_>> {
        let group = self.group(Letters::of(found)?)?;
        let scores = self.scores(group, text);
        if scores.features == 0 {
            return None;
        }
        let competes = |i: usize| group.agrees(i, found);
        let all = 0..group.labels.len();
        let best = all
            .filter(|i| competes(*i))
            .reduce(|a, b| if scores.scores[b] > scores.scores[a] { b } else { a })?;
        let temperature = self.calibration.temperature(scores.features as f32);
        let of = |(i, score): (usize, &f32)| match (score - scores.scores[best]) / temperature {
            // Nothing that a probability would show.
            far if far < -20.0 => 0.0,
            _ if !competes(i) => 0.0,
            near => near.exp(),
        };
        let odds: Vec<f32> = scores.scores.iter().enumerate().map(of).collect();
        let known = self.calibration.known(scores.fit(best, group.usual));
        Some(Odds { labels: &group.labels, all: odds.iter().sum(), odds, best, known })
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
        let sums_of_labels = sums.wide.iter().take(group.labels.len());
        let mut scores: Vec<f32> = sums_of_labels.map(|sum| *sum as f32 * self.step).collect();
        let times = sums.kinds.iter().map(|n| *n as f32).chain([1.0]);
        for (misses, times) in group.misses.iter().zip(times) {
            for (score, miss) in scores.iter_mut().zip(misses) {
                *score += miss * times;
            }
        }
        Scores {
            scores,
            features: sums.kinds.iter().sum(),
            depth: sums.depths as f32 / sums.places.max(1) as f32,
        }
    }
}

/// The odds of the labels of a group against the best of those that compete.
struct Odds<'a> {
    labels: &'a [Tag],
    odds: Vec<f32>,
    best: usize,
    /// The sum of the odds.
    all: f32,
    /// The probability that one of the labels is right.
    known: f32,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::ngram::{built_in, detect, knows};
    use crate::identify::script;

    fn of(text: &str) -> Option<String> {
        detect(text, script::script(text)?).tag.map(|tag| tag.to_string())
    }

    #[test]
    fn languages_of_many_scripts() {
        for (text, tag) in [
            ("Der Hund schläft unter dem Tisch, weil es draußen regnet.", "deu_Latn"),
            ("Hundurinn sefur undir borðinu af því að það rignir úti.", "isl_Latn"),
            ("Mbwa analala chini ya meza kwa sababu mvua inanyesha nje.", "swh_Latn"),
            ("Ajá náà ń sùn lábẹ́ tábìlì nítorí pé òjò ń rọ̀ níta.", "yor_Latn"),
            ("Собака спит под столом, потому что на улице идёт дождь.", "rus_Cyrl"),
            ("Собака спить під столом, бо надворі йде дощ.", "ukr_Cyrl"),
            ("कुत्ता मेज़ के नीचे सो रहा है क्योंकि बाहर बारिश हो रही है।", "hin_Deva"),
            ("สุนัขนอนอยู่ใต้โต๊ะเพราะข้างนอกฝนตก", "tha_Thai"),
            ("外面下雨，所以狗在桌子底下睡觉。", "cmn_Hans"),
            ("外は雨なので、犬はテーブルの下で寝ています。", "jpn_Jpan"),
            ("밖에 비가 와서 개가 탁자 밑에서 자고 있어요.", "kor_Hang"),
        ] {
            assert_eq!(of(text).as_deref(), Some(tag), "{text}");
        }
    }

    #[test]
    fn what_is_no_language_has_no_label() {
        for text in ["asdfgh qwerty zxcvb", "xkcd qqq zzz vvv", "𐎠𐎡𐎢"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert!(knows("isl_Latn") && !knows("tlh_Latn") && !knows("isl"));
    }

    #[test]
    fn long_texts_are_looked_at_everywhere() {
        let text = "Hundurinn sefur undir borðinu. ".repeat(100_000);
        assert_eq!(of(&text).as_deref(), Some("isl_Latn"));
        let unbroken = "ы".repeat(1 << 20);
        assert_eq!(pieces(&unbroken).map(str::len).sum::<usize>(), WHOLE);
        assert_eq!(pieces("").collect::<Vec<_>>(), [""]);
        built_in().unwrap().label(&unbroken, "Cyrl");
    }

    #[test]
    fn hostile_text_does_no_harm() {
        for text in ["", "\u{301}", "\u{200f}\u{200d}a", "\u{378}ж\u{10ffff}", "'’'"] {
            for script in ["Latn", "Cyrl", "Hani", "Zyyy", ""] {
                if let Some(label) = built_in().unwrap().label(text, script) {
                    assert!((0.0..=1.0).contains(&label.score), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn probabilities_add_up_to_at_most_one() {
        let labels = built_in().unwrap().labels_of("Det er en hund", "Latn", 400);
        let all: f64 = labels.iter().map(|(_, p)| p).sum();
        assert!((0.0..=1.000_001).contains(&all), "{all}");
        assert!(labels.windows(2).all(|w| w[0].1 >= w[1].1));
    }
}
