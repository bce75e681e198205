//! The plan of a mixture as an export needs it: which groups, in which shares of each stage.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

use super::super::build::Builder;
use super::super::config::{Only, parse_count};
use super::super::text::strings;
use super::{Export, Written};
use crate::error::{Error, Result};
use crate::export::handoff::Stage;
use crate::token::pack::GroupKind;

/// A group of a mixture in one of its stages.
pub(super) struct Planned {
    pub stage: usize,
    pub kind: String,
    pub name: String,
    pub target: u64,
}

impl Planned {
    /// What its rows hold.
    pub fn group(&self) -> Result<GroupKind> {
        match (self.kind.as_str(), self.name.split_once('-')) {
            ("pairs", Some((src, tgt))) => {
                Ok(GroupKind::Pairs { src_lang: src.into(), tgt_lang: tgt.into() })
            }
            ("documents", _) => Ok(GroupKind::Documents { lang: self.name.clone() }),
            _ => Err(Error::internal(format!("`{}` is no language pair", self.name))),
        }
    }
}

impl Builder<'_> {
    /// The mixture's plan; errors when the format does not take what it has.
    pub(super) fn planned(&self, export: &Export<'_>) -> Result<Vec<Planned>> {
        let sql = format!(
            "SELECT stage, kind, lang, target FROM mix.\"{}\" WHERE target > 0 \
             ORDER BY stage, kind, lang",
            export.mix
        );
        let mut planned = Vec::new();
        for batch in self.session.query(&sql)? {
            let stages = cast(batch.column(0), &DataType::Int64)?;
            let targets = cast(batch.column(3), &DataType::Int64)?;
            let (kinds, names) = (strings(&batch, 1)?, strings(&batch, 2)?);
            for i in 0..batch.num_rows() {
                planned.push(Planned {
                    stage: stages.as_primitive::<Int64Type>().value(i) as usize,
                    kind: kinds.value(i).into(),
                    name: names.value(i).into(),
                    target: targets.as_primitive::<Int64Type>().value(i) as u64,
                });
            }
        }
        for (kind, taken, other) in [
            ("documents", export.takes.documents, "pairs"),
            ("pairs", export.takes.pairs, "documents"),
        ] {
            let found = planned.iter().find(|p| p.kind == kind && keeps(export, &p.kind));
            if let Some(found) = found
                && !taken
            {
                return Err(Error::usage(format!(
                    "`{}` takes {other}, and the mixture `{}` has {kind} too (`{}`)",
                    export.format.name(),
                    export.mix,
                    found.name
                ))
                .hint_with(format!("`only = \"{other}\"` leaves them out")));
            }
        }
        Ok(planned)
    }

    /// The shares of each stage among the groups that were written.
    pub(super) fn stages_of(
        &self,
        export: &Export<'_>,
        planned: &[Planned],
        written: &Written,
    ) -> Result<Vec<Stage>> {
        let Some(mix) = self.project.config.mix.get(&export.mix) else {
            return Err(Error::internal(format!("no mix `{}`", export.mix)));
        };
        let mut stages = Vec::new();
        let (mut began, mut until) = (0, 0);
        for (i, stage) in mix.stages.iter().enumerate() {
            let end = parse_count(&stage.until)?;
            let all = planned.iter().filter(|p| p.stage == i);
            let whole: u64 = all.clone().map(|p| p.target).sum();
            let kept = |p: &&Planned| {
                keeps(export, &p.kind) && written.get(&p.name).is_some_and(|g| g.train.rows > 0)
            };
            let mine: u64 = all.clone().filter(|p| keeps(export, &p.kind)).map(|p| p.target).sum();
            let sum: u64 = all.clone().filter(kept).map(|p| p.target).sum();
            // What is left out with `only` takes its tokens with it.
            until += ((end - began) as f64 * mine as f64 / whole.max(1) as f64).round() as u64;
            began = end;
            if sum > 0 {
                let shares =
                    all.filter(kept).map(|p| (p.name.clone(), p.target as f64 / sum as f64));
                stages.push(Stage { until, shares: shares.collect() });
            }
        }
        Ok(stages)
    }
}

/// Whether rows of a kind are written.
pub(super) fn keeps(export: &Export<'_>, kind: &str) -> bool {
    match export.config.only {
        None => true,
        Some(Only::Documents) => kind == "documents",
        Some(Only::Pairs) => kind == "pairs",
    }
}
