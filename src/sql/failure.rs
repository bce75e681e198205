//! DataFusion's errors in hexapla's words: one line that names the thing and the valid choices.
//!
//! Nothing else words an error about SQL; kernels and table functions return hexapla's own errors,
//! which pass through here unchanged.

use std::io::ErrorKind;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;

use super::files;
use crate::error::{Error, nearest};
use crate::store::mmap;

/// The names that an error may have to offer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Names {
    /// Tables as a query writes them.
    pub tables: Vec<String>,
    /// Tables that could be there.
    pub unbuilt: Vec<String>,
    /// Functions of all kinds.
    pub functions: Vec<String>,
    /// Table functions.
    pub table_functions: Vec<String>,
    /// Structs that the query can ask for a field.
    pub structs: Vec<Struct>,
}

/// A column or a function's result that has fields.
#[derive(Debug, Clone)]
pub(crate) struct Struct {
    /// The column or function.
    pub name: String,
    /// Its fields.
    pub fields: Vec<String>,
    /// Whether the query's text names it.
    pub mentioned: bool,
}

/// Marks the two halves of an error that DataFusion is going to wrap into other text.
const MARK: char = '\u{1f}';

/// An error about the arguments of a function, which the planner keeps as text only.
pub(crate) fn coercion(error: Error) -> DataFusionError {
    let hint = error.hint().unwrap_or_default();
    DataFusionError::Plan(format!("{MARK}{error}{MARK}{hint}{MARK}"))
}

/// Our error as DataFusion's, to be found again by [`convert`].
pub(crate) fn wrap(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The error in our words.
pub(crate) fn convert(error: DataFusionError, names: &Names) -> Error {
    match error {
        DataFusionError::External(inner) => external(inner, names),
        DataFusionError::ArrowError(inner, _) => arrow(*inner, names),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            convert(*inner, names)
        }
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => convert(first, names),
            None => Error::internal("an empty collection of errors"),
        },
        DataFusionError::Shared(shared) => match Arc::try_unwrap(shared) {
            Ok(inner) => convert(inner, names),
            Err(shared) => match shared.find_root() {
                DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
                    Some(ours) => ours.clone(),
                    None => Error::usage(tidy(&inner.to_string())),
                },
                root => message(&root.to_string(), names),
            },
        },
        DataFusionError::SchemaError(inner, _) => schema(*inner, names),
        DataFusionError::SQL(inner, _) => parser(&inner),
        DataFusionError::IoError(e) => system(e),
        DataFusionError::ObjectStore(e) => Error::io("while reading", tidy(&e.to_string())),
        DataFusionError::ParquetError(e) => {
            Error::input("a Parquet file of the query", tidy(&e.to_string()))
        }
        DataFusionError::ResourcesExhausted(text) => exhausted(&text),
        DataFusionError::Internal(text) => {
            let line = text.lines().next().unwrap_or_default().to_string();
            if line.contains(MARK) { message(&line, names) } else { Error::internal(line) }
        }
        DataFusionError::ExecutionJoin(e) => Error::internal(format!("a task failed: {e}")),
        other => message(&other.to_string(), names),
    }
}

/// What the operating system refused; a query writes nothing but what it spills.
fn system(error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            mmap::full(&std::env::temp_dir(), error)
        }
        _ => Error::io("while running the query", error),
    }
}

fn external(inner: Box<dyn std::error::Error + Send + Sync>, names: &Names) -> Error {
    match inner.downcast::<Error>() {
        Ok(ours) => *ours,
        Err(inner) => match inner.downcast::<DataFusionError>() {
            Ok(inner) => convert(*inner, names),
            Err(inner) => match inner.downcast::<ArrowError>() {
                Ok(inner) => arrow(*inner, names),
                Err(inner) => Error::usage(tidy(&inner.to_string())),
            },
        },
    }
}

