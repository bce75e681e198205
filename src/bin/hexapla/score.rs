//! `hexapla score`: metrics over hypotheses and references, language by language.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use comfy_table::{Cell as Field, CellAlignment, ContentArrangement};
use hexapla::error::{Error, Result};
use hexapla::eval::metric::resample::{Interval, Resampling};
use hexapla::eval::metric::table::{Line, Request, Row, Test, table};
use hexapla::eval::metric::{self, Cell, Item, METRICS, Scale};
use serde_json::{Value, json};

use crate::sql::TableArgs;
use crate::ui::Ui;

/// Score hypotheses against references with BLEU, chrF, F1 and others
#[derive(clap::Args)]
pub struct Args {
    /// Metrics, such as `bleu`, `chrf++`, `bleu:tokenize=zh`, `hits@5`; without any they are listed
    metrics: Vec<String>,
    /// The rows: columns `hypothesis`, `reference` (and `reference2`, …, or a list), `lang`
    #[arg(short, long, value_name = "QUERY", conflicts_with = "file")]
    command: Option<String>,
    /// A file with the query
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Hold a second system, the hypotheses in this column, against the first
    #[arg(long, value_name = "COLUMN")]
    compare: Option<String>,
    /// The paired test of a comparison
    #[arg(long, value_enum, default_value = "bootstrap")]
    test: TestName,
    /// Bootstrap samples of the 95 % intervals; 0 for none
    #[arg(long, default_value_t = 1000, value_name = "N")]
    samples: usize,
    /// Trials of the paired test; 1,000 for the bootstrap and 10,000 for the other when left out
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// The seed of both
    #[arg(long, default_value_t = 12345, value_name = "N")]
    seed: u64,
    /// Score each row by itself too (with --json)
    #[arg(long)]
    each: bool,
    #[command(flatten)]
    tables: TableArgs,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TestName {
    /// Both systems on the same bootstrap samples (Koehn 2004)
    Bootstrap,
    /// Rows change sides by a coin (Riezler and Maxwell 2005)
    Randomization,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    if args.metrics.is_empty() {
        return list(ui);
    }
    let mut metrics = Vec::new();
    for spec in &args.metrics {
        let (metric, options) = metric::find(spec)?;
        metrics.push((spec.clone(), metric, options));
    }
    let query = match (&args.command, &args.file) {
        (Some(query), _) => query.clone(),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?,
        (None, None) => {
            return Err(Error::usage("no query tells which rows to score")
                .hint_with("write `-c \"SELECT hypothesis, reference, lang FROM 'file.tsv'\"`"));
        }
    };
    let test = match args.test {
        TestName::Bootstrap => Test::Bootstrap,
        TestName::Randomization => Test::Randomization,
    };
    let request = Request {
        resampling: Resampling { samples: args.samples, seed: args.seed },
        test,
        trials: args.trials.unwrap_or(if test == Test::Bootstrap { 1_000 } else { 10_000 }),
        each: args.each && ui.json(),
    };
    let batches = crate::sql::session(&args.tables)?.query(&query)?;
    let rows = rows(&batches, args.compare.as_deref())?;
    let lines = table(&metrics, &rows, request)?;
    if ui.json() {
        let lines: Vec<Value> = lines.iter().map(object).collect();
        ui.object(&json!({ "score": lines, "seed": args.seed, "samples": args.samples }))?;
        return Ok(ExitCode::SUCCESS);
    }
    ui.out(format!("{}\n", screen(&lines, &metrics, args.compare.is_some())))?;
    for line in signatures(&lines) {
        ui.out(format!("{line}\n"))?;
    }
    for line in &lines {
        for warning in &line.warnings {
            let place =
                if line.lang.is_empty() { String::new() } else { format!(" in {}", line.lang) };
            ui.say(format!("warning: {}{place}: {warning}", line.metric));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All metrics, what they read and their options.
fn list(ui: &Ui) -> Result<ExitCode> {
    if ui.json() {
        let of = |m: &&metric::Metric| {
            let options = m.options.iter().map(
                |o| json!({ "name": o.name, "default": o.default, "valid": o.valid, "doc": o.doc }),
            );
            json!({
                "name": m.name, "doc": m.doc, "needs": m.needs.describe(),
                "options": options.collect::<Vec<_>>(),
            })
        };
        ui.object(&json!({ "metrics": METRICS.iter().map(of).collect::<Vec<_>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for metric in METRICS {
        ui.out(format!(
            "{}: {}\n    reads {}\n",
            metric.name,
            metric.doc,
            metric.needs.describe()
        ))?;
        for option in metric.options {
            ui.out(format!("    {}={}: {}\n", option.name, option.default, option.doc))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(batches: &[RecordBatch], compare: Option<&str>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let column = |name: &str| -> Result<&ArrayRef> {
            batch.column_by_name(name).ok_or_else(|| {
                Error::unknown("column", name, names.iter().copied())
                    .hint_with("name columns as in `SELECT text AS hypothesis, gold AS reference`")
            })
        };
        let hypotheses = cells(column("hypothesis")?)?;
        let others = compare.map(|name| cells(column(name)?)).transpose()?;
        let langs = batch.column_by_name("lang").map(cells).transpose()?;
        let mut references = Vec::new();
        for name in &names {
            if is_reference(name) {
                references.push(cells(column(name)?)?);
            }
        }
        if references.is_empty() {
            column("reference")?;
        }
        for i in 0..batch.num_rows() {
            let number = rows.len() + 1;
            let there = |cell: &Option<Cell>, what: &str| {
                cell.clone().ok_or_else(|| {
                    Error::usage(format!("row {number}: `{what}` is null")).hint_with(
                        "an answer that was not given is an empty text: `coalesce(x, '')`",
                    )
                })
            };
            rows.push(Row {
                lang: langs.as_ref().and_then(|l| l[i].as_ref()).map(|cell| match cell {
                    Cell::Text(text) => text.clone(),
                    Cell::List(list) => list.join(" "),
                }),
                item: Item {
                    hypothesis: there(&hypotheses[i], "hypothesis")?,
                    // A row may have fewer references than another.
                    references: references.iter().filter_map(|r| r[i].clone()).collect(),
                },
                other: others.as_ref().map(|o| there(&o[i], "the second system")).transpose()?,
            });
        }
    }
    Ok(rows)
}

fn is_reference(name: &str) -> bool {
    let number = name.strip_prefix("reference");
    number.is_some_and(|n| n.trim_start_matches('_').bytes().all(|b| b.is_ascii_digit()))
}

/// A column as texts, or as lists of them.
fn cells(column: &ArrayRef) -> Result<Vec<Option<Cell>>> {
    let texts = |array: &ArrayRef| -> Result<Vec<Option<String>>> {
        let array = cast(array, &DataType::Utf8)?;
        Ok(array.as_string::<i32>().iter().map(|text| text.map(String::from)).collect())
    };
    let is_list = matches!(
        column.data_type(),
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::ListView(_)
            | DataType::FixedSizeList(..)
    );
    if !is_list {
        return Ok(texts(column)?.into_iter().map(|text| text.map(Cell::Text)).collect());
    }
    let item = arrow::datatypes::Field::new("item", DataType::Utf8, true);
    let lists = cast(column, &DataType::List(item.into()))?;
    let lists = lists.as_list::<i32>();
    (0..lists.len())
        .map(|i| {
            if lists.is_null(i) {
                return Ok(None);
            }
            Ok(Some(Cell::List(texts(&lists.value(i))?.into_iter().flatten().collect())))
        })
        .collect()
}

fn object(line: &Line) -> Value {
    let interval = |i: Option<Interval>| i.map(|i| json!([i.low, i.high]));
    let mut value = json!({
        "metric": line.metric, "lang": line.lang, "rows": line.rows, "value": line.value,
        "interval": interval(line.interval), "signature": line.signature,
    });
    if let Some((other, found)) = &line.other {
        value["compared"] = json!({
            "value": other, "difference": found.difference, "p": found.p,
            "interval": interval(found.interval),
        });
    }
    if !line.warnings.is_empty() {
        value["warnings"] = json!(line.warnings);
    }
    if !line.each.is_empty() {
        value["each"] = json!(line.each);
    }
    value
}

fn screen(
    lines: &[Line],
    metrics: &[(String, &metric::Metric, metric::Options)],
    compared: bool,
) -> comfy_table::Table {
    let mut table = crate::table::plain();
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    let mut header = vec!["metric", "lang", "rows", "score", "95 % interval"];
    if compared {
        header.extend(["second", "difference", "p"]);
    }
    table.set_header(header);
    let right = |text: String| Field::new(text).set_alignment(CellAlignment::Right);
    for line in lines {
        let scale = metrics.iter().find(|m| m.0 == line.metric).map(|m| m.1.scale);
        let digits = if scale == Some(Scale::Hundred) { 2 } else { 4 };
        let number = |v: f64| format!("{v:.digits$}");
        let between = |i: Interval| format!("{} to {}", number(i.low), number(i.high));
        let mut row = vec![
            Field::new(&line.metric),
            Field::new(&line.lang),
            right(crate::ui::group(line.rows as u64)),
            right(number(line.value)),
            right(line.interval.map(between).unwrap_or_default()),
        ];
        if let Some((other, found)) = &line.other {
            row.push(right(number(*other)));
            row.push(right(format!("{:+.digits$}", found.difference)));
            row.push(right(if found.p.is_nan() {
                String::new()
            } else {
                format!("{:.4}", found.p)
            }));
        }
        table.add_row(row);
    }
    table
}

/// One line a signature, with the languages where it is not the same in all.
fn signatures(lines: &[Line]) -> Vec<String> {
    let mut found: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for line in lines.iter().filter(|l| !l.signature.starts_with("languages:")) {
        match found.iter_mut().find(|f| f.0 == line.metric && f.1 == line.signature) {
            Some(known) => known.2.push(&line.lang),
            None => found.push((&line.metric, &line.signature, vec![&line.lang])),
        }
    }
    let alone = |metric: &str| found.iter().filter(|f| f.0 == metric).count() == 1;
    found
        .iter()
        .map(|(metric, signature, langs)| match alone(metric) {
            true => format!("{metric}  {signature}"),
            false => format!("{metric}  {signature}  ({})", langs.join(", ")),
        })
        .collect()
}
