//! The one error type: what went wrong, where, and what to do about it.
//!
//! An error reads as one line that starts in lower case and has no final stop, with values in
//! backticks; advice goes into the hint. Errors divide into those a user can mend (`Usage`,
//! `Input`, `Io`) and those that are our own broken promise (`Internal`). Rows that cannot be
//! read are no errors: they are counted and kept (see `store::reject`).

use std::path::Path;
use std::{fmt, io};

/// The result of everything in hexapla that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose turn it is to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A command, project file, query or parameter is wrong; nothing was begun.
    Usage,
    /// A file cannot be what it is said to be.
    Input,
    /// The operating system refused.
    Io,
    /// A promise of hexapla's own is broken: a bug.
    Internal,
}

/// An error with its advice; boxed so that results stay small.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        // One error is one line: messages of libraries may carry line breaks.
        let message = message.into().split_whitespace().collect::<Vec<_>>().join(" ");
        Self(Box::new(Inner { kind, message, hint: None }))
    }

    /// An error in what the user asked for.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// An error in a file that was given.
    pub fn input(path: impl AsRef<Path>, message: impl fmt::Display) -> Self {
        Self::new(Kind::Input, format!("{}: {message}", path.as_ref().display()))
    }

    /// A refusal of the operating system at a path.
    pub fn io(path: impl AsRef<Path>, error: impl fmt::Display) -> Self {
        Self::new(Kind::Io, format!("{}: {error}", path.as_ref().display()))
    }

    /// What a reader of a path failed with: the error of our own inside of it, else the system's.
    pub fn reading(path: impl AsRef<Path>, error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => Self::io(path, error),
        }
    }

    /// A broken promise of hexapla's own.
    pub fn internal(message: impl Into<String>) -> Self {
        let mut error = Self::new(Kind::Internal, message);
        error.0.hint = Some("this is a bug in hexapla; please report it".into());
        error
    }

    /// An unknown name, with the valid ones and the nearest of them as the hint.
    ///
    /// ```
    /// let e = hexapla::error::Error::unknown("strategy", "tempreture", ["proportional", "temperature"]);
    /// assert_eq!(e.to_string(), "unknown strategy `tempreture`; expected one of: proportional, temperature");
    /// assert_eq!(e.hint(), Some("did you mean `temperature`?"));
    /// ```
    pub fn unknown<'a>(what: &str, name: &str, valid: impl IntoIterator<Item = &'a str>) -> Self {
        let valid: Vec<&str> = valid.into_iter().collect();
        let choices = if valid.is_empty() {
            "there are none".to_string()
        } else {
            format!("expected one of: {}", valid.join(", "))
        };
        let error = Self::usage(format!("unknown {what} `{name}`; {choices}"));
        match nearest(name, &valid) {
            Some(near) => error.hint_with(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    /// The same error with advice, which replaces earlier advice.
    #[must_use]
    pub fn hint_with(mut self, hint: impl Into<String>) -> Self {
        let hint: String = hint.into();
        self.0.hint = Some(hint.split_whitespace().collect::<Vec<_>>().join(" "));
        self
    }

    /// The same error with the place in front of its message.
    #[must_use]
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// Whose turn it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What to do about it, when that is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::new(Kind::Input, error.to_string())
    }
}

/// Whether a reader was refused its bytes, by the system or by an object store; any other error of
/// a reader is damage in the bytes.
pub fn refused(error: &io::Error) -> bool {
    error.raw_os_error().is_some() || error.get_ref().is_some_and(|inner| inner.is::<Error>())
}

/// The valid name within a third of the length in edits, if any; the first such one wins.
pub fn nearest<'a>(name: &str, valid: &[&'a str]) -> Option<&'a str> {
    let limit = name.chars().count().div_ceil(3).max(1);
    valid
        .iter()
        .map(|v| (edits(name, v), *v))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, v)| v)
}

/// Edits in code points: insertions, deletions, substitutions, and swaps of neighbours, which are
/// what fingers do (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let substituted = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let error = Error::input("a.jsonl", "line 3:\n  expected value");
        assert_eq!(error.to_string(), "a.jsonl: line 3: expected value");
    }

    #[test]
    fn a_refusal_is_told_from_damage() {
        let ours = || io::Error::other(Error::usage("the object changed").hint_with("run again"));
        assert!(refused(&ours()) && refused(&io::Error::from_raw_os_error(5)));
        assert!(!refused(&io::ErrorKind::UnexpectedEof.into()));
        assert_eq!(Error::reading("a.gz", ours()).hint(), Some("run again"));
        let damage = io::Error::new(io::ErrorKind::InvalidData, "checksum");
        assert_eq!(Error::reading("a.gz", damage).to_string(), "a.gz: checksum");
    }

    #[test]
    fn far_names_get_no_suggestion() {
        assert_eq!(nearest("kept", &["documents", "deduped"]), None);
        assert_eq!(nearest("rnu", &["run", "sql"]), Some("run"));
        assert_eq!(nearest("dedupped", &["documents", "deduped"]), Some("deduped"));
    }
}
