//! The model file: labels, tables of features, calibration.
//!
//! Little-endian, in this order; strings are a `u8` length and UTF-8:
//!
//! | field | type |
//! | --- | --- |
//! | magic | 8 bytes `hexalid\0` |
//! | version | `u32`, 1 |
//! | step | `f32`: what one unit of a weight adds to a score |
//! | calibration | `f32` × 8: temperature, growth, known; see `calibrate` |
//! | groups | `u32` number, then each group |
//!
//! A group is the languages that share the letters of a script and compete for its texts:
//!
//! | field | type |
//! | --- | --- |
//! | labels | `u32` number n ≤ 1024, then n strings, tags such as `deu_Latn`, in ascending order |
//! | usual | `f32` × 2: the mean score of a feature and depth of texts, see `calibrate` |
//! | misses | 7 × n × `f32`: for each kind what a known feature adds to each label's score by itself, then what is added once |
//! | features | `u32` number m, then m × `u32` in ascending order |
//! | lengths | `u16` × m: listed labels of each feature; 0 for a row of all labels |
//! | weights | for a row n × `u8`; else `u16` × length: label × 64 + weight / 4 |
//!
//! Reading checks every length against the bytes there are; no file is opened here.

use super::calibrate::Calibration;
use super::features::{Feature, KINDS, Letters};
use crate::error::{Error, Result};
use crate::identify::tag::{self, Tag};

const MAGIC: &[u8; 8] = b"hexalid\0";
const VERSION: u32 = 1;
/// The most labels of one group.
pub const MAX_LABELS: usize = 1024;

/// A model that was read.
#[derive(Debug, Clone)]
pub struct Model {
    pub(super) step: f32,
    pub(super) calibration: Calibration,
    pub(super) groups: Vec<Group>,
}

/// The languages of one script's letters.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) letters: Letters,
    pub(super) labels: Vec<Tag>,
    /// Whether its labels are of several scripts.
    is_mixed: bool,
    /// The mean score and depth of texts in these languages.
    pub(super) usual: [f32; 2],
    /// What each known feature of a kind adds to the score of a label by itself, and what is added
    /// once.
    pub(super) misses: [Vec<f32>; KINDS + 1],
    /// Open addressing; for each slot 0 if it is free, else some bits of its feature, so that most
    /// features that are not there are told without a look at `slots`.
    marks: Vec<u8>,
    /// The feature and where its weights begin.
    slots: Vec<(u32, u32)>,
    /// For each feature a `u16` length and its weights, as in the file.
    weights: Vec<u8>,
}

/// What a feature is worth to the labels of a group.
pub(super) enum Weights<'a> {
    /// One byte for each label.
    Row(&'a [u8]),
    /// Two bytes for each label listed.
    List(&'a [u8]),
}

/// The beginning of a model file.
pub(super) fn header(step: f32, calibration: &Calibration, groups: usize) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let values = [step, calibration.temperature, calibration.growth];
    for value in values.iter().chain(&calibration.known) {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&(groups as u32).to_le_bytes());
    bytes
}

/// The two bytes of a list for a label and a weight below 64.
pub(super) fn entry_bytes(label: u16, weight: u8) -> [u8; 2] {
    (label << 6 | u16::from(weight)).to_le_bytes()
}

/// A label and its weight from the two bytes of a list.
pub(super) fn entry(bytes: [u8; 2]) -> (usize, u8) {
    let entry = u16::from_le_bytes(bytes);
    (usize::from(entry >> 6), ((entry & 63) as u8) << 2)
}

impl Group {
    /// Whether a label can be that of a text whose letters are mostly of the script `found`.
    pub(super) fn agrees(&self, label: usize, found: &str) -> bool {
        // Only Han has labels of several scripts in one group.
        let asked = if self.is_mixed { label } else { 0 };
        self.labels.get(asked).is_some_and(|label| tag::script_agrees(label.script, found))
    }

    /// The weights of a feature, if the model has it.
    pub(super) fn weights(&self, feature: Feature) -> Option<Weights<'_>> {
        let mask = self.marks.len() - 1;
        let mut slot = first_slot(feature.0, mask);
        loop {
            let mark = *self.marks.get(slot)?;
            if mark == 0 {
                return None;
            }
            if mark == mark_of(feature.0) {
                let (key, start) = *self.slots.get(slot)?;
                if key == feature.0 {
                    let (length, bytes) =
                        self.weights.get(start as usize..)?.split_at_checked(2)?;
                    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
                    return Some(match length {
                        0 => Weights::Row(bytes.get(..self.labels.len())?),
                        n => Weights::List(bytes.get(..2 * n)?),
                    });
                }
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// Some bits of a feature that its first slot does not depend on, never 0.
fn mark_of(key: u32) -> u8 {
    key as u8 | 1
}

fn first_slot(key: u32, mask: usize) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> 8) as usize & mask
}

impl Model {
    /// The model of a file's bytes.
    ///
    /// Errors for bytes that are no model, or cut short, or of a version unknown here.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut input = Input(bytes);
        if input.take(8) != Some(MAGIC) {
            return Err(Error::usage("not a language model of hexapla"));
        }
        let version = input.u32().ok_or_else(damaged)?;
        if version != VERSION {
            let message = format!("language model of version {version}; known is {VERSION}");
            return Err(Error::usage(message));
        }
        input.model().filter(|_| input.0.is_empty()).ok_or_else(damaged)
    }

