//! The rows of an export in `parts`: every document once, by queries over the mixture's selection.
//!
//! Many groups are written in one pass over the texts, which come in the order of their ids.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Int32Type, Int64Type, UInt64Type};

use super::super::build::Builder;
use super::super::text::{streamed, strings};
use super::plan::{Planned, keeps};
use super::{Export, Written};
use crate::error::{Error, Result};
use crate::export::handoff::{Counts, Group};
use crate::export::{Content, Place, Settings, Split, TextRow, TextSink, TokenRow, TokenSink};
use crate::store::manifest::Manifest;
use crate::token::pack::group_name;

impl Builder<'_> {
    /// Every document once, in the order of ids, and what is held out.
    pub(super) fn write_parts(
        &self,
        export: &Export<'_>,
        planned: &[Planned],
        dir: &Path,
        settings: &Settings,
        manifest: &mut Manifest,
    ) -> Result<Written> {
        let mut written = Written::new();
        let mut empty = 0;
        let part = self.part_column(&format!("selection.{}", export.mix))?;
        for groups in passes(export, planned) {
            for split in [Split::Train, Split::Validation] {
                let mut places = BTreeMap::new();
                for group in &groups {
                    // Held-out rows are told apart by language alone.
                    let name = match split {
                        Split::Train => &group.name,
                        Split::Validation => &group.lang,
                    };
                    let kind = group.holds()?;
                    let (train, validation) = (Counts::default(), Counts::default());
                    let found = Group { name: name.clone(), kind: kind.clone(), train, validation };
                    written.entry(name.clone()).or_insert(found);
                    let place = Place {
                        dir: dir.into(),
                        split,
                        name: name.clone(),
                        kind: Some(kind),
                        settings: settings.clone(),
                    };
                    places.insert(name.clone(), place);
                }
                let mut pass = Pass { export, places, open: BTreeMap::new(), empty: 0, last: None };
                let sql = parts_sql(export, split, &groups, part);
                streamed(&self.session, &[&sql], |batches| {
                    let mut rows = 0;
                    for batch in batches {
                        let batch = batch?;
                        rows += batch.num_rows() as u64;
                        pass.take(&batch)?;
                        self.observer.progress(rows, None, "rows");
                    }
                    Ok(())
                })?;
                empty += pass.empty;
                for (name, counts) in pass.finish()? {
                    let Some(group) = written.get_mut(&name) else { continue };
                    match split {
                        Split::Train => group.train = counts,
                        Split::Validation => group.validation = counts,
                    }
                }
            }
        }
        if empty > 0 {
            manifest.dropped.insert("empty".into(), empty);
        }
        written.retain(|_, group| group.train.rows + group.validation.rows > 0);
        Ok(written)
    }
}

/// The groups that are written at a time: of one kind, all parts of a language together, and no
/// more files at once than the format says.
fn passes<'p>(export: &Export<'_>, planned: &'p [Planned]) -> Vec<Vec<&'p Planned>> {
    let mut groups: Vec<&Planned> = planned.iter().filter(|p| keeps(export, &p.kind)).collect();
    groups.sort_by_key(|p| (&p.kind, &p.lang, &p.part));
    groups.dedup_by_key(|p| (&p.kind, &p.lang, &p.part));
    let mut passes: Vec<Vec<&Planned>> = Vec::new();
    for of_lang in groups.chunk_by(|a, b| (&a.kind, &a.lang) == (&b.kind, &b.lang)) {
        match passes.last_mut() {
            Some(pass)
                if pass[0].kind == of_lang[0].kind && pass.len() < export.format.at_once() =>
            {
                pass.extend(of_lang);
            }
            _ => passes.push(of_lang.to_vec()),
        }
    }
    passes
}

/// The query of one pass: `doc_id`, `lang`, `part`, `tokens`, and what the format holds.
fn parts_sql(export: &Export<'_>, split: Split, groups: &[&Planned], part: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut langs: Vec<String> = groups.iter().map(|group| quoted(&group.lang)).collect();
    langs.dedup();
    let kind = groups.first().map_or("documents", |group| &group.kind);
    let columns = match (&export.tokenizer, kind) {
        (Some(tokenizer), "pairs") => {
            let tokenizer = quoted(tokenizer);
            format!("encode(x.src, {tokenizer}), encode(x.tgt, {tokenizer})")
        }
        (Some(tokenizer), _) => format!("encode(x.text, {})", quoted(tokenizer)),
        (None, "pairs") => "x.src, x.tgt, x.source, x.score".into(),
        (None, _) => "x.text, x.source, x.url".into(),
    };
    let (lang, more, from) = match (split, kind) {
        (Split::Train, _) => (
            "s.lang",
            format!("{part}, s.tokens"),
            format!(
                "selection.\"{}\" s JOIN {kind} x ON s.doc_id = x.doc_id WHERE s.kind = '{kind}'",
                export.mix
            ),
        ),
        (Split::Validation, "pairs") => (
            "concat(x.src_lang, '-', x.tgt_lang)",
            "'', 0".into(),
            "split s JOIN pairs x ON s.doc_id = x.doc_id WHERE s.split = 'validation'".into(),
        ),
        (Split::Validation, _) => (
            "coalesce(m.lang, m.detected.lang)",
            "'', 0".into(),
            "split s JOIN measured m ON s.doc_id = m.doc_id JOIN documents x \
             ON s.doc_id = x.doc_id WHERE s.split = 'validation'"
                .into(),
        ),
    };
    format!(
        "SELECT s.doc_id, {lang}, {more}, {columns} FROM {from} AND {lang} IN ({})",
        langs.join(", ")
    )
}

