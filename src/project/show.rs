//! One row of a table, the document behind it, and the bytes that it was read from.
//!
//! Reads only, and no more of a table than its statistics say may hold the row. Lays nothing out:
//! what is found is Arrow.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::util::display::array_value_to_string;

use super::Project;
use super::build::{self, Options};
use super::config::PROJECT_FILE;
use super::node::SOURCE_TABLES;
use crate::error::{Error, Result};
use crate::source::charset::{self, Charsets};
use crate::source::input::Input;
use crate::source::location::Location;
use crate::source::{SOURCES, archive};
use crate::sql::{Session, SessionOptions};
use crate::store::manifest::Manifest;
use crate::store::publish::Target;
use crate::store::remote;

/// How much of the bytes is shown.
pub const RAW: usize = 4 << 10;

/// A row and where it comes from.
#[derive(Debug)]
pub struct Shown {
    /// The row; several where a table has several of one id.
    pub rows: RecordBatch,
    /// The table and the row of the text that the row is about, where it holds no text itself.
    pub document: Option<(String, RecordBatch)>,
    /// The bytes that the text was read from.
    pub raw: Option<Raw>,
    /// Why there are none.
    pub note: Option<String>,
}

/// The bytes of a row in its source, decompressed.
#[derive(Debug, PartialEq, Eq)]
pub struct Raw {
    /// The file.
    pub path: String,
    /// Where they begin in its content.
    pub offset: u64,
    /// The bytes, at most [`RAW`].
    pub bytes: Vec<u8>,
    /// Whether the row goes on after them.
    pub cut: bool,
}

/// The row of a table with an id; `table` is the name of one of the project's, or a folder.
///
/// Errors when there is no such table, it has no ids, or none of its rows has this one: then with
/// the nearest id there is.
pub fn show(dir: &Path, table: &str, id: u64) -> Result<Shown> {
    let tables = Tables::open(dir, table)?;
    let asked = &tables.asked;
    tables.require_ids(table)?;
    let rows = tables.rows(asked, id)?;
    if rows.num_rows() == 0 {
        return Err(tables.missing(table, id)?);
    }
    if text(&rows, "source_path").is_some() {
        let (raw, note) = tables.raw(asked, &rows)?;
        return Ok(Shown { rows, document: None, raw, note });
    }
    for source in &tables.sources {
        let found = tables.rows(source, id)?;
        if found.num_rows() > 0 {
            let (raw, note) = tables.raw(source, &found)?;
            return Ok(Shown { rows, document: Some((source.name.clone(), found)), raw, note });
        }
    }
    let note = format!("none of {} is here with this row", SOURCE_TABLES.join(", "));
    Ok(Shown { rows, document: None, raw: None, note: Some(note) })
}

/// A table that can be asked.
pub(super) struct Asked {
    pub name: String,
    /// As a query names it.
    pub sql: String,
    manifest: Option<Manifest>,
}

/// The table that was asked for, and those that hold text.
pub(super) struct Tables {
    pub session: Session,
    root: PathBuf,
    pub asked: Asked,
    pub sources: Vec<Asked>,
}

impl Tables {
    pub fn open(dir: &Path, table: &str) -> Result<Self> {
        let project = match dir.join(PROJECT_FILE).exists() || dir.as_os_str() != "." {
            true => Some(Project::open(dir)?),
            false => None,
        };
        let session = match &project {
            Some(project) => build::session(project, &Options::default())?,
            None => Session::new(SessionOptions::default())?,
        };
        // One thread's plans read row groups in order, and stop at what statistics rule out.
        let session = session.serial([])?;
        let names = session.tables();
        let stored = |name: &str| stored(dir, name);
        let folder = Path::new(table);
        let known = names.iter().any(|name| name == table);
        if !known && let Some(asked) = at(folder)? {
            // In a project, the tables of text are the folders beside it.
            let beside = folder.parent().unwrap_or(Path::new(""));
            let sources = SOURCE_TABLES.iter().filter_map(|s| at(&beside.join(s)).transpose());
            let sources = sources.collect::<Result<_>>()?;
            return Ok(Self { session, root: dir.into(), asked, sources });
        }
        if remote::is_url(table) {
            let sql = format!("'{}'", table.replace('\'', "''"));
            let manifest = Target::read(table)?.manifest;
            let asked = Asked { name: table.into(), sql, manifest };
            return Ok(Self { session, root: dir.into(), asked, sources: Vec::new() });
        }
        // Of a name that is none, the query knows best what is wrong.
        let sources = SOURCE_TABLES.iter().filter(|s| names.iter().any(|n| n == *s));
        let (asked, sources) = (stored(table), sources.map(|s| stored(s)).collect());
        Ok(Self { session, root: dir.into(), asked, sources })
    }

