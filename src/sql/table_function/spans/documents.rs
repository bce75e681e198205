//! The texts of a table in an unnamed file, and the order in which documents may keep what others
//! have too.
//!
//! The file holds the texts as they came, one after the other. The order is a function of the rows
//! alone: first the user's columns, then the hash of the text as it is, then `doc_id`, so that
//! which texts stay depends neither on the order of rows nor on how they are spread over files.
//! Content is not folded as for `content_key`: texts that differ in their bytes have to be told
//! apart, else `doc_id` would choose between them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt64Type};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::Space;
use crate::dedup::spans::units::Unit;
use crate::error::{Error, Result};
use crate::id;
use crate::sql::table_function::Batches;
use crate::sql::table_function::order::{RANKS, ordered};
use crate::store::group::{Sorted, Sorter};

/// The buffer that texts are written through.
const WRITE_BYTES: usize = 1 << 20;

/// One document with a text that is long enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document {
    pub id: u64,
    /// Its place in the order, from 0.
    pub place: u64,
    /// A hash of the group in which copies are looked for.
    pub within: u64,
    /// Where its first unit lies among those of all documents, in the order of the file. One place
    /// is left between documents, so that stretches never touch across them.
    pub start: u64,
    /// Its length in units.
    pub units: u64,
    /// Where its text lies in the file.
    at: u64,
    bytes: u64,
}

/// All documents with their texts.
pub(super) struct Documents {
    dir: PathBuf,
    file: File,
    /// `[row, doc_id, within, bytes, units]`.
    rows: Sorted<5>,
    /// `[row, place]`.
    places: Sorted<2>,
}

impl Documents {
    /// Reads the rows whose text has at least some units.
    pub fn read(input: Batches, unit: Unit, least: u64, space: &Space) -> Result<Self> {
        let io = |e: std::io::Error| Error::io(&space.dir, e);
        let file = tempfile::tempfile_in(&space.dir).map_err(io)?;
        let mut out = BufWriter::with_capacity(WRITE_BYTES, file);
        let mut ids: Sorter<1> = space.sorter(32);
        let mut rows: Sorter<5> = space.sorter(32);
        let mut order: Sorter<8> = space.sorter(16);
        let mut row = 0;
        for batch in input {
            let batch = Columns::new(&batch?)?;
            for i in 0..batch.len() {
                ids.push([batch.id(i)])?;
            }
            let texts: Vec<Option<(u128, u64)>> = (0..batch.len())
                .into_par_iter()
                .map(|i| {
                    let text = batch.text(i)?;
                    let units = unit.count(text) as u64;
                    (units >= least).then(|| (id::hash128(text.as_bytes()), units))
                })
                .collect();
            for (i, found) in texts.into_iter().enumerate() {
                let (Some((key, units)), Some(text)) = (found, batch.text(i)) else { continue };
                out.write_all(text.as_bytes()).map_err(io)?;
                rows.push([row, batch.id(i), batch.within(i), text.len() as u64, units])?;
                let [a, b, c, d] = batch.ranks(i);
                order.push([a, b, c, d, (key >> 64) as u64, key as u64, batch.id(i), row])?;
                row += 1;
            }
        }
        let file = out.into_inner().map_err(|e| Error::io(&space.dir, e.error()))?;
        unique(ids.finish()?)?;
        let mut places: Sorter<2> = space.sorter(32);
        for (place, record) in order.finish()?.iter()?.enumerate() {
            places.push([record?[7], place as u64])?;
        }
        Ok(Self { dir: space.dir.clone(), file, rows: rows.finish()?, places: places.finish()? })
    }

    /// The documents in the order of the file.
    pub fn iter(&self) -> Result<impl Iterator<Item = Result<Document>>> {
        let (mut start, mut at) = (0, 0);
        Ok(self.rows.iter()?.zip(self.places.iter()?).map(move |(row, place)| {
            let ([_, id, within, bytes, units], [_, place]) = (row?, place?);
            let document = Document { id, place, within, start, units, at, bytes };
            start += units + 1;
            at += bytes;
            Ok(document)
        }))
    }

    /// The documents that have some of the records, which are sorted and begin with the place of a
    /// unit, each with its records.
    pub fn with<const W: usize>(
        &self,
        records: impl Iterator<Item = Result<[u64; W]>>,
    ) -> Result<impl Iterator<Item = Result<(Document, Vec<[u64; W]>)>>> {
        let mut documents = self.iter()?;
        let mut records = records.peekable();
        Ok(std::iter::from_fn(move || {
            records.peek()?;
            loop {
                let document = match documents.next() {
                    Some(Ok(document)) => document,
                    Some(Err(error)) => return Some(Err(error)),
                    None => return Some(Err(Error::internal("a place after all documents"))),
                };
                let mut own = Vec::new();
                let here = |record: &Result<[u64; W]>| match record {
                    Ok(record) => record[0] < document.start + document.units,
                    Err(_) => true,
                };
                while let Some(record) = records.next_if(here) {
                    match record {
                        Ok(record) => own.push(record),
                        Err(error) => return Some(Err(error)),
                    }
                }
                if !own.is_empty() {
                    return Some(Ok((document, own)));
                }
            }
        }))
    }

