//! What a trained model says: classes, sentence vectors, losses, logits.
//!
//! Texts arrive as token ids with special tokens. They are batched by length and answered in the
//! order in which they came; nothing is learned here.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::id;
use crate::train::batch::Source;
use crate::train::checkpoint;
use crate::train::config::Dtype;
use crate::train::data::{Data, Packed, Share};
use crate::train::layout::{Layout, Unit};
use crate::train::loss::Tally;
use crate::train::model::Encoder;
use crate::train::objective::classify::{self, CLASSIFY};
use crate::train::objective::mlm::MLM;
use crate::train::retention;
use crate::train::vocabulary::Vocabulary;
use crate::train::weights;
use crate::train::work::{Gold, Work};

/// Loads the model of a run (its latest checkpoint) or of a Hugging Face folder.
pub fn load(path: &Path, dtype: Dtype, device: Device) -> Result<Encoder> {
    checkpoint::load_model(&retention::resolve(path)?, dtype, device)
}

/// Logits over the model's classes for each text; `langs` matters to language embeddings alone.
///
/// Errors when the model does not classify or a text is too long for it.
pub fn classify(
    model: &Encoder,
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
    model: &Encoder,
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
pub fn evaluate(model: &Encoder, works: &[Work]) -> Result<Tally> {
    let _guard = tch::no_grad_guard();
    let mut tally = Tally::default();
    for work in works.iter().filter(|work| !work.places.is_empty()) {
        let losses = (work.objective.score)(model, work, None)?;
        tally.add(work, &losses, &vec![0.0; work.places.len()])?;
    }
    Ok(tally)
}

/// Nats per prediction by `objective/language` of masked tokens, over the next micro-batches of a
/// source; the masks are the same at every call.
pub fn mlm_loss(
    model: &Encoder,
    vocabulary: &Vocabulary,
    source: &mut dyn Source,
    batches: usize,
    objectives: &BTreeMap<String, f64>,
    mask_probability: f64,
) -> Result<BTreeMap<String, f64>> {
    let longest = model.architecture().longest();
    let mut data = Packed {
        source,
        objectives,
        vocabulary,
        longest,
        mask_probability,
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

/// Writes `input_ids`, `position_ids`, `documents` (which document of its row each place is in,
/// −1 for padding) and fp32 `logits` over the vocabulary of some rows of documents, so that
/// another implementation can be held against them.
pub fn logits_to_safetensors(model: &Path, rows: &[Vec<Vec<i32>>], path: &Path) -> Result<()> {
    let model = load(model, Dtype::Fp32, Device::Cpu)?;
    let _guard = tch::no_grad_guard();
    let shape = model.architecture();
    let total = |row: &Vec<Vec<i32>>| row.iter().map(Vec::len).sum::<usize>();
    let length = rows.iter().map(total).max().unwrap_or(0);
    let mut ids = Vec::with_capacity(rows.len() * length);
    for row in rows {
        ids.extend(row.iter().flatten());
        ids.resize(ids.len() + length - total(row), shape.pad);
    }
    let lengths: Vec<Vec<i32>> =
        rows.iter().map(|row| row.iter().map(|d| d.len() as i32).collect()).collect();
    let layout = Layout::new(&lengths, length, Unit::Document, shape.pad, shape.longest())?;
    let size = layout.shape();
    let wide = |values: &[i32]| -> Result<Tensor> {
        let values: Vec<i64> = values.iter().copied().map(i64::from).collect();
        Ok(Tensor::f_from_slice(&values)?.f_view(size)?)
    };
    let (input, documents) = (wide(&ids)?, wide(&layout.documents)?);
    let positions = wide(&layout.positions)?;
    let work = Work {
        objective: &MLM,
        ids: arrow::buffer::Buffer::from_vec(ids),
        layout,
        langs: shape.languages.first().cloned().into_iter().collect(),
        place_langs: Vec::new(),
        places: Vec::new(),
        target_langs: Vec::new(),
        gold: Gold::Classes(Vec::new()),
        tokens: 0,
        bytes_aliased: 0,
        bytes_gathered: 0,
    };
    let logits = model.token_logits(&model.forward(&work, None)?)?;
    let tensors = [
        ("input_ids", input),
        ("position_ids", positions),
        ("documents", documents),
        ("logits", logits),
    ];
    weights::write(path, &tensors.map(|(name, tensor)| (name.to_string(), tensor)))
}

/// Rows to compare implementations on: three with one document and padding, one packed with three.
pub fn probe_rows(model: &Path) -> Result<Vec<Vec<Vec<i32>>>> {
    let shape = crate::train::model::Architecture::read(&retention::resolve(model)?)?;
    let longest = shape.longest().min(24) as usize;
    // Ids that are special or unknown are avoided, so that padding means padding.
    let plain = (shape.vocabulary - 5).max(1) as u64;
    let document = |key: u64, length: usize| -> Vec<i32> {
        let inner =
            (0..length.saturating_sub(2) as u64).map(|k| 4 + (id::keyed(k, key) % plain) as i32);
        std::iter::once(shape.bos).chain(inner).chain([shape.eos]).collect()
    };
    let third = longest / 3;
    Ok(vec![
        vec![document(1, longest)],
        vec![document(2, longest / 2)],
        vec![document(3, 3)],
        vec![document(4, third), document(5, third - 1), document(6, longest - 2 * third)],
    ])
}

/// Runs texts in batches of similar length and returns a row of numbers for each, in their order.
fn each(
    model: &Encoder,
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
        let work =
            classify::padded(&CLASSIFY, &texts, &langs, classes, shape.pad, shape.longest())?;
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
        let model = Encoder::new(shape, 3, Dtype::Fp32, Device::Cpu).unwrap();
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
        let model = Encoder::new(tiny(50), 3, Dtype::Fp32, Device::Cpu).unwrap();
        let error = embed(&model, &[vec![5; 33]], &[], None, 1).unwrap_err();
        assert_eq!(error.to_string(), "a document of 33 tokens; the model holds 32");
    }
}
