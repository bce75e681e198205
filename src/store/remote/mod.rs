//! Objects of S3, Google Cloud, Azure and web servers, for threads that wait.
//!
//! An object is named by its URL: `s3://bucket/key` with the key as it is, without escapes, and
//! `https://…` as a browser has it. A web server lists nothing and takes nothing. Knows nothing of
//! tables.

mod connect;
mod reader;
#[cfg(test)]
pub(crate) mod testing;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use object_store::{
    Attribute, Attributes, GetOptions, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, UpdateVersion,
};

pub use connect::{failed, is_http, is_url, shown};
pub use reader::Reader;

use self::connect::{PATIENCE, Place, place, request, split};
use crate::error::{Error, Result};

/// Bytes that are sent at once; a longer file is sent in pieces of this size.
const PIECE: usize = 16 << 20;
/// Pieces of a file under way at once.
const AT_ONCE: usize = 4;
/// Within what a piece has to be sent.
const SENDING: Duration = Duration::from_secs(900);
/// What an object is noted to hash to.
const HASH: Attribute = Attribute::Metadata(std::borrow::Cow::Borrowed("xxh3"));

/// An object as its store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its URL.
    pub url: String,
    /// Its bytes.
    pub size: u64,
    /// What changes with its content, when the store says so: a tag, or else a date.
    pub etag: Option<String>,
}

impl Entry {
    fn new(url: String, meta: &ObjectMeta) -> Self {
        // A server that tells no date gives the beginning of time.
        let dated = meta.last_modified.timestamp() > 0;
        let date = dated.then(|| meta.last_modified.to_rfc3339());
        Self { url, size: meta.size, etag: meta.e_tag.clone().or(date) }
    }
}

/// A version of an object that it can be replaced from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(UpdateVersion);

/// The objects whose URLs begin with a text, sorted by URL; none when there are none.
///
/// Errors for a web server, which has no listing.
pub fn list(prefix: &str) -> Result<Vec<Entry>> {
    let parts = split(prefix)?;
    if is_http(prefix) {
        return Err(Error::usage(format!("{}: a web server lists no files", shown(prefix)))
            .hint_with("name each file by its own URL"));
    }
    // Stores list whole folders; what else the prefix says is looked at here.
    let folder = parts.key.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = connect::key(prefix, folder)?;
    let store = connect::shared(parts)?;
    let found = connect::run(async move {
        let mut listing = store.list((!folder.as_ref().is_empty()).then_some(&folder));
        let mut found = Vec::new();
        loop {
            match tokio::time::timeout(PATIENCE, listing.next()).await {
                Ok(Some(Ok(meta))) => found.push(meta),
                Ok(Some(Err(e))) => return Ok(Err(e)),
                Ok(None) => return Ok(Ok(found)),
                Err(_) => return Err(()),
            }
        }
    })?
    .map_err(|()| connect::silent(prefix, PATIENCE))?
    .map_err(|e| failed(prefix, e))?;
    let mut entries: Vec<Entry> = found
        .iter()
        .filter(|meta| meta.location.as_ref().starts_with(parts.key))
        .map(|meta| Entry::new(format!("{}/{}", parts.base, meta.location), meta))
        .collect();
    entries.sort_by(|a, b| a.url.cmp(&b.url));
    Ok(entries)
}

/// What a store says of one object; `None` when it is not there.
pub fn find(url: &str) -> Result<Option<Entry>> {
    let at = place(url)?;
    let ask = |head| {
        let at = at.clone();
        let options = GetOptions { head, ..GetOptions::default() };
        request(url, PATIENCE, async move {
            at.store.get_opts(&at.key, options).await.map(|got| got.meta)
        })
    };
    let mut got = ask(true)?;
    if is_http(url) && got.is_err() {
        // Some web servers answer no HEAD; the body of a GET is not waited for.
        got = ask(false)?;
    }
    match got {
        Ok(meta) => Ok(Some(Entry::new(url.into(), &meta))),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(failed(url, e)),
    }
}

/// The bytes of an object as they come.
pub fn open(url: &str) -> Result<Reader> {
    Reader::open(place(url)?)
}

/// An object as a temporary file that ends like it does, for formats that are read here and there.
pub fn fetch(url: &str) -> Result<tempfile::NamedTempFile> {
    let name = shown(url).rsplit('/').next().unwrap_or_default();
    // Formats are told from the end of a name; the whole may be longer than a name can be.
    let end = name.char_indices().rev().nth(40).map_or(0, |(at, _)| at);
    let mut reader = open(url)?;
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .suffix(&format!("-{}", &name[end..]))
        .tempfile()
        .map_err(|e| Error::io(std::env::temp_dir(), e))?;
    std::io::copy(&mut reader, file.as_file_mut()).map_err(|e| Error::reading(shown(url), e))?;
    Ok(file)
}

