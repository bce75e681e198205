//! The query that gives the texts of a table: `doc_id, text, within, order0, order1, …`.
//!
//! Whatever the table, the columns are the same; what was not asked for is null.

use crate::error::{Error, Result};
use crate::sql::table_function::{Named, order, quoted};

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
    ranks.resize(order::RANKS, "CAST(NULL AS DOUBLE)".into());
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
    let one = |(column, ascending): (String, bool)| {
        table.require(&[column.as_str()])?;
        let schema = table.schema();
        let field = schema.column_with_name(&column);
        if !field.is_some_and(|(_, f)| f.data_type().is_numeric()) {
            let message = "expected numeric columns with `asc` or `desc`, not";
            return Err(Error::usage(format!("option `order` is `{order}`; {message} `{column}`"))
                .hint_with("write `{order: 'score desc, length asc'}`"));
        }
        let sign = if ascending { "-" } else { "" };
        Ok(format!("{sign}CAST(t.{} AS DOUBLE)", quoted(&column)))
    };
    order::parse(order)?.into_iter().map(one).collect()
}
