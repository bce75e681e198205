//! Opens packs: maps their files and hands out rows without copying.
//!
//! Opening checks the manifest, sizes, schemas and footers, and reads no tokens; `hexapla verify`
//! re-hashes the bytes. A record batch is decoded (located, not copied) when a row of it is asked
//! for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, ListArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Int32Type, UInt64Type};
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::{Block, root_as_footer, root_as_message};

use super::{GroupKind, PackMeta, PackStats, RECORD_ROWS};
use crate::error::{Error, Result};
use crate::store::manifest::Manifest;
use crate::store::mmap;

/// An open pack.
#[derive(Debug)]
pub struct Pack {
    /// Where it is.
    pub dir: PathBuf,
    /// Its groups in the order of their names.
    pub groups: Vec<Group>,
    /// Ids per row, the same in all groups.
    pub length: usize,
    /// The id that fills rows up.
    pub pad: i32,
    /// The fingerprint of the tokenizer that made the ids.
    pub tokenizer: String,
    /// One more than the largest id of the tokenizer.
    pub vocab_size: usize,
    /// The hash of its content, for keys of what is made from it.
    pub content: String,
}

/// One mapped file: the rows of a language or of a pair of languages.
#[derive(Debug)]
pub struct Group {
    /// The language, or `source-target`.
    pub name: String,
    /// What the rows hold.
    pub kind: GroupKind,
    /// What was written.
    pub stats: PackStats,
    /// Rows of `length` ids.
    pub rows: u64,
    /// Ids per row.
    pub length: usize,
    /// The id that fills rows up.
    pub pad: i32,
    path: PathBuf,
    mapping: Buffer,
    blocks: Vec<Block>,
    decoder: FileDecoder,
}

/// Opens a pack; errors when a file is missing, of another size than its manifest says, or not
/// a pack file.
pub fn open(dir: &Path) -> Result<Pack> {
    let manifest = Manifest::read(dir)?.ok_or_else(|| {
        Error::usage(format!("{}: no pack here", dir.display()))
            .hint_with("`hexapla pack NAME` writes one")
    })?;
    let mut groups = Vec::with_capacity(manifest.parts.len());
    let mut tokenizer = String::new();
    for part in &manifest.parts {
        let path = dir.join(&part.file);
        let mapping = mmap::map(&path)?;
        if mapping.len() as u64 != part.bytes {
            return Err(Error::input(
                &path,
                format!("{} bytes where the manifest says {}", mapping.len(), part.bytes),
            )
            .hint_with("the file was cut or replaced; run `hexapla pack` with --force"));
        }
        let (group, fingerprint) =
            Group::parse(&path, mapping, part.rows).map_err(|e| damaged(&path, e))?;
        let stats = manifest.params.get("groups").and_then(|groups| groups.get(&group.name));
        let stats: PackStats = stats
            .and_then(|stats| serde_json::from_value(stats.clone()).ok())
            .filter(|stats: &PackStats| stats.rows == group.rows)
            .ok_or_else(|| Error::input(&path, "its manifest has no statistics of it"))?;
        tokenizer = fingerprint;
        groups.push(Group { stats, ..group });
    }
    let number = |key: &str| manifest.params.get(key).and_then(serde_json::Value::as_i64);
    let (Some(length), Some(pad), Some(vocab_size)) =
        (number("length"), number("pad_id"), number("vocab_size"))
    else {
        return Err(Error::input(dir, "its manifest is not that of a pack"));
    };
    let (length, pad) = (length as usize, pad as i32);
    if let Some(odd) = groups.iter().find(|g| g.length != length || g.pad != pad) {
        return Err(Error::input(&odd.path, format!("rows of {} tokens", odd.length)));
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Pack {
        dir: dir.to_path_buf(),
        groups,
        length,
        pad,
        tokenizer,
        vocab_size: vocab_size as usize,
        content: manifest.content(),
    })
}

