//! `mixture('sizes', 'strategy' [, {…}])`: a plan of how much of each group to train on.
//!
//! Plans only; the rows are chosen by the query `selection`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, UInt64Type};
use datafusion::catalog::TableProvider;

use super::options::Given;
use super::{Args, Batches, Lazy, Limits, Named, TableFunction};
use crate::error::{Error, Result};
use crate::mix::{self, PlanRow, Size, Strategy};

/// The function.
pub(super) const MIXTURE: TableFunction = TableFunction {
    name: "mixture",
    usage: "mixture('sizes', 'strategy' [, {by: 'lang, source', size: 'available', budget: 15e9, max_epochs: 4}])",
    doc: "The plan of a mixture over a table of sizes: the grouping columns, `available, weight, \
          target, epochs, first_repeat, shortfall`, sorted by the grouping columns. The strategy \
          is one of `proportional`, `temperature`, `unimax`, `uniform`, and `fixed`. Rows of one \
          group are added up, in whatever unit the column of sizes has. `target` is the group's \
          share of the budget, but at most `available` times `max_epochs`; what that leaves \
          unspent is the `shortfall` and goes to no other group. `first_repeat` is how much is \
          trained on in all when the group begins again, null when it never does.",
    options: &[
        (
            "by",
            "`kind` and `lang`, as far as they are there; the grouping columns. Documents and \
                pairs always stand apart where there is a `kind`",
        ),
        (
            "within",
            "none: every combination of values is a group by itself; with strategies, one \
                    for each column after the first or one for all of them, the first strategy \
                    divides by the first column and the next each part by the next column",
        ),
        ("size", "`available`; the column of sizes, in tokens, characters, bytes or documents"),
        (
            "upsample",
            "none; a column with the number of times that a group counts when it is \
                      divided by size, as FineWeb-2 repeats documents by the size of their cluster",
        ),
        ("alpha", "0.3; the exponent of `temperature`, one over the temperature"),
        ("budget", "everything available; how much to train on, in the unit of the sizes"),
        ("max_epochs", "no cap, but 4 for `unimax`; the most passes over a group"),
        (
            "min_share",
            "0; the least share of the budget of a group of the first column that has \
                       anything, as far as `max_epochs` reaches: a number, or numbers by group",
        ),
        ("pairs", "the share of the budget for pairs; documents and pairs are divided apart then"),
        (
            "weights",
            "the column `weight` of the table; numbers by group for `fixed`, or the name of \
                     a table with `weight` and some of the grouping columns, or of one of \
             a single row with a number for each group",
        ),
    ],
    tables: 1,
    example: "SELECT lang, target FROM mixture('sizes', 'unimax', {budget: 1e6, max_epochs: 4})",
    version: 2,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    let table = args.table(0)?;
    let first = mix::strategy(&args.text(1, "the name of a strategy")?)?;
    let known: Vec<&str> = MIXTURE.options.iter().map(|(name, _)| *name).collect();
    let given = args.options(2, &known)?;
    let by = columns(&table, given.optional_text("by")?)?;
    let within = given.optional_text("within")?;
    let strategies = strategies(first, within.as_deref(), by.len())?;
    let number = |key: &str| -> Result<Option<f64>> {
        // A number that is not given is not-a-number, which nobody can give.
        Ok(Some(given.float(key, f64::NAN)?).filter(|n| !n.is_nan()))
    };
    let mut options = mix::Options {
        alpha: number("alpha")?,
        budget: given.optional_uint("budget")?,
        max_epochs: number("max_epochs")?,
        pairs: number("pairs")?,
        ..mix::Options::default()
    };
    match given.numbers("min_share")? {
        Some(Given::Number(min)) => options.min_share = Some(min),
        Some(Given::ByName(by)) => options.min_shares = by,
        Some(Given::Text(_)) => number("min_share").map(|_| ())?,
        None => {}
    }
    let size = given.optional_text("size")?.unwrap_or_else(|| "available".into());
    let upsample = given.optional_text("upsample")?;
    let mut needed: Vec<&str> = by.iter().map(String::as_str).chain([size.as_str()]).collect();
    needed.extend(upsample.as_deref());
    table.require(&needed)?;
    let numeric = numbers_of(&table);
    let counted = [Some(&size), upsample.as_ref()];
    if let Some(text) = counted.into_iter().flatten().find(|c| !numeric.contains(c)) {
        let known = numeric.iter().map(String::as_str);
        return Err(Error::unknown("column of numbers", text, known)
            .within(format!("table `{}`", table.name)));
    }
    let has = |name: &str| table.schema().column_with_name(name).is_some();
    let fixed = strategies.iter().any(|s| s.options.contains(&"weights"));
    let mut inputs = Vec::new();
    match given.numbers("weights")? {
        Some(Given::ByName(by)) => options.weights = by,
        Some(Given::Text(name)) => inputs.push(weights_of(&args.named(&name)?, &by)?),
        Some(Given::Number(_)) => {
            return Err(args.wrong("`weights` must be numbers by group, or a table's name"));
        }
        None => {}
    }
    let own = fixed && options.weights.is_empty() && inputs.is_empty();
    let weight =
        if own && has("weight") { "CAST(weight AS DOUBLE)" } else { "CAST(NULL AS DOUBLE)" };
    let repeats = upsample.map_or("1.0".to_string(), |c| format!("CAST({} AS DOUBLE)", quoted(&c)));
    let kind = if has("kind") { "kind" } else { "'documents'" };
    let grouping: Vec<String> = by.iter().map(|c| quoted(c)).collect();
    // The order of the rows does not matter to the plan.
    inputs.insert(
        0,
        format!(
            "SELECT {kind} AS k, {} AS s, {repeats} AS r, {weight} AS w, {} FROM {}",
            quoted(&size),
            grouping.join(", "),
            table.sql
        ),
    );
    let schema = schema(&by, has("kind"));
    let (out, kinds, transposed) = (schema.clone(), has("kind"), fixed && inputs.len() > 1);
    let work =
        move |inputs: Vec<Batches>, _: &Limits, emit: &mut dyn FnMut(RecordBatch) -> Result<()>| {
            let (mut sizes, mut options) = (Vec::new(), options.clone());
            let mut inputs = inputs.into_iter();
            for batch in inputs.next().into_iter().flatten() {
                read(&batch?, &by, &size, &mut sizes)?;
            }
            for batch in inputs.next().into_iter().flatten() {
                read_weights(&batch?, &mut options.weights)?;
            }
            if transposed && options.weights.is_empty() {
                return Err(Error::usage("the table of `weights` has no rows"));
            }
            emit(batch(&mix::plan(&sizes, &strategies, &options)?, &out, kinds)?)
        };
    let name = "mixture";
    Ok(Lazy { name, schema, sorted: false, inputs, work: Arc::new(work) }.table())
}