/// An open file of either kind.
enum Sink {
    Tokens(Box<dyn TokenSink>),
    Texts(Box<dyn TextSink>),
}

/// One pass over the rows of some groups.
struct Pass<'a> {
    export: &'a Export<'a>,
    places: BTreeMap<String, Place>,
    /// Groups have files from their first row on: an engine stumbles over files of nothing.
    open: BTreeMap<String, (Sink, Counts)>,
    empty: u64,
    last: Option<u64>,
}

impl Pass<'_> {
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let ids = batch.column(0).as_primitive::<UInt64Type>();
        let (langs, parts) = (strings(batch, 1)?, strings(batch, 2)?);
        let sizes = cast(batch.column(3), &DataType::Int64)?;
        let sizes = sizes.as_primitive::<Int64Type>();
        let rows: Rows = match self.export.takes.content {
            Content::Tokens => {
                let sides = (4..batch.num_columns())
                    .map(|i| cast(batch.column(i), &DataType::new_list(DataType::Int32, true)));
                Rows::Tokens(sides.collect::<Result<_, _>>()?)
            }
            Content::Texts => {
                let texts = (4..batch.num_columns().min(7)).map(|i| strings(batch, i));
                let scores =
                    (batch.num_columns() > 7).then(|| cast(batch.column(7), &DataType::Float32));
                Rows::Texts(texts.collect::<Result<_>>()?, scores.transpose()?)
            }
        };
        let eos = self.places.values().next().map_or(0, |place| place.settings.eos);
        for i in 0..batch.num_rows() {
            let doc_id = ids.value(i);
            if self.last.is_some_and(|last| last >= doc_id) {
                return Err(Error::internal("rows are not in the order of their ids"));
            }
            self.last = Some(doc_id);
            let name = group_name(langs.value(i), parts.value(i));
            match &rows {
                Rows::Tokens(sides) => {
                    let mut ids = Vec::new();
                    let mut empty = false;
                    for side in sides {
                        let side = side.as_list::<i32>().value(i);
                        empty |= side.is_empty();
                        ids.extend_from_slice(side.as_primitive::<Int32Type>().values());
                        ids.push(eos);
                    }
                    if empty {
                        self.empty += 1;
                        continue;
                    }
                    let lengths = [ids.len() as i32];
                    let (sink, counts) = self.sink(&name)?;
                    let Sink::Tokens(sink) = sink else {
                        return Err(Error::internal("token ids for texts"));
                    };
                    counts.rows += 1;
                    counts.tokens += ids.len() as u64;
                    sink.row(&TokenRow { ids: &ids, lengths: &lengths, group: &name })?;
                }
                Rows::Texts(columns, scores) => {
                    let text = |c: usize| {
                        columns.get(c).filter(|column| column.is_valid(i)).map(|c| c.value(i))
                    };
                    let first = text(0).unwrap_or_default();
                    let row = match scores {
                        None => {
                            TextRow::Document { doc_id, text: first, source: text(1), url: text(2) }
                        }
                        Some(scores) => TextRow::Pair {
                            doc_id,
                            src: first,
                            tgt: text(1).unwrap_or_default(),
                            source: text(2),
                            score: scores
                                .is_valid(i)
                                .then(|| scores.as_primitive::<Float32Type>().value(i)),
                        },
                    };
                    let bytes: usize = (0..3).filter_map(text).map(str::len).sum();
                    let (sink, counts) = self.sink(&name)?;
                    let Sink::Texts(sink) = sink else {
                        return Err(Error::internal("texts for token ids"));
                    };
                    counts.rows += 1;
                    counts.tokens += sizes.value(i) as u64;
                    counts.bytes += bytes as u64;
                    sink.row(&row)?;
                }
            }
        }
        Ok(())
    }

    fn sink(&mut self, name: &str) -> Result<&mut (Sink, Counts)> {
        if !self.open.contains_key(name) {
            let place = self
                .places
                .get(name)
                .ok_or_else(|| Error::internal(format!("`{name}` was not asked for")))?;
            let format = self.export.format;
            let sink = match self.export.takes.content {
                Content::Tokens => Sink::Tokens(format.token_sink(place)?),
                Content::Texts => Sink::Texts(format.text_sink(place)?),
            };
            self.open.insert(name.into(), (sink, Counts::default()));
        }
        let found = self.open.get_mut(name);
        found.ok_or_else(|| Error::internal("a file that was opened is gone"))
    }

    fn finish(self) -> Result<Vec<(String, Counts)>> {
        let mut all = Vec::with_capacity(self.open.len());
        for (name, (sink, counts)) in self.open {
            match sink {
                Sink::Tokens(sink) => drop(sink.finish()?),
                Sink::Texts(sink) => sink.finish()?,
            }
            all.push((name, counts));
        }
        Ok(all)
    }
}

/// The columns of a batch after the first three.
enum Rows {
    /// Of documents one column, of pairs source and target.
    Tokens(Vec<ArrayRef>),
    Texts(Vec<StringArray>, Option<ArrayRef>),
}
