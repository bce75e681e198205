//! `mixture('sizes', 'strategy' [, {…}])`: a plan of how much of each group to train on.
//!
//! Plans only; the rows are chosen by the query `selection`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, UInt64Type};
use datafusion::catalog::TableProvider;

use super::{Args, Lazy, TableFunction};
use crate::error::{Error, Result};
use crate::mix::{self, PlanRow, Size};

/// The function.
pub(super) const MIXTURE: TableFunction = TableFunction {
    name: "mixture",
    usage: "mixture('sizes', 'strategy' [, {alpha: 0.3, budget: 15e9, max_epochs: 4, pairs: 0.1}])",
    doc: "The plan of a mixture over a table with `kind, lang, available`: `kind, lang, available, \
          weight, target, epochs, shortfall`, sorted by `kind, lang`. The strategy is one of \
          `proportional`, `temperature`, `unimax`, `uniform`, and `fixed`, which reads a column \
          `weight`. `target` is the group's share of the \
          budget, but at most `available` times `max_epochs`; what that leaves unspent is the \
          `shortfall` and goes to no other group.",
    options: &[
        ("alpha", "0.3; the exponent of `temperature`, one over the temperature"),
        ("budget", "everything available; how much to train on, in the unit of the sizes"),
        ("max_epochs", "no cap, but 4 for `unimax`; the most passes over a group"),
        ("pairs", "the share of the budget for pairs; documents and pairs are divided apart then"),
    ],
    tables: 1,
    example: "SELECT lang, target FROM mixture('sizes', 'unimax', {budget: 1e6, max_epochs: 4})",
    version: 1,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    let table = args.table(0)?;
    let strategy = mix::strategy(&args.text(1, "the name of a strategy")?)?;
    let given = args.options(2, &["alpha", "budget", "max_epochs", "pairs"])?;
    // A number that is not given is not-a-number, which nobody can give.
    let number = |key: &str| -> Result<Option<f64>> {
        Ok(Some(given.float(key, f64::NAN)?).filter(|n| !n.is_nan()))
    };
    let options = mix::Options {
        alpha: number("alpha")?,
        budget: given.optional_uint("budget")?,
        max_epochs: number("max_epochs")?,
        pairs: number("pairs")?,
        weights: Vec::new(),
    };
    table.require(&["kind", "lang", "available"])?;
    let fixed = strategy.name == "fixed";
    if fixed {
        table.require(&["weight"])?;
    }
    // The order of the rows does not matter to the plan.
    let weight = if fixed { "CAST(weight AS DOUBLE)" } else { "CAST(NULL AS DOUBLE)" };
    let sql = format!("SELECT kind, lang, available, {weight} AS weight FROM {}", table.sql);
    let work = move |inputs: Vec<super::Batches>,
                     _: &super::Limits,
                     emit: &mut dyn FnMut(RecordBatch) -> Result<()>| {
        let (mut sizes, mut options) = (Vec::new(), options.clone());
        for batch in inputs.into_iter().flatten() {
            read(&batch?, &mut sizes, &mut options.weights)?;
        }
        emit(batch(&mix::plan(&sizes, strategy, &options)?)?)
    };
    let (name, schema) = ("mixture", schema());
    Ok(Lazy { name, schema, sorted: false, inputs: vec![sql], work: Arc::new(work) }.table())
}

