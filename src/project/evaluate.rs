//! The scores of an evaluation as a table, written and read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{Float64Type, UInt64Type};

use super::Project;
use super::node::Node;
use crate::error::{Error, Result};
use crate::eval::Score;
use crate::schema;
use crate::store::table::Table;

/// Scores as rows of the table `eval`.
pub fn batch(scores: &[Score]) -> Result<RecordBatch> {
    let Some(schema) = schema::table("eval") else {
        return Err(Error::internal("no schema for `eval`"));
    };
    let text = |f: fn(&Score) -> &str| -> ArrayRef {
        Arc::new(scores.iter().map(|s| Some(f(s))).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        text(|s| &s.run),
        text(|s| s.task),
        text(|s| &s.lang),
        text(|s| s.metric),
        Arc::new(scores.iter().map(|s| Some(s.value)).collect::<Float64Array>()),
        Arc::new(scores.iter().map(|s| Some(s.n)).collect::<UInt64Array>()),
        Arc::new(scores.iter().map(|s| s.baseline_majority).collect::<Float64Array>()),
    ];
    Ok(RecordBatch::try_new(schema.arrow(), columns)?)
}

/// The scores of an evaluation that was built.
pub fn scores(project: &Project, name: &str) -> Result<Vec<Score>> {
    let table = Table::open(&project.dir.join(Node::Eval(name.into()).folder()))?;
    let mut scores = Vec::new();
    for part in &table.manifest.parts {
        for batch in table.batches(part)? {
            let batch = batch?;
            let text = |i: usize| super::text::strings(&batch, i);
            let (runs, tasks, langs, metrics) = (text(0)?, text(1)?, text(2)?, text(3)?);
            let values = batch.column(4).as_primitive::<Float64Type>();
            let rows = batch.column(5).as_primitive::<UInt64Type>();
            let majority = batch.column(6).as_primitive::<Float64Type>();
            for i in 0..batch.num_rows() {
                scores.push(Score {
                    run: runs.value(i).into(),
                    task: known(tasks.value(i), &["classification", "retrieval"])?,
                    lang: langs.value(i).into(),
                    metric: known(
                        metrics.value(i),
                        &["accuracy", "macro_f1", "from_english", "to_english"],
                    )?,
                    value: values.value(i),
                    n: rows.value(i),
                    baseline_majority: majority.is_valid(i).then(|| majority.value(i)),
                });
            }
        }
    }
    Ok(scores)
}

fn known(name: &str, names: &[&'static str]) -> Result<&'static str> {
    let found = names.iter().find(|n| **n == name);
    found.copied().ok_or_else(|| Error::unknown("metric", name, names.iter().copied()))
}
