//! The file of a fastText model: its numbers one after the other, and the parameters at its head.
//!
//! Little-endian, without padding and without an index, so that every part has to be read to find
//! the next one. No length is believed before that many bytes are seen to be there.

use std::path::Path;

use arrow::buffer::Buffer;

use crate::error::{Error, Result};

const MAGIC: i32 = 793_712_314;
/// `sup` of fastText's `model_name`; the others are word vectors.
const SUPERVISED: i32 = 3;

/// No n-gram is longer than this; the work on a text grows with it.
const LONGEST: usize = 100;

/// A place in the bytes of a model.
pub struct Reader<'a> {
    path: &'a Path,
    bytes: &'a Buffer,
    at: usize,
    part: &'static str,
}

impl<'a> Reader<'a> {
    /// The beginning of a file; the path is for messages.
    pub fn new(path: &'a Path, bytes: &'a Buffer) -> Self {
        Self { path, bytes, at: 0, part: "head" }
    }

    /// Names the part of the file that is read from here on.
    pub fn enter(&mut self, part: &'static str) {
        self.part = part;
    }

    /// An error that names the file, the part and the place.
    pub fn damaged(&self, what: impl std::fmt::Display) -> Error {
        let Self { path, at, part, .. } = self;
        Error::input(path, format!("{what} in the {part} of the fastText model, at byte {at}"))
    }

    /// The bytes that are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next bytes, without a copy.
    pub fn slice(&mut self, length: usize) -> Result<Buffer> {
        if length > self.left() {
            let missing = length - self.left();
            return Err(self.damaged(format!("{missing} bytes are missing")));
        }
        let slice = self.bytes.slice_with_length(self.at, length);
        self.at += length;
        Ok(slice)
    }

    /// The next bytes of a table of 32-bit numbers, without a copy.
    pub fn table(&mut self, rows: usize, columns: usize) -> Result<Buffer> {
        match rows.checked_mul(columns).and_then(|numbers| numbers.checked_mul(4)) {
            Some(length) => self.slice(length),
            None => Err(self.damaged(format!("a table of {rows} × {columns} numbers"))),
        }
    }

    /// The next numbers of a table, all of them finite.
    pub fn floats(&mut self, rows: usize, columns: usize) -> Result<Vec<f32>> {
        let table = self.table(rows, columns)?;
        let (numbers, _) = table.as_chunks();
        let floats: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        if floats.iter().any(|float| !float.is_finite()) {
            return Err(self.damaged("a number that is not finite"));
        }
        Ok(floats)
    }

    /// All bytes that are left, which stay to be read.
    pub fn rest(&self) -> Buffer {
        self.bytes.slice(self.at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(array) => {
                self.at += N;
                Ok(*array)
            }
            None => Err(self.damaged(format!("{} bytes are missing", N - rest.len()))),
        }
    }

    /// An `int32_t`.
    pub fn int(&mut self) -> Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    /// An `int64_t`.
    pub fn long(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// A byte.
    pub fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A `bool`.
    pub fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.damaged(format!("{other} where 0 or 1 belongs"))),
        }
    }

    /// An `int32_t` that counts something.
    pub fn count(&mut self, what: &str) -> Result<usize> {
        let count = self.int()?;
        self.counted(what, i64::from(count))
    }

    /// An `int64_t` that counts something.
    pub fn long_count(&mut self, what: &str) -> Result<usize> {
        let count = self.long()?;
        self.counted(what, count)
    }

    fn counted(&self, what: &str, count: i64) -> Result<usize> {
        usize::try_from(count).map_err(|_| self.damaged(format!("{count} {what}")))
    }

    /// The length of the text up to the next NUL, which is skipped.
    pub fn text(&mut self) -> Result<usize> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match memchr::memchr(0, rest) {
            Some(length) => {
                self.at += length + 1;
                Ok(length)
            }
            None => Err(self.damaged("a word without its end")),
        }
    }
}

/// What a model was trained with, as far as it decides predictions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// Length of the vectors.
    pub dim: usize,
    /// Longest n-gram of words; at most 1 for words alone.
    pub word_ngrams: usize,
    /// How scores are made of the output.
    pub loss: LossName,
    /// Rows of the input that n-grams are hashed to.
    pub buckets: u32,
    /// Shortest n-gram of code points, at least 1.
    pub minn: usize,
    /// Longest n-gram of code points; there are none if this is less.
    pub maxn: usize,
}

/// fastText's `loss_name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossName {
    /// A sigmoid for each inner node of a tree of labels.
    HierarchicalSoftmax,
    /// A sigmoid for each label, trained against a sample of the others.
    NegativeSampling,
    /// One distribution over all labels.
    Softmax,
    /// A sigmoid for each label.
    OneVsAll,
}

impl Args {
    /// Reads the head of a file of version 11 or 12.
    ///
    /// Errors for another file, another version, and a model of words instead of labels.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        if reader.int().ok() != Some(MAGIC) {
            let message = "not a fastText model: it does not begin with the magic number of one";
            return Err(Error::input(reader.path, message));
        }
        let version = reader.int()?;
        if !matches!(version, 11 | 12) {
            let message = format!("a fastText model of version {version}; read are 11 and 12");
            return Err(Error::input(reader.path, message));
        }
        let dim = reader.count("dimensions")?;
        let (_ws, _epoch, _min_count, _neg) =
            (reader.int()?, reader.int()?, reader.int()?, reader.int()?);
        let word_ngrams = reader.int()?;
        let loss = match reader.int()? {
            1 => LossName::HierarchicalSoftmax,
            2 => LossName::NegativeSampling,
            3 => LossName::Softmax,
            4 => LossName::OneVsAll,
            other => return Err(reader.damaged(format!("the unknown loss {other}"))),
        };
        if reader.int()? != SUPERVISED {
            let message = "a fastText model of word vectors, which has no labels";
            return Err(Error::input(reader.path, message)
                .hint_with("a model made with `fasttext supervised` is needed"));
        }
        let buckets = reader.count("buckets")? as u32;
        let (minn, maxn) = (reader.int()?, reader.int()?);
        let (_lr_update_rate, _t) = (reader.int()?, reader.long()?);
        // Before version 12, classifiers had the option but made no use of it.
        let maxn = if version == 11 { 0 } else { maxn };
        let length = |n: i32| match usize::try_from(n).unwrap_or(0) {
            n if n <= LONGEST => Ok(n),
            n => Err(reader.damaged(format!("n-grams of length {n}"))),
        };
        let word_ngrams = length(word_ngrams)?;
        let (minn, maxn) = (usize::try_from(minn).unwrap_or(0).max(1), length(maxn)?);
        let args = Self { dim, word_ngrams, loss, buckets, minn, maxn };
        if args.dim == 0 {
            return Err(reader.damaged("vectors of no dimension"));
        }
        if args.has_ngrams() && args.buckets == 0 {
            return Err(reader.damaged("n-grams without buckets"));
        }
        Ok(args)
    }

    /// Whether n-grams of any kind are looked up.
    pub fn has_ngrams(&self) -> bool {
        self.word_ngrams > 1 || self.minn <= self.maxn
    }
}