/// The grouping columns: those that are asked for, without `kind`.
fn columns(table: &Named, by: Option<String>) -> Result<Vec<String>> {
    let by = by.unwrap_or_else(|| "lang".into());
    let names = by.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "kind");
    let mut columns: Vec<String> = Vec::new();
    for name in names {
        if columns.iter().any(|c| c == name) {
            return Err(Error::usage(format!("mixture(): `{name}` stands twice in `by`")));
        }
        columns.push(name.into());
    }
    if columns.is_empty() {
        return Err(Error::usage("mixture(): `by` names no column")
            .hint_with("for example `by: 'lang'` or `by: 'lang, source'`"));
    }
    table.require(&columns.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(columns)
}

/// The first strategy, and those of the columns below it.
fn strategies(
    first: &'static Strategy,
    within: Option<&str>,
    columns: usize,
) -> Result<Vec<&'static Strategy>> {
    let mut all = vec![first];
    if let Some(within) = within {
        let names: Vec<&str> = within.split(',').map(str::trim).collect();
        for name in &names {
            all.push(mix::strategy(name).map_err(|e| e.within("option `within`"))?);
        }
        if columns < 2 {
            return Err(Error::usage(
                "mixture(): `within` divides by a second column, but `by` has one",
            )
            .hint_with("for example `{by: 'lang, source', within: 'proportional'}`"));
        }
        if names.len() == 1 {
            all.resize(columns, all[1]);
        }
    }
    Ok(all)
}

