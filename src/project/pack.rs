//! Building packs: the texts of a selection, and those that are held out, in one pass each.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;

use super::build::Builder;
use super::key::Ingredients;
use super::node::Node;
use super::text::{each, streamed, strings, views};
use crate::error::{Error, Result};
use crate::store::manifest::Manifest;
use crate::token::pack::{GroupKind, PackOptions, PackWriter, Row};

/// The folder of a pack's validation rows, inside the pack.
pub const VALIDATION: &str = "validation";

/// The numbers of groups by language, and by part within it.
type Numbers = HashMap<String, HashMap<String, usize>>;

impl Builder<'_> {
    pub(super) fn pack_ingredients(&self, name: &str, found: &mut Ingredients) -> Result<()> {
        let pack = self.project.pack(name)?;
        found.add("length", pack.length.to_string());
        found.add("overlap", pack.overlap.to_string());
        found.add("seed", self.project.config.seed.to_string());
        // The plan stands in for the selection that was made with it.
        let selection = self.project.dir.join("tables").join(format!("selection.{}", pack.mix));
        found.add("selection", Manifest::expect(&selection)?.content());
        Ok(())
    }

    pub(super) fn build_pack(&self, name: &str, manifest: Manifest) -> Result<Manifest> {
        let config = self.project.pack(name)?;
        let tokenizer = self.tokenizers.get(&config.tokenizer).ok_or_else(|| {
            Error::internal(format!("tokenizer `{}` was not taken up", config.tokenizer))
        })?;
        let dir = self.dir(&Node::Pack(name.into()));
        let options = PackOptions {
            length: config.length,
            overlap: config.overlap,
            seed: self.project.config.seed,
            // The queries that give the texts have the limit too, and use little of it.
            memory: self.memory_limit()?.map_or(256 << 20, |limit| limit / 2),
            ..PackOptions::default()
        };
        let groups = self.groups(&config.mix)?;
        for (part, validation) in [(dir.join(VALIDATION), true), (dir.clone(), false)] {
            let mut groups = groups.clone();
            if validation {
                // Held-out rows are told apart by language alone.
                groups.iter_mut().for_each(|(_, part)| part.clear());
                groups.dedup();
            }
            let total = groups.len() as u64;
            let mut writer = PackWriter::create(&part, tokenizer, options.clone(), groups.clone())?;
            for kind in ["documents", "pairs"] {
                let ours = groups.iter().enumerate().filter(|(_, (of, _))| of.label() == kind);
                let mut numbers = Numbers::new();
                for (number, (of, part)) in ours {
                    numbers.entry(of.name()).or_default().insert(part.clone(), number);
                }
                if !numbers.is_empty() {
                    self.pack_texts(&mut writer, &config.mix, kind, &numbers, validation)?;
                }
            }
            let progress = &mut |done| self.observer.progress(done, Some(total), "groups");
            writer.finish(manifest.clone(), progress)?;
        }
        Manifest::expect(&dir)
    }

    /// The groups that a mixture selects from, with their parts, in their order.
    fn groups(&self, mix: &str) -> Result<Vec<(GroupKind, String)>> {
        let sql = format!(
            "SELECT DISTINCT kind, lang, part FROM mix.\"{mix}\" WHERE target > 0 \
             ORDER BY kind, lang, part"
        );
        let mut groups = Vec::new();
        for batch in self.session.query(&sql)? {
            let [kinds, langs, parts] = [0, 1, 2].map(|i| strings(&batch, i));
            let (kinds, langs, parts) = (kinds?, langs?, parts?);
            for i in 0..batch.num_rows() {
                let kind = match (kinds.value(i), langs.value(i)) {
                    ("pairs", lang) => {
                        let (src, tgt) = lang.split_once('-').ok_or_else(|| {
                            Error::internal(format!("`{lang}` is no language pair"))
                        })?;
                        GroupKind::Pairs { src_lang: src.into(), tgt_lang: tgt.into() }
                    }
                    (_, lang) => GroupKind::Documents { lang: lang.into() },
                };
                groups.push((kind, parts.value(i).into()));
            }
        }
        Ok(groups)
    }

    /// Hands all documents, or all pairs, to a pack in one pass over their table.
    fn pack_texts(
        &self,
        writer: &mut PackWriter<'_>,
        mix: &str,
        kind: &str,
        numbers: &Numbers,
        validation: bool,
    ) -> Result<()> {
        let sql = match (validation, kind) {
            (false, "pairs") => format!(
                "SELECT s.doc_id, s.lang, s.part, x.src, x.tgt FROM selection.\"{mix}\" s \
                 JOIN pairs x ON s.doc_id = x.doc_id WHERE s.kind = 'pairs'"
            ),
            (false, _) => format!(
                "SELECT s.doc_id, s.lang, s.part, x.text FROM selection.\"{mix}\" s \
                 JOIN documents x ON s.doc_id = x.doc_id WHERE s.kind = 'documents'"
            ),
            (true, "pairs") => "SELECT s.doc_id, concat(x.src_lang, '-', x.tgt_lang), '', x.src, \
                 x.tgt FROM split s JOIN pairs x ON s.doc_id = x.doc_id \
                 WHERE s.split = 'validation'"
                .into(),
            (true, _) => "SELECT s.doc_id, coalesce(m.lang, m.detected.lang), '', x.text \
                 FROM split s JOIN measured m ON s.doc_id = m.doc_id \
                 JOIN documents x ON s.doc_id = x.doc_id WHERE s.split = 'validation'"
                .into(),
        };
        let mut seen = 0;
        let unit = if kind == "pairs" { "pairs" } else { "documents" };
        streamed(&self.session, &[&sql], |batches| {
            let batches = batches.inspect(|batch| {
                seen += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
                self.observer.progress(seen, None, unit);
            });
            if kind == "pairs" {
                writer.pairs(batches.flat_map(|b| each(b.and_then(|b| pairs_of(&b, numbers)))))
            } else {
                let rows = |b: Result<RecordBatch>| each(b.and_then(|b| documents_of(&b, numbers)));
                writer.documents(batches.flat_map(rows))
            }
        })
    }
}

