//! Objects and files of web servers as tables: by URL, glob or manifest, read where they are.
//!
//! Of Parquet, only the columns and row groups that a query needs travel. A web server that knows
//! no ranges has its file fetched once a session. Writes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::Error::NotSupported as NoRanges;
use datafusion::object_store::{ObjectStore, ObjectStoreExt};
use futures::stream::{StreamExt, TryStreamExt};
use glob::MatchOptions;

use super::failure::{self, Names};
use super::provider::StoredTable;
use super::{files, json_lines};
use crate::error::{Error, Result};
use crate::id;
use crate::source::location::Location;
use crate::store::publish::Target;
use crate::store::remote::{self, Entry};
use crate::store::table::{LEAST, TAIL, Table, check_parquet, check_tail};

/// Footers that are looked at at once.
const AT_ONCE: usize = 16;
/// What makes a URL a glob.
const GLOB: [char; 3] = ['*', '?', '['];

/// Files of web servers that a session has fetched, by their URLs; they vanish with it.
#[derive(Default)]
pub(super) struct Fetched(Mutex<BTreeMap<String, tempfile::NamedTempFile>>);

impl Fetched {
    fn path(&self, url: &str) -> Result<PathBuf> {
        let mut files = self.0.lock().map_err(|_| Error::internal("a lock is poisoned"))?;
        if let Some(file) = files.get(url) {
            return Ok(file.path().into());
        }
        let file = remote::fetch(url)?;
        let path = file.path().to_path_buf();
        files.insert(url.into(), file);
        Ok(path)
    }
}

/// The table behind a URL or a glob of them.
pub(super) async fn open(
    url: &str,
    format: Option<&str>,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    let glob = !remote::is_http(url) && url.contains(GLOB);
    // Only what does not end like a file may be the folder of a table.
    let folder = !glob && format.is_none() && files::format_of(remote::shown(url)).is_none();
    if folder && let Some(table) = table(url.trim_end_matches('/'), state).await? {
        return Ok(Arc::new(table));
    }
    if remote::is_http(url) {
        return web(url, format, state).await;
    }
    let entries = expand(url)?;
    let format = files::recognise(url, &entries[0].url, format)?;
    if format.name == "jsonl" {
        let files = entries.into_iter().map(|entry| Location::Remote(Arc::new(entry)));
        return json_lines::open(url, files.collect());
    }
    let store = Store::of(url, state)?;
    let urls = entries.iter().map(|entry| store.url(&entry.url)).collect::<Result<Vec<_>>>()?;
    if format.name == "parquet" {
        futures::stream::iter(entries.iter().zip(&urls))
            .map(|(entry, at)| store.check(entry, at))
            .buffered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
    }
    files::listing(url, urls, format, state).await
}

/// The table whose manifest lies at a URL, if one does.
async fn table(url: &str, state: &dyn Session) -> Result<Option<StoredTable>> {
    let Some(manifest) = Target::read(url)?.manifest else { return Ok(None) };
    let store = Store::of(url, state)?;
    let Some(first) = manifest.parts.first() else {
        return Err(Error::input(remote::shown(url), "the manifest lists no part"));
    };
    let entry = Entry { url: format!("{url}/{}", first.file), size: first.bytes, etag: None };
    let at = store.url(&entry.url)?;
    store.check(&entry, &at).await?;
    let failed = |e| remote::failed(&entry.url, e);
    let meta = store.store.head(at.prefix()).await.map_err(failed)?;
    let columns = ParquetFormat::default()
        .infer_schema(state, &store.store, &[meta])
        .await
        .map_err(|e| failure::convert(e, &Names::default()).within(remote::shown(&entry.url)))?;
    let folder = store.url(url)?.prefix().clone();
    let table = Table { dir: PathBuf::from(url), manifest };
    Ok(Some(StoredTable::remote(table, &columns, store.at, folder)))
}

