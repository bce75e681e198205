//! Building tokenizers, and how text is read: out of `documents` and `pairs` by merge joins on
//! `doc_id`, streamed; nobody holds more of it than a few batches.

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
use crate::token::train;

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
