//! `url_blocked`: whether lists of domains, addresses, rules or words block a URL.
//!
//! Lists come as text: reading their files is the caller's. No public suffixes: a listed domain
//! covers whatever is below it. SQL gets the verdict alone; [`UrlList::find`] tells by what, and a
//! query that wants to know asks about one list at a time.
//!
//! With the same lists the verdicts are those of datatrove 0.10's URLFilter but for three points,
//! in each of which more is blocked here: hosts below a listed one that is no registered domain,
//! listed IP addresses, and listed addresses asked about with their scheme.

mod adblock;
mod format;
mod host;
mod list;
mod words;

use std::sync::Arc;

use arrow::datatypes::DataType;

use crate::error::Result;
use crate::function::{Arg, Family, Kernel, Row, Signature, Value};
use crate::id;

pub use format::Format;
pub use list::{Reason, UrlList};

/// Where lists come from by the name that a query calls them by.
pub trait Lists: Send + Sync + 'static {
    /// The list of a name; errors when there is none, or when it cannot be read.
    fn list(&self, name: &str) -> Result<Arc<UrlList>>;

    /// Identifies the contents of all lists.
    fn fingerprint(&self) -> u64;
}

/// The files of a list as a query names it: paths separated by commas, each after the name of its
/// format and a colon, or alone: then [`Format::guess`] tells the format.
///
/// ```
/// use hexapla::measure::url_blocked::{Format, files};
/// let files: Vec<_> = files("adult/domains, adblock:lists/fanboy.txt").collect();
/// assert_eq!(files, [(None, "adult/domains"), (Some(Format::Adblock), "lists/fanboy.txt")]);
/// ```
pub fn files(list: &str) -> impl Iterator<Item = (Option<Format>, &str)> {
    list.split(',').map(str::trim).filter(|file| !file.is_empty()).map(|file| {
        let named =
            file.split_once(':').and_then(|(name, path)| Some((Format::named(name).ok()?, path)));
        named.map_or((None, file), |(format, path)| (Some(format), path))
    })
}

/// The kernel `url_blocked` over some lists.
pub fn kernel(lists: Arc<dyn Lists>) -> Arc<dyn Kernel> {
    Arc::new(UrlBlocked { lists })
}

struct UrlBlocked {
    lists: Arc<dyn Lists>,
}

static URL_BLOCKED: Signature = Signature {
    name: "url_blocked",
    family: Family::Measure,
    args: &[Arg::text("url"), Arg::text("list")],
    returns: || DataType::Boolean,
    doc: "Whether a list blocks the URL: by its domain or one above it, its address, a rule or its \
          words. Lists are files as UT1's `domains` and `urls`, hosts files, Adblock rules, and \
          words as those of datatrove 0.10's URLFilter (hard words, two soft words, subwords); \
          `list` has their paths, separated by commas, each after its format and a colon where \
          its name does not tell it (`domains`, `urls`, `hosts`, `adblock`, `words`, \
          `soft_words`, `subwords`), or Adblock rules that begin with `||` or `@@`, separated by \
          blanks.",
    examples: &[
        ("url_blocked('https://ads.example.com/x', '||example.com^')", "true"),
        ("url_blocked('https://example.org/', '||example.com^')", "false"),
        ("url_blocked('http://xn--e1afmkfd.xn--p1ai/', '||пример.рф^')", "true"),
        ("url_blocked('http://例え.jp/広告/', '||例え.jp/広告^')", "true"),
    ],
    version: 1,
};

impl Kernel for UrlBlocked {
    fn signature(&self) -> &Signature {
        &URL_BLOCKED
    }

    fn call(&self, args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
        let (url, name) = (args[0].text().unwrap_or_default(), args[1].text().unwrap_or_default());
        let list = match name.starts_with("||") || name.starts_with("@@") {
            true => {
                let rules = name.split_whitespace().collect::<Vec<_>>().join("\n");
                Arc::new(UrlList::parse(&[(Format::Adblock, &rules)])?)
            }
            false => self.lists.list(name)?,
        };
        out.bool(list.is_blocked(url));
        Ok(())
    }

    fn fingerprint(&self) -> u64 {
        id::keyed(u64::from(URL_BLOCKED.version), self.lists.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::function::Columns;

    struct NoLists;

    impl Lists for NoLists {
        fn list(&self, name: &str) -> Result<Arc<UrlList>> {
            Err(Error::unknown("list", name, []))
        }

        fn fingerprint(&self) -> u64 {
            0
        }
    }

    #[test]
    fn files_may_say_their_format() {
        let found: Vec<_> = files("a/domains,words:b.txt , x:y/hosts,").collect();
        let expected = [(None, "a/domains"), (Some(Format::Words), "b.txt"), (None, "x:y/hosts")];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_kernel_takes_names_and_rules() {
        let kernel = kernel(Arc::new(NoLists));
        let call = |url, list| {
            let mut columns = Columns::new(&DataType::Boolean, 1).unwrap();
            let args = [Value::Text(url), Value::Text(list)];
            columns.row(|row| kernel.call(&args, row)).map(|()| columns.finish())
        };
        let blocked = call("http://a.de/", "||b.de^ ||a.de^").unwrap();
        assert_eq!(format!("{blocked:?}").matches("true").count(), 1);
        assert!(call("http://a.de/", "missing").is_err());
    }
}
