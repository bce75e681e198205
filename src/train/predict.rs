//! What a trained model says: classes, sentence vectors, losses.
//!
//! Texts arrive as token ids with special tokens. They are batched by length and answered in the
//! order in which they came; nothing is learned here.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::store::mmap;
use crate::train::batch::Source;
use crate::train::checkpoint;
use crate::train::config::{Dtype, Masking, Weight};
use crate::train::data::{Data, Packed, Share};
use crate::train::loss::Tally;
use crate::train::model::Model;
use crate::train::objective::classify::{self, CLASSIFY};
use crate::train::retention;
use crate::train::vocabulary::Vocabulary;
use crate::train::work::Work;

/// Loads the model of a run (its latest checkpoint) or of a Hugging Face folder.
pub fn load(path: &Path, dtype: Dtype, device: Device) -> Result<Model> {
    mmap::keep_freed();
    checkpoint::load_model(&retention::resolve(path)?, dtype, device)
}

/// Logits over the model's classes for each text; `langs` matters to language embeddings alone.
///
/// Errors when the model does not classify or a text is too long for it.
pub fn classify(
    model: &Model,
    ids: &[Vec<i32>],
    langs: &[String],
    batch: usize,
) -> Result<Vec<Vec<f32>>> {
    each(model, ids, langs, batch, |work| {
        let logits = model.class_logits(&model.forward(work, None)?, None)?;
        Ok(logits.f_to_kind(Kind::Float)?)
    })
}

/// The index of the largest logit; the first one wins.
pub fn best(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in logits.iter().enumerate() {
        if *value > logits[best] {
            best = i;
        }
    }
    best
}

/// The mean of the hidden states over the tokens of each text, after a layer (the last unless
/// said; 0 is the embeddings).
///
/// Special tokens count, as in sentence-transformers' mean pooling.
pub fn embed(
    model: &Model,
    ids: &[Vec<i32>],
    langs: &[String],
    layer: Option<usize>,
    batch: usize,
) -> Result<Vec<Vec<f32>>> {
    let layers = model.architecture().layers as usize;
    let layer = layer.unwrap_or(layers);
    if layer > layers {
        return Err(Error::usage(format!("layer {layer} of a model with {layers}")));
    }
    each(model, ids, langs, batch, |work| {
        let hidden = model.forward_to(work, None, layer)?.f_to_kind(Kind::Float)?;
        let real: Vec<f32> = work.layout.units.iter().map(|&u| f32::from(u >= 0)).collect();
        let [rows, length] = work.layout.shape();
        let real =
            Tensor::f_from_slice(&real)?.f_view([rows, length, 1])?.f_to_device(model.device())?;
        let sum = hidden.f_mul(&real)?.f_sum_dim_intlist(1, false, Kind::Float)?;
        let count = real.f_sum_dim_intlist(1, false, Kind::Float)?.f_clamp_min(1.0)?;
        Ok(sum.f_div(&count)?)
    })
}

/// Losses on prepared work, without learning.
pub fn evaluate(model: &Model, works: &[Work]) -> Result<Tally> {
    let _guard = tch::no_grad_guard();
    let mut tally = Tally::default();
    for work in works.iter().filter(|work| !work.places.is_empty()) {
        let losses = (work.objective.score)(model, work, None)?;
        tally.add(work, &losses, &vec![0.0; work.places.len()])?;
    }
    Ok(tally)
}

/// Nats per prediction by `objective/language`, over the next micro-batches of a
/// source; the masks are the same at every call.
pub fn packed_loss(
    model: &Model,
    vocabulary: &Vocabulary,
    source: &mut dyn Source,
    batches: usize,
    objectives: &BTreeMap<String, Weight>,
    masking: Masking,
) -> Result<BTreeMap<String, f64>> {
    let mut data = Packed {
        source,
        objectives,
        vocabulary,
        architecture: model.architecture(),
        masking,
        accumulate: 1,
        seed: 0,
        share: Share::WHOLE,
    };
    let mut tally = Tally::default();
    for step in 0..batches as u64 {
        tally.merge(evaluate(model, &data.step(step)?)?);
    }
    Ok(tally.by_language())
}

/// Runs texts in batches of similar length and returns a row of numbers for each, in their order.
fn each(
    model: &Model,
    ids: &[Vec<i32>],
    langs: &[String],
    batch: usize,
    run: impl Fn(&Work) -> Result<Tensor>,
) -> Result<Vec<Vec<f32>>> {
    let _guard = tch::no_grad_guard();
    let shape = model.architecture();
    if !langs.is_empty() && langs.len() != ids.len() {
        return Err(Error::internal("texts and languages differ in number"));
    }
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&row| ids[row].len());
    let mut answers = vec![Vec::new(); ids.len()];
    for chosen in order.chunks(batch.max(1)) {
        let texts: Vec<&[i32]> = chosen.iter().map(|&row| ids[row].as_slice()).collect();
        let lang = |&row: &usize| langs.get(row).map_or("", String::as_str);
        let langs: Vec<&str> = chosen.iter().map(lang).collect();
        let classes = vec![0; chosen.len()];
        let work = classify::padded(&CLASSIFY, &texts, &langs, classes, shape)?;
        let numbers = run(&work)?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let width = numbers.size().get(1).copied().unwrap_or(1) as usize;
        let mut flat = vec![0f32; numbers.numel()];
        numbers.f_copy_data(&mut flat, numbers.numel())?;
        for (&row, values) in chosen.iter().zip(flat.chunks(width.max(1))) {
            answers[row] = values.to_vec();
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::model::encoder::tests::tiny;

    fn texts() -> Vec<Vec<i32>> {
        [7, 3, 12, 5, 9].iter().map(|&n| (0..n).map(|k| 4 + (k * 7 + n) % 40).collect()).collect()
    }

    #[test]
    fn answers_do_not_depend_on_the_batch() {
        let mut shape = tiny(50);
        shape.labels = vec!["a".into(), "b".into(), "c".into()];
        let model = Model::new(shape, 3, Dtype::Fp32, Device::Cpu).unwrap();
        let near = |a: &[Vec<f32>], b: &[Vec<f32>]| {
            let pairs = a.iter().flatten().zip(b.iter().flatten());
            pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max) < 1e-5
        };
        let alone = classify(&model, &texts(), &[], 1).unwrap();
        assert_eq!((alone.len(), alone[0].len()), (5, 3));
        assert!(near(&alone, &classify(&model, &texts(), &[], 3).unwrap()));
        let alone = embed(&model, &texts(), &[], None, 1).unwrap();
        assert_eq!((alone.len(), alone[0].len()), (5, 32));
        assert!(near(&alone, &embed(&model, &texts(), &[], None, 5).unwrap()));
        let first = embed(&model, &texts(), &[], Some(0), 5).unwrap();
        assert!(!near(&alone, &first));
        assert!(embed(&model, &texts(), &[], Some(3), 5).is_err());
        assert_eq!(best(&[0.5, 2.0, 2.0]), 1);
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        let model = Model::new(tiny(50), 3, Dtype::Fp32, Device::Cpu).unwrap();
        let error = embed(&model, &[vec![5; 33]], &[], None, 1).unwrap_err();
        assert_eq!(error.to_string(), "a document of 33 tokens; the model holds 32");
    }
}
