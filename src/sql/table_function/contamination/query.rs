//! The queries that a call reads: the texts of the training table, and each evaluation set.
//!
//! Whatever the tables, the columns are the same: `doc_id, lang, text_0, …` of the training table,
//! `eval_id, benchmark, lang, split, text_0, …` of an evaluation set, less what it has not. They
//! are plain columns of one table each, so that the rows of a file stay in their order.

use arrow::datatypes::{DataType, Schema};

use crate::error::{Error, Result};
use crate::sql::table_function::{Named, quoted};

/// Columns of text that are no text to look for, where the texts are not named.
const ABOUT: &[&str] = &[
    "id",
    "doc_id",
    "eval_id",
    "source_id",
    "index_id",
    "lang",
    "language",
    "src_lang",
    "tgt_lang",
    "source",
    "benchmark",
    "split",
    "label",
    "labels",
    "category",
    "subject",
    "answer",
    "target",
    "url",
    "meta",
    "source_path",
];

/// A query, and the columns that its texts come from.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    pub sql: String,
    pub columns: Vec<String>,
}

/// The query for the training table: its own texts, or those of `documents` (of a table whose name
/// begins with `pairs`: both sides of `pairs`) with the same `doc_id` when it has none.
pub(super) fn training(table: &Named, measured: bool) -> Result<Texts> {
    table.require(&["doc_id"])?;
    let schema = table.schema();
    let has = |column: &str| schema.column_with_name(column).is_some();
    let own = match (has("lang"), has("detected")) {
        (true, true) => Some("coalesce(t.lang, t.detected['lang'])"),
        (true, false) => Some("t.lang"),
        (false, true) => Some("t.detected['lang']"),
        (false, false) => None,
    };
    let none = "CAST(NULL AS VARCHAR)";
    let both = "concat(d.src_lang, '-', d.tgt_lang)";
    let joined = " LEFT JOIN documents AS d ON t.doc_id = d.doc_id";
    let (columns, lang, from): (&[&str], _, String) = if has("src") && has("tgt") {
        let tagged = has("src_lang") && has("tgt_lang");
        let lang = if tagged { "concat(t.src_lang, '-', t.tgt_lang)" } else { none };
        (&["t.src", "t.tgt"], lang, String::new())
    } else if has("text") && has("text_pair") {
        (&["t.text", "t.text_pair"], own.unwrap_or(none), String::new())
    } else if has("text") {
        (&["t.text"], own.unwrap_or(none), String::new())
    } else if table.name.starts_with("pairs") {
        let from = " LEFT JOIN pairs AS d ON t.doc_id = d.doc_id";
        (&["d.src", "d.tgt"], both, from.into())
    } else if measured && own.is_none() {
        let from = format!("{joined} LEFT JOIN measured AS m ON t.doc_id = m.doc_id");
        (&["d.text"], "coalesce(d.lang, m.detected['lang'])", from)
    } else {
        (&["d.text"], own.unwrap_or("d.lang"), joined.into())
    };
    let texts = columns.iter().enumerate().map(|(i, column)| format!("{column} AS text_{i}"));
    let sql = format!(
        "SELECT t.doc_id AS doc_id, {lang} AS lang, {} FROM {} AS t{from}",
        texts.collect::<Vec<_>>().join(", "),
        table.sql
    );
    Ok(Texts { sql, columns: columns.iter().map(|column| column[2..].to_string()).collect() })
}

/// The query for an evaluation set. Its texts are the columns that are asked for; else `text` and
/// `text_pair`; else `src` and `tgt`; else all text columns but those that are known to be about
/// the row. A file has its rows numbered, a table of the project its own ids.
pub(super) fn evaluation(
    table: &Named,
    schema: &Schema,
    asked: &[String],
    file: bool,
    corpus: bool,
) -> Result<Texts> {
    let texts: Vec<&str> = schema
        .fields()
        .iter()
        .filter(|field| is_text(field.data_type()))
        .map(|field| field.name().as_str())
        .collect();
    let has = |column: &&str| texts.contains(column);
    let known: Vec<&str> =
        [&["text", "text_pair"][..], &["src", "tgt"]].concat().into_iter().filter(has).collect();
    let columns: Vec<&str> = if !asked.is_empty() {
        for column in asked {
            if !texts.contains(&column.as_str()) {
                let error = Error::unknown("text column", column, texts.iter().copied());
                return Err(error.within(&table.name));
            }
        }
        asked.iter().map(String::as_str).collect()
    } else if has(&"text") {
        known.into_iter().filter(|column| column.starts_with("text")).collect()
    } else if has(&"src") && has(&"tgt") {
        vec!["src", "tgt"]
    } else {
        texts.iter().copied().filter(|column| !ABOUT.contains(column)).collect()
    };
    if columns.is_empty() {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let error = Error::usage(format!("{}: no column of texts to look for", table.name));
        return Err(error.hint_with(format!(
            "its columns are {}; name those with texts: {{columns: 'question, context'}}",
            names.join(", ")
        )));
    }
    let mut select = Vec::new();
    if !file && schema.column_with_name("doc_id").is_some() {
        select.push("doc_id AS eval_id".to_string());
    }
    // What a corpus format is read into has a `source` that nobody gave it.
    let about = [
        ("benchmark", &["benchmark", "source"][..], !corpus),
        ("lang", &["lang", "language"], true),
        ("split", &["split"], true),
    ];
    for (name, from, wanted) in about {
        if let Some(column) = from.iter().find(|c| wanted && has(c)) {
            select.push(format!("{} AS {name}", quoted(column)));
        }
    }
    let texts = columns.iter().enumerate();
    select.extend(texts.map(|(i, column)| format!("{} AS text_{i}", quoted(column))));
    let sql = format!("SELECT {} FROM {}", select.join(", "), table.sql);
    Ok(Texts { sql, columns: columns.iter().map(ToString::to_string).collect() })
}

fn is_text(ty: &DataType) -> bool {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
