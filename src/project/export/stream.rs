//! The rows of an export as a `stream`: those of a pack, in the order of training.

use std::path::Path;
use std::sync::Arc;

use super::super::build::Builder;
use super::super::config::parse_count;
use super::super::text::VALIDATION;
use super::plan::Planned;
use super::{Export, Written};
use crate::error::{Error, Result};
use crate::export::handoff::{Counts, Group};
use crate::export::{Place, Settings, Split, stream};
use crate::feed::{FeedOptions, Stage};
use crate::token::pack::{self, Pack};

impl Builder<'_> {
    /// The order of training, repeats included, and what is held out.
    pub(super) fn write_stream(
        &self,
        export: &Export<'_>,
        pack: &Arc<Pack>,
        planned: &[Planned],
        dir: &Path,
        settings: &Settings,
    ) -> Result<Written> {
        let Some(mix) = self.project.config.mix.get(&export.mix) else {
            return Err(Error::internal(format!("no mix `{}`", export.mix)));
        };
        let mut stages = Vec::new();
        let mut until = 0;
        for (i, stage) in mix.stages.iter().enumerate() {
            until = parse_count(&stage.until)?;
            // A group whose every row was too short to pack cannot be drawn from.
            let there = |name: &str| pack.groups.iter().any(|g| g.name == name && g.rows > 0);
            let weights = planned.iter().filter(|p| p.stage == i && there(&p.name));
            let weights = weights.map(|p| (p.name.clone(), p.target as f64)).collect();
            stages.push(Stage { until_tokens: Some(until), weights });
        }
        let options =
            FeedOptions { batch_rows: export.config.batch, seed: self.project.config.seed, stages };
        let place = |split, name: &str| Place {
            dir: dir.into(),
            split,
            name: name.into(),
            kind: None,
            settings: settings.clone(),
        };
        let mut sink = export.format.token_sink(&place(Split::Train, "stream"))?;
        let progress = |done| self.observer.progress(done, Some(until), "tokens");
        let counts = stream::training(pack, &options, until, sink.as_mut(), &progress)?;
        sink.finish()?;
        let held = pack::open(&pack.dir.join(VALIDATION))?;
        let mut written = Written::new();
        for group in pack.groups.iter().chain(&held.groups) {
            let train = counts.get(&group.name).copied().unwrap_or_default();
            let found = Group { kind: group.kind.clone(), train, validation: Counts::default() };
            written.insert(group.name.clone(), found);
        }
        for (i, group) in held.groups.iter().enumerate().filter(|(_, group)| group.rows > 0) {
            let mut sink = export.format.token_sink(&place(Split::Validation, &group.name))?;
            let counts = stream::once(&held, i, sink.as_mut())?;
            sink.finish()?;
            if let Some(found) = written.get_mut(&group.name) {
                found.validation = counts;
            }
        }
        Ok(written)
    }
}
