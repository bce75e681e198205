//! `hexapla mix`: the plan that a person decides from.

use std::fmt::Write;
use std::process::ExitCode;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use hexapla::error::Result;
use hexapla::project::build;
use serde_json::json;

use crate::args::BuildArgs;
use crate::table;
use crate::ui::Ui;

/// Show the plan of a mixture
#[derive(clap::Args)]
pub struct Args {
    /// The mixture's name; all when left out
    name: Option<String>,
    #[command(flatten)]
    build: BuildArgs,
}

pub fn run(mut args: Args, ui: &Ui) -> Result<ExitCode> {
    let project = crate::run::open(&args.build)?;
    let names: Vec<String> = args.name.iter().cloned().collect();
    let nodes = crate::run::nodes_of(&project, "mix.", &names)?;
    for node in &nodes {
        project.node(node)?;
    }
    let dry = std::mem::take(&mut args.build.dry_run);
    // A dry run measures what there is but writes no plan.
    let wanted = if dry { vec!["sized".to_string()] } else { nodes.clone() };
    crate::run::build(&project, &wanted, &args.build, ui)?;
    let mut plans = serde_json::Map::new();
    for (i, node) in nodes.iter().enumerate() {
        let name = node.trim_start_matches("mix.");
        let batch = build::mix_plan(&project, name)?;
        if ui.json() {
            plans.insert(name.into(), table::values(&[batch])?);
        } else {
            let gap = if i > 0 { "\n" } else { "" };
            ui.out(format!("{gap}{}", page(name, &project.mix(name)?.unit, &batch)?))?;
        }
    }
    if ui.json() {
        ui.object(&json!({ "mix": plans }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The plan as aligned columns, a block a stage, each with its sums.
fn page(name: &str, unit: &str, plan: &RecordBatch) -> Result<String> {
    let text = |column: &str| -> Result<Vec<String>> {
        let Some(column) = plan.column_by_name(column) else { return Ok(Vec::new()) };
        let column = cast(column, &DataType::Utf8)?;
        Ok(column.as_string::<i32>().iter().map(|v| v.unwrap_or_default().into()).collect())
    };
    let count = |column: &str| -> Result<Vec<Option<u64>>> {
        let Some(column) = plan.column_by_name(column) else { return Ok(Vec::new()) };
        let column = cast(column, &DataType::Int64)?;
        Ok(column.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| v as u64)).collect())
    };
    let number = |column: &str| -> Result<Vec<f64>> {
        let Some(column) = plan.column_by_name(column) else { return Ok(Vec::new()) };
        let column = cast(column, &DataType::Float64)?;
        Ok(column.as_primitive::<Float64Type>().values().to_vec())
    };
    let (stages, kinds, langs, parts) =
        (count("stage")?, text("kind")?, text("lang")?, text("part")?);
    let (available, target) = (count("available")?, count("target")?);
    let (first, shortfall) = (count("first_repeat")?, count("shortfall")?);
    let (weight, epochs) = (number("weight")?, number("epochs")?);

    let parted = parts.iter().any(|part| !part.is_empty());
    let mut head = vec!["kind", "language"];
    head.extend(parted.then_some("part"));
    let words = head.len();
    head.extend(["available", "share", "target", "epochs", "first repeat", "shortfall"]);
    let mut out = String::new();
    let last = stages.iter().flatten().max().copied().unwrap_or(0);
    let (mut planned, mut unspent) = (0, 0);
    for stage in 0..=last {
        let mut rows: Vec<Vec<String>> = vec![head.iter().map(|h| h.to_string()).collect()];
        let mut sums = [0u64; 3];
        for i in (0..plan.num_rows()).filter(|i| stages[*i] == Some(stage)) {
            let mut row = vec![kinds[i].clone(), langs[i].clone()];
            row.extend(parted.then(|| parts[i].clone()));
            let numbers = [available[i], target[i], shortfall[i]].map(|n| n.unwrap_or(0));
            sums.iter_mut().zip(numbers).for_each(|(sum, n)| *sum += n);
            row.push(grouped(numbers[0]));
            row.push(format!("{:.2} %", weight[i] * 100.0));
            row.push(grouped(numbers[1]));
            row.push(format!("{:.2}", epochs[i]));
            row.push(first[i].map_or("never".into(), grouped));
            row.push(grouped(numbers[2]));
            rows.push(row);
        }
        let mut all = vec!["all".to_string()];
        all.resize(words, String::new());
        let passes = if sums[0] > 0 { sums[1] as f64 / sums[0] as f64 } else { 0.0 };
        all.extend([grouped(sums[0]), "100.00 %".into(), grouped(sums[1])]);
        all.extend([format!("{passes:.2}"), String::new(), grouped(sums[2])]);
        rows.push(all);
        planned += sums[1];
        unspent += sums[2];
        let _ = writeln!(
            out,
            "{name}, stage {} of {}: {} {unit} planned, {} in all; {} unspent under the epoch cap",
            stage + 1,
            last + 1,
            grouped(sums[1]),
            grouped(planned),
            grouped(sums[2]),
        );
        align(&rows, words, &mut out);
    }
    if unspent > 0 {
        let _ = writeln!(
            out,
            "{} {unit} of the budget are not trained on: more `max_epochs`, or an earlier `until`",
            grouped(unspent)
        );
    }
    Ok(out.trim_end().into())
}

/// Rows in columns: the first `words` from the left, the others from the right.
fn align(rows: &[Vec<String>], words: usize, out: &mut String) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let gap = if i > 0 { "  " } else { "" };
            let fill = " ".repeat(widths[i] - cell.chars().count());
            let _ = match i < words {
                true => write!(line, "{gap}{cell}{fill}"),
                false => write!(line, "{gap}{fill}{cell}"),
            };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// A count with its thousands apart.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