fn arrow(error: ArrowError, names: &Names) -> Error {
    match error {
        ArrowError::ExternalError(inner) => external(inner, names),
        ArrowError::DivideByZero => {
            Error::usage("division by zero").hint_with("write `a / nullif(b, 0)`")
        }
        ArrowError::CsvError(text) => Error::input("a CSV file of the query", text),
        ArrowError::JsonError(text) => Error::input("a JSON file of the query", text),
        ArrowError::ParquetError(text) => Error::input("a Parquet file of the query", text),
        ArrowError::IoError(_, e) => system(e),
        ArrowError::CastError(text) | ArrowError::ComputeError(text) => Error::usage(tidy(&text)),
        ArrowError::InvalidArgumentError(text) => Error::usage(tidy(&text)),
        other => Error::usage(tidy(&other.to_string())),
    }
}

fn schema(error: SchemaError, names: &Names) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            if let Some(of) = &field.relation
                && !valid_fields.iter().any(|c| c.relation.as_ref() == Some(of))
            {
                return unknown_owner(of.table(), field.name(), &valid_fields, names);
            }
            let mut valid: Vec<String> = Vec::new();
            let ours = valid_fields
                .iter()
                .filter(|c| field.relation.is_none() || c.relation == field.relation);
            for name in ours.map(|c| c.name.clone()) {
                if !valid.contains(&name) {
                    valid.push(name);
                }
            }
            let error = unknown("column", field.name(), &valid);
            match valid.iter().find(|v| v.eq_ignore_ascii_case(field.name())) {
                // Unquoted names are lower-cased, as in PostgreSQL.
                Some(v) => error.hint_with(format!("quote it to keep its capitals: \"{v}\"")),
                None => error,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            Error::usage(format!("column `{}` is in more than one table", field.name()))
                .hint_with("put the table's name in front of it: `table.column`")
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::usage(format!("column `{name}` is there twice"))
                .hint_with("give one of them another name with AS")
        }
    }
}

/// The error of `owner.name` where nothing is called `owner`.
fn unknown_owner(owner: &str, name: &str, valid: &[Column], names: &Names) -> Error {
    let tables = valid.iter().filter_map(|c| c.relation.as_ref()).map(|r| r.table().to_string());
    let structs = names.structs.iter().map(|s| s.name.clone());
    let mut choices: Vec<String> = Vec::new();
    for choice in tables.chain(structs) {
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    }
    unknown(&format!("table or struct in `{owner}.{name}`:"), owner, &choices)
}

/// The error of a field that a struct lacks. Which struct is not said: it is one that the query
/// names.
fn unknown_field(name: &str, names: &Names) -> Error {
    let mentioned: Vec<&Struct> = names.structs.iter().filter(|s| s.mentioned).collect();
    let mut valid: Vec<String> = Vec::new();
    for field in mentioned.iter().flat_map(|s| &s.fields) {
        if !valid.contains(field) {
            valid.push(field.clone());
        }
    }
    match mentioned.as_slice() {
        [] => Error::usage(format!("unknown field `{name}` of a struct")),
        [only] => unknown(&format!("field of `{}`:", only.name), name, &valid),
        _ => unknown("field of a struct:", name, &valid),
    }
}

fn unknown(what: &str, name: &str, valid: &[String]) -> Error {
    Error::unknown(what, name, valid.iter().map(String::as_str))
}

fn parser(error: &ParserError) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "expressions are nested too deeply",
    };
    let text = text.replace("Line: ", "line ").replace("Column: ", "column ");
    let text = text.replace("Expected: ", "expected ").replace("found: ", "found ");
    Error::usage(format!("SQL: {}", lower(&text)))
}

fn exhausted(text: &str) -> Error {
    let text = text.split(" with ").next().unwrap_or(text);
    Error::usage(format!("the memory limit is too small for this query: {}", tidy(text)))
        .hint_with("raise --memory-limit, or read fewer columns at once")
}

