//! The columns of the result.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, Float64Builder, ListBuilder, RecordBatch, StringBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::evals::Evals;
use super::matches::Match;
use crate::error::Result;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let field = |name: &str, ty, nullable| Field::new(name, ty, nullable);
    let list = || DataType::List(Arc::new(Field::new("item", DataType::UInt64, true)));
    Arc::new(Schema::new(vec![
        field("doc_id", DataType::UInt64, false),
        field("benchmark", DataType::Utf8, false),
        field("eval_id", DataType::UInt64, false),
        field("eval_column", DataType::Utf8, false),
        field("column", DataType::Utf8, false),
        field("lang", DataType::Utf8, true),
        field("containment", DataType::Float64, false),
        field("matched", DataType::UInt64, false),
        field("start", DataType::UInt64, false),
        field("length", DataType::UInt64, false),
        field("starts", list(), false),
        field("lengths", list(), false),
        field("match", DataType::Utf8, false),
        field("items", DataType::UInt64, false),
        field("too_short", DataType::UInt64, false),
    ]))
});

/// The columns with their types.
pub(super) fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// Rows of the result that are not handed out yet.
#[derive(Default)]
pub(super) struct Rows {
    doc_id: UInt64Builder,
    benchmark: StringBuilder,
    eval_id: UInt64Builder,
    eval_column: StringBuilder,
    column: StringBuilder,
    lang: StringBuilder,
    containment: Float64Builder,
    matched: UInt64Builder,
    start: UInt64Builder,
    length: UInt64Builder,
    starts: ListBuilder<UInt64Builder>,
    lengths: ListBuilder<UInt64Builder>,
    text: StringBuilder,
    items: UInt64Builder,
    too_short: UInt64Builder,
    rows: usize,
}

impl Rows {
    /// Takes a row.
    pub fn push(&mut self, row: &Match, columns: &[String], evals: &Evals) {
        self.doc_id.append_value(row.doc_id);
        self.benchmark.append_value(evals.benchmarks.name(row.benchmark));
        self.eval_id.append_value(row.eval_id);
        self.eval_column.append_value(evals.columns.name(row.eval_column));
        self.column.append_value(columns.get(usize::from(row.column)).map_or("", |c| c));
        let langs = [evals.languages.name(row.eval_lang), &row.lang];
        self.lang.append_option(langs.into_iter().find(|lang| !lang.is_empty()));
        self.containment.append_value(row.matched as f64 / row.grams as f64);
        self.matched.append_value(row.matched);
        // As `substr` counts: from 1.
        self.start.append_value(row.longest.start + 1);
        self.length.append_value(row.longest.len());
        for span in &row.spans {
            self.starts.values().append_value(span.start + 1);
            self.lengths.values().append_value(span.len());
        }
        self.starts.append(true);
        self.lengths.append(true);
        self.text.append_value(&row.text);
        let count = evals.counts.get(&(row.benchmark, row.eval_lang)).copied().unwrap_or_default();
        self.items.append_value(count.items);
        self.too_short.append_value(count.too_short);
        self.rows += 1;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// The rows as a batch; none are left.
    pub fn batch(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.doc_id.finish()),
            Arc::new(self.benchmark.finish()),
            Arc::new(self.eval_id.finish()),
            Arc::new(self.eval_column.finish()),
            Arc::new(self.column.finish()),
            Arc::new(self.lang.finish()),
            Arc::new(self.containment.finish()),
            Arc::new(self.matched.finish()),
            Arc::new(self.start.finish()),
            Arc::new(self.length.finish()),
            Arc::new(self.starts.finish()),
            Arc::new(self.lengths.finish()),
            Arc::new(self.text.finish()),
            Arc::new(self.items.finish()),
            Arc::new(self.too_short.finish()),
        ];
        Ok(RecordBatch::try_new(schema(), columns)?)
    }
}
