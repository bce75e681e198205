//! Tokenizers from the rows of a query, and what a tokenizer makes of each language of one.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, UInt64Type};
use rayon::prelude::*;

use super::text::{each, streamed, views};
use crate::error::{Error, Result};
use crate::id;
use crate::sql::session::Session;
use crate::token::Tokenizer;
use crate::token::evaluate::{Evaluation, Sentence};
use crate::token::train::{self, TrainSpec};

/// Encodes the rows of a query: `text`, `lang`, and `parallel` where rows with the same value are
/// translations of each other. Rows without text or language are left out.
///
/// Words are those of `word_count`, by dictionary in scripts without spaces. Errors
/// when a column is missing.
pub fn evaluate(session: &Session, sql: &str, tokenizer: &Tokenizer) -> Result<Evaluation> {
    let schema = session.schema(sql)?;
    column(&schema, sql, "text")?;
    column(&schema, sql, "lang")?;
    let parallel = match schema.field_with_name("parallel") {
        Ok(_) => "CAST(parallel AS VARCHAR)",
        Err(_) => "CAST(NULL AS VARCHAR)",
    };
    let asked = format!(
        "SELECT text, CAST(lang AS VARCHAR), {parallel}, word_count(text) \
         FROM ({sql}) AS asked WHERE text IS NOT NULL AND lang IS NOT NULL"
    );
    let mut evaluation = Evaluation::new(tokenizer);
    session.stream(&asked, &mut |batch| {
        let [texts, langs, parallel] = [views(&batch, 0)?, views(&batch, 1)?, views(&batch, 2)?];
        let words = cast(batch.column(3), &DataType::Int64)?;
        let words = words.as_primitive::<Int64Type>();
        let encoded: Vec<Vec<i32>> = (0..batch.num_rows())
            .into_par_iter()
            .map(|row| tokenizer.encode(texts.value(row)))
            .collect::<Result<_>>()?;
        for (row, ids) in encoded.iter().enumerate() {
            evaluation.add(&Sentence {
                lang: langs.value(row),
                text: texts.value(row),
                words: u64::try_from(words.value(row)).unwrap_or(0),
                parallel: parallel.is_valid(row).then(|| parallel.value(row)),
                ids,
            });
        }
        Ok(())
    })?;
    Ok(evaluation)
}

/// The ids that the texts of a query, in its column `text`, are encoded as.
///
/// Errors when the column is missing.
pub fn used(session: &Session, sql: &str, tokenizer: &Tokenizer) -> Result<BTreeSet<i32>> {
    let schema = session.schema(sql)?;
    column(&schema, sql, "text")?;
    let mut seen = vec![false; tokenizer.vocab_size()];
    let asked = format!("SELECT text FROM ({sql}) AS asked WHERE text IS NOT NULL");
    session.stream(&asked, &mut |batch| {
        let texts = views(&batch, 0)?;
        let encoded: Vec<Vec<i32>> = (0..batch.num_rows())
            .into_par_iter()
            .map(|row| {
                let mut ids = tokenizer.encode(texts.value(row))?;
                ids.sort_unstable();
                ids.dedup();
                Ok(ids)
            })
            .collect::<Result<_>>()?;
        for id in encoded.into_iter().flatten() {
            seen[id as usize] = true;
        }
        Ok(())
    })?;
    Ok((0..).zip(seen).filter_map(|(id, seen)| seen.then_some(id)).collect())
}

/// The tokenizers that a project has built, and those that lie at paths, by the name given.
pub fn named(project: Option<&super::Project>, name: &str) -> Result<Tokenizer> {
    let built = project.filter(|p| p.config.tokenizer.contains_key(name));
    let Some(project) = built else { return Tokenizer::load(std::path::Path::new(name)) };
    let dir = project.dir.join(super::node::Node::Tokenizer(name.into()).folder());
    Tokenizer::load(&dir)
        .map_err(|e| e.hint_with(format!("`hexapla run tokenizer.{name}` trains it")))
}

/// Trains a tokenizer on the rows of a query: `text`, `lang`, and `doc_id` by which documents are
/// sampled, their text without it.
///
/// The tokenizer is a function of the rows in any order, and of the specification. Errors when a
/// column is missing, and as [`train::train`] does.
pub fn train(session: &Session, sql: &str, spec: &TrainSpec, memory: usize) -> Result<Tokenizer> {
    let schema = session.schema(sql)?;
    column(&schema, sql, "text")?;
    column(&schema, sql, "lang")?;
    let of = |columns: &str| {
        format!(
            "SELECT {columns} FROM ({sql}) AS asked WHERE text IS NOT NULL AND lang IS NOT NULL"
        )
    };
    let mut chars = BTreeMap::new();
    let sums = of("CAST(lang AS VARCHAR) AS lang, sum(char_count(text))");
    for batch in session.query(&format!("{sums} GROUP BY lang ORDER BY lang"))? {
        let (langs, sums) = (views(&batch, 0)?, cast(batch.column(1), &DataType::Int64)?);
        let sums = sums.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let n = u64::try_from(sums.value(row)).unwrap_or(0);
            *chars.entry(langs.value(row).to_string()).or_default() += n;
        }
    }
    let id = match schema.field_with_name("doc_id") {
        Ok(_) => "CAST(doc_id AS BIGINT UNSIGNED)",
        Err(_) => "CAST(NULL AS BIGINT UNSIGNED)",
    };
    let asked = of(&format!("{id}, CAST(lang AS VARCHAR), text"));
    streamed(session, &[&asked], |batches| {
        let texts = batches.flat_map(|batch| each(batch.and_then(|b| rows(&b))));
        train::train(spec, &chars, texts, &std::env::temp_dir(), memory)
    })
}

fn rows(batch: &RecordBatch) -> Result<impl Iterator<Item = (u64, String, String)> + use<>> {
    let ids = batch.column(0).as_primitive::<UInt64Type>().clone();
    let (langs, texts) = (views(batch, 1)?, views(batch, 2)?);
    Ok((0..batch.num_rows()).map(move |i| {
        let text = texts.value(i);
        let id = if ids.is_valid(i) { ids.value(i) } else { id::hash64(text.as_bytes()) };
        (id, langs.value(i).to_string(), text.to_string())
    }))
}

fn column(schema: &Schema, sql: &str, name: &str) -> Result<()> {
    if schema.field_with_name(name).is_ok() {
        return Ok(());
    }
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    Err(Error::usage(format!("`{sql}` gives no column `{name}`; it gives: {}", names.join(", ")))
        .hint_with("write `SELECT text, lang FROM …`"))
}
