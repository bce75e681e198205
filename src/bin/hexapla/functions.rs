//! `hexapla functions`: what can be called in SQL, with examples.

use std::process::ExitCode;

use hexapla::error::{Error, Result};
use hexapla::function::Signature;
use hexapla::sql::{functions, table_functions, usage};
use hexapla::token;
use serde_json::json;

use crate::ui::Ui;

/// List the SQL functions, or explain one
#[derive(clap::Args)]
pub struct Args {
    /// A function's name
    name: Option<String>,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    // The tokenizers' own are the same whichever tokenizers a project has.
    let tokens = token::functions::kernels(&Default::default());
    let all: Vec<&Signature> = functions::all()
        .map(|f| &f.signature)
        .chain(tokens.iter().map(|k| k.signature()))
        .collect();
    let chosen: Vec<&Signature> = match &args.name {
        None => all,
        Some(name) => match all.iter().find(|s| s.name == name) {
            Some(found) => vec![*found],
            None => return Err(Error::unknown("function", name, all.iter().map(|s| s.name))),
        },
    };
    if ui.json() {
        let list: Vec<_> = chosen
            .iter()
            .map(|s| {
                json!({
                    "name": s.name,
                    "family": s.family.name(),
                    "call": usage(s),
                    "returns": (s.returns)().to_string(),
                    "doc": s.doc,
                    "examples": s.examples.iter()
                        .map(|(sql, value)| json!({ "sql": sql, "value": value }))
                        .collect::<Vec<_>>(),
                    "version": s.version,
                })
            })
            .collect();
        ui.object(&json!({ "functions": list }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = String::new();
    if args.name.is_some() {
        for s in chosen {
            out.push_str(&format!("{}\n\n{}\n", usage(s), s.doc));
            for arg in s.args {
                if let Some(default) = arg.default {
                    out.push_str(&format!("  {}: when left out, {default}\n", arg.name));
                }
            }
            out.push_str(&format!("  gives {}\n", (s.returns)()));
            for (sql, value) in s.examples {
                out.push_str(&format!("\n  {sql}\n  → {value}\n"));
            }
        }
    } else {
        let mut family = "";
        for s in chosen {
            if s.family.name() != family {
                family = s.family.name();
                out.push_str(&format!("{family}\n"));
            }
            let first = s.doc.split_once(". ").map_or(s.doc, |(first, _)| first);
            out.push_str(&format!("  {:<52} {}\n", usage(s), first.trim_end_matches('.')));
        }
        out.push_str("table functions\n");
        for f in table_functions() {
            let first = f.doc.split_once(". ").map_or(f.doc, |(first, _)| first);
            out.push_str(&format!("  {:<52} {}\n", f.usage, first.trim_end_matches('.')));
        }
    }
    ui.out(out)?;
    Ok(ExitCode::SUCCESS)
}
