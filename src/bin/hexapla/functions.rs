//! `hexapla functions`: what can be called in SQL, with examples.

use std::process::ExitCode;

use hexapla::error::{Error, Result};
use hexapla::function::Signature;
use hexapla::sql::{TableFunction, functions, table_functions, usage};
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
        Some(name) => all.iter().copied().filter(|s| s.name == name).collect(),
    };
    let tables: Vec<&TableFunction> =
        table_functions().filter(|f| args.name.as_deref().is_none_or(|n| n == f.name)).collect();
    if let (Some(name), true) = (&args.name, chosen.is_empty() && tables.is_empty()) {
        let names = functions::all().map(|f| f.signature.name);
        let names = names.chain(tokens.iter().map(|k| k.signature().name));
        let names = names.chain(table_functions().map(|f| f.name));
        return Err(Error::unknown("function", name, names));
    }
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
        let tables: Vec<_> = tables
            .iter()
            .map(|f| {
                json!({
                    "name": f.name,
                    "call": f.usage,
                    "doc": f.doc,
                    "options": f.options.iter()
                        .map(|(name, meaning)| json!({ "name": name, "meaning": meaning }))
                        .collect::<Vec<_>>(),
                    "example": f.example,
                    "version": f.version,
                })
            })
            .collect();
        ui.object(&json!({ "functions": list, "table_functions": tables }))?;
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
        for f in tables {
            out.push_str(&format!("{}\n\n{}\n", f.usage, f.doc));
            for (name, meaning) in f.options {
                out.push_str(&format!("  {name}: {meaning}\n"));
            }
            out.push_str(&format!("\n  {}\n", f.example));
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
        for f in tables {
            let first = f.doc.split_once(". ").map_or(f.doc, |(first, _)| first);
            out.push_str(&format!("  {:<52} {}\n", f.usage, first.trim_end_matches('.')));
        }
    }
    ui.out(out)?;
    Ok(ExitCode::SUCCESS)
}
