//! `hexapla why`: the rule that dropped a row, whose duplicate it is, which evaluation item it holds.

use std::io::IsTerminal;
use std::process::ExitCode;

use hexapla::dedup::diff::Change;
use hexapla::error::Result;
use hexapla::project::why::{self, Cluster, Item, NAMED, Rule, Why};
use serde_json::{Value, json};

use crate::show::{escaped, parse_id};
use crate::table;
use crate::ui::Ui;

/// Tell why a row was dropped, or whose duplicate it is
#[derive(clap::Args)]
pub struct Args {
    /// A table of the project, or the folder of a table
    table: String,
    /// The row's `doc_id`
    id: String,
    #[command(flatten)]
    project: crate::args::ProjectArgs,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let id = parse_id(&args.id)?;
    let found = why::why(&args.project.project, &args.table, id)?;
    if ui.json() {
        ui.object(&object(&found, id)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    ui.out(words(&found, id, colour))?;
    Ok(ExitCode::SUCCESS)
}

fn object(found: &Why, id: u64) -> Result<Value> {
    let change = |change: &Change| match change {
        Change::Same(text) => json!({ "same": text }),
        Change::Omitted(words) => json!({ "omitted": words }),
        Change::Removed(text) => json!({ "removed": text }),
        Change::Added(text) => json!({ "added": text }),
    };
    let rule = found.rule.as_ref().map(|rule| {
        let measures: serde_json::Map<String, Value> =
            rule.measures.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({ "query": rule.query, "rule": rule.rule, "measures": measures })
    });
    let cluster = found.cluster.as_ref().map(|cluster| {
        let changes: Vec<Value> = cluster
            .changes
            .iter()
            .map(|(column, changes)| {
                json!({ "column": column, "changes": changes.iter().map(change).collect::<Vec<_>>() })
            })
            .collect();
        json!({
            "cluster_id": cluster.id,
            "cluster_size": cluster.size,
            "kept_id": cluster.kept,
            "similarity": cluster.similarity,
            "others": cluster.others,
            "survivors": cluster.survivors,
            "changes": changes,
        })
    });
    let items: Vec<Value> = found
        .items
        .iter()
        .map(|item| {
            json!({
                "benchmark": item.benchmark,
                "eval_id": item.eval_id,
                "eval_column": item.eval_column,
                "containment": item.containment,
                "column": item.column,
                "start": item.start,
                "match": item.text,
                "item": item.item,
            })
        })
        .collect();
    Ok(json!({
        "doc_id": id,
        "table": found.table,
        "rows": table::values(std::slice::from_ref(&found.rows))?,
        "reason": found.reason,
        "rule": rule,
        "cluster": cluster,
        "items": items,
    }))
}

fn words(found: &Why, id: u64, colour: bool) -> String {
    let mut out = format!("row {id} stands in {}\n", found.table);
    if let Some(reason) = &found.reason {
        out.push_str(&format!("reason: {}\n", escaped(reason)));
    }
    if let Some(rule) = &found.rule {
        out.push_str(&of_rule(rule));
    }
    if let Some(cluster) = &found.cluster {
        out.push_str(&of_cluster(cluster, id, colour));
    }
    for item in &found.items {
        out.push_str(&of_item(item));
    }
    if found.reason.is_none() && found.cluster.is_none() && found.items.is_empty() {
        out.push_str("no rule dropped it\n");
    }
    out
}

fn of_rule(rule: &Rule) -> String {
    let mut out = format!("rule: {} (query `{}`)\n", escaped(&rule.rule), rule.query);
    for (name, value) in &rule.measures {
        out.push_str(&format!("  {name}: {}\n", escaped(value)));
    }
    out
}

fn of_cluster(cluster: &Cluster, id: u64, colour: bool) -> String {
    if cluster.size < 2 {
        return "cluster: it has no duplicate\n".into();
    }
    let mut out = format!("cluster: {} of {} rows\n", cluster.id, cluster.size);
    if cluster.kept == id {
        out.push_str("kept: this row\n");
    } else {
        out.push_str(&format!("kept: {}\n", cluster.kept));
        if let Some(similarity) = cluster.similarity {
            out.push_str(&format!("similarity: {similarity:.3}\n"));
        }
    }
    let other = |id: &u64| match cluster.survivors.contains(id) {
        true => format!("{id} (kept)"),
        false => id.to_string(),
    };
    let others: Vec<String> = cluster.others.iter().map(other).collect();
    let more = if cluster.size as usize > NAMED + 1 { ", …" } else { "" };
    out.push_str(&format!("others: {}{more}\n", others.join(", ")));
    for (column, changes) in &cluster.changes {
        let same = changes.iter().all(|c| matches!(c, Change::Same(_) | Change::Omitted(_)));
        let difference = match same {
            true => "the same".into(),
            false => difference(changes, colour),
        };
        out.push_str(&format!("{column}, from the kept row to this one:\n  {difference}\n"));
    }
    out
}

/// The changes as `wdiff` writes them, in colours on a terminal.
fn difference(changes: &[Change], colour: bool) -> String {
    let (removed, added, plain) = match colour {
        true => (("\x1b[31m", ""), ("\x1b[32m", ""), "\x1b[0m"),
        false => (("[-", "-]"), ("{+", "+}"), ""),
    };
    let mut out = String::new();
    for change in changes {
        // Space after the last word stays outside of the brackets.
        let mut put = |text: &str, (open, close): (&str, &str), plain: &str| {
            let text = escaped(text);
            let inner = text.trim_end();
            let (inner, space) =
                if inner.is_empty() { (&text[..], "") } else { (inner, &text[inner.len()..]) };
            out.push_str(&format!("{open}{inner}{close}{plain}{space}"));
        };
        match change {
            Change::Same(text) => put(text, ("", ""), ""),
            Change::Omitted(words) => put(&format!("… {words} words … "), ("", ""), ""),
            Change::Removed(text) => put(text, removed, plain),
            Change::Added(text) => put(text, added, plain),
        }
    }
    out.trim_end().replace('\n', "\n  ")
}

fn of_item(item: &Item) -> String {
    let mut out = format!(
        "item: {} {} `{}`, containment {:.3}\n  {} from {}: {}\n",
        escaped(&item.benchmark),
        item.eval_id,
        escaped(&item.eval_column),
        item.containment,
        item.column,
        item.start,
        escaped(&item.text).replace('\n', "\n  ")
    );
    if let Some(text) = &item.item {
        out.push_str(&format!("  the item: {}\n", escaped(text).replace('\n', "\n  ")));
    }
    out
}