impl Pack {
    /// The place of a group by name.
    pub fn group(&self, name: &str) -> Result<usize> {
        self.groups.iter().position(|g| g.name == name).ok_or_else(|| {
            Error::unknown(
                "language of the pack",
                name,
                self.groups.iter().map(|g| g.name.as_str()),
            )
        })
    }
}

impl Group {
    /// Tokens of all rows, padding not counted.
    pub fn tokens(&self) -> u64 {
        self.stats.tokens
    }

    /// The mapped bytes of the file.
    pub fn mapping(&self) -> &Buffer {
        &self.mapping
    }

    /// The ids of `count` rows from `first`: exactly `count` × `length` values of 32 bits, and
    /// whether they are the mapped bytes themselves (rows of one record batch) or a copy.
    pub fn read(&self, first: u64, count: usize) -> Result<(Buffer, bool)> {
        let width = self.length * size_of::<i32>();
        let mut spans = Vec::new();
        self.spans(first, count, |batch, start, rows| {
            let values = batch.column(0).as_fixed_size_list().values();
            let values = values.as_primitive::<Int32Type>().values().inner().clone();
            spans.push(values.slice_with_length(start * width, rows * width));
            Ok(())
        })?;
        match spans.len() {
            1 => Ok((spans.remove(0), true)),
            _ => {
                let bytes: Vec<i32> =
                    spans.iter().flat_map(|span| span.typed_data::<i32>()).copied().collect();
                Ok((Buffer::from_vec(bytes), false))
            }
        }
    }