/// A small object with its version; `None` when it is not there.
pub fn get(url: &str) -> Result<Option<(Vec<u8>, Version)>> {
    let at = place(url)?;
    let got = request(url, PATIENCE, async move {
        let got = at.store.get_opts(&at.key, GetOptions::default()).await?;
        let version =
            UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
        Ok((Vec::<u8>::from(got.bytes().await?), Version(version)))
    })?;
    match got {
        Ok(found) => Ok(Some(found)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(failed(url, e)),
    }
}

/// Replaces a small object if it is still of a version, or makes it if there is still none;
/// `None` when somebody else was faster.
pub fn put_if(url: &str, bytes: Vec<u8>, expected: Option<&Version>) -> Result<Option<Version>> {
    let at = writable(url)?;
    let mode = match expected {
        Some(version) => PutMode::Update(version.0.clone()),
        None => PutMode::Create,
    };
    let put = request(url, SENDING, async move {
        let options = PutOptions { mode, ..PutOptions::default() };
        at.store.put_opts(&at.key, PutPayload::from(bytes), options).await
    })?;
    use object_store::Error as Store;
    match put {
        Ok(put) => Ok(Some(Version(UpdateVersion { e_tag: put.e_tag, version: put.version }))),
        Err(Store::AlreadyExists { .. } | Store::Precondition { .. }) => Ok(None),
        // What was to be replaced has been removed.
        Err(Store::NotFound { .. }) if expected.is_some() => Ok(None),
        Err(e @ (Store::NotImplemented { .. } | Store::NotSupported { .. })) => Err(failed(url, e)
            .hint_with("the store has to know conditional puts (`If-Match`, `If-None-Match`)")),
        Err(e) => Err(failed(url, e)),
    }
}

/// Sends a file, whole or not at all, in place of what was there. `hash` is noted with it.
pub fn put(url: &str, file: &Path, hash: Option<&str>) -> Result<()> {
    let at = writable(url)?;
    let io = |e: std::io::Error| Error::io(file, e);
    let mut reader = File::open(file).map_err(io)?;
    let mut first = Vec::new();
    take(&mut reader, &mut first).map_err(io)?;
    let mut attributes = Attributes::new();
    if let Some(hash) = hash {
        attributes.insert(HASH, hash.to_string().into());
    }
    if first.len() < PIECE {
        let put = request(url, SENDING, async move {
            let options = PutOptions { attributes, ..PutOptions::default() };
            at.store.put_opts(&at.key, PutPayload::from(first), options).await
        })?;
        return put.map(|_| ()).map_err(|e| failed(url, e));
    }
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    connect::run(async move {
        let mut upload = at.store.put_multipart_opts(&at.key, options).await?;
        let sent = send(&mut upload, first, &mut reader).await;
        if sent.is_err() {
            // Of what was sent nothing shows either way; aborting only saves the store's room.
            let _ = upload.abort().await;
        }
        sent
    })?
    .map_err(|e| failed(url, e))
}

/// The hash that was noted with an object; `None` when there is no object, or none noted.
pub fn noted(url: &str) -> Result<Option<String>> {
    let at = place(url)?;
    let got = request(url, PATIENCE, async move {
        let options = GetOptions { head: true, ..GetOptions::default() };
        at.store.get_opts(&at.key, options).await.map(|got| got.attributes)
    })?;
    match got {
        Ok(attributes) => Ok(attributes.get(&HASH).map(|hash| hash.to_string())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(failed(url, e)),
    }
}

/// Removes objects; one that is gone already is no error.
pub fn delete(urls: &[String]) -> Result<()> {
    for url in urls {
        let at = writable(url)?;
        let gone = request(url, PATIENCE, async move {
            let keys = futures::stream::iter([Ok(at.key.clone())]).boxed();
            match at.store.delete_stream(keys).next().await {
                Some(Err(e)) => Err(e),
                _ => Ok(()),
            }
        })?;
        match gone {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(failed(url, e)),
        }
    }
    Ok(())
}

/// A new connection to the store of a URL for another runtime, whose requests run there.
pub fn store(url: &str) -> Result<Arc<dyn ObjectStore>> {
    let parts = split(url)?;
    #[cfg(test)]
    if parts.base.starts_with("memory") {
        return connect::shared(parts);
    }
    connect::connect(parts)
}

/// What the URLs of a store begin with: `s3://bucket`.
pub fn base(url: &str) -> Result<&str> {
    Ok(split(shown(url))?.base)
}

/// The key of a URL: what follows the store and a slash.
pub fn key(url: &str) -> Result<&str> {
    Ok(split(shown(url))?.key)
}

fn writable(url: &str) -> Result<Place> {
    if is_http(url) {
        return Err(Error::usage(format!("{}: nothing is written to web servers", shown(url)))
            .hint_with("write to s3://, gs://, az:// or a folder"));
    }
    place(url)
}

async fn send(
    upload: &mut Box<dyn MultipartUpload>,
    first: Vec<u8>,
    file: &mut File,
) -> object_store::Result<()> {
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic {
        store: "upload",
        source,
    };
    let mut under_way = FuturesUnordered::new();
    let mut piece = first;
    loop {
        let full = piece.len() == PIECE;
        if !piece.is_empty() {
            let part = upload.put_part(PutPayload::from(std::mem::take(&mut piece)));
            under_way.push(tokio::time::timeout(SENDING, part));
        }
        if full {
            take(file, &mut piece).map_err(|e| wrong(e.into()))?;
        }
        let wait = !full || under_way.len() >= AT_ONCE;
        if wait && let Some(done) = under_way.next().await {
            done.map_err(|e| wrong(e.into()))??;
        }
        if piece.is_empty() && under_way.is_empty() {
            break;
        }
    }
    upload.complete().await.map(|_| ())
}

/// Reads a piece, or what is left.
fn take(file: &mut File, piece: &mut Vec<u8>) -> std::io::Result<()> {
    file.take(PIECE as u64).read_to_end(piece).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn objects_are_listed_by_the_text_they_begin_with() {
        for name in ["wiki/sw.jsonl", "wiki/is.jsonl", "wikis/x", "wiki/a/þ [1].jsonl", "w"] {
            put(&format!("memory://listed/{name}"), file(b"abc").path(), None).unwrap();
        }
        let urls = |prefix: &str| -> Vec<String> {
            let entries = list(&format!("memory://listed{prefix}")).unwrap();
            assert!(entries.iter().all(|e| e.size == 3 && e.etag.is_some()));
            entries.into_iter().map(|e| e.url.replace("memory://listed/", "")).collect()
        };
        assert_eq!(urls("/wiki/"), ["wiki/a/þ [1].jsonl", "wiki/is.jsonl", "wiki/sw.jsonl"]);
        assert_eq!(urls("/wiki/s"), ["wiki/sw.jsonl"]);
        assert_eq!(urls("/wiki").len(), 4);
        assert_eq!(urls("").len(), 5);
        assert_eq!(urls("/nothing/at/all").len(), 0);
        assert!(list("http://localhost/a").unwrap_err().to_string().contains("lists no files"));
    }

    #[test]
    fn a_file_comes_back_as_it_was_sent() {
        let long: Vec<u8> = (0..3 * PIECE + 5).map(|i| (i % 251) as u8).collect();
        for (name, bytes) in [("long", long.as_slice()), ("short", b"x"), ("empty", b"")] {
            let url = format!("memory://sent/{name}.parquet");
            put(&url, file(bytes).path(), Some("hash")).unwrap();
            assert_eq!(find(&url).unwrap().unwrap().size, bytes.len() as u64);
            assert_eq!(noted(&url).unwrap().as_deref(), Some("hash"));
            let fetched = fetch(&url).unwrap();
            assert!(std::fs::read(fetched.path()).unwrap() == bytes, "{name}");
            assert!(fetched.path().to_str().unwrap().ends_with(".parquet"));
        }
        delete(&["memory://sent/short.parquet".into(), "memory://sent/no".into()]).unwrap();
        assert_eq!(find("memory://sent/short.parquet").unwrap(), None);
        assert_eq!(noted("memory://sent/short.parquet").unwrap(), None);
        let error = put("http://localhost/a", file(b"").path(), None).unwrap_err();
        assert!(error.to_string().contains("nothing is written to web servers"), "{error}");
    }

    #[test]
    fn of_two_who_replace_one_version_the_second_is_told() {
        let url = "memory://raced/manifest.json";
        assert_eq!(get(url).unwrap(), None);
        let first = put_if(url, b"1".into(), None).unwrap().unwrap();
        assert_eq!(put_if(url, b"2".into(), None).unwrap(), None);
        let second = put_if(url, b"3".into(), Some(&first)).unwrap().unwrap();
        assert_eq!(put_if(url, b"4".into(), Some(&first)).unwrap(), None);
        let (bytes, version) = get(url).unwrap().unwrap();
        assert_eq!((bytes.as_slice(), version), (b"3".as_slice(), second));
        delete(&[url.to_string()]).unwrap();
        assert_eq!(put_if(url, b"5".into(), Some(&first)).unwrap(), None);
    }
}