    /// The group of the languages with these letters.
    pub(super) fn group(&self, letters: Letters) -> Option<&Group> {
        self.groups.iter().find(|group| group.letters == letters)
    }

    /// Every label it can answer.
    pub fn labels(&self) -> impl Iterator<Item = Tag> + '_ {
        self.groups.iter().flat_map(|group| group.labels.iter().copied())
    }
}

fn damaged() -> Error {
    Error::usage("damaged language model")
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn f32(&mut self) -> Option<f32> {
        self.u32().map(f32::from_bits).filter(|v| v.is_finite())
    }

    /// A number of things of at least `size` bytes each, which must be there.
    fn number(&mut self, size: usize) -> Option<usize> {
        let n = self.u32()? as usize;
        (n <= self.0.len() / size).then_some(n)
    }

    fn tag(&mut self) -> Option<Tag> {
        let length = usize::from(*self.take(1)?.first()?);
        let text = std::str::from_utf8(self.take(length)?).ok()?;
        tag::find(text).filter(|tag| tag.to_string() == text)
    }

    fn model(&mut self) -> Option<Model> {
        let step = self.f32()?;
        let (temperature, growth) = (self.f32()?, self.f32()?);
        let mut known = [0.0; 6];
        for value in &mut known {
            *value = self.f32()?;
        }
        let calibration = Calibration { temperature, growth, known };
        let n = self.number(1)?;
        let groups = (0..n).map(|_| self.group()).collect::<Option<_>>()?;
        Some(Model { step, calibration, groups })
    }

    fn group(&mut self) -> Option<Group> {
        let n = self.number(1).filter(|n| 0 < *n && *n <= MAX_LABELS)?;
        let labels = (0..n).map(|_| self.tag()).collect::<Option<Vec<_>>>()?;
        let letters = Letters::of(labels.first()?.script)?;
        if labels.iter().any(|label| Letters::of(label.script) != Some(letters)) {
            return None;
        }
        let usual = [self.f32()?, self.f32()?];
        let mut misses: [Vec<f32>; KINDS + 1] = Default::default();
        for misses in &mut misses {
            *misses = (0..n).map(|_| self.f32()).collect::<Option<_>>()?;
        }
        let m = self.number(6)?;
        let features = self.take(4 * m)?;
        let lengths = self.take(2 * m)?;
        let mut slots = vec![(0, 0); (2 * m + 1).next_power_of_two()];
        let mut marks = vec![0; slots.len()];
        let mask = slots.len() - 1;
        let mut weights = Vec::new();
        let features =
            features.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        for (feature, length) in features.zip(lengths.chunks_exact(2)) {
            let mut slot = first_slot(feature, mask);
            while marks[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            marks[slot] = mark_of(feature);
            slots[slot] = (feature, u32::try_from(weights.len()).ok()?);
            let listed = usize::from(u16::from_le_bytes([length[0], length[1]]));
            let bytes = self.take(if listed == 0 { n } else { 2 * listed })?;
            if listed != 0 && bytes.chunks_exact(2).any(|b| entry([b[0], b[1]]).0 >= n) {
                return None;
            }
            weights.extend_from_slice(length);
            weights.extend_from_slice(bytes);
        }
        let is_mixed = labels.windows(2).any(|two| two[0].script != two[1].script);
        Some(Group { letters, labels, is_mixed, usual, misses, marks, slots, weights })
    }
}

#[cfg(test)]
mod tests {
    use super::super::built_in;
    use super::*;

    #[test]
    fn the_built_in_model_is_whole_and_wide() {
        let model = built_in().unwrap();
        let labels: Vec<String> = model.labels().map(|tag| tag.to_string()).collect();
        assert!(labels.len() > 200, "{}", labels.len());
        for tag in ["deu_Latn", "cmn_Hant", "arb_Arab", "quy_Latn", "sat_Olck"] {
            assert!(labels.iter().any(|label| label == tag), "{tag}");
        }
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let error = |bytes: &[u8]| Model::parse(bytes).unwrap_err().to_string();
        assert_eq!(error(b""), "not a language model of hexapla");
        assert_eq!(error(b"hexalid\0"), "damaged language model");
        let mut newer = MAGIC.to_vec();
        newer.extend_from_slice(&2_u32.to_le_bytes());
        assert_eq!(error(&newer), "language model of version 2; known is 1");
    }

    #[test]
    fn damage_is_noticed_or_harmless() {
        let bytes = super::super::train::tests::small_model();
        for cut in 0..bytes.len() {
            assert!(Model::parse(&bytes[..cut]).is_err(), "{cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(Model::parse(&longer).is_err());
        for at in 0..bytes.len() {
            let mut spoilt = bytes.clone();
            spoilt[at] ^= 0xff;
            // Whatever is still read must be safe to use.
            if let Ok(model) = Model::parse(&spoilt) {
                model.label("kissa nukkuu pöydän alla", "Latn");
            }
        }
    }
}
