//! The plan of a mixture as an export needs it: which groups, in which shares of each stage.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

use super::super::build::Builder;
use super::super::config::Only;
use super::super::text::strings;
use super::{Export, Written};
use crate::error::{Error, Result};
use crate::export::handoff::Stage;
use crate::token::pack::{GroupKind, group_name};

/// A group of a mixture in one of its stages.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub stage: i64,
    pub kind: String,
    /// The language, or pair of languages.
    pub lang: String,
    /// The values of the mixture's other columns; empty without any.
    pub part: String,
    /// The name of the group, as that of its pack.
    pub name: String,
    /// What there is of it and what of that is wanted in the stage, in the mixture's unit.
    pub available: u64,
    pub target: u64,
}

impl Planned {
    /// What its rows hold.
    pub fn holds(&self) -> Result<GroupKind> {
        match (self.kind.as_str(), self.lang.split_once('-')) {
            ("pairs", Some((src, tgt))) => {
                Ok(GroupKind::Pairs { src_lang: src.into(), tgt_lang: tgt.into() })
            }
            ("documents", _) => Ok(GroupKind::Documents { lang: self.lang.clone() }),
            _ => Err(Error::internal(format!("`{}` is no language pair", self.lang))),
        }
    }
}

/// The groups of each stage.
pub(super) fn stages(planned: &[Planned]) -> impl Iterator<Item = &[Planned]> {
    planned.chunk_by(|a, b| a.stage == b.stage)
}

impl Builder<'_> {
    /// The mixture's plan, stage by stage; errors when the format does not take what it has.
    pub(super) fn planned(&self, export: &Export<'_>) -> Result<Vec<Planned>> {
        let table = format!("mix.{}", export.mix);
        let part = self.part_column(&table)?;
        let sql = format!(
            "SELECT stage, target, available, kind, lang, {part} FROM mix.\"{}\" WHERE target > 0 \
             ORDER BY 1, 4, 5, 6",
            export.mix
        );
        let mut planned = Vec::new();
        for batch in self.session.query(&sql)? {
            let number = |i: usize| cast(batch.column(i), &DataType::Int64);
            let (stages, targets, available) = (number(0)?, number(1)?, number(2)?);
            let stages = stages.as_primitive::<Int64Type>();
            let targets = targets.as_primitive::<Int64Type>();
            let available = available.as_primitive::<Int64Type>();
            let (kinds, langs, parts) =
                (strings(&batch, 3)?, strings(&batch, 4)?, strings(&batch, 5)?);
            for i in 0..batch.num_rows() {
                let (lang, part) = (langs.value(i), parts.value(i));
                planned.push(Planned {
                    stage: stages.value(i),
                    kind: kinds.value(i).into(),
                    lang: lang.into(),
                    part: part.into(),
                    name: group_name(lang, part),
                    available: available.value(i) as u64,
                    target: targets.value(i) as u64,
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

    /// The column of a mixture's tables that tells groups of one language apart, if they have it.
    pub(super) fn part_column(&self, table: &str) -> Result<&'static str> {
        let schema = self.session.table_schema(table)?;
        Ok(if schema.column_with_name("part").is_some() { "part" } else { "''" })
    }
}

/// The shares of each stage in tokens among the groups that were written; what was left out took
/// its tokens with it. In another unit a group's tokens follow from what was written of it.
pub(super) fn shares(
    export: &Export<'_>,
    unit: &str,
    planned: &[Planned],
    written: &Written,
) -> Vec<Stage> {
    let tokens = |p: &Planned| -> f64 {
        let found = written.get(&p.name).filter(|g| keeps(export, &p.kind) && g.train.rows > 0);
        let Some(found) = found else { return 0.0 };
        let same = planned.iter().filter(|other| other.name == p.name && other.kind == p.kind);
        let wanted: u64 = same.map(|other| other.target).sum();
        let per_unit = match unit {
            "tokens" => 1.0,
            _ => found.train.tokens as f64 / wanted.min(p.available).max(1) as f64,
        };
        p.target as f64 * per_unit
    };
    let (mut all, mut until) = (Vec::new(), 0.0);
    for stage in stages(planned) {
        let kept = stage.iter().map(|p| (p, tokens(p))).filter(|(_, tokens)| *tokens > 0.0);
        let sum: f64 = kept.clone().map(|(_, tokens)| tokens).sum();
        until += sum;
        if sum > 0.0 {
            let shares = kept.map(|(p, tokens)| (p.name.clone(), tokens / sum));
            all.push(Stage { until: until.round() as u64, shares: shares.collect() });
        }
    }
    all
}

/// Whether rows of a kind are written.
pub(super) fn keeps(export: &Export<'_>, kind: &str) -> bool {
    match export.config.only {
        None => true,
        Some(Only::Documents) => kind == "documents",
        Some(Only::Pairs) => kind == "pairs",
    }
}
