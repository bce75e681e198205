//! The query that gives the texts of a table: `doc_id, text, second, lang, rank`.
//!
//! Whatever the table, the columns are the same; what it has not is null.

use crate::error::{Error, Result};
use crate::sql::table_function::Named;

const NONE: &str = "CAST(NULL AS VARCHAR)";

/// The query for a table and an order such as `score desc`.
///
/// Texts are the table's own, or those of `documents` with the same `doc_id` when it has none; of a
/// table whose name begins with `pairs`, both sides of `pairs`. The language is the declared one,
/// else the one detected, of the table itself or of `documents` and (when it is there) `measured`.
pub(super) fn texts(table: &Named, order: Option<&str>, measured: bool) -> Result<String> {
    table.require(&["doc_id"])?;
    let schema = table.schema();
    let has = |column: &str| schema.column_with_name(column).is_some();
    let own = match (has("lang"), has("detected")) {
        (true, true) => Some("coalesce(t.lang, t.detected['lang'])"),
        (true, false) => Some("t.lang"),
        (false, true) => Some("t.detected['lang']"),
        (false, false) => None,
    };
    let (text, second, lang, from) = if has("src") && has("tgt") {
        let tagged = has("src_lang") && has("tgt_lang");
        let lang = if tagged { "concat(t.src_lang, '-', t.tgt_lang)" } else { NONE };
        ("t.src", "t.tgt", lang, "")
    } else if has("text") {
        let second = if has("text_pair") { "t.text_pair" } else { NONE };
        ("t.text", second, own.unwrap_or(NONE), "")
    } else if table.name.starts_with("pairs") {
        let from = " LEFT JOIN pairs AS d ON t.doc_id = d.doc_id";
        ("d.src", "d.tgt", "concat(d.src_lang, '-', d.tgt_lang)", from)
    } else if measured && own.is_none() {
        let from = " LEFT JOIN documents AS d ON t.doc_id = d.doc_id \
                    LEFT JOIN measured AS m ON t.doc_id = m.doc_id";
        ("d.text", NONE, "coalesce(d.lang, m.detected['lang'])", from)
    } else {
        let from = " LEFT JOIN documents AS d ON t.doc_id = d.doc_id";
        ("d.text", NONE, own.unwrap_or("d.lang"), from)
    };
    let rank = match order {
        Some(order) => rank(table, order)?,
        None => "CAST(NULL AS DOUBLE)".into(),
    };
    Ok(format!(
        "SELECT t.doc_id AS doc_id, {text} AS text, {second} AS second, {lang} AS lang, \
         {rank} AS rank FROM {} AS t{from}",
        table.sql
    ))
}

/// The order as a number of which the largest comes first.
fn rank(table: &Named, order: &str) -> Result<String> {
    let mut words = order.split_whitespace();
    let (column, direction) = (words.next().unwrap_or_default(), words.next().unwrap_or("desc"));
    let sign = match direction.to_ascii_lowercase().as_str() {
        "asc" => "-",
        "desc" => "",
        other => return Err(Error::unknown("direction", other, ["asc", "desc"])),
    };
    table.require(&[column])?;
    let schema = table.schema();
    let numeric = schema.column_with_name(column).is_some_and(|(_, f)| f.data_type().is_numeric());
    if !numeric || words.next().is_some() {
        return Err(Error::usage(format!(
            "option `order` is `{order}`; expected a numeric column"
        ))
        .hint_with("write `{order: 'score desc'}`"));
    }
    Ok(format!("{sign}CAST(t.\"{}\" AS DOUBLE)", column.replace('"', "\"\"")))
}
