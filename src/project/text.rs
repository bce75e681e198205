//! Building what reads text: tokenizers and packs.
//!
//! Text comes out of `documents` and `pairs` by merge joins on `doc_id`, streamed; nothing here
//! holds more of it than a few batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use arrow::array::{Array, AsArray, RecordBatch, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt64Type};

use super::Project;
use super::build::Builder;
use super::key::Ingredients;
use super::node::Node;
use crate::error::{Error, Result};
use crate::sql::session::Session;
use crate::store::manifest::{MANIFEST, Manifest, Part};
use crate::store::verify::hash_file;
use crate::token::functions::{self, Named};
use crate::token::pack::{PackOptions, PackWriter};
use crate::token::train;

/// The folder of a pack's validation rows, inside the pack.
pub const VALIDATION: &str = "validation";

/// The texts that a tokenizer is trained on, in the order of their ids.
const TRAINING_TEXTS: &[&str] = &[
    "SELECT s.doc_id, coalesce(m.lang, m.detected.lang) AS lang, d.text \
     FROM split s JOIN measured m ON s.doc_id = m.doc_id JOIN documents d ON s.doc_id = d.doc_id \
     WHERE s.split = 'train'",
    "SELECT s.doc_id, p.src_lang, p.src \
     FROM split s JOIN pairs p ON s.doc_id = p.doc_id WHERE s.split = 'train'",
    "SELECT s.doc_id, p.tgt_lang, p.tgt \
     FROM split s JOIN pairs p ON s.doc_id = p.doc_id WHERE s.split = 'train'",
];

/// Makes the committed tokenizers of a project known to a session; none is read yet.
pub(super) fn register(project: &Project, session: &mut Session) {
    let names = project.config.tokenizer.keys();
    let all =
        names.map(|name| (name.clone(), project.dir.join(Node::Tokenizer(name.clone()).folder())));
    let there = all.filter(|(_, dir)| dir.join(MANIFEST).is_file());
    add_kernels(session, there.map(|(name, dir)| (name, Named::folder(&dir))).collect());
}

/// Makes tokenizers callable by name in SQL.
pub(super) fn add_kernels(session: &mut Session, tokenizers: BTreeMap<String, Named>) {
    for kernel in functions::kernels(&Arc::new(tokenizers)) {
        session.add_kernel(kernel);
    }
}

