//! `\\d` and `\\d NAME`, in the prompt of `hexapla sql` and with `-c`: what can be asked.

use std::path::Path;

use arrow::datatypes::{DataType, FieldRef};
use comfy_table::ContentArrangement;
use hexapla::error::Result;
use hexapla::schema;
use hexapla::sql::Session;
use serde_json::json;

use crate::table::plain;
use crate::ui::Ui;

/// Answers a query that is such a command; `false` when it is none.
pub fn answer(session: &Session, query: &str, width: Option<u16>, ui: &Ui) -> Result<bool> {
    let Some(rest) = query.trim().strip_prefix("\\d") else { return Ok(false) };
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return Ok(false);
    }
    let name = rest.trim().trim_end_matches(';').trim_matches(['"', '\'']);
    match (name, ui.json()) {
        ("", true) => ui.object(&json!({ "tables": session.tables() }))?,
        ("", false) => ui.out(format!("{}\n", session.tables().join("\n")))?,
        _ => table(session, name, width, ui)?,
    }
    Ok(true)
}

/// The columns of a table with their types and, where hexapla knows them, their meaning.
fn table(session: &Session, name: &str, width: Option<u16>, ui: &Ui) -> Result<()> {
    let columns = match session.table_schema(name) {
        Err(_) if Path::new(name).exists() => {
            session.schema(&format!("SELECT * FROM '{}'", name.replace('\'', "''")))?
        }
        found => found?,
    };
    // `mix.main` is one of the tables `mix`, and what a query drops has the query's columns.
    let kind = name.split_once('.').map_or(name, |(kind, _)| kind);
    let known = schema::table(kind.strip_suffix("_dropped").unwrap_or(kind));
    let meaning = |column: &str| {
        let field = known.and_then(|t| t.fields.iter().find(|f| f.name == column));
        field.map(|f| f.doc.as_str()).unwrap_or_default()
    };
    let mut rows = Vec::new();
    for field in columns.fields() {
        let (name, doc) = (field.name(), meaning(field.name()));
        match schema::narrow(field.data_type()) {
            // A struct's type is long; its fields are what a query asks for.
            DataType::Struct(fields) => {
                rows.push((name.clone(), "Struct".to_string(), doc));
                let of =
                    |f: &FieldRef| (format!("{name}.{}", f.name()), f.data_type().to_string(), "");
                rows.extend(fields.iter().map(of));
            }
            ty => rows.push((name.clone(), ty.to_string(), doc)),
        }
    }
    let doc = known.map(|t| t.doc.as_str()).unwrap_or_default();
    if ui.json() {
        let columns = rows.iter().map(|(n, t, d)| json!({ "name": n, "type": t, "doc": d }));
        let columns: Vec<_> = columns.collect();
        return ui.object(&json!({ "table": name, "doc": doc, "columns": columns }));
    }
    let mut table = plain();
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(["column", "type", "what it holds"]);
    for (name, ty, doc) in rows {
        table.add_row([name.as_str(), ty.as_str(), doc]);
    }
    let doc = if doc.is_empty() { String::new() } else { format!("{doc}\n") };
    ui.out(format!("{doc}{table}\n"))
}