    /// The lengths of the documents of `count` rows from `first`; for pairs, source and target in
    /// turn.
    pub fn document_lengths(&self, first: u64, count: usize) -> Result<Vec<Vec<i32>>> {
        let mut all = Vec::with_capacity(count);
        self.spans(first, count, |batch, start, rows| {
            let lists: &ListArray = batch.column(1).as_list::<i32>();
            for row in start..start + rows {
                let lengths = lists.value(row).as_primitive::<Int32Type>().values().to_vec();
                let sum: i64 = lengths.iter().map(|n| i64::from(*n)).sum();
                if lengths.iter().any(|n| *n < 1) || sum > self.length as i64 {
                    return Err(damaged(&self.path, "lengths of documents that exceed their row"));
                }
                all.push(lengths);
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// The ids of the documents of `count` rows from `first`, one a document or pair.
    pub fn doc_ids(&self, first: u64, count: usize) -> Result<Vec<Vec<u64>>> {
        let mut all = Vec::with_capacity(count);
        self.spans(first, count, |batch, start, rows| {
            let lists: &ListArray = batch.column(2).as_list::<i32>();
            let ids = |row| lists.value(row).as_primitive::<UInt64Type>().values().to_vec();
            all.extend((start..start + rows).map(ids));
            Ok(())
        })?;
        Ok(all)
    }

    /// Calls back with each record batch that holds some of the rows: start inside it, and count.
    fn spans(
        &self,
        first: u64,
        count: usize,
        mut each: impl FnMut(RecordBatch, usize, usize) -> Result<()>,
    ) -> Result<()> {
        if first + count as u64 > self.rows {
            return Err(Error::internal(format!(
                "rows {first} to {} of the {} rows of `{}`",
                first + count as u64,
                self.rows,
                self.name
            )));
        }
        let (mut row, mut left) = (first as usize, count);
        while left > 0 {
            let (index, start) = (row / RECORD_ROWS, row % RECORD_ROWS);
            let rows = left.min(RECORD_ROWS - start);
            each(self.batch(index)?, start, rows)?;
            row += rows;
            left -= rows;
        }
        Ok(())
    }

    fn batch(&self, index: usize) -> Result<RecordBatch> {
        let block = &self.blocks[index];
        let batch = self.decode(block).map_err(|e| damaged(&self.path, e))?;
        let rows = (self.rows as usize - index * RECORD_ROWS).min(RECORD_ROWS);
        if batch.num_rows() != rows {
            return Err(damaged(&self.path, format!("{} rows, not {rows}", batch.num_rows())));
        }
        Ok(batch)
    }

    fn decode(&self, block: &Block) -> Result<RecordBatch> {
        let bytes = within(&self.mapping, block)?;
        // The decoder slices by what the message says and would panic outside of the file.
        let header = block.metaDataLength() as usize;
        let body = bytes.len() - header;
        let prefix = if bytes.get(..4) == Some(&[0xff; 4]) { 8 } else { 4 };
        let message = bytes
            .get(prefix..header)
            .and_then(|message| root_as_message(message).ok())
            .and_then(|message| message.header_as_record_batch())
            .ok_or_else(|| Error::usage("a record batch without its header"))?;
        let fits = message.buffers().is_some_and(|buffers| {
            buffers.iter().all(|b| {
                let (start, len) = (u64::try_from(b.offset()), u64::try_from(b.length()));
                matches!((start, len), (Ok(s), Ok(n)) if s.saturating_add(n) <= body as u64)
            })
        });
        if !fits || message.compression().is_some() {
            return Err(Error::usage("a record batch that exceeds its place"));
        }
        let batch = self.decoder.read_record_batch(block, &bytes)?;
        batch.ok_or_else(|| Error::usage("a block that is no record batch"))
    }

    /// A group without its statistics, and the fingerprint of its tokenizer.
    fn parse(path: &Path, mapping: Buffer, rows: u64) -> Result<(Self, String)> {
        let bytes = mapping.as_slice();
        let trailer = bytes
            .len()
            .checked_sub(10)
            .ok_or_else(|| Error::usage("too short for an Arrow file"))?;
        let tail: [u8; 10] =
            bytes[trailer..].try_into().map_err(|_| Error::usage("too short for an Arrow file"))?;
        let start = trailer
            .checked_sub(read_footer_length(tail)?)
            .ok_or_else(|| Error::usage("a footer longer than the file"))?;
        let footer = root_as_footer(&bytes[start..trailer])
            .map_err(|e| Error::usage(format!("an unreadable footer: {e}")))?;
        let schema = footer.schema().ok_or_else(|| Error::usage("a footer without schema"))?;
        let schema = Arc::new(fb_to_schema(schema));
        let meta = PackMeta::of(&schema)?;
        let blocks: Vec<Block> = footer.recordBatches().into_iter().flatten().copied().collect();
        if blocks.len() as u64 != rows.div_ceil(RECORD_ROWS as u64) {
            return Err(Error::usage(format!("{} record batches for {rows} rows", blocks.len())));
        }
        for block in &blocks {
            within(&mapping, block)?;
        }
        let decoder = FileDecoder::new(schema, footer.version()).with_require_alignment(true);
        let group = Self {
            name: super::group_name(&meta.kind.name(), &meta.part),
            kind: meta.kind,
            stats: PackStats::default(),
            rows,
            length: meta.length,
            pad: meta.pad,
            path: path.to_path_buf(),
            mapping,
            blocks,
            decoder,
        };
        Ok((group, meta.tokenizer))
    }
}

/// The bytes of a block, which must lie inside of the file.
fn within(mapping: &Buffer, block: &Block) -> Result<Buffer> {
    let start = usize::try_from(block.offset()).ok();
    let header = usize::try_from(block.metaDataLength()).ok();
    let body = usize::try_from(block.bodyLength()).ok();
    let found = start.zip(header).zip(body).and_then(|((start, header), body)| {
        let len = header.checked_add(body)?;
        let end = start.checked_add(len)?;
        (end <= mapping.len() && header >= 8).then(|| mapping.slice_with_length(start, len))
    });
    found.ok_or_else(|| Error::usage("a record batch outside of the file"))
}

fn damaged(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::input(path, format!("not a readable pack: {what}"))
        .hint_with("`hexapla verify` tells what changed; `hexapla pack --force` writes it anew")
}
