//! TSV: a pair a line, source and target; and a curriculum for OpusTrainer, which feeds Marian.
//!
//! OpusTrainer draws lines, so that shares of tokens become shares of lines, and ends a stage
//! after whole epochs of one data set: the one whose planned epochs are nearest to whole ones.

use std::fmt::Write;

use serde_json::json;

use super::handoff::Handoff;
use super::moses::{line, pairs};
use super::out::Out;
use super::{Format, Layout, Place, Takes, TextRow, TextSink};
use crate::error::{Error, Result};

/// The format.
pub struct Tsv;

impl Format for Tsv {
    fn name(&self) -> &'static str {
        "tsv"
    }

    fn doc(&self) -> &'static str {
        "A pair a line, source and target between a tab, with a curriculum of OpusTrainer: Marian."
    }

    fn takes(&self, layout: Layout) -> Option<Takes> {
        pairs(layout)
    }

    fn text_sink(&self, place: &Place) -> Result<Box<dyn TextSink>> {
        let folder = place.dir.join(place.split.name());
        Ok(Box::new(Sink(Out::create(folder.join(format!("{}.tsv", place.name)))?)))
    }

    fn beside(&self, handoff: &Handoff) -> Result<Vec<(String, String)>> {
        let mut text = String::from("datasets:\n");
        for group in handoff.groups.iter().filter(|group| group.train.rows > 0) {
            let name = &group.name;
            let _ = writeln!(text, "  {}: {}", json!(name), json!(format!("train/{name}.tsv")));
        }
        text.push_str("stages:\n");
        for i in 0..handoff.stages.len() {
            let _ = writeln!(text, "  - stage{}", i + 1);
        }
        for (i, stage) in handoff.stages.iter().enumerate() {
            let _ = writeln!(text, "stage{}:", i + 1);
            let rows = handoff.row_shares(stage);
            for (group, share) in &rows {
                let _ = writeln!(text, "  - {group} {share}");
            }
            let epochs = handoff.epochs(i);
            let Some((group, planned, whole)) = end(&epochs) else {
                return Err(Error::internal("a stage of nothing"));
            };
            let _ = writeln!(text, "  - until {group} {whole}");
            let _ = writeln!(
                text,
                "# planned: {planned:.3} epochs of {group}; the stage is {:.2} of its planned length",
                whole / planned
            );
        }
        let _ = writeln!(text, "seed: {}\nnum_fields: 2", handoff.seed);
        Ok(vec![("opustrainer.yaml".into(), text)])
    }

    fn usage(&self, _handoff: &Handoff) -> String {
        String::from(
            "`opustrainer-train --config opustrainer.yaml marian --tsv --train-sets stdin …` in \
             this folder; `marian --tsv --train-sets train/NAME.tsv` reads one pair without it. The \
             weights are shares of lines. OpusTrainer ends a stage after whole epochs of one data \
             set: how far that is from the plan stands there as a comment. A stage of less than an \
             epoch of every data set cannot be told to it.\n",
        )
    }
}

/// Where a stage ends: the group whose epochs are nearest to whole ones, its epochs as planned and
/// as whole ones, of which there is at least one.
fn end(epochs: &[(String, f64)]) -> Option<(&str, f64, f64)> {
    let whole = epochs.iter().filter(|(_, planned)| *planned > 0.0);
    let whole = whole.map(|(name, planned)| (name.as_str(), *planned, planned.round().max(1.0)));
    let off = |(_, planned, whole): &(&str, f64, f64)| (whole / planned).ln().abs();
    whole.min_by(|a, b| off(a).total_cmp(&off(b)))
}

struct Sink(Out);

impl TextSink for Sink {
    fn row(&mut self, row: &TextRow<'_>) -> Result<()> {
        let TextRow::Pair { src, tgt, .. } = row else {
            return Err(Error::internal("a document among pairs"));
        };
        self.0.write(format!("{}\t{}\n", line(src), line(tgt)).as_bytes())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_ends_where_epochs_are_nearly_whole() {
        let epochs = |values: &[f64]| -> Vec<(String, f64)> {
            values.iter().enumerate().map(|(i, value)| (i.to_string(), *value)).collect()
        };
        assert_eq!(end(&epochs(&[0.0, 2.6, 4.05])), Some(("2", 4.05, 4.0)));
        assert_eq!(end(&epochs(&[0.2, 0.4])), Some(("1", 0.4, 1.0)));
        assert_eq!(end(&[]), None);
    }
}
