//! `read('glob' [, {format: …}])`: files as a table, without ingesting them.
//!
//! Parquet, JSON lines, CSV and TSV have the columns that they have. Every other format, and these
//! too when an option speaks of languages or of a table, has the columns that ingest gives it.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::{Args, TableFunction};
use crate::error::Result;
use crate::source::SourceSpec;
use crate::source::spec::table_named;
use crate::sql::{corpus, files};

/// The function.
pub(super) const READ: TableFunction = TableFunction {
    name: "read",
    usage: "read('glob' [, {format: …, into: …, lang: …, langs: 'en,de', …}])",
    doc: "The rows of the files that a path or glob stands for: of Parquet, JSON lines, CSV and \
          TSV with the columns they have, of every other format as `hexapla ingest` reads it.",
    tables: 0,
    options: &[
        ("format", "the format; told from the files by default"),
        ("into", "the table whose columns are wanted: documents, pairs or labelled"),
        ("lang", "the language of every text"),
        ("langs", "the languages of pairs, source first, as in 'en,de'"),
        ("encoding", "the encoding of the text; told from the bytes by default"),
        ("max_errors", "unreadable rows to pass over; 0 by default"),
    ],
    example: "SELECT count(*) FROM read('tables/documents/*.parquet')",
    version: 2,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    let path = args.text(0, "a path or glob")?;
    let known: Vec<&str> = READ.options.iter().map(|(name, _)| *name).collect();
    let options = args.options(1, &known)?;
    let text = |key: &str| options.optional_text(key);
    let (format, into) = (text("format")?, text("into")?);
    let (lang, langs, encoding) = (text("lang")?, text("langs")?, text("encoding")?);
    let max_errors = options.optional_uint("max_errors")?;
    let said = [&into, &lang, &langs, &encoding].iter().any(|o| o.is_some());
    let native = format.as_deref().is_none_or(|f| files::FORMATS.contains(&f));
    if native && !said && max_errors.is_none() {
        return args.open(&path, format.as_deref());
    }
    let spec = SourceSpec {
        path: path.as_str().into(),
        format,
        into: into.as_deref().map(table_named).transpose()?,
        lang,
        langs: langs.iter().flat_map(|l| l.split(',')).map(|l| l.trim().into()).collect(),
        encoding,
        ..SourceSpec::default()
    };
    spec.check()?;
    corpus::open(spec, max_errors.unwrap_or(0))
}
