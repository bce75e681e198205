//! The loss of an optimizer step: −Σ_o w_o Σ_l λ_l / N_l Σ log P.
//!
//! N_l counts the predictions of language l over the whole step, so k accumulated micro-batches
//! equal one big batch. Without language weights λ_l = N_l / N: the mean over all predictions.
//! Losses per language are sums over N_l in nats per prediction, whatever the weights.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::error::{Error, Result};
use crate::train::config::Weight;
use crate::train::work::Work;

/// The weights of objectives and languages.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// w of each objective.
    pub objectives: &'a BTreeMap<String, Weight>,
    /// λ of each language, with `default` for those not named.
    pub languages: Option<&'a BTreeMap<String, Weight>>,
    /// The step that they are those of.
    pub step: u64,
}

impl Weights<'_> {
    /// The weights of a step.
    pub fn at(self, step: u64) -> Self {
        Self { step, ..self }
    }
}

/// Predictions by objective and language.
pub type Counts = BTreeMap<(&'static str, String), u64>;

/// The coefficient of each prediction of each micro-batch of a step; `counts` are those of the
/// whole step, by whichever ranks share it.
///
/// Errors when a language has neither a weight nor a `default`.
pub fn coefficients(step: &[Work], counts: &Counts, weights: Weights<'_>) -> Result<Vec<Vec<f32>>> {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for ((objective, _), count) in counts {
        *totals.entry(objective).or_default() += count;
    }
    let of = |objective: &'static str, lang: &str| -> Result<f32> {
        let weight = weights.objectives.get(objective).map_or(1.0, |w| w.at(weights.step));
        let count = counts.get(&(objective, lang.to_string())).copied().unwrap_or(0).max(1) as f64;
        let share = match weights.languages {
            None => return Ok((weight / totals[objective].max(1) as f64) as f32),
            Some(table) => table.get(lang).or_else(|| table.get("default")).ok_or_else(|| {
                Error::usage(format!("language `{lang}` has no weight in `language_weights`"))
                    .hint_with("name it there, or give a `default`")
            })?,
        };
        Ok((weight * share.at(weights.step) / count) as f32)
    };
    step.iter()
        .map(|work| {
            let name = work.objective.name;
            let by_lang: Vec<f32> = match work.places.is_empty() {
                true => Vec::new(),
                false => work.langs.iter().map(|lang| of(name, lang)).collect::<Result<_>>()?,
            };
            Ok(work.target_langs.iter().map(|&lang| by_lang[usize::from(lang)]).collect())
        })
        .collect()
}

/// Predictions of micro-batches by objective and language.
pub fn counts(step: &[Work]) -> Counts {
    let mut counts = Counts::new();
    for work in step {
        let mut by_lang = vec![0; work.langs.len()];
        work.target_langs.iter().for_each(|&lang| by_lang[usize::from(lang)] += 1);
        for (lang, count) in work.langs.iter().zip(by_lang).filter(|(_, count)| *count > 0) {
            *counts.entry((work.objective.name, lang.clone())).or_default() += count;
        }
    }
    counts
}

/// Sums of losses since the last report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    sums: BTreeMap<(&'static str, String), (f64, u64)>,
}

impl Tally {
    /// Adds the losses of a micro-batch and returns its part of the step's loss.
    pub fn add(&mut self, work: &Work, losses: &Tensor, coefficients: &[f32]) -> Result<f64> {
        let losses = losses.f_detach()?.f_to_device(tch::Device::Cpu)?;
        let mut values = vec![0f32; coefficients.len()];
        losses.f_copy_data(&mut values, coefficients.len())?;
        let mut part = 0.0;
        for ((&value, &coefficient), &lang) in
            values.iter().zip(coefficients).zip(&work.target_langs)
        {
            part += f64::from(value) * f64::from(coefficient);
            let key = (work.objective.name, work.langs[usize::from(lang)].clone());
            let entry = self.sums.entry(key).or_default();
            entry.0 += f64::from(value);
            entry.1 += 1;
        }
        Ok(part)
    }

    /// Adds the sums of another.
    pub fn merge(&mut self, other: Tally) {
        for (key, (sum, count)) in other.sums {
            let entry = self.sums.entry(key).or_default();
            entry.0 += sum;
            entry.1 += count;
        }
    }

    /// Nats per prediction by `objective/language`.
    pub fn by_language(&self) -> BTreeMap<String, f64> {
        let each = self.sums.iter();
        each.map(|((o, lang), (sum, n))| (format!("{o}/{lang}"), sum / *n as f64)).collect()
    }

