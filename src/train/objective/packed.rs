//! What objectives over packs share: the rows as they were read, where their documents lie, whose
//! language each place has, and the losses of predicted tokens.

use arrow::buffer::Buffer;
use tch::Tensor;

use crate::error::{Error, Result};
use crate::train::batch::{Kind, MicroBatch};
use crate::train::layout::{Layout, Unit};
use crate::train::model::{Model, Noise};
use crate::train::objective::{Objective, Rows, Setting};
use crate::train::work::Work;

/// Rows of a pack with their layout.
pub(super) struct Packed<'a> {
    pub(super) batch: &'a MicroBatch,
    pub(super) layout: Layout,
    tokens: Buffer,
}

impl<'a> Packed<'a> {
    /// The rows, checked; errors when they are not of a pack or too long for the model.
    pub(super) fn read(
        objective: &Objective,
        rows: &Rows<'a>,
        setting: &Setting<'_>,
        unit: Unit,
    ) -> Result<Self> {
        let Rows::Packed(batch) = *rows else {
            return Err(Error::internal(format!("`{}` reads packs", objective.name)));
        };
        let places = batch.rows * batch.length;
        let aligned = batch.tokens.as_ptr().align_offset(align_of::<i32>()) == 0;
        if !aligned || batch.tokens.len() < places * 4 || batch.document_lengths.len() != batch.rows
        {
            return Err(Error::internal("a micro-batch is not what it says"));
        }
        let longest = setting.architecture.longest();
        let layout = Layout::new(&batch.document_lengths, batch.length, unit, longest)?;
        Ok(Self { batch, layout, tokens: batch.tokens.slice_with_length(0, places * 4) })
    }

    /// The ids as they were read, often the mapped file itself.
    pub(super) fn tokens(&self) -> &[i32] {
        self.tokens.typed_data::<i32>()
    }

    /// The ids as they were read, to be handed on without a copy.
    pub(super) fn buffer(&self) -> Buffer {
        self.tokens.clone()
    }

    /// The work of predicting `gold` at `places` from `ids`.
    pub(super) fn work(
        self,
        objective: &'static Objective,
        ids: Buffer,
        places: Vec<i64>,
        gold: Vec<i64>,
    ) -> Work {
        let batch = self.batch;
        // For pairs, the side that each place is on; padding counts to the source.
        let side = |&d: &i32| u8::from(d >= 0 && d % 2 == 1);
        let place_langs: Vec<u8> = match batch.kind {
            Kind::Documents => Vec::new(),
            Kind::Pairs => self.layout.documents.iter().map(side).collect(),
        };
        let target_langs = match place_langs.is_empty() {
            true => vec![0; places.len()],
            false => places.iter().map(|&place| place_langs[place as usize]).collect(),
        };
        let bytes = (batch.rows * batch.length * 4) as u64;
        Work {
            objective,
            ids,
            layout: self.layout,
            source: None,
            langs: batch.langs.clone(),
            place_langs,
            places,
            target_langs,
            gold,
            tokens: batch.real_tokens(),
            bytes_aliased: if batch.aliased { bytes } else { 0 },
            bytes_gathered: if batch.aliased { 0 } else { bytes },
        }
    }
}

/// −log P of the gold tokens. Logits are computed at the predicted places only.
pub(super) fn score(model: &Model, work: &Work, noise: Noise) -> Result<Tensor> {
    let hidden = model.forward(work, noise)?;
    let device = model.device();
    let at = Tensor::f_from_slice(&work.places)?.f_to_device(device)?;
    let gold = Tensor::f_from_slice(&work.gold)?.f_to_device(device)?;
    let width = model.architecture().hidden;
    model.token_losses(&hidden.f_view([-1, width])?.f_index_select(0, &at)?, &gold)
}
