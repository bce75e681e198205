//! From a URL to a connection: which store, under which options, on which threads.
//!
//! Options come from the environment, by the names that the stores' own tools use
//! (`AWS_ENDPOINT_URL`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, …). All requests
//! run on threads of their own, so that any thread may wait for them, those of a runtime included.
//! Sends nothing by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use tokio::runtime::Runtime;

use crate::error::{Error, Result};

/// Seconds within which a request that moves little has to be answered.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// The schemes that are read, with the kind of store behind each.
const SCHEMES: &[(&str, Kind)] = &[
    ("s3", Kind::S3),
    ("s3a", Kind::S3),
    ("gs", Kind::Google),
    ("az", Kind::Azure),
    ("azure", Kind::Azure),
    ("abfs", Kind::Azure),
    ("abfss", Kind::Azure),
    ("http", Kind::Http),
    ("https", Kind::Http),
    #[cfg(test)]
    ("memory", Kind::Memory),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    S3,
    Google,
    Azure,
    Http,
    #[cfg(test)]
    Memory,
}

/// Where an object is, and the connection to its store.
#[derive(Clone)]
pub(super) struct Place {
    pub url: String,
    pub store: Arc<dyn ObjectStore>,
    pub key: Key,
}

/// A URL taken apart: `s3://bucket`, then the key as it is, without a slash in front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    kind: Kind,
    pub base: &'a str,
    pub key: &'a str,
}

/// Whether a name is a URL of an object store or a web server.
pub fn is_url(name: &str) -> bool {
    kind(name).is_some()
}

/// Whether a URL is that of a web server, which lists nothing and takes nothing.
pub fn is_http(url: &str) -> bool {
    kind(url) == Some(Kind::Http)
}

/// A URL as it may be shown: without a query, which may hold a signature.
pub fn shown(url: &str) -> &str {
    match is_http(url) {
        true => url.split(['?', '#']).next().unwrap_or(url),
        false => url,
    }
}

fn kind(name: &str) -> Option<Kind> {
    let (scheme, rest) = name.split_once("://")?;
    let known = SCHEMES.iter().find(|(known, _)| scheme.eq_ignore_ascii_case(known))?;
    (!rest.is_empty()).then_some(known.1)
}

/// Takes a URL apart; errors when its scheme is none that is read.
pub(super) fn split(url: &str) -> Result<Parts<'_>> {
    let kind = kind(url).ok_or_else(|| {
        let scheme = url.split_once("://").map_or(url, |(scheme, _)| scheme);
        Error::unknown("scheme", scheme, SCHEMES.iter().map(|(name, _)| *name))
    })?;
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find('/').map_or(url.len(), |at| authority + at);
    Ok(Parts { kind, base: &url[..end], key: url[end..].trim_start_matches('/') })
}

/// The place of an object.
pub(super) fn place(url: &str) -> Result<Place> {
    let parts = split(url)?;
    if parts.kind == Kind::Http {
        // The whole URL is the store's: neither a query nor an escape in the path is touched.
        return Ok(Place { url: url.into(), store: web(url)?, key: Key::default() });
    }
    Ok(Place { url: url.into(), store: shared(parts)?, key: key(url, parts.key)? })
}

/// A key as the store's path.
pub(super) fn key(url: &str, key: &str) -> Result<Key> {
    Key::parse(key).map_err(|e| Error::usage(e.to_string()).within(shown(url)))
}

/// The connection to the store of a URL that the threads here share.
pub(super) fn shared(parts: Parts<'_>) -> Result<Arc<dyn ObjectStore>> {
    static STORES: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>> = Mutex::new(BTreeMap::new());
    let mut stores = STORES.lock().map_err(|_| Error::internal("a lock is poisoned"))?;
    if let Some(store) = stores.get(parts.base) {
        return Ok(store.clone());
    }
    let store = connect(parts)?;
    stores.insert(parts.base.into(), store.clone());
    Ok(store)
}

/// A new connection to the store of a URL, whose requests run where they are awaited.
pub(super) fn connect(parts: Parts<'_>) -> Result<Arc<dyn ObjectStore>> {
    // In place of the builders' own reading of the environment, so that their defaults for it
    // come first: an object of many gigabytes takes longer than half a minute.
    macro_rules! configured {
        ($builder:ty, $prefix:expr) => {{
            let mut builder = <$builder>::new()
                .with_url(parts.base)
                .with_retry(retries())
                .with_client_options(ClientOptions::new().with_timeout_disabled());
            for (key, value) in environment($prefix) {
                if let Ok(key) = key.parse() {
                    builder = builder.with_config(key, value);
                }
            }
            builder
        }};
    }
    let store: object_store::Result<Arc<dyn ObjectStore>> = match parts.kind {
        Kind::S3 => {
            let mut builder = configured!(AmazonS3Builder, "AWS_");
            let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
            if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
                // Who writes `http://` has allowed it.
                builder = builder.with_allow_http(true);
            }
            builder.build().map(|store| Arc::new(store) as _)
        }
        Kind::Google => configured!(GoogleCloudStorageBuilder, "GOOGLE_")
            .build()
            .map(|store| Arc::new(store) as _),
        Kind::Azure => {
            configured!(MicrosoftAzureBuilder, "AZURE_").build().map(|store| Arc::new(store) as _)
        }
        Kind::Http => return web(parts.base),
        #[cfg(test)]
        Kind::Memory => Ok(Arc::new(object_store::memory::InMemory::new())),
    };
    store.map_err(|e| failed(parts.base, e))
}