/// The error for a message that DataFusion gives as text.
fn message(text: &str, names: &Names) -> Error {
    if let Some((said, rest)) = text.split_once(MARK).and_then(|(_, t)| t.split_once(MARK)) {
        let error = Error::usage(said);
        return match rest.split(MARK).next() {
            Some(hint) if !hint.is_empty() => error.hint_with(hint),
            _ => error,
        };
    }
    if let Some(name) = between(text, "table function '", "' not found") {
        return unknown("table function", name, &names.table_functions);
    }
    if let Some(name) = between(text, "table '", "' not found") {
        let name = name.trim_start_matches("hexapla.");
        let name = name.strip_prefix("main.").unwrap_or(name);
        let error = unknown("table", name, &names.tables);
        let unbuilt: Vec<&str> = names.unbuilt.iter().map(String::as_str).collect();
        return match (names.tables.iter().any(|t| t == name), nearest(name, &unbuilt)) {
            // In quotes, the point is part of one name.
            (true, _) => error.hint_with(format!("write {name} without quotes")),
            (false, _) if files::is_path(name) => {
                error.hint_with(format!("a path stands in single quotes: '{name}'"))
            }
            (false, Some(near)) if error.hint().is_none() => {
                error.hint_with(format!("did you mean `{near}`? it is not built yet"))
            }
            (false, _) => error,
        };
    }
    if let Some(name) = between(text, "Invalid function '", "'") {
        return unknown_function(name, names);
    }
    if let Some(field) = between(text, "Field ", " not found in struct") {
        return unknown_field(field.trim_matches('\''), names);
    }
    if let Some(ty) = between(text, "annot access field at argument 1: type ", " is not Struct") {
        return Error::usage(format!("only structs have fields; this is {ty}"));
    }
    for refused in ["DDL", "DML", "Statement"] {
        if let Some((_, what)) = text.split_once(&format!("{refused} not supported: ")) {
            return Error::usage(format!("a query only reads; `{what}` is refused"))
                .hint_with("tables are made by query files and `hexapla run`");
        }
    }
    if text.contains("No SQL statements were provided") {
        return Error::usage("the query is empty");
    }
    if text.contains("only supports a single SQL statement") {
        return Error::usage("one query at a time");
    }
    if text.contains("Resources exhausted: ") {
        return exhausted(text);
    }
    if text.contains("Dot access not supported") {
        return Error::usage("a point after a function's result reaches no field")
            .hint_with("write `detect_lang(text)['score']`");
    }
    let unmatched = "No function matches the given name and argument types '";
    if let Some(call) = between(text, unmatched, "'") {
        return Error::usage(format!("no function takes arguments like `{call}`"));
    }
    Error::usage(tidy(text))
}