    /// Nats per prediction over everything.
    pub fn mean(&self) -> f64 {
        let (sum, n) = self.sums.values().fold((0.0, 0), |(s, n), v| (s + v.0, n + v.1));
        sum / n as f64
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::train::batch::Source;
    use crate::train::batch::tests::Made;
    use crate::train::config::{Dtype, Masking};
    use crate::train::labelled::Examples;
    use crate::train::model::Model;
    use crate::train::model::encoder::tests::tiny;
    use crate::train::objective::{Rows, Setting, classify, mlm};
    use crate::train::vocabulary::tests::xlmr;

    fn gradients(step: &[Work], weights: Weights<'_>) -> Vec<Tensor> {
        let mut shape = tiny(60);
        shape.labels = vec!["a".into(), "b".into()];
        let model = Model::new(shape, 3, Dtype::Fp32, Device::Cpu).unwrap();
        for (work, c) in step.iter().zip(coefficients(step, &counts(step), weights).unwrap()) {
            let nll = (work.objective.score)(&model, work, None).unwrap();
            (nll * Tensor::from_slice(&c)).sum(Kind::Float).backward();
        }
        model
            .parameters()
            .tensors()
            .iter()
            .filter(|t| t.grad().defined())
            .map(|t| t.grad())
            .collect()
    }

    #[test]
    fn accumulated_micro_batches_equal_one_big_batch() {
        let langs = ["isl_Latn", "yor_Latn", "swh_Latn"];
        let examples = Examples {
            ids: (0..9).map(|i| (0..3 + i % 4).map(|k| 4 + (i * 5 + k) % 50).collect()).collect(),
            labels: (0..9).map(|i| i % 2).collect(),
            langs: (0..9).map(|i| langs[(i * i % 5 % 3) as usize].into()).collect(),
        };
        let vocabulary = xlmr(60);
        let architecture = tiny(60);
        let setting = Setting {
            vocabulary: &vocabulary,
            architecture: &architecture,
            masking: Masking { probability: 0.15, whole_words: false },
            key: 1,
        };
        let work = |rows: &[usize]| {
            (classify::CLASSIFY.prepare)(&Rows::Labelled(&examples, rows), &setting).unwrap()
        };
        let objectives = BTreeMap::from([("classify".to_string(), Weight::from(1.0))]);
        let lambda = BTreeMap::from([
            ("isl_Latn".to_string(), Weight::from(0.7)),
            ("default".to_string(), Weight::from(0.2)),
        ]);
        for languages in [None, Some(&lambda)] {
            let weights = Weights { objectives: &objectives, languages, step: 0 };
            let whole = gradients(&[work(&[0, 1, 2, 3, 4, 5, 6, 7, 8])], weights);
            let parts = [work(&[0, 1]), work(&[2, 3, 4, 5, 6]), work(&[7, 8])];
            let parts = gradients(&parts, weights);
            assert_eq!(whole.len(), parts.len());
            for (a, b) in whole.iter().zip(&parts) {
                let difference = (a - b).abs().max().double_value(&[]);
                assert!(difference < 1e-6, "{difference}");
            }
        }
    }

    #[test]
    fn coefficients_follow_the_formula() {
        let vocabulary = xlmr(60);
        let architecture = tiny(60);
        let setting = Setting {
            vocabulary: &vocabulary,
            architecture: &architecture,
            masking: Masking { probability: 0.3, whole_words: false },
            key: 1,
        };
        let mut made = Made { step: 0, rows: 4, length: 16, vocabulary: 60, pairs: false };
        let step: Vec<Work> = (0..3)
            .map(|_| (mlm::MLM.prepare)(&Rows::Packed(&made.next().unwrap()), &setting).unwrap())
            .collect();
        let n: Vec<f64> = step.iter().map(|w| w.places.len() as f64).collect();
        let objectives = BTreeMap::from([("mlm".to_string(), Weight::from(0.5))]);
        let weights = Weights { objectives: &objectives, languages: None, step: 0 };
        let mean = coefficients(&step, &counts(&step), weights).unwrap();
        assert!((f64::from(mean[1][0]) - 0.5 / n.iter().sum::<f64>()).abs() < 1e-9);
        let lambda = BTreeMap::from([
            ("isl_Latn".to_string(), Weight::from(0.9)),
            ("yor_Latn".to_string(), Weight::from(0.1)),
        ]);
        let weights = Weights { objectives: &objectives, languages: Some(&lambda), step: 0 };
        let c = coefficients(&step, &counts(&step), weights).unwrap();
        assert!((f64::from(c[0][0]) - 0.5 * 0.9 / (n[0] + n[2])).abs() < 1e-8);
        assert!((f64::from(c[1][0]) - 0.5 * 0.1 / n[1]).abs() < 1e-8);
        let points = Weight::Points(vec![(0, 0.9), (10, 0.1)]);
        let moving = BTreeMap::from([("default".to_string(), points)]);
        let weights = Weights { objectives: &objectives, languages: Some(&moving), step: 0 };
        let c = coefficients(&step, &counts(&step), weights.at(5)).unwrap();
        assert!((f64::from(c[1][0]) - 0.5 * 0.5 / n[1]).abs() < 1e-8);
        let few = BTreeMap::from([("isl_Latn".to_string(), Weight::from(0.9))]);
        let weights = Weights { objectives: &objectives, languages: Some(&few), step: 0 };
        let error = coefficients(&step, &counts(&step), weights).unwrap_err().to_string();
        assert_eq!(error, "language `yor_Latn` has no weight in `language_weights`");
    }
}
