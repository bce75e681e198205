//! Files and folders as tables: Parquet, JSON lines, CSV and TSV, also compressed, by path or glob.
//!
//! A folder that holds a manifest is a table of the store. Corpus formats (WARC, TMX, …) are not
//! read here: they are ingested.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};

use super::corpus;
use super::failure::{self, Names};
use super::json_lines;
use super::provider::StoredTable;
use super::remote;
use crate::error::{Error, Result};
use crate::source::SourceSpec;
use crate::source::location::Location;
use crate::store;
use crate::store::manifest::MANIFEST;
use crate::store::table::{Table, check_parquet};

/// The names of the formats, as the option `format` takes them.
pub(crate) const FORMATS: &[&str] = &["parquet", "jsonl", "csv", "tsv"];

/// Schemas are inferred from this many files of a glob; later files may lack columns, not add any.
pub(super) const INFERRED: usize = 16;

/// Whether a name in FROM is meant as a path.
pub(crate) fn is_path(name: &str) -> bool {
    name.contains(['/', '*', '?']) || format_of(name).is_some() || corpus::is_corpus(name)
}

/// The table behind a path or glob.
pub(crate) async fn open(
    path: &str,
    format: Option<&str>,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    if store::remote::is_url(path) {
        return remote::open(path, format, state).await;
    }
    if Path::new(path).join(MANIFEST).is_file() {
        return Ok(Arc::new(StoredTable::new(path, Table::open(Path::new(path))?)?));
    }
    let paths = expand(path)?;
    let first = paths[0].to_string_lossy();
    if format.is_none() && format_of(&first).is_none() && corpus::is_corpus(&first) {
        return corpus::open(SourceSpec { path: path.into(), ..SourceSpec::default() }, 0);
    }
    let format = recognise(path, &first, format)?;
    if format.name == "parquet" {
        for path in &paths {
            check_parquet(path)?;
        }
    }
    if format.name == "jsonl" {
        return json_lines::open(path, paths.into_iter().map(Location::File).collect());
    }
    let urls = paths.iter().map(|p| url(p)).collect::<Result<Vec<_>>>()?;
    listing(path, urls, format, state).await
}

/// A format by its name, and the compression around it.
#[derive(Clone, Copy)]
pub(super) struct Format<'a> {
    pub name: &'a str,
    compression: FileCompressionType,
}

/// The format of the files of a glob: as said, else as the first one's name has it.
pub(super) fn recognise<'a>(
    path: &str,
    first: &str,
    format: Option<&'a str>,
) -> Result<Format<'a>> {
    let (name, compression) = match format {
        Some(format) if FORMATS.contains(&format) => (format, compression_of(first).1),
        Some(format) => return Err(Error::unknown("format", format, FORMATS.iter().copied())),
        None => format_of(first).ok_or_else(|| {
            Error::usage(format!("{first}: the name tells no format")).hint_with(format!(
                "write read('{path}', {{format: 'csv'}}); formats are {}",
                FORMATS.join(", ")
            ))
        })?,
    };
    Ok(Format { name, compression })
}

/// Files of Parquet, CSV or TSV as a table.
pub(super) async fn listing(
    path: &str,
    urls: Vec<ListingTableUrl>,
    format: Format<'_>,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    let Format { name, compression } = format;
    let separator = if name == "tsv" { b'\t' } else { b',' };
    let format: Arc<dyn FileFormat> = match name {
        "parquet" => Arc::new(ParquetFormat::default()),
        _ => Arc::new(
            CsvFormat::default()
                .with_has_header(true)
                .with_delimiter(separator)
                .with_newlines_in_values(true)
                .with_file_compression_type(compression),
        ),
    };
    let wrong = |e| failure::convert(e, &Names::default()).within(path);
    let options = ListingOptions::new(format).with_file_extension("");
    let mut schema = Schema::empty();
    for url in urls.iter().take(INFERRED) {
        let found = options.infer_schema(state, url).await.map_err(wrong)?;
        schema = Schema::try_merge([schema, found.as_ref().clone()])?;
    }
    if schema.fields().is_empty() {
        return Err(Error::input(path, "no columns found: the file is empty"));
    }
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(Arc::new(schema));
    Ok(Arc::new(ListingTable::try_new(config).map_err(wrong)?))
}

/// The files that a path or glob stands for, sorted by name.
pub(super) fn expand(path: &str) -> Result<Vec<PathBuf>> {
    if Path::new(path).is_file() {
        return Ok(vec![path.into()]);
    }
    if Path::new(path).is_dir() {
        return Err(Error::usage(format!("{path}: a folder without {MANIFEST} is no table"))
            .hint_with(format!(
                "name its files, as in '{}/*.parquet'",
                path.trim_end_matches('/')
            )));
    }
    let found = glob::glob(path).map_err(|e| Error::usage(format!("{path}: {e}")))?;
    let mut paths = Vec::new();
    for entry in found {
        let entry = entry.map_err(|e| Error::io(e.path(), e.error()))?;
        if entry.is_file() {
            paths.push(entry);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(Error::usage(format!("{path}: no such file")));
    }
    Ok(paths)
}

pub(super) fn format_of(path: &str) -> Option<(&'static str, FileCompressionType)> {
    let (stem, compression) = compression_of(path);
    let name = match stem.rsplit_once('.')?.1 {
        "parquet" => "parquet",
        "jsonl" | "ndjson" | "json" => "jsonl",
        "csv" => "csv",
        "tsv" => "tsv",
        _ => return None,
    };
    Some((name, compression))
}

fn compression_of(path: &str) -> (&str, FileCompressionType) {
    for (ending, compression) in [
        (".gz", FileCompressionType::GZIP),
        (".zst", FileCompressionType::ZSTD),
        (".bz2", FileCompressionType::BZIP2),
        (".xz", FileCompressionType::XZ),
    ] {
        if let Some(stem) = path.strip_suffix(ending) {
            return (stem, compression);
        }
    }
    (path, FileCompressionType::UNCOMPRESSED)
}

/// A path as a URL; every byte that could mean something else is escaped.
pub(super) fn url(path: &Path) -> Result<ListingTableUrl> {
    // An object store knows no `..` and no links.
    let path = path.canonicalize().map_err(|e| Error::io(path, e))?;
    escaped("file://", path.as_os_str().as_encoded_bytes())
}

/// A path below a store as a URL.
pub(super) fn escaped(base: &str, path: &[u8]) -> Result<ListingTableUrl> {
    let mut url = String::from(base);
    for byte in path {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(*byte)),
            b if b.is_ascii_alphanumeric() => url.push(char::from(*b)),
            b => url.push_str(&format!("%{b:02X}")),
        }
    }
    ListingTableUrl::parse(&url).map_err(|e| failure::convert(e, &Names::default()))
}