/// The columns of a table that hold numbers.
fn numbers_of(table: &Named) -> Vec<String> {
    let schema = table.schema();
    let numbers = schema.fields().iter().filter(|field| field.data_type().is_numeric());
    numbers.map(|field| field.name().clone()).collect()
}

fn quoted(column: &str) -> String {
    format!("\"{}\"", column.replace('"', "\"\""))
}

/// A query for the names and numbers of a table of weights: a column `weight` beside grouping
/// columns, or one row with a column a group, which may stand in a struct as DoReMi writes it.
fn weights_of(table: &Named, by: &[String]) -> Result<String> {
    let schema = table.schema();
    let has = |name: &str| schema.column_with_name(name).is_some();
    if has("weight") {
        let there: Vec<String> = by.iter().filter(|c| has(c)).map(|c| quoted(c)).collect();
        if there.is_empty() {
            let message =
                format!("table `{}` has `weight` but none of {}", table.name, by.join(", "));
            return Err(
                Error::usage(message).hint_with("weights are joined by the grouping columns")
            );
        }
        let parts: Vec<String> = there.iter().map(|c| format!("CAST({c} AS VARCHAR)")).collect();
        let path = parts.join(" || '/' || ");
        let name = if has("kind") { format!("kind || ':' || {path}") } else { path };
        return Ok(format!("SELECT {name} AS n, CAST(weight AS DOUBLE) AS w FROM {}", table.sql));
    }
    let inner = schema.fields().iter().find_map(|field| match field.data_type() {
        DataType::Struct(fields) if field.name() == "train_domain_weights" => Some(fields.clone()),
        _ => None,
    });
    let prefix = if inner.is_some() { "train_domain_weights" } else { "" };
    let fields = inner.as_ref().unwrap_or(schema.fields());
    let is_number = |f: &&Arc<Field>| f.data_type().is_numeric();
    let one = |field: &Arc<Field>| {
        let text = field.name().replace('\'', "''");
        let value = match prefix {
            "" => quoted(field.name()),
            of => format!("{of}['{text}']"),
        };
        format!("SELECT '{text}' AS n, CAST({value} AS DOUBLE) AS w FROM {}", table.sql)
    };
    let rows: Vec<String> = fields.iter().filter(is_number).map(one).collect();
    if rows.is_empty() {
        let message =
            format!("table `{}` has no column `weight`, and no number by group", table.name);
        return Err(Error::usage(message)
            .hint_with("a table of weights has the grouping columns and `weight`"));
    }
    Ok(rows.join(" UNION ALL "))
}

fn read_weights(batch: &RecordBatch, weights: &mut Vec<(String, f64)>) -> Result<()> {
    let names = cast(batch.column(0), &DataType::Utf8View)?;
    let values = cast(batch.column(1), &DataType::Float64)?;
    let (names, values) = (names.as_string_view(), values.as_primitive::<Float64Type>());
    for row in 0..batch.num_rows() {
        if names.is_null(row) || values.is_null(row) {
            return Err(Error::usage("a row of the table of weights has a null"));
        }
        let name = names.value(row);
        if weights.iter().any(|(known, _)| known == name) {
            return Err(Error::usage(format!("`{name}` stands twice in the table of weights")));
        }
        weights.push((name.into(), values.value(row)));
    }
    Ok(())
}

