//! `manifest('table')`: what a table is made of, one row per part and reason.
//!
//! Reads the manifest alone, never a part.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;

use super::{Args, Lazy, TableFunction};
use crate::error::Result;
use crate::sql::provider::StoredTable;
use crate::store::manifest::{Manifest, Part};

/// The function.
pub(super) const MANIFEST: TableFunction = TableFunction {
    name: "manifest",
    usage: "manifest('table')",
    doc: "One row per part of a table with `file, rows, bytes, xxh3, first_id, last_id`, and one \
          per reason for which rows were dropped on the way into it, with `reason, rows`.",
    tables: 1,
    options: &[],
    example: "SELECT reason, rows FROM manifest('kept') WHERE reason IS NOT NULL",
    version: 1,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    let named = args.table(0)?;
    args.options(1, &[])?;
    let Some(stored) = named.provider.downcast_ref::<StoredTable>() else {
        return Err(args.wrong(format!("`{}` is no table of a project", named.name)));
    };
    let field = |name: &str, ty| Field::new(name, ty, true);
    let schema = Arc::new(Schema::new(vec![
        field("file", DataType::Utf8),
        field("reason", DataType::Utf8),
        Field::new("rows", DataType::UInt64, false),
        field("bytes", DataType::UInt64),
        field("xxh3", DataType::Utf8),
        field("first_id", DataType::UInt64),
        field("last_id", DataType::UInt64),
    ]));
    let rows = rows(&stored.table().manifest, &schema)?;
    let work =
        move |_: Vec<super::Batches>,
              _: &super::Limits,
              emit: &mut dyn FnMut(RecordBatch) -> Result<()>| emit(rows.clone());
    let name = "manifest";
    Ok(Lazy { name, schema, sorted: false, inputs: vec![], work: Arc::new(work) }.table())
}

fn rows(manifest: &Manifest, schema: &SchemaRef) -> Result<RecordBatch> {
    let (parts, dropped) = (&manifest.parts, &manifest.dropped);
    let texts = |of: fn(&Part) -> &str| {
        let parts = parts.iter().map(|p| Some(of(p)));
        let column = parts.chain(dropped.iter().map(|_| None)).collect::<StringArray>();
        Arc::new(column) as ArrayRef
    };
    let counts = |of: fn(&Part) -> Option<u64>| {
        let column = parts.iter().map(of).chain(dropped.iter().map(|_| None));
        Arc::new(column.collect::<UInt64Array>()) as ArrayRef
    };
    let rows = parts.iter().map(|p| p.rows).chain(dropped.values().copied());
    let reasons = parts.iter().map(|_| None).chain(dropped.keys().map(|k| Some(k.as_str())));
    let columns: Vec<ArrayRef> = vec![
        texts(|p| &p.file),
        Arc::new(reasons.collect::<StringArray>()),
        Arc::new(rows.collect::<UInt64Array>()),
        counts(|p| Some(p.bytes)),
        texts(|p| &p.xxh3),
        counts(|p| p.ids.map(|(low, _)| low)),
        counts(|p| p.ids.map(|(_, high)| high)),
    ];
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
