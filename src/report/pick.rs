//! Choosing a few rows out of many, and fetching their texts.
//!
//! The choice is a function of the ids alone, so the same tables give the same samples.

use std::collections::BTreeMap;

use super::html::count;
use super::model::{Kind, Sample};
use super::rows::{Result, Rows, detected, text, uint};
use crate::id;
use crate::store::manifest::{Manifest, Part};
use crate::store::table::Table;

/// The key under which samples are drawn.
const SEED: u64 = 17;

/// The `limit` ids with the smallest hashes among those offered.
pub(super) struct Draw {
    limit: usize,
    drawn: Vec<(u64, u64)>,
}

impl Draw {
    /// Nothing drawn yet.
    pub fn new(limit: usize) -> Self {
        Self { limit, drawn: Vec::with_capacity(limit + 1) }
    }

    /// Offers an id.
    pub fn offer(&mut self, doc_id: u64) {
        let entry = (id::keyed(doc_id, SEED), doc_id);
        let place = self.drawn.partition_point(|drawn| *drawn < entry);
        if place < self.limit {
            self.drawn.insert(place, entry);
            self.drawn.truncate(self.limit);
        }
    }

    /// The ids drawn.
    pub fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.drawn.iter().map(|(_, doc_id)| *doc_id)
    }
}

/// Fills in the samples with these ids from the table of texts and the table of measures.
pub(super) fn fetch(
    kind: Kind,
    texts: Option<&Table>,
    measures: Option<&Table>,
    samples: &mut BTreeMap<u64, Sample>,
) -> Result<()> {
    visit(texts, samples, |batch, row, sample| {
        let cell = |column| text(batch, column, row).unwrap_or_default().to_string();
        sample.texts = match kind {
            Kind::Documents => vec![(cell("text"), cell("lang"))],
            Kind::Pairs => vec![(cell("src"), cell("src_lang")), (cell("tgt"), cell("tgt_lang"))],
        };
        let mut notes = vec![format!("source {}", cell("source"))];
        if kind == Kind::Documents && !cell("lang").is_empty() {
            notes.push(format!("declared {}", cell("lang")));
        }
        sample.note = notes.join(" · ");
    })?;
    visit(measures, samples, |batch, row, sample| {
        if let Some((lang, score)) = detected(batch, row) {
            sample.note.push_str(&format!(" · measured {lang}, score {score:.2}"));
        }
        if let Some(n) = uint(batch, "n_chars", row) {
            sample.note.push_str(&format!(" · {} characters", count(n)));
        }
    })
}

/// Calls `write` for each sample's row, reading only the parts that can hold one.
fn visit(
    table: Option<&Table>,
    samples: &mut BTreeMap<u64, Sample>,
    mut write: impl FnMut(&arrow::array::RecordBatch, usize, &mut Sample),
) -> Result<()> {
    let Some(table) = table else { return Ok(()) };
    let wanted = |part: &&Part| {
        part.ids.is_some_and(|(low, high)| samples.range(low..=high).next().is_some())
    };
    let parts = table.manifest.parts.iter().filter(wanted).cloned().collect();
    let narrow =
        Table { dir: table.dir.clone(), manifest: Manifest { parts, ..Manifest::default() } };
    let mut rows = Rows::of(&narrow)?;
    for (doc_id, sample) in samples {
        sample.doc_id = *doc_id;
        if rows.seek(*doc_id)?
            && let Some((batch, row)) = rows.row()
        {
            write(batch, row, sample);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_does_not_depend_on_the_order_of_offers() {
        let (mut up, mut down) = (Draw::new(3), Draw::new(3));
        (0..100).for_each(|i| up.offer(i));
        (0..100).rev().for_each(|i| down.offer(i));
        assert_eq!(up.ids().collect::<Vec<_>>(), down.ids().collect::<Vec<_>>());
        assert_eq!(up.ids().count(), 3);
    }
}