fn read(batch: &RecordBatch, by: &[String], size: &str, sizes: &mut Vec<Size>) -> Result<()> {
    let text = |i: usize| Ok::<_, Error>(cast(batch.column(i), &DataType::Utf8View)?);
    let kinds = text(0)?;
    let groups: Vec<ArrayRef> = (0..by.len()).map(|i| text(4 + i)).collect::<Result<_>>()?;
    let available = cast(batch.column(1), &DataType::Float64)
        .map_err(|_| Error::usage(format!("column `{size}` holds no numbers")))?;
    let number = |i: usize| Ok::<_, Error>(cast(batch.column(i), &DataType::Float64)?);
    let (repeats, weight) = (number(2)?, number(3)?);
    let named = [("kind", &kinds), (size, &available)];
    let nulls = named.into_iter().chain(by.iter().map(String::as_str).zip(&groups));
    for (name, column) in nulls {
        if column.null_count() > 0 {
            return Err(Error::usage(format!("a group of the sizes has a null `{name}`"))
                .hint_with(format!("leave such rows out: `WHERE {name} IS NOT NULL`")));
        }
    }
    let kinds = kinds.as_string_view();
    let exact = cast(batch.column(1), &DataType::UInt64).ok();
    let exact = exact.as_ref().map(|column| column.as_primitive::<UInt64Type>());
    let available = available.as_primitive::<Float64Type>();
    let (repeats, weight) =
        (repeats.as_primitive::<Float64Type>(), weight.as_primitive::<Float64Type>());
    for row in 0..batch.num_rows() {
        let group: Vec<String> =
            groups.iter().map(|g| g.as_string_view().value(row).to_string()).collect();
        let name = group.join("/");
        let amount = available.value(row);
        if !(amount.is_finite() && amount >= 0.0) {
            return Err(Error::usage(format!(
                "`{size}` of `{name}` is {amount}; expected a number from 0"
            )));
        }
        let times = if repeats.is_null(row) { f64::NAN } else { repeats.value(row) };
        if !(times.is_finite() && times >= 0.0) {
            return Err(Error::usage(format!(
                "`{name}` counts {times} times; `upsample` expects a number from 0"
            )));
        }
        let exact = exact.filter(|column| column.is_valid(row)).map(|column| column.value(row));
        sizes.push(Size {
            kind: kinds.value(row).into(),
            group,
            available: exact.unwrap_or(amount as u64),
            repeats: times,
            weight: weight.is_valid(row).then(|| weight.value(row)),
        });
    }
    Ok(())
}

fn schema(by: &[String], kind: bool) -> SchemaRef {
    let field = |name: &str, ty| Field::new(name, ty, false);
    let kind = kind.then(|| field("kind", DataType::Utf8));
    let groups = by.iter().map(|name| field(name, DataType::Utf8));
    Arc::new(Schema::new(
        kind.into_iter()
            .chain(groups)
            .chain([
                field("available", DataType::UInt64),
                field("weight", DataType::Float64),
                field("target", DataType::UInt64),
                field("epochs", DataType::Float64),
                Field::new("first_repeat", DataType::UInt64, true),
                field("shortfall", DataType::UInt64),
            ])
            .collect::<Vec<_>>(),
    ))
}