impl Builder<'_> {
    pub(super) fn tokenizer_ingredients(&self, name: &str, found: &mut Ingredients) -> Result<()> {
        let config = &self.project.config.tokenizer[name];
        if let Some(spec) = &config.train {
            found.add("tokenizer", format!("{spec:?}"));
            found.add("seed", self.project.config.seed.to_string());
        }
        if let Some(path) = &config.load {
            found.add("file", config.loaded(&self.project.dir, path)?.fingerprint());
        }
        Ok(())
    }

    pub(super) fn build_tokenizer(&self, name: &str, mut manifest: Manifest) -> Result<Manifest> {
        let config = &self.project.config.tokenizer[name];
        let tokenizer = match (&config.train, &config.load) {
            (Some(spec), _) => {
                let spec = train::TrainSpec { seed: self.project.config.seed, ..spec.clone() };
                let chars = self.characters()?;
                self.observer.progress(0, None, "texts");
                streamed(&self.session, TRAINING_TEXTS, |batches| {
                    let texts = batches.enumerate().flat_map(|(i, batch)| {
                        self.observer.progress(i as u64 * 8192, None, "texts");
                        each(batch.and_then(|b| texts_of(&b)))
                    });
                    let memory = self.memory_limit()?.map_or(512 << 20, |limit| limit / 8);
                    train::train(&spec, &chars, texts, &std::env::temp_dir(), memory)
                })?
            }
            (None, Some(path)) => config.loaded(&self.project.dir, path)?,
            (None, None) => return Err(Error::internal("a tokenizer of nothing")),
        };
        let dir = self.dir(&Node::Tokenizer(name.into()));
        tokenizer.save_to(&dir)?;
        manifest.rows_out = tokenizer.vocab_size() as u64;
        manifest.params.insert("fingerprint".into(), tokenizer.fingerprint().into());
        for file in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
            let path = dir.join(file);
            if path.exists() {
                let (xxh3, bytes) = hash_file(&path)?;
                manifest.parts.push(Part { file: file.into(), xxh3, bytes, ..Part::default() });
            }
        }
        manifest.commit(&dir)?;
        Ok(manifest)
    }

    /// Characters of the training texts by language.
    fn characters(&self) -> Result<BTreeMap<String, u64>> {
        let mut chars = BTreeMap::new();
        // In one partition joins on `doc_id` are merge joins, which hold little.
        let serial = self.session.serial([])?;
        for sql in TRAINING_TEXTS {
            let sql = format!(
                "SELECT lang, sum(n) FROM (SELECT x.b AS lang, char_count(x.c) AS n FROM ({sql}) \
                 AS x(a, b, c)) GROUP BY lang ORDER BY lang"
            );
            for batch in serial.query(&sql)? {
                let langs = strings(&batch, 0)?;
                let sums = cast(batch.column(1), &DataType::Int64)?;
                let sums = sums.as_primitive::<Int64Type>();
                for i in (0..batch.num_rows()).filter(|&i| langs.is_valid(i)) {
                    *chars.entry(langs.value(i).to_string()).or_default() += sums.value(i) as u64;
                }
            }
        }
        Ok(chars)
    }

    pub(super) fn pack_ingredients(&self, name: &str, found: &mut Ingredients) -> Result<()> {
        let pack = self.project.pack(name)?;
        found.add("length", pack.length.to_string());
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
            seed: self.project.config.seed,
            // The queries that give the texts have the limit too, and use little of it.
            memory: self.memory_limit()?.map_or(256 << 20, |limit| limit / 2),
            ..PackOptions::default()
        };
        let groups = self.groups(&config.mix)?;
        let total = groups.len() as u64 * 2;
        for (part, validation) in [(dir.join(VALIDATION), true), (dir.clone(), false)] {
            let mut writer = PackWriter::create(&part, tokenizer, options.clone())?;
            for (i, (kind, lang, part)) in groups.iter().enumerate() {
                // Held-out rows are told apart by language alone.
                if validation && groups[..i].iter().any(|(k, l, _)| (k, l) == (kind, lang)) {
                    continue;
                }
                let part = if validation { "" } else { part };
                let done = i as u64 + if validation { 0 } else { groups.len() as u64 };
                self.observer.progress(done, Some(total), "groups");
                self.pack_group(&mut writer, &config.mix, (kind, lang, part), validation)
                    .map_err(|e| e.within(lang))?;
            }
            writer.finish(manifest.clone())?;
        }
        Manifest::expect(&dir)
    }

    /// The groups that a mixture selects from, as (kind, lang, part).
    fn groups(&self, mix: &str) -> Result<Vec<(String, String, String)>> {
        let sql = format!(
            "SELECT DISTINCT kind, lang, part FROM mix.\"{mix}\" WHERE target > 0 \
             ORDER BY kind, lang, part"
        );
        let mut groups = Vec::new();
        for batch in self.session.query(&sql)? {
            let [kinds, langs, parts] = [0, 1, 2].map(|i| strings(&batch, i));
            let (kinds, langs, parts) = (kinds?, langs?, parts?);
            groups
                .extend((0..batch.num_rows()).map(|i| {
                    (kinds.value(i).into(), langs.value(i).into(), parts.value(i).into())
                }));
        }
        Ok(groups)
    }

    fn pack_group(
        &self,
        writer: &mut PackWriter<'_>,
        mix: &str,
        (kind, lang, part): (&str, &str, &str),
        validation: bool,
    ) -> Result<()> {
        writer.part(part);
        let of_part = part.replace('\'', "''");
        let quoted = lang.replace('\'', "''");
        let pairs = kind == "pairs";
        let (table, columns) =
            if pairs { ("pairs", "x.src, x.tgt") } else { ("documents", "x.text") };
        let of_lang = if pairs {
            format!("concat(x.src_lang, '-', x.tgt_lang) = '{quoted}'")
        } else {
            format!("coalesce(m.lang, m.detected.lang) = '{quoted}'")
        };
        let sql = match (validation, pairs) {
            (false, _) => format!(
                "SELECT s.doc_id, {columns} FROM selection.\"{mix}\" s JOIN {table} x \
                 ON s.doc_id = x.doc_id WHERE s.kind = '{kind}' AND s.lang = '{quoted}' \
                 AND s.part = '{of_part}'"
            ),
            (true, true) => format!(
                "SELECT s.doc_id, {columns} FROM split s JOIN pairs x ON s.doc_id = x.doc_id \
                 WHERE s.split = 'validation' AND {of_lang}"
            ),
            (true, false) => format!(
                "SELECT s.doc_id, {columns} FROM split s JOIN measured m ON s.doc_id = m.doc_id \
                 JOIN documents x ON s.doc_id = x.doc_id WHERE s.split = 'validation' AND {of_lang}"
            ),
        };
        streamed(&self.session, &[&sql], |batches| {
            if pairs {
                let rows = batches.flat_map(|b| each(b.and_then(|b| pairs_of(&b))));
                let Some((src, tgt)) = lang.split_once('-') else {
                    return Err(Error::internal(format!("`{lang}` is no language pair")));
                };
                writer.pairs(src, tgt, rows).map(|_| ())
            } else {
                let rows = batches.flat_map(|b| each(b.and_then(|b| documents_of(&b))));
                writer.documents(lang, rows).map(|_| ())
            }
        })
    }
}