/// A file of a web server: read where it is if it is Parquet and the server knows ranges.
async fn web(
    url: &str,
    format: Option<&str>,
    state: &dyn Session,
) -> Result<Arc<dyn TableProvider>> {
    let plain = remote::shown(url);
    let format = files::recognise(url, plain, format)?;
    if format.name == "parquet" && plain == url {
        let store = Store::of(url, state)?;
        let at = store.url(url)?;
        let entry = remote::find(url)?.ok_or_else(|| nothing(url))?;
        if store.ranges(&entry, &at).await? {
            store.check(&entry, &at).await?;
            return files::listing(plain, vec![at], format, state).await;
        }
    }
    let fetched = state
        .config()
        .get_extension::<Fetched>()
        .ok_or_else(|| Error::internal("a session without a place for files"))?;
    let path = fetched.path(url)?;
    if format.name == "parquet" {
        check_parquet(&path)?;
    }
    if format.name == "jsonl" {
        return json_lines::open(plain, vec![Location::File(path)]);
    }
    files::listing(plain, vec![files::url(&path)?], format, state).await
}

/// The objects that a URL or a glob stands for, sorted.
fn expand(url: &str) -> Result<Vec<Entry>> {
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };
    if let Some(end) = url.find(GLOB) {
        let pattern = glob::Pattern::new(remote::key(url)?)
            .map_err(|e| Error::usage(format!("{url}: {e}")))?;
        let mut found = Vec::new();
        for entry in remote::list(&url[..end])? {
            if pattern.matches_with(remote::key(&entry.url)?, options) {
                found.push(entry);
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(vec![remote::find(url)?.ok_or_else(|| nothing(url))?])
}

fn nothing(url: &str) -> Error {
    Error::usage(format!("{}: no such object", remote::shown(url)))
}

/// A store as DataFusion knows it.
struct Store {
    /// What its URLs begin with: a name of our own, as DataFusion would take two containers of one
    /// account for the same store.
    at: ObjectStoreUrl,
    store: Arc<dyn ObjectStore>,
}

impl Store {
    /// The store of a URL, which the session is told of.
    fn of(url: &str, state: &dyn Session) -> Result<Self> {
        let base = remote::base(url)?;
        let name = format!("object://{:016x}", id::hash64(base.as_bytes()));
        let at = ObjectStoreUrl::parse(name)
            .map_err(|e| failure::convert(e, &Names::default()).within(base))?;
        let runtime = state.runtime_env();
        let store = match runtime.object_store(&at) {
            Ok(store) => store,
            Err(_) => {
                let store = remote::store(url)?;
                runtime.register_object_store(at.as_ref(), store.clone());
                store
            }
        };
        Ok(Self { at, store })
    }

    /// An object's URL as DataFusion knows it.
    fn url(&self, url: &str) -> Result<ListingTableUrl> {
        let key = remote::key(url)?;
        match remote::is_http(url) {
            // It is escaped already.
            true => ListingTableUrl::parse(format!("{}{key}", self.at.as_str()))
                .map_err(|e| failure::convert(e, &Names::default()).within(remote::shown(url))),
            false => files::escaped(self.at.as_str(), key.as_bytes()),
        }
    }

    /// Errors unless an object ends like Parquet.
    async fn check(&self, entry: &Entry, at: &ListingTableUrl) -> Result<()> {
        let mut tail = Vec::new();
        if entry.size >= LEAST {
            let range = entry.size - TAIL as u64..entry.size;
            let found = self.store.get_range(at.prefix(), range).await;
            tail.extend_from_slice(&found.map_err(|e| remote::failed(&entry.url, e))?);
        }
        check_tail(Path::new(remote::shown(&entry.url)), &tail, entry.size)
    }

    /// Whether the server gives a part of a file when it is asked for one.
    async fn ranges(&self, entry: &Entry, at: &ListingTableUrl) -> Result<bool> {
        match self.store.get_range(at.prefix(), 0..entry.size.min(1)).await {
            Ok(_) => Ok(true),
            Err(NoRanges { .. }) => Ok(false),
            // Of an empty file there is no first byte.
            Err(_) if entry.size == 0 => Ok(false),
            Err(e) => Err(remote::failed(&entry.url, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cells, numbers, table};
    use super::super::{Session, SessionOptions};
    use super::*;
    use crate::store::publish::publish;
    use crate::store::remote::testing::Server;

    fn session() -> Session {
        Session::new(SessionOptions { threads: Some(2), ..SessionOptions::default() }).unwrap()
    }

    #[test]
    fn a_published_table_and_its_objects_are_asked() {
        let dir = tempfile::tempdir().unwrap();
        let table = table(dir.path(), &[&[1, 5, 6], &[8, 9]]);
        let url = "memory://asked/a b/documents";
        publish(dir.path(), table.manifest, &Target::read(url).unwrap(), &|_, _| ()).unwrap();
        let mut session = session();
        session.add_file("documents", Path::new(url)).unwrap();
        let ids = |sql: &str| numbers(&session.query(sql).unwrap());
        assert_eq!(ids("SELECT doc_id FROM documents WHERE doc_id > 4"), [5, 6, 8, 9]);
        assert_eq!(ids("SELECT rows FROM manifest('documents') ORDER BY first_id"), [3, 2]);
        assert_eq!(ids(&format!("SELECT count(*) FROM '{url}/'")), [5]);
        assert_eq!(ids(&format!("SELECT sum(doc_id) FROM '{url}/part-*.parquet'")), [29]);
        assert_eq!(ids(&format!("SELECT count(*) FROM read('{url}/p*')")), [5]);
        let serial = session.serial([]).unwrap();
        let texts = serial.query("SELECT text FROM documents WHERE doc_id = 9").unwrap();
        assert_eq!(cells(&texts), ["texti 9 هو نص"]);
    }

    #[test]
    fn lines_and_what_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "{\"a\": 1}\n{\"a\": 2}\n").unwrap();
        remote::put("memory://lines/x/a [1].jsonl", &path, None).unwrap();
        remote::put("memory://lines/x/b.jsonl", &path, None).unwrap();
        remote::put("memory://lines/x/b.parquet", &path, None).unwrap();
        let session = session();
        let ids = |sql: &str| numbers(&session.query(sql).unwrap());
        assert_eq!(ids("SELECT a FROM 'memory://lines/x/a [1].jsonl' ORDER BY a"), [1, 2]);
        assert_eq!(ids("SELECT sum(a) FROM 'memory://lines/*/?*.jsonl'"), [6]);
        let wrong = |sql: &str| session.query(sql).unwrap_err().to_string();
        let nothing = wrong("SELECT 1 FROM 'memory://lines/y/*.jsonl'");
        assert_eq!(nothing, "memory://lines/y/*.jsonl: no such object");
        let other = wrong("SELECT 1 FROM 'memory://lines/x/b.parquet'");
        assert!(other.starts_with("memory://lines/x/b.parquet: not a Parquet file"), "{other}");
        let folder = wrong("SELECT 1 FROM 'memory://lines/x'");
        assert_eq!(folder, "memory://lines/x: no such object");
    }

    #[test]
    fn web_servers_with_ranges_and_without() {
        let dir = tempfile::tempdir().unwrap();
        let made = table(dir.path(), &[&[1, 5, 6]]);
        let bytes = std::fs::read(made.path(&made.manifest.parts[0])).unwrap();
        for ranges in [true, false] {
            let server = Server::start(bytes.clone(), ranges, &[]);
            let session = session();
            for query in ["", "?signature=x"] {
                let url = format!("{}{query}", server.url);
                let sql = format!("SELECT doc_id FROM read('{url}', {{format: 'parquet'}})");
                assert_eq!(numbers(&session.query(&sql).unwrap()), [1, 5, 6], "{ranges} {query}");
            }
        }
    }
}