    /// A table of the project by its name.
    pub fn stored(&self, name: &str) -> Asked {
        stored(&self.root, name)
    }

    /// Errors unless the table that was asked for has ids.
    pub fn require_ids(&self, table: &str) -> Result<()> {
        let columns = self.session.schema(&format!("SELECT * FROM {}", self.asked.sql))?;
        if columns.column_with_name("doc_id").is_some() {
            return Ok(());
        }
        let names: Vec<&str> = columns.fields().iter().map(|f| f.name().as_str()).collect();
        Err(Error::usage(format!("table `{table}` has no `doc_id`"))
            .hint_with(format!("its columns are {}", names.join(", "))))
    }

    /// The rows with an id.
    pub fn rows(&self, table: &Asked, id: u64) -> Result<RecordBatch> {
        let sql = format!("SELECT * FROM {} WHERE doc_id = {id}", table.sql);
        let batches = self.session.query(&sql)?;
        let schema = batches.first().map(RecordBatch::schema);
        let schema = schema.ok_or_else(|| Error::internal("a query without a batch"))?;
        Ok(concat_batches(&schema, &batches)?)
    }

    /// The first number of a query's first row.
    fn number(&self, sql: &str) -> Result<Option<u64>> {
        let batches = self.session.query(sql)?;
        let Some(batch) = batches.iter().find(|b| b.num_rows() > 0) else { return Ok(None) };
        Ok(array_value_to_string(batch.column(0), 0)?.parse().ok())
    }

    /// The error of an id that the table lacks.
    pub fn missing(&self, table: &str, id: u64) -> Result<Error> {
        let of =
            |what: &str| self.number(&format!("SELECT {what}(doc_id) FROM {}", self.asked.sql));
        let (Some(first), Some(last)) = (of("min")?, of("max")?) else {
            return Ok(Error::usage(format!("table `{table}` has no rows")));
        };
        let message =
            format!("table `{table}` has no row {id}; its ids lie between {first} and {last}");
        let dropped = format!("{table}_dropped");
        if self.session.tables().contains(&dropped) {
            let sql = format!("SELECT doc_id FROM {} WHERE doc_id = {id}", quoted(&dropped));
            if matches!(self.number(&sql), Ok(Some(_))) {
                let hint = format!("it was dropped: `hexapla show {dropped} {id}` says why");
                return Ok(Error::usage(message).hint_with(hint));
            }
        }
        let beside = |what: &str, side: char| {
            let sql = &self.asked.sql;
            self.number(&format!("SELECT {what}(doc_id) FROM {sql} WHERE doc_id {side} {id}"))
        };
        let near = [beside("max", '<')?, beside("min", '>')?].into_iter().flatten();
        let near = near.min_by_key(|near| near.abs_diff(id)).unwrap_or(first);
        Ok(Error::usage(message).hint_with(format!("the nearest id is {near}")))
    }

    /// The bytes that the first of some rows was read from, or why there are none.
    fn raw(&self, table: &Asked, rows: &RecordBatch) -> Result<(Option<Raw>, Option<String>)> {
        let number = |column| text(rows, column).and_then(|text| text.parse::<u64>().ok());
        let (Some(path), Some(offset)) = (text(rows, "source_path"), number("source_offset"))
        else {
            return Ok((None, Some("the row does not say where it was read".into())));
        };
        let told = |why: &str| Ok((None, Some(format!("{path}: {why}"))));
        let Some(file) = archive::locate(&path, &self.root)? else {
            return told("the file is not there any more");
        };
        let source = text(rows, "source").unwrap_or_default();
        if let Some(hash) = table.manifest.as_ref().and_then(|m| hash_of(m, &source, &path))
            && file.hash()?.1 != hash
        {
            return told("the file has changed since it was read");
        }
        let head = file.head(16)?;
        if let Some(format) = SOURCES.iter().find(|s| s.magic(&head)) {
            return told(&format!("a row of {} has no bytes of its own", format.name()));
        }
        // The row ends where the next one of its file begins, by their numbers one after another.
        let id = number("doc_id").unwrap_or_default();
        let next = format!(
            "SELECT source_offset FROM {} WHERE doc_id > {id} AND doc_id <= {} AND \
             source_offset > {offset} ORDER BY doc_id LIMIT 1",
            table.sql,
            id | u64::from(u32::MAX)
        );
        let end = self.number(&next)?;
        let length = end.map_or(u64::MAX, |end| end - offset);
        let limit = usize::try_from(length).map_or(RAW, |length| length.min(RAW));
        let params = table.manifest.as_ref().and_then(|m| m.params.get(&source));
        let encoding = params.and_then(|p| p.get("encoding")?.as_str());
        let bytes = read(&file, encoding, offset, limit)?;
        let cut = length > RAW as u64 && bytes.len() == RAW;
        Ok((Some(Raw { path, offset, bytes, cut }), None))
    }
}