/// The numbers of the groups of a batch's rows; rows of no group have none.
fn numbered(batch: &RecordBatch, numbers: &Numbers) -> Result<Vec<Option<usize>>> {
    let (langs, parts) = (views(batch, 1)?, views(batch, 2)?);
    let number = |i: usize| {
        let lang = langs.is_valid(i).then(|| langs.value(i))?;
        numbers.get(lang)?.get(parts.value(i)).copied()
    };
    Ok((0..batch.num_rows()).map(number).collect())
}

// Rows are copied one by one as they are used: a batch may hold many megabytes of text.

fn documents_of(
    batch: &RecordBatch,
    numbers: &Numbers,
) -> Result<impl Iterator<Item = Row<String>> + use<>> {
    let ids = batch.column(0).as_primitive::<UInt64Type>().clone();
    let texts = views(batch, 3)?;
    let groups = numbered(batch, numbers)?.into_iter().enumerate();
    Ok(groups.filter_map(move |(i, group)| Some((group?, ids.value(i), texts.value(i).into()))))
}

fn pairs_of(
    batch: &RecordBatch,
    numbers: &Numbers,
) -> Result<impl Iterator<Item = Row<(String, String)>> + use<>> {
    let ids = batch.column(0).as_primitive::<UInt64Type>().clone();
    let (src, tgt) = (views(batch, 3)?, views(batch, 4)?);
    let groups = numbered(batch, numbers)?.into_iter().enumerate();
    Ok(groups.filter_map(move |(i, group)| {
        Some((group?, ids.value(i), (src.value(i).into(), tgt.value(i).into())))
    }))
}