fn unknown_function(name: &str, names: &Names) -> Error {
    if name == "pick" {
        return Error::usage("`pick` reads a parameter: its first argument must be `$name`")
            .hint_with("write `pick($min_confidence, source, lang)` in a query file");
    }
    if names.table_functions.iter().any(|f| f == name) {
        return Error::usage(format!("`{name}` is a table function"))
            .hint_with(format!("write it where a table stands: `FROM {name}(…)`"));
    }
    // There are hundreds, so the listing is named in place of its content.
    let error = Error::usage(format!("unknown function `{name}`"));
    let valid: Vec<&str> = names.functions.iter().map(String::as_str).collect();
    match nearest(name, &valid) {
        Some(near) => error
            .hint_with(format!("did you mean `{near}`? `hexapla functions` lists what there is")),
        None => error.hint_with("`hexapla functions` lists what there is"),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let end = text[start..].find(after)? + start;
    Some(&text[start..end])
}

/// A message without the names of DataFusion's error classes, in lower case, with no final stop.
fn tidy(text: &str) -> String {
    const NOISE: &[&str] = &[
        "Error during planning: ",
        "Execution error: ",
        "External error: ",
        "Arrow error: ",
        "Parquet error: ",
        "Schema error: ",
        "SQL error: ",
        "Cast error: ",
        "Compute error: ",
        "Parser error: ",
        "Invalid argument error: ",
        "Invalid or Unsupported Configuration: ",
        "Resources exhausted: ",
        "type_coercion caused by ",
    ];
    let mut text = text.trim().to_string();
    for noise in NOISE {
        text = text.replace(noise, "");
    }
    let text = text.replace("This feature is not implemented: ", "not supported: ");
    lower(text.trim_end_matches('.'))
}

/// The first letter in lower case, unless the word is an abbreviation.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), text.chars().nth(1)) {
        (Some(a), Some(b)) if a.is_uppercase() && b.is_uppercase() => text.into(),
        (Some(a), _) => a.to_lowercase().chain(chars).collect(),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;
    use crate::sql::{Session, SessionOptions};

    fn session(dir: &std::path::Path) -> Session {
        let mut session = Session::new(SessionOptions::default()).unwrap();
        session.add_table("documents", table(&dir.join("a"), &[&[1, 5]])).unwrap();
        session.add_table("mix.main", table(&dir.join("b"), &[&[5]])).unwrap();
        session.add_table("mixed", table(&dir.join("c"), &[&[2]])).unwrap();
        session
    }

    #[test]
    fn errors_name_the_thing_and_the_choices() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        for (sql, message, hint) in [
            (
                "SELECT * FROM docments",
                "unknown table `docments`; expected one of: documents, mix.main, mixed",
                "did you mean `documents`?",
            ),
            (
                "SELECT * FROM mix.mane",
                "unknown table `mix.mane`; expected one of: documents, mix.main, mixed",
                "did you mean `mix.main`?",
            ),
            (
                "SELECT txt FROM documents",
                "unknown column `txt`; expected one of: doc_id, text, lang",
                "did you mean `text`?",
            ),
            (
                "SELECT d.txt FROM documents d JOIN mixed m USING (doc_id)",
                "unknown column `txt`; expected one of: doc_id, text, lang",
                "did you mean `text`?",
            ),
            (
                "SELECT unifrom(doc_id, 1) FROM documents",
                "unknown function `unifrom`",
                "did you mean `uniform`? `hexapla functions` lists what there is",
            ),
            (
                "SELECT lang FROM documents d JOIN mixed m ON d.doc_id = m.doc_id",
                "column `lang` is in more than one table",
                "put the table's name in front of it: `table.column`",
            ),
            (
                "SELECT manifest('documents')",
                "`manifest` is a table function",
                "write it where a table stands: `FROM manifest(…)`",
            ),
            (
                "SELECT * FROM read('x.csv', {fromat: 'csv'})",
                "read(): unknown option `fromat`; expected one of: format, into, lang, \
                 langs, encoding, max_errors",
                "did you mean `format`?",
            ),
            (
                "SELECT * FROM manifest('docs')",
                "manifest(): unknown table `docs`; expected one of: documents, mix.main, mixed",
                "",
            ),
            ("SELECT lang FROM mixed WHERE", "SQL: expected an expression, found EOF", ""),
            ("SELECT 1; SELECT 2", "one query at a time", ""),
        ] {
            let error = session.query(sql).unwrap_err();
            assert_eq!(error.to_string(), message, "{sql}");
            assert_eq!(error.hint().unwrap_or_default(), hint, "{sql}");
        }
        let error = session.query("SELECT * FROM manifst('documents')").unwrap_err();
        assert!(error.to_string().starts_with("unknown table function `manifst`; expected"));
    }

    #[test]
    fn every_error_is_one_quiet_line() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        for sql in [
            "SELECT round('a', 'b') FROM documents",
            "SELECT doc_id / 0 FROM documents",
            "SELECT CAST(text AS BIGINT) FROM documents",
            "SELECT sum(text) FROM documents",
            "SELECT lang, doc_id FROM documents GROUP BY lang",
            "SELECT text['a'] FROM documents",
            "SELECT * FROM documents WHERE text",
            "SELECT $x FROM documents",
            "SELECT pick(1, lang) FROM documents",
            "SELECT word_count(doc_id) FROM documents",
            "SELECT * FROM near_duplicates(1)",
        ] {
            let error = session.query(sql).unwrap_err();
            let text = error.to_string();
            for noise in ["Error", "error during", "DataFusion", "\n", "backtrace", "planning:"] {
                assert!(!text.contains(noise), "{sql}: {text}");
            }
            assert!(!text.ends_with('.'), "{sql}: {text}");
            let shouts = text.starts_with(char::is_uppercase) && !text.starts_with("SQL");
            assert!(!shouts, "{sql}: {text}");
        }
    }
}