/// A table of the project in a folder.
fn stored(dir: &Path, name: &str) -> Asked {
    Asked {
        name: name.into(),
        sql: name.split('.').map(quoted).collect::<Vec<_>>().join("."),
        // A damaged one is told by the query that reads the table.
        manifest: Manifest::read(&dir.join("tables").join(name)).ok().flatten(),
    }
}

/// The table in a folder.
fn at(folder: &Path) -> Result<Option<Asked>> {
    let Some(manifest) = Manifest::read(folder)? else { return Ok(None) };
    let path = folder.to_string_lossy();
    let name = folder.file_name().map_or(path.clone(), |name| name.to_string_lossy());
    // With a slash, a name is a path whatever it is.
    let sql = format!("'{}/'", path.trim_end_matches('/').replace('\'', "''"));
    Ok(Some(Asked { name: name.into_owned(), sql, manifest: Some(manifest) }))
}

/// A name as a query writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value of the first row as text.
pub(super) fn text(rows: &RecordBatch, column: &str) -> Option<String> {
    let column = rows.column_by_name(column).filter(|column| column.is_valid(0))?;
    array_value_to_string(column, 0).ok()
}

/// The hash that a file had when a source was read; of two files read together, its own.
fn hash_of<'m>(manifest: &'m Manifest, source: &str, path: &str) -> Option<&'m str> {
    let labels = manifest.parts.iter().flat_map(|part| &part.sources);
    labels
        .filter_map(|(label, hashes)| {
            Some((label.strip_prefix(source)?.strip_prefix(':')?, hashes))
        })
        .flat_map(|(names, hashes)| names.split(" + ").zip(hashes.split('+')))
        .find(|(name, _)| *name == path)
        .map(|(_, hash)| hash)
}

/// The decompressed bytes of a file from an offset on, at most `limit`; what damage leaves of them.
fn read(file: &Location, encoding: Option<&str>, offset: u64, limit: usize) -> Result<Vec<u8>> {
    let unread = AtomicU64::new(0);
    let asked = encoding.map(charset::named).transpose()?;
    let mut input = Input::open(file, Charsets::Any, asked, &unread)?;
    let before = offset.saturating_sub(input.offset());
    let io = |e: io::Error| Error::reading(file.path(), e);
    io::copy(&mut input.by_ref().take(before), &mut io::sink()).map_err(io)?;
    let mut bytes = Vec::new();
    if let Err(e) = input.take(limit as u64).read_to_end(&mut bytes)
        && bytes.is_empty()
    {
        return Err(io(e));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::manifest::Part;

    #[test]
    fn the_hash_of_a_file_is_found_among_those_of_its_pair() {
        let sources = [("web:a/1.jsonl", "h1"), ("opus:x.de + x.en", "h2+h3"), ("w:x.en", "h4")];
        let sources = sources.map(|(label, hash)| (label.to_string(), hash.to_string())).into();
        let parts = vec![Part::default(), Part { sources, ..Part::default() }];
        let manifest = Manifest { parts, ..Manifest::default() };
        assert_eq!(hash_of(&manifest, "web", "a/1.jsonl"), Some("h1"));
        assert_eq!(hash_of(&manifest, "opus", "x.en"), Some("h3"));
        assert_eq!(hash_of(&manifest, "we", "a/1.jsonl"), None);
    }

    #[test]
    fn bytes_are_read_from_inside_a_compressed_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        let text = "\u{feff}fyrsta\nönnur\nþriðja\n";
        std::fs::write(&path, crate::source::input::tests::gzip(text.as_bytes())).unwrap();
        let path = Location::File(path);
        let read = |offset, limit| read(&path, None, offset, limit);
        assert_eq!(read(3, 6).unwrap(), b"fyrsta");
        assert_eq!(read(10, 100).unwrap(), "önnur\nþriðja\n".as_bytes());
        assert_eq!(read(1000, 100).unwrap(), b"");
    }
}
