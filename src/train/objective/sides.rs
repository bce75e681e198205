//! What objectives for an encoder and a decoder share: texts and their languages become a source
//! and a target as the model's family writes them.
//!
//! With the language in front (M2M-100, NLLB, mBART-50): source `L x </s>`, target `L y </s>`,
//! which the decoder sees shifted behind its start token. With the language behind (the first
//! mBART): source `x </s> L`, target `y </s> L`, shifted so that the decoder begins with `L`.

use arrow::buffer::Buffer;

use crate::error::{Error, Result};
use crate::train::batch::MicroBatch;
use crate::train::layout::{Layout, Unit};
use crate::train::model::architecture::Family;
use crate::train::objective::packed::Packed;
use crate::train::objective::{Objective, Setting};
use crate::train::work::{Source, Work};

/// One side of a micro-batch as it is filled.
#[derive(Default)]
struct Side {
    rows: Vec<Vec<i32>>,
    lengths: Vec<Vec<i32>>,
}

impl Side {
    fn begin_row(&mut self) {
        self.rows.push(Vec::new());
        self.lengths.push(Vec::new());
    }

    fn push(&mut self, document: impl IntoIterator<Item = i32>) {
        if let (Some(row), Some(lengths)) = (self.rows.last_mut(), self.lengths.last_mut()) {
            let before = row.len();
            row.extend(document);
            lengths.push((row.len() - before) as i32);
        }
    }

    /// The rows side by side, padded to the longest, and the layout of their documents.
    fn finish(self, pad: i32, longest: i64) -> Result<(Vec<i32>, Layout)> {
        let length = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let layout = Layout::new(&self.lengths, length, Unit::Document, longest)?;
        let mut ids = Vec::with_capacity(self.rows.len() * length);
        for row in self.rows {
            let end = ids.len() + length;
            ids.extend(row);
            ids.resize(end, pad);
        }
        Ok((ids, layout))
    }
}

/// A text without special tokens to be predicted from another.
pub(super) struct Pair {
    pub(super) source: Vec<i32>,
    pub(super) target: Vec<i32>,
}

/// The texts of each document of each row, without the special tokens around them.
pub(super) fn texts<'a>(packed: &'a Packed<'_>) -> Vec<Vec<&'a [i32]>> {
    let (tokens, length) = (packed.tokens(), packed.batch.length);
    let rows = packed.batch.document_lengths.iter().enumerate();
    rows.map(|(row, lengths)| {
        let mut start = row * length;
        let text = |&n: &i32| {
            let document = &tokens[start..start + n.max(0) as usize];
            start += document.len();
            document.get(1..document.len().saturating_sub(1)).unwrap_or_default()
        };
        lengths.iter().map(text).collect()
    })
    .collect()
}

/// The work of predicting targets from sources; `langs` are the indices of both sides' languages
/// among those of the micro-batch.
pub(super) fn work(
    objective: &'static Objective,
    batch: &MicroBatch,
    rows: &[Vec<Pair>],
    langs: [usize; 2],
    setting: &Setting<'_>,
) -> Result<Work> {
    let shape = setting.architecture;
    let Family::Seq2seq(own) = &shape.family else {
        return Err(Error::internal(format!("`{}` without a decoder of sources", objective.name)));
    };
    let token = |lang: usize| setting.vocabulary.language(&batch.langs[lang]);
    let (from, to, eos) = (token(langs[0])?, token(langs[1])?, setting.vocabulary.eos);
    let (mut source, mut target, mut gold) = (Side::default(), Side::default(), Vec::new());
    for row in rows {
        source.begin_row();
        target.begin_row();
        for pair in row {
            let (x, y) = (pair.source.iter().copied(), pair.target.iter().copied());
            match own.start {
                Some(start) => {
                    source.push([from].into_iter().chain(x).chain([eos]));
                    target.push([start, to].into_iter().chain(y.clone()));
                    gold.extend([to].into_iter().chain(y).chain([eos]).map(i64::from));
                }
                None => {
                    source.push(x.chain([eos, from]));
                    target.push([to].into_iter().chain(y.clone()).chain([eos]));
                    gold.extend(y.chain([eos, to]).map(i64::from));
                }
            }
        }
    }
    let longest = shape.longest();
    let (source_ids, source_layout) = source.finish(setting.vocabulary.pad, longest)?;
    let (ids, layout) = target.finish(setting.vocabulary.pad, longest)?;
    let real = |layout: &Layout| layout.documents.iter().filter(|&&d| d >= 0).count() as u64;
    let documents = layout.documents.iter().enumerate();
    let places: Vec<i64> =
        documents.filter(|(_, d)| **d >= 0).map(|(place, _)| place as i64).collect();
    Ok(Work {
        objective,
        tokens: real(&source_layout) + real(&layout),
        bytes_aliased: 0,
        bytes_gathered: ((source_ids.len() + ids.len()) * 4) as u64,
        ids: Buffer::from_vec(ids),
        layout,
        source: Some(Source { ids: Buffer::from_vec(source_ids), layout: source_layout }),
        langs: batch.langs.clone(),
        place_langs: Vec::new(),
        target_langs: vec![langs[1] as u8; places.len()],
        places,
        gold,
    })
}
