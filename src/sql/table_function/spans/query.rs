//! The query that gives the texts of a table: `doc_id, text, within, order0, order1, …`.
//!
//! Whatever the table, the columns are the same; what was not asked for is null.

use super::documents::ORDERS;
use crate::error::{Error, Result};
use crate::sql::table_function::Named;

/// The query for a table, a column of text, one whose values are kept apart, and an order such as
/// `score desc, length asc`. A table without that text has the one of `documents`.
pub(crate) fn texts(
    table: &Named,
    column: &str,
    within: Option<&str>,
    order: Option<&str>,
) -> Result<String> {
    table.require(&["doc_id"])?;
    let own = table.schema().column_with_name(column).is_some();
    let (text, from) = match own {
        true => (format!("t.{}", quoted(column)), ""),
        false if column == "text" => {
            ("d.text".to_string(), " LEFT JOIN documents AS d ON t.doc_id = d.doc_id")
        }
        false => return table.require(&[column]).map(|()| String::new()),
    };
    let within = match within {
        Some(within) => {
            table.require(&[within])?;
            format!("CAST(t.{} AS VARCHAR)", quoted(within))
        }
        None => "CAST(NULL AS VARCHAR)".into(),
    };
    let mut ranks = ranks(table, order.unwrap_or_default())?;
    ranks.resize(ORDERS, "CAST(NULL AS DOUBLE)".into());
    let ranks: Vec<String> =
        ranks.iter().enumerate().map(|(i, rank)| format!("{rank} AS order{i}")).collect();
    Ok(format!(
        "SELECT t.doc_id AS doc_id, {text} AS text, {within} AS within, {} FROM {} AS t{from}",
        ranks.join(", "),
        table.sql
    ))
}

/// The columns of an order as numbers of which the largest comes first.
fn ranks(table: &Named, order: &str) -> Result<Vec<String>> {
    let wrong = |what: String| {
        Error::usage(format!("option `order` is `{order}`; expected {what}"))
            .hint_with("write `{order: 'score desc, length asc'}`")
    };
    let mut ranks = Vec::new();
    for part in order.split(',').map(str::trim).filter(|_| !order.trim().is_empty()) {
        let mut words = part.split_whitespace();
        let (column, direction) =
            (words.next().unwrap_or_default(), words.next().unwrap_or("desc"));
        let sign = match direction.to_ascii_lowercase().as_str() {
            "asc" => "-",
            "desc" => "",
            other => return Err(Error::unknown("direction", other, ["asc", "desc"])),
        };
        table.require(&[column])?;
        let schema = table.schema();
        let field = schema.column_with_name(column);
        if words.next().is_some() || !field.is_some_and(|(_, f)| f.data_type().is_numeric()) {
            return Err(wrong(format!("numeric columns with `asc` or `desc`, not `{part}`")));
        }
        ranks.push(format!("{sign}CAST(t.{} AS DOUBLE)", quoted(column)));
    }
    if ranks.len() > ORDERS {
        return Err(wrong(format!("at most {ORDERS} columns")));
    }
    Ok(ranks)
}

fn quoted(column: &str) -> String {
    format!("\"{}\"", column.replace('"', "\"\""))
}
