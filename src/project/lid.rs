//! Models of language identification from the rows of a query, and what labels are worth on them.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use crate::error::{Error, Result};
use crate::identify::ngram::evaluate::Evaluation;
use crate::identify::ngram::train::{Options, Trainer};
use crate::identify::tag::{self, Tag};
use crate::sql::session::Session;

/// Rows that were read, and those that were of no use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rows {
    /// Rows of the query.
    pub read: u64,
    /// Rows without text, or whose language is null or no known code.
    pub skipped: u64,
}

/// Trains a model on the rows of a query: `text`, `lang`, and `source` if texts of several origins
/// are to count alike. Returns the bytes of the model's file.
///
/// The model is a function of the rows in any order, and of the options. Errors when a column is
/// missing or no language has enough text.
pub fn train(session: &Session, sql: &str, options: Options) -> Result<(Vec<u8>, Rows)> {
    let schema = session.schema(sql)?;
    column(&schema, sql, "text")?;
    column(&schema, sql, "lang")?;
    let has_source = schema.field_with_name("source").is_ok();
    let source = if has_source { "CAST(source AS VARCHAR)" } else { "NULL" };
    let asked = format!("SELECT text, lang, {source} AS source FROM ({sql}) AS labelled");
    let (mut trainer, mut rows) = (Trainer::new(options), Rows::default());
    session.stream(&asked, &mut |batch| {
        let [texts, langs, sources] = [texts(&batch, 0)?, texts(&batch, 1)?, texts(&batch, 2)?];
        for row in 0..batch.num_rows() {
            rows.read += 1;
            match (value(&texts, row), value(&langs, row).and_then(tag::find)) {
                (Some(text), Some(tag)) => trainer.add(text, tag, value(&sources, row)),
                _ => rows.skipped += 1,
            }
        }
        Ok(())
    })?;
    Ok((trainer.finish()?, rows))
}

/// Labels the rows of a query, `text` and `lang`, with a model as `detect_lang` names it.
pub fn evaluate(session: &Session, sql: &str, model: &str) -> Result<(Evaluation, Rows)> {
    let schema = session.schema(sql)?;
    column(&schema, sql, "text")?;
    column(&schema, sql, "lang")?;
    let model = model.replace('\'', "''");
    let asked = format!(
        "SELECT lang, found['lang'], found['score'] FROM \
         (SELECT lang, detect_lang(text, '{model}') AS found FROM ({sql}) AS labelled)"
    );
    let (mut evaluation, mut rows) = (Evaluation::default(), Rows::default());
    session.stream(&asked, &mut |batch| {
        let (truths, labels) = (texts(&batch, 0)?, texts(&batch, 1)?);
        let scores = cast(batch.column(2), &DataType::Float64)?;
        let scores = scores.as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            rows.read += 1;
            // A null text has no label either, not even an empty one.
            match value(&truths, row).and_then(tag::find) {
                Some(truth) if scores.is_valid(row) => {
                    let label: Option<Tag> = value(&labels, row).and_then(tag::find);
                    evaluation.add(truth, label, scores.value(row));
                }
                _ => rows.skipped += 1,
            }
        }
        Ok(())
    })?;
    Ok((evaluation, rows))
}

fn column(schema: &arrow::datatypes::Schema, sql: &str, name: &str) -> Result<()> {
    if schema.field_with_name(name).is_ok() {
        return Ok(());
    }
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    Err(Error::usage(format!("`{sql}` gives no column `{name}`; it gives: {}", names.join(", ")))
        .hint_with("write `SELECT text, lang FROM …`"))
}

fn texts(batch: &RecordBatch, i: usize) -> Result<ArrayRef> {
    Ok(cast(batch.column(i), &DataType::Utf8View)?)
}

fn value(column: &ArrayRef, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.as_string_view().value(row))
}