/// The variables with a prefix, in the lower case that the stores know them by.
fn environment(prefix: &'static str) -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(move |(key, value)| {
        let key = key.to_str().filter(|key| key.starts_with(prefix))?;
        Some((key.to_ascii_lowercase(), value.to_str()?.to_string()))
    })
}

fn retries() -> RetryConfig {
    // Half a minute in all, rather than three: a mistyped host should not seem to hang.
    RetryConfig { max_retries: 8, ..RetryConfig::default() }
}

/// One web page or file as a store of a single object with an empty key.
fn web(url: &str) -> Result<Arc<dyn ObjectStore>> {
    // Begins the connections of all files on all servers: to make one reads the system's
    // certificates, which takes longer than a request.
    static CLIENTS: Mutex<BTreeMap<bool, HttpClient>> = Mutex::new(BTreeMap::new());
    let plain = url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let mut clients = CLIENTS.lock().map_err(|_| Error::internal("a lock is poisoned"))?;
    let client = match clients.get(&plain) {
        Some(client) => client.clone(),
        None => {
            let options = ClientOptions::new().with_timeout_disabled().with_allow_http(plain);
            let client =
                ReqwestConnector::default().connect(&options).map_err(|e| failed(url, e))?;
            clients.insert(plain, client.clone());
            client
        }
    };
    let store = HttpBuilder::new()
        .with_url(url)
        .with_retry(retries())
        .with_http_connector(Connected(client))
        .build();
    store.map(|store| Arc::new(store) as _).map_err(|e| failed(url, e))
}

/// Hands out one client.
#[derive(Debug)]
struct Connected(HttpClient);

impl HttpConnector for Connected {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

/// The threads that requests run on.
pub(super) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let start = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("remote").enable_all().build()
    };
    RUNTIME.get_or_init(start).as_ref().map_err(|e| Error::io("starting threads", e))
}

/// Runs a future on those threads and waits for it; any thread may, but those.
pub(super) fn run<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Who asked may be gone.
        let _ = sender.send(future.await);
    });
    receiver.recv().map_err(|_| Error::internal("a request ended without a result"))
}

/// The same for a request, which is given up after a while.
pub(super) fn request<T: Send + 'static>(
    url: &str,
    limit: Duration,
    future: impl Future<Output = object_store::Result<T>> + Send + 'static,
) -> Result<object_store::Result<T>> {
    // The timer is made where its runtime is.
    run(async move { tokio::time::timeout(limit, future).await })?.map_err(|_| silent(url, limit))
}

/// The error of a server that does not answer.
pub(super) fn silent(url: &str, limit: Duration) -> Error {
    Error::io(shown(url), format!("no answer within {} seconds", limit.as_secs()))
}

/// A store's error about a URL in our words.
pub fn failed(url: &str, error: object_store::Error) -> Error {
    use object_store::Error as Store;
    let at = shown(url);
    // The words of a failed request hold its address.
    let clean = |text: String| text.replace(url, at);
    match error {
        Store::NotFound { .. } => Error::input(at, "there is no such object"),
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            hinted(url, Error::io(at, "access is denied"))
        }
        Store::Generic { source, .. } | Store::NotSupported { source } => {
            let text = clean(source.to_string());
            // Without keys, the machine's own role is asked for, at this address.
            let role = text.contains("169.254.169.254") || text.contains("metadata.google");
            let error = Error::io(at, &text);
            if role { hinted(url, error) } else { error }
        }
        other => Error::io(at, clean(other.to_string())),
    }
}

fn hinted(url: &str, error: Error) -> Error {
    match kind(url) {
        Some(Kind::S3) => error.hint_with(
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or \
             AWS_SKIP_SIGNATURE=true for a public bucket; AWS_ENDPOINT_URL names another server",
        ),
        Some(Kind::Google) => error.hint_with(
            "set GOOGLE_SERVICE_ACCOUNT to the file of a key, or GOOGLE_SKIP_SIGNATURE=true",
        ),
        Some(Kind::Azure) => error.hint_with(
            "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or \
             AZURE_SKIP_SIGNATURE=true",
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_from_a_path() {
        for url in ["s3://b/k", "gs://b", "abfss://c@a.dfs.core.windows.net/k", "HTTPS://h/a?b"] {
            assert!(is_url(url), "{url}");
        }
        for path in ["s3:/b", "data/a.jsonl", "C://x", "ftp://h/a", "s3://"] {
            assert!(!is_url(path), "{path}");
        }
        let parts = split("s3://cc/{lang}/þ?.jsonl").unwrap();
        assert_eq!((parts.base, parts.key), ("s3://cc", "{lang}/þ?.jsonl"));
        assert_eq!(split("gs://b").unwrap().key, "");
        let error = split("s4://b/k").unwrap_err();
        assert!(error.to_string().starts_with("unknown scheme `s4`; expected one of: s3,"));
        assert_eq!(shown("https://h/a?signature=x"), "https://h/a");
        assert_eq!(shown("s3://b/a?"), "s3://b/a?");
    }

    #[test]
    fn a_denial_says_which_variables_are_missing() {
        let denied = object_store::Error::PermissionDenied { path: "k".into(), source: "".into() };
        let error = failed("s3://b/k", denied);
        assert_eq!(error.to_string(), "s3://b/k: access is denied");
        assert!(error.hint().unwrap().starts_with("set AWS_ACCESS_KEY_ID"));
    }
}
