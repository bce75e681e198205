//! A row on its way from a file to a table, and where rows go.
//!
//! A row knows neither its number nor its file: the sink does.

use serde_json::{Map, Value};

use crate::error::Result;

/// A row of any of the three tables; each table takes the fields that it has columns for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// `text` of documents and labelled, `src` of pairs.
    pub text: String,
    /// `text_pair` of labelled, `tgt` of pairs.
    pub second: Option<String>,
    /// `lang`, or `src_lang` of pairs, as a tag.
    pub lang: Option<String>,
    /// `tgt_lang` of pairs, as a tag.
    pub second_lang: Option<String>,
    /// The id it came with.
    pub id: Option<String>,
    /// The address it came with.
    pub url: Option<String>,
    /// Its class.
    pub label: Option<String>,
    /// The part of the data set that it came in.
    pub split: Option<String>,
    /// The tokens of a tagging task.
    pub tokens: Option<Vec<String>>,
    /// Their tags.
    pub tags: Option<Vec<String>>,
    /// The score of a pair.
    pub score: Option<f32>,
    /// What joins it to its translations.
    pub group: Option<u64>,
    /// Everything else.
    pub meta: Map<String, Value>,
}

/// Where a format puts what it reads. Rows and rejected rows are numbered in the order they come.
pub trait Sink {
    /// A row that begins at an offset of the decompressed file.
    fn row(&mut self, offset: u64, row: Row) -> Result<()>;

    /// A row that cannot be read, with its bytes (of which the first 4 KiB are kept).
    fn reject(&mut self, offset: u64, reason: &str, raw: &[u8]) -> Result<()>;

    /// Something in the file that is no row by its nature, such as an obsolete message; counted.
    fn skip(&mut self, reason: &'static str);

    /// The whole file is unusable: one rejected row, and no row of the file is kept after it.
    /// A format says so before its first row. Where the file is all there is to read, the reason
    /// becomes the error of the command.
    fn refuse(&mut self, reason: &str) -> Result<()>;
}

/// A sink that keeps everything, for tests of formats.
#[cfg(test)]
#[derive(Debug, Default)]
pub struct Kept {
    /// The rows with their offsets.
    pub rows: Vec<(u64, Row)>,
    /// The rejected rows.
    pub rejected: Vec<(u64, String, Vec<u8>)>,
    /// What was skipped.
    pub skipped: std::collections::BTreeMap<&'static str, u64>,
}

#[cfg(test)]
impl Sink for Kept {
    fn row(&mut self, offset: u64, row: Row) -> Result<()> {
        self.rows.push((offset, row));
        Ok(())
    }

    fn reject(&mut self, offset: u64, reason: &str, raw: &[u8]) -> Result<()> {
        self.rejected.push((offset, reason.into(), raw.into()));
        Ok(())
    }

    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    fn refuse(&mut self, reason: &str) -> Result<()> {
        self.reject(0, reason, b"")
    }
}

#[cfg(test)]
impl Kept {
    /// The texts in order.
    pub fn texts(&self) -> Vec<&str> {
        self.rows.iter().map(|(_, r)| r.text.as_str()).collect()
    }

    /// The reasons in order.
    pub fn reasons(&self) -> Vec<&str> {
        self.rejected.iter().map(|(_, r, _)| r.as_str()).collect()
    }
}
