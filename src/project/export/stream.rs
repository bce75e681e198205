//! The rows of an export as a `stream`: those of a pack, in the order of training.

use std::path::Path;
use std::sync::Arc;

use super::super::build::Builder;
use super::super::mixture;
use super::super::pack::VALIDATION;
use super::{Export, Written};
use crate::error::Result;
use crate::export::handoff::{Counts, Group};
use crate::export::{Place, Settings, Split, stream};
use crate::feed::FeedOptions;
use crate::token::pack::{self, Pack};

impl Builder<'_> {
    /// The order of training, repeats included, and what is held out.
    pub(super) fn write_stream(
        &self,
        export: &Export<'_>,
        pack: &Arc<Pack>,
        dir: &Path,
        settings: &Settings,
    ) -> Result<Written> {
        let stages = mixture::feed_stages(self.project, &self.session, &export.mix, pack)?;
        let until = stages.last().and_then(|stage| stage.until_tokens).unwrap_or(0);
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
            let (name, kind) = (group.name.clone(), group.kind.clone());
            let found = Group { name, kind, train, validation: Counts::default() };
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