fn batch(rows: &[PlanRow], schema: &SchemaRef, kind: bool) -> Result<RecordBatch> {
    let uint = |of: fn(&PlanRow) -> u64| {
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let float = |of: fn(&PlanRow) -> f64| {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let text = |of: &dyn Fn(&PlanRow) -> String| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    let mut columns: Vec<ArrayRef> = Vec::new();
    columns.extend(kind.then(|| text(&|r| r.kind.clone())));
    let groups = schema.fields().len() - columns.len() - 6;
    columns.extend((0..groups).map(|i| text(&|r| r.group[i].clone())));
    columns.extend([
        uint(|r| r.available),
        float(|r| r.weight),
        uint(|r| r.target),
        float(|r| r.epochs),
        Arc::new(rows.iter().map(|r| r.first_repeat).collect::<UInt64Array>()) as ArrayRef,
        uint(|r| r.shortfall),
    ]);
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
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
    #[test]
    fn groups_levels_and_weights_come_from_tables() {
        let dir = tempfile::tempdir().unwrap();
        let mut session = session(dir.path());
        let cells = "lang,source,chars,repeats\nisl_Latn,web,60,1\nisl_Latn,wiki,20,5\n\
                     isl_Latn,wiki,10,5\nyor_Latn,wiki,10,1\n";
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        session.add_file("cells", &write("cells.csv", cells)).unwrap();
        session
            .add_file("given", &write("given.csv", "lang,weight\nyor_Latn,3\nisl_Latn,1\n"))
            .unwrap();
        let doremi = "{\"train_domain_weights\": {\"yor_Latn\": 0.75, \"isl_Latn\": 0.25}}";
        session.add_file("doremi", &write("doremi.jsonl", doremi)).unwrap();
        let rows = |call: &str| {
            let text = pretty_format_batches(&session.query(call).unwrap()).unwrap().to_string();
            let rows = text.lines().skip(3).filter(|line| line.starts_with('|'));
            rows.map(|l| l.replace('|', " ").split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            rows(
                "SELECT * FROM mixture('cells', 'uniform', {by: 'lang, source', size: 'chars', \
                  within: 'proportional', budget: 600})"
            ),
            [
                "isl_Latn web 60 0.3333333333333333 200 3.3333333333333335 180 0",
                "isl_Latn wiki 30 0.16666666666666666 100 3.3333333333333335 180 0",
                "yor_Latn wiki 10 0.5 300 30.0 20 0",
            ]
        );
        for weights in ["'given'", "{yor_Latn: 0.75, isl_Latn: 0.25}", "'doremi'"] {
            let call = format!(
                "SELECT lang, target FROM mixture('cells', 'fixed', {{size: 'chars', budget: 100, \
                 weights: {weights}}})"
            );
            assert_eq!(rows(&call), ["isl_Latn 25", "yor_Latn 75"], "{weights}");
        }
        assert_eq!(
            rows(
                "SELECT source, repeats, target FROM mixture('cells', 'proportional', {size: \
                  'chars', by: 'source, repeats', upsample: 'repeats', budget: 2200})"
            ),
            ["web 1 600", "wiki 1 100", "wiki 5 1500"]
        );
        assert_eq!(
            rows(
                "SELECT lang, target FROM mixture('cells', 'proportional', {size: 'chars', \
                  budget: 1000, min_share: {yor_Latn: 0.2}})"
            ),
            ["isl_Latn 800", "yor_Latn 200"]
        );
        let error = |call: &str| session.query(&format!("SELECT * FROM {call}")).unwrap_err();
        let unknown = error("mixture('cells', 'fixed', {size: 'chars', weights: {isl_Latm: 1}})");
        assert!(unknown.to_string().contains("unknown group `isl_Latm`"), "{unknown}");
        assert_eq!(unknown.hint(), Some("did you mean `isl_Latn`?"));
        let column = error("mixture('cells', 'uniform', {size: 'char'})");
        assert!(column.to_string().contains("unknown column `char`"), "{column}");
        let text = error("mixture('cells', 'uniform', {size: 'source'})");
        assert!(text.to_string().contains("unknown column of numbers `source`"), "{text}");
        let within = error("mixture('cells', 'uniform', {size: 'chars', within: 'uniform'})");
        assert!(within.to_string().contains("`within` divides by a second column"), "{within}");
        let budget = error("mixture('cells', 'uniform', {size: 'chars', budget: 0})");
        assert!(budget.to_string().contains("`budget` is 0"), "{budget}");
    }
}