/// Runs queries one after the other in a thread of their own and hands their batches to `use_them`,
/// a few at a time.
pub(super) fn streamed<T: Send>(
    session: &Session,
    queries: &[&str],
    use_them: impl FnOnce(BatchStream) -> Result<T>,
) -> Result<T> {
    // In one partition, joins on `doc_id` are merge joins and rows come in the order of their ids.
    let serial = session.serial([])?;
    std::thread::scope(|scope| {
        // A batch may hold many megabytes of text.
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || {
            for sql in queries {
                let sent = serial.stream(sql, &mut |batch| {
                    // The reader stops early after an error of its own.
                    sender.send(Ok(batch)).map_err(|_| Error::internal("nobody reads"))
                });
                if let Err(error) = sent {
                    let _ = sender.send(Err(error));
                    return;
                }
            }
        });
        use_them(BatchStream(receiver))
    })
}

/// Batches that arrive from another thread.
pub(super) struct BatchStream(Receiver<Result<RecordBatch>>);

impl Iterator for BatchStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.recv().ok()
    }
}

/// The rows of a batch, or its error in their place.
pub(super) fn each<T>(rows: Result<impl Iterator<Item = T>>) -> impl Iterator<Item = Result<T>> {
    let (rows, error) = match rows {
        Ok(rows) => (Some(rows), None),
        Err(error) => (None, Some(Err(error))),
    };
    rows.into_iter().flatten().map(Ok).chain(error)
}

/// A column as text, whatever its width.
pub(super) fn strings(batch: &RecordBatch, column: usize) -> Result<StringArray> {
    Ok(cast(batch.column(column), &DataType::Utf8)?.as_string::<i32>().clone())
}

/// A column as text, not copied where it is a view already.
pub(super) fn views(batch: &RecordBatch, column: usize) -> Result<StringViewArray> {
    Ok(cast(batch.column(column), &DataType::Utf8View)?.as_string_view().clone())
}

// Rows are copied one by one as they are used: a batch may hold many megabytes of text.

fn texts_of(batch: &RecordBatch) -> Result<impl Iterator<Item = (u64, String, String)> + use<>> {
    let ids = batch.column(0).as_primitive::<UInt64Type>().clone();
    let (langs, texts) = (views(batch, 1)?, views(batch, 2)?);
    Ok((0..batch.num_rows()).filter_map(move |i| {
        let there = langs.is_valid(i) && texts.is_valid(i);
        there.then(|| (ids.value(i), langs.value(i).to_string(), texts.value(i).to_string()))
    }))
}

fn documents_of(batch: &RecordBatch) -> Result<impl Iterator<Item = (u64, String)> + use<>> {
    let ids = batch.column(0).as_primitive::<UInt64Type>().clone();
    let texts = views(batch, 1)?;
    Ok((0..batch.num_rows()).map(move |i| (ids.value(i), texts.value(i).to_string())))
}

fn pairs_of(batch: &RecordBatch) -> Result<impl Iterator<Item = (u64, String, String)> + use<>> {
    let ids = batch.column(0).as_primitive::<UInt64Type>().clone();
    let (src, tgt) = (views(batch, 1)?, views(batch, 2)?);
    Ok((0..batch.num_rows())
        .map(move |i| (ids.value(i), src.value(i).to_string(), tgt.value(i).to_string())))
}
