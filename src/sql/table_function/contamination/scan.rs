//! The one pass over the training texts: n-grams that the filter lets through, with their places.
//!
//! What is let through is a narrow record in an external sort. The stretch of text around it goes
//! to an unnamed file, from which the match is cut when it is known: texts are read once, in
//! whatever order they come.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::run::Space;
use crate::dedup::contamination::filter::Filter;
use crate::dedup::contamination::grams::{Width, Words};
use crate::dedup::contamination::spans::Span;
use crate::error::{Error, Result};
use crate::sql::table_function::Batches;
use crate::store::group::{Sorted, Sorter};

/// `[hash, check | column, doc_id, start | code points, passage]`; places are in code points.
pub(super) type Candidates = Sorted<5>;

/// What n-grams are held against.
pub(super) struct Sieve {
    pub filter: Filter,
    /// The words that every n-gram begins with.
    pub beginning: Width,
    /// All numbers of words that n-grams have.
    pub widths: Vec<Width>,
}

/// A stretch of a text that n-grams were let through in.
struct Run {
    doc: u64,
    lang: String,
    column: u16,
    /// Its first code point in the text.
    start: u32,
    text: String,
    hits: Vec<Hit>,
}

struct Hit {
    hash: u64,
    check: u32,
    /// Its place in the text, in code points.
    start: u32,
    length: u32,
}

/// Reads all training texts, of some number of columns each.
pub(super) fn scan(
    input: Batches,
    columns: usize,
    sieve: &Sieve,
    space: &Space,
) -> Result<(Candidates, Passages)> {
    let mut candidates = Sorter::new(&space.dir, space.memory);
    let mut passages = Passages::new(&space.dir)?;
    for batch in input {
        for run in runs(&batch?, columns, sieve, space)?.into_iter().flatten() {
            let passage = passages.push(&run)?;
            for hit in &run.hits {
                candidates.push([
                    hit.hash,
                    u64::from(hit.check) << 32 | u64::from(run.column),
                    run.doc,
                    u64::from(hit.start) << 32 | u64::from(hit.length),
                    passage,
                ])?;
            }
        }
    }
    Ok((candidates.finish()?, passages))
}

/// What was let through in each row of a batch, in the order of the rows.
fn runs(
    batch: &RecordBatch,
    columns: usize,
    sieve: &Sieve,
    space: &Space,
) -> Result<Vec<Vec<Run>>> {
    let column = |name: &str, ty| match batch.column_by_name(name) {
        Some(column) => Ok(cast(column, &ty)?),
        None => Err(Error::internal(format!("the texts come without `{name}`"))),
    };
    let ids = column("doc_id", DataType::UInt64)?;
    if ids.null_count() > 0 {
        return Err(Error::usage("a row has no `doc_id`: it is null"));
    }
    let ids = ids.as_primitive::<UInt64Type>();
    let langs = column("lang", DataType::Utf8View)?;
    let texts = (0..columns)
        .map(|i| column(&format!("text_{i}"), DataType::Utf8View))
        .collect::<Result<Vec<_>>>()?;
    let one = |words: &mut Words, row: usize| {
        let mut found = Vec::new();
        for (i, texts) in texts.iter().enumerate().filter(|(_, texts)| texts.is_valid(row)) {
            let text = texts.as_string_view().value(row);
            words.read(text);
            for (bytes, start, hits) in in_text(text, words, sieve) {
                let lang = if langs.is_valid(row) { langs.as_string_view().value(row) } else { "" };
                let text = text[bytes].to_string();
                let (doc, lang, column) = (ids.value(row), lang.to_string(), i as u16);
                found.push(Run { doc, lang, column, start, text, hits });
            }
        }
        found
    };
    let rows = (0..batch.num_rows()).into_par_iter().map_init(Words::default, one);
    Ok(space.threads.install(|| rows.collect()))
}

/// The stretches of a text with what was let through in them: bytes, and the first code point.
fn in_text(text: &str, words: &Words, sieve: &Sieve) -> Vec<(Range<usize>, u32, Vec<Hit>)> {
    let mut hits: Vec<(Range<usize>, u64, u32)> = Vec::new();
    for (i, beginning) in words.grams(&sieve.beginning).enumerate() {
        if !sieve.filter.may_begin(beginning) {
            continue;
        }
        for width in &sieve.widths {
            if let Some(hash) = words.gram(i, width)
                && sieve.filter.may_have(hash)
            {
                hits.push((words.bytes(i, width.words), hash, words.check(i, width.words)));
            }
        }
    }
    hits.sort_unstable_by_key(|(bytes, hash, _)| (bytes.start, bytes.end, *hash));
    let mut runs: Vec<(Range<usize>, u32, Vec<Hit>)> = Vec::new();
    let (mut at, mut chars) = (0, 0);
    for (bytes, hash, check) in hits {
        // Starts ascend: each byte of the text is counted once.
        chars += text[at..bytes.start].chars().count() as u32;
        at = bytes.start;
        let length = text[bytes.clone()].chars().count() as u32;
        let hit = Hit { hash, check, start: chars, length };
        match runs.last_mut() {
            Some((run, _, hits)) if bytes.start <= run.end => {
                run.end = run.end.max(bytes.end);
                hits.push(hit);
            }
            _ => runs.push((bytes, chars, vec![hit])),
        }
    }
    runs
}

/// Stretches of texts in a file without a name.
pub(super) struct Passages {
    dir: PathBuf,
    out: BufWriter<File>,
    written: u64,
}

/// Bytes of the numbers before a passage: its first code point, the bytes of its language and text.
const HEAD: usize = 12;

impl Passages {
    fn new(dir: &std::path::Path) -> Result<Self> {
        let file = tempfile::tempfile_in(dir).map_err(|e| Error::io(dir, e))?;
        Ok(Self { dir: dir.into(), out: BufWriter::new(file), written: 0 })
    }

    fn push(&mut self, run: &Run) -> Result<u64> {
        let place = self.written;
        let head = [run.start, run.lang.len() as u32, run.text.len() as u32];
        let head = head.map(u32::to_le_bytes);
        for bytes in [head.as_flattened(), run.lang.as_bytes(), run.text.as_bytes()] {
            self.out.write_all(bytes).map_err(|e| Error::io(&self.dir, e))?;
            self.written += bytes.len() as u64;
        }
        Ok(place)
    }

    /// Ends the writing.
    pub fn finish(&mut self) -> Result<()> {
        self.out.flush().map_err(|e| Error::io(&self.dir, e))
    }

    /// The language of a passage, and at most `most` code points of a span of its text.
    pub fn cut(&self, passage: u64, span: Span, most: u64) -> Result<(String, String)> {
        let read = |place: u64, length: usize| {
            let mut bytes = vec![0; length];
            let file = self.out.get_ref();
            file.read_exact_at(&mut bytes, place).map_err(|e| Error::io(&self.dir, e))?;
            Ok::<_, Error>(bytes)
        };
        let head = read(passage, HEAD)?;
        let number = |i: usize| {
            head[4 * i..4 * i + 4].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b))
        };
        let (start, lang, text) = (number(0), number(1), number(2));
        let place = passage + HEAD as u64;
        let damaged = || Error::internal("a passage that was written is not read again");
        let utf8 = |bytes| String::from_utf8(bytes).map_err(|_| damaged());
        let lang_text = utf8(read(place, lang as usize)?)?;
        let text = utf8(read(place + lang, text as usize)?)?;
        let skip = span.start.checked_sub(start).ok_or_else(damaged)?;
        let cut = text.chars().skip(skip as usize).take(span.len().min(most) as usize);
        Ok((lang_text, cut.collect()))
    }
}
