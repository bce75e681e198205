//! Small tables for the tests of this layer.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::array_value_to_string;

use crate::store::manifest::Manifest;
use crate::store::part::PartWriter;
use crate::store::table::Table;

/// A table `doc_id, text, lang` of these parts.
pub(super) fn table(dir: &Path, parts: &[&[u64]]) -> Table {
    let schema = Arc::new(Schema::new(vec![
        Field::new("doc_id", DataType::UInt64, false),
        Field::new("text", DataType::Utf8, false),
        Field::new("lang", DataType::Utf8, true),
    ]));
    let mut manifest = Manifest { node: "documents".into(), ..Manifest::default() };
    for (n, ids) in parts.iter().enumerate() {
        let mut writer = PartWriter::create(dir, "", &format!("part {n}"), &schema).unwrap();
        let langs = ["isl_Latn", "yor_Latn", "arb_Arab"];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(ids.to_vec())),
            Arc::new(ids.iter().map(|i| Some(format!("texti {i} هو نص"))).collect::<StringArray>()),
            Arc::new(ids.iter().map(|i| Some(langs[(i % 3) as usize])).collect::<StringArray>()),
        ];
        writer.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
        manifest.parts.push(writer.finish().unwrap());
    }
    manifest.rows_out = manifest.parts.iter().map(|p| p.rows).sum();
    manifest.commit(dir).unwrap();
    Table::open(dir).unwrap()
}

/// The first column as numbers.
pub(super) fn numbers(batches: &[RecordBatch]) -> Vec<u64> {
    cells(batches).iter().map(|c| c.parse().unwrap()).collect()
}

/// The first column as text, nulls as nothing.
pub(super) fn cells(batches: &[RecordBatch]) -> Vec<String> {
    let mut cells = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            cells.push(array_value_to_string(batch.column(0), row).unwrap());
        }
    }
    cells
}