    /// Calls `each` for every document with its text, several at a time, and hands what it gives
    /// to `take` in the order of the documents.
    pub fn visit<R: Send + Sync, T: Send>(
        &self,
        documents: impl Iterator<Item = Result<(Document, R)>>,
        space: &Space,
        each: impl Fn(&Document, &str, &R, &mut dyn FnMut(T) -> Result<()>) -> Result<()> + Sync,
        mut take: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let mut some: Vec<(Document, R)> = Vec::new();
        let mut bytes = 0;
        let mut documents = documents.peekable();
        while let Some(next) = documents.next() {
            let next = next?;
            bytes += next.0.bytes;
            some.push(next);
            if bytes < space.texts && documents.peek().is_some() {
                continue;
            }
            if let [(document, rest)] = some.as_slice() {
                // One long text: what it gives is not held.
                each(document, utf8(&self.text(document)?)?, rest, &mut take)?;
            } else {
                let given: Vec<Vec<T>> = some
                    .par_iter()
                    .map(|(document, rest)| {
                        let mut given = Vec::new();
                        let mut push = |one| {
                            given.push(one);
                            Ok(())
                        };
                        each(document, utf8(&self.text(document)?)?, rest, &mut push)?;
                        Ok(given)
                    })
                    .collect::<Result<_>>()?;
                given.into_iter().flatten().try_for_each(&mut take)?;
            }
            some.clear();
            bytes = 0;
        }
        Ok(())
    }

    fn text(&self, document: &Document) -> Result<Vec<u8>> {
        let mut bytes = vec![0; document.bytes as usize];
        self.file.read_exact_at(&mut bytes, document.at).map_err(|e| Error::io(&self.dir, e))?;
        Ok(bytes)
    }
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    simdutf8::basic::from_utf8(bytes).map_err(|e| Error::internal(format!("a text: {e}")))
}

/// The columns of a batch as the query names them.
struct Columns {
    ids: ArrayRef,
    texts: ArrayRef,
    within: ArrayRef,
    orders: Vec<ArrayRef>,
}

impl Columns {
    fn new(batch: &RecordBatch) -> Result<Self> {
        let column = |name: &str, ty| match batch.column_by_name(name) {
            Some(column) => Ok(cast(column, &ty)?),
            None => Err(Error::internal(format!("the texts come without `{name}`"))),
        };
        let ids = column("doc_id", DataType::UInt64)?;
        if ids.null_count() > 0 {
            return Err(Error::usage("a row has no `doc_id`: it is null"));
        }
        let orders = (0..RANKS).map(|i| column(&format!("order{i}"), DataType::Float64));
        Ok(Self {
            ids,
            texts: column("text", DataType::Utf8View)?,
            within: column("within", DataType::Utf8View)?,
            orders: orders.collect::<Result<_>>()?,
        })
    }

    fn len(&self) -> usize {
        self.ids.len()
    }

    fn id(&self, row: usize) -> u64 {
        self.ids.as_primitive::<UInt64Type>().value(row)
    }

    fn text(&self, row: usize) -> Option<&str> {
        let texts = self.texts.as_string_view();
        texts.is_valid(row).then(|| texts.value(row))
    }

    fn within(&self, row: usize) -> u64 {
        let within = self.within.as_string_view();
        if within.is_valid(row) { id::hash64(within.value(row).as_bytes()) } else { 0 }
    }

    /// The user's order as numbers of which the least comes first; null comes last.
    fn ranks(&self, row: usize) -> [u64; RANKS] {
        let mut ranks = [u64::MAX; RANKS];
        for (rank, column) in ranks.iter_mut().zip(&self.orders) {
            let column = column.as_primitive::<Float64Type>();
            if column.is_valid(row) {
                *rank = !ordered(column.value(row));
            }
        }
        ranks
    }
}

fn unique(ids: Sorted<1>) -> Result<()> {
    let mut last = None;
    for id in ids.iter()? {
        let [id] = id?;
        if last.replace(id) == Some(id) {
            return Err(Error::usage(format!("`doc_id` {id} stands twice in the table"))
                .hint_with("spans are told apart by `doc_id`, which must be unique"));
        }
    }
    Ok(())
}