fn read(
    batch: &RecordBatch,
    sizes: &mut Vec<Size>,
    weights: &mut Vec<(String, f64)>,
) -> Result<()> {
    let text = |i: usize| Ok::<_, Error>(cast(batch.column(i), &DataType::Utf8View)?);
    let (kinds, langs) = (text(0)?, text(1)?);
    let available = cast(batch.column(2), &DataType::UInt64)?;
    if [&kinds, &langs, &available].iter().any(|column| column.null_count() > 0) {
        return Err(Error::usage("a group of the sizes has a null `kind`, `lang` or `available`")
            .hint_with("leave such groups out: `WHERE lang IS NOT NULL`"));
    }
    let (kinds, langs) = (kinds.as_string_view(), langs.as_string_view());
    let given = cast(batch.column(3), &DataType::Float64)?;
    let given = given.as_primitive::<Float64Type>();
    for (row, available) in available.as_primitive::<UInt64Type>().values().iter().enumerate() {
        sizes.push(Size {
            kind: kinds.value(row).into(),
            lang: langs.value(row).into(),
            available: *available,
        });
        if given.is_valid(row) {
            weights.push((format!("{}:{}", kinds.value(row), langs.value(row)), given.value(row)));
        }
    }
    Ok(())
}

fn schema() -> SchemaRef {
    let field = |name: &str, ty| Field::new(name, ty, false);
    Arc::new(Schema::new(vec![
        field("kind", DataType::Utf8),
        field("lang", DataType::Utf8),
        field("available", DataType::UInt64),
        field("weight", DataType::Float64),
        field("target", DataType::UInt64),
        field("epochs", DataType::Float64),
        field("shortfall", DataType::UInt64),
    ]))
}

fn batch(rows: &[PlanRow]) -> Result<RecordBatch> {
    let text = |of: fn(&PlanRow) -> &str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let uint = |of: fn(&PlanRow) -> u64| {
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let float = |of: fn(&PlanRow) -> f64| {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let columns = vec![
        text(|r| &r.kind),
        text(|r| &r.lang),
        uint(|r| r.available),
        float(|r| r.weight),
        uint(|r| r.target),
        float(|r| r.epochs),
        uint(|r| r.shortfall),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

#[cfg(test)]
mod tests {
    use arrow::util::pretty::pretty_format_batches;

    use crate::sql::{Session, SessionOptions};

    fn session(dir: &std::path::Path) -> Session {
        let path = dir.join("sizes.csv");
        let rows = "kind,lang,available,weight\ndocuments,eng_Latn,1000,1\n\
                    documents,yor_Latn,10,1\ndocuments,isl_Latn,100,2\ndocuments,swh_Latn,50,0\n";
        std::fs::write(&path, rows).unwrap();
        let mut session = Session::new(SessionOptions::default()).unwrap();
        session.add_file("sizes", &path).unwrap();
        session
    }

    #[test]
    fn a_plan_is_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let targets = |call: &str| {
            let sql = format!("SELECT target, shortfall FROM {call}");
            let text = pretty_format_batches(&session.query(&sql).unwrap()).unwrap().to_string();
            let rows = text.lines().skip(3).filter(|line| line.starts_with('|'));
            rows.map(|l| {
                l.replace(['|', ' '], " ").split_whitespace().collect::<Vec<_>>().join("+")
            })
            .collect::<Vec<_>>()
        };
        let unimax = "mixture('sizes', 'unimax', {budget: 1000, max_epochs: 4})";
        assert_eq!(targets(unimax), ["380+0", "380+0", "200+0", "40+0"]);
        assert_eq!(
            targets("mixture('sizes', 'fixed', {budget: 1e3})"),
            ["250+0", "500+0", "0+0", "250+0"]
        );
        let capped = "mixture('sizes', 'uniform', {budget: 1000, max_epochs: 1})";
        assert_eq!(targets(capped), ["250+0", "100+150", "50+200", "10+240"]);
    }

    #[test]
    fn mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let error = |call: &str| session.query(&format!("SELECT * FROM {call}")).unwrap_err();
        let unknown = error("mixture('sizes', 'tempreture')");
        assert!(unknown.to_string().contains("unknown strategy `tempreture`"), "{unknown}");
        assert_eq!(unknown.hint(), Some("did you mean `temperature`?"));
        let alpha = error("mixture('sizes', 'temperature', {alpha: 3.3})");
        assert!(alpha.to_string().contains("`alpha` is 3.3"), "{alpha}");
    }
}
