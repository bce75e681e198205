//! Losses summed by objective and language, where they were computed.
//!
//! Sums stay on the device until somebody asks for them, so that a step does not wait for the
//! host. Over several ranks they are added up when they are read.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::train::group::Group;
use crate::train::loss::Counts;
use crate::train::work::Work;

/// What is summed apart: an objective and a language.
pub type Key = (&'static str, String);

/// Sums of losses since they were last read.
pub struct Sums {
    keys: Vec<Key>,
    /// Nats by key.
    nats: Tensor,
    counts: Vec<u64>,
    bytes: Vec<u64>,
}

/// What one objective came to in one language.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sum {
    /// Nats over all predictions.
    pub nats: f64,
    /// Predictions.
    pub count: f64,
    /// Bytes of text that were predicted.
    pub bytes: f64,
}

impl Sum {
    /// Nats per prediction.
    pub fn mean(&self) -> f64 {
        self.nats / self.count
    }

    /// Bits per byte of what was predicted; none for what is no text.
    pub fn bits_per_byte(&self) -> Option<f64> {
        (self.bytes > 0.0).then(|| self.nats / std::f64::consts::LN_2 / self.bytes)
    }
}

impl Sums {
    /// Sums of nothing, for keys that every rank has in the same order.
    pub fn new(keys: Vec<Key>, device: Device) -> Result<Self> {
        let n = keys.len();
        let nats = Tensor::f_zeros([n as i64], (Kind::Double, device))?;
        Ok(Self { keys, nats, counts: vec![0; n], bytes: vec![0; n] })
    }

    /// No predictions of any key.
    pub fn no_counts(&self) -> Counts {
        self.keys.iter().map(|key| (key.clone(), 0)).collect()
    }

    /// Adds the losses of a micro-batch's predictions; `token_bytes` are bytes by token id.
    pub fn add(&mut self, work: &Work, losses: &Tensor, token_bytes: &[u32]) -> Result<()> {
        let rows: Vec<i64> = work
            .langs
            .iter()
            .map(|lang| {
                let here = |key: &Key| key.0 == work.objective.name && key.1 == *lang;
                self.keys.iter().position(here).map(|row| row as i64).ok_or_else(|| {
                    Error::internal(format!("`{lang}` is no language of the run's data"))
                })
            })
            .collect::<Result<_>>()?;
        let index: Vec<i64> =
            work.target_langs.iter().map(|&lang| rows[usize::from(lang)]).collect();
        index.iter().for_each(|&row| self.counts[row as usize] += 1);
        if work.objective.predicts_tokens() {
            for (&id, &row) in work.gold.iter().zip(&index) {
                let bytes = usize::try_from(id).ok().and_then(|id| token_bytes.get(id));
                self.bytes[row as usize] += u64::from(bytes.copied().unwrap_or(0));
            }
        }
        let index = Tensor::f_from_slice(&index)?.f_to_device(self.nats.device())?;
        let losses = losses.f_detach()?.f_to_kind(Kind::Double)?;
        let _ = self.nats.f_index_add_(0, &index, &losses)?;
        Ok(())
    }

    /// Reads the sums over all ranks and begins anew; `more` numbers are summed on the way.
    pub fn take(&mut self, group: &Group, more: &[f64]) -> Result<(BTreeMap<Key, Sum>, Vec<f64>)> {
        let n = self.keys.len();
        let mut numbers = vec![0f64; n];
        self.nats.f_to_device(Device::Cpu)?.f_copy_data(&mut numbers, n)?;
        let whole = self.counts.iter().chain(&self.bytes).map(|&n| n as f64);
        numbers.extend(whole.chain(more.iter().copied()));
        let numbers = group.sum(&numbers)?;
        let sum =
            |i: usize| Sum { nats: numbers[i], count: numbers[n + i], bytes: numbers[2 * n + i] };
        let all = self.keys.iter().cloned().enumerate().map(|(i, key)| (key, sum(i)));
        let sums = all.filter(|(_, sum)| sum.count > 0.0).collect();
        *self = Self::new(std::mem::take(&mut self.keys), self.nats.device())?;
        Ok((sums, numbers[3 * n..].to_vec()))
    }
}

/// A value of each key under `objective/language`.
pub fn named(sums: &BTreeMap<Key, Sum>, of: impl Fn(&Sum) -> Option<f64>) -> BTreeMap<String, f64> {
    let each = sums.iter();
    each.filter_map(|((o, lang), sum)| Some((format!("{o}/{lang}"), of(sum)?))).collect()
}
