//! One group of a pack: its texts fitted into rows, and the rows written to a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Int32Array, ListArray, RecordBatch, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::ipc::MetadataVersion;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use xxhash_rust::xxh3::Xxh3;

use super::fit::Fit;
use super::stage::{Piece, Staged, Texts};
use super::{GroupKind, PackMeta, PackOptions, PackStats, RECORD_ROWS, item_of};
use crate::error::{Error, Result};
use crate::id;
use crate::store::group::{Sorted, Sorter};
use crate::store::manifest::Part;
use crate::token::tokenizer::Special;

/// Writes groups into a folder.
pub(super) struct GroupWriter<'a> {
    pub dir: &'a Path,
    pub options: &'a PackOptions,
    pub special: Special,
}

impl GroupWriter<'_> {
    /// The pieces of each row as records `[place, row, piece, doc_id, start, lengths]` in the order
    /// of rows, and the numbers of rows, tokens and padding.
    pub fn fit(
        &self,
        name: &str,
        texts: &mut Texts<'_>,
        group: usize,
        stats: &mut PackStats,
    ) -> Result<Sorted<6>> {
        let &PackOptions { length, overlap, seed, window, memory } = self.options;
        // The same key for all groups would give groups of equal size the same order.
        let key = id::keyed(id::hash_fields([name]), seed);
        let mut rows = Sorter::new(self.dir, memory / 2);
        let mut fit = Fit::new(length);
        let mut placed = 0;
        let mut waiting: Vec<(u64, Piece)> = Vec::new();
        let mut place = |waiting: &mut Vec<(u64, Piece)>| -> Result<()> {
            let sizes: Vec<usize> = waiting.iter().map(|(_, piece)| piece.size()).collect();
            stats.tokens += sizes.iter().map(|size| *size as u64).sum::<u64>();
            for ((doc_id, piece), row) in waiting.drain(..).zip(fit.place(&sizes)) {
                let [start, lengths] = piece.words();
                rows.push([id::keyed(row, key), row, placed, doc_id, start, lengths])?;
                placed += 1;
            }
            Ok(())
        };
        while let Some(text) = texts.next_of(group)? {
            for piece in text.ids.cut(length - 2, overlap) {
                waiting.push((text.doc_id, piece));
                if waiting.len() >= window.max(1) {
                    place(&mut waiting)?;
                }
            }
        }
        place(&mut waiting)?;
        stats.rows = fit.rows();
        stats.padding = stats.rows * length as u64 - stats.tokens;
        rows.finish()
    }

    /// Writes the rows to a file without its name yet; its part has that name.
    pub fn write(
        &self,
        name: &str,
        meta: &PackMeta,
        staged: &Staged,
        rows: &Sorted<6>,
    ) -> Result<(tempfile::TempPath, Part)> {
        let length = self.options.length;
        let schema = Arc::new(meta.schema());
        let temp = tempfile::Builder::new()
            .prefix(".tmp-")
            .tempfile_in(self.dir)
            .map_err(|e| Error::io(self.dir, e))?;
        let failed = |e: arrow::error::ArrowError| Error::io(temp.path(), e);
        let sink = Hashing { to: BufWriter::new(temp.as_file()), hash: Xxh3::new(), bytes: 0 };
        let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5).map_err(failed)?;
        let mut writer =
            FileWriter::try_new_with_options(sink, &schema, options).map_err(failed)?;
        let sides = match meta.kind {
            GroupKind::Documents { .. } => 1,
            GroupKind::Pairs { .. } => 2,
        };
        let mut rows = rows.groups(2)?;
        loop {
            let mut tokens: Vec<i32> = Vec::with_capacity(RECORD_ROWS * length);
            let (mut lengths, mut doc_ids): (Vec<i32>, Vec<u64>) = (Vec::new(), Vec::new());
            // Texts of each row.
            let mut texts: Vec<usize> = Vec::with_capacity(RECORD_ROWS);
            for row in rows.by_ref().take(RECORD_ROWS) {
                let row = row?;
                texts.push(row.len());
                for [_, _, _, doc_id, start, words] in row {
                    let (first, second) = staged.ids(Piece::of([start, words]))?;
                    for (begin, side) in [(self.special.bos, first), (self.special.eos, second)] {
                        if side.is_empty() {
                            continue;
                        }
                        tokens.push(begin);
                        tokens.extend_from_slice(&side);
                        tokens.push(self.special.eos);
                        lengths.push(side.len() as i32 + 2);
                    }
                    doc_ids.push(doc_id);
                }
                tokens.resize(texts.len() * length, self.special.pad);
            }
            if texts.is_empty() {
                break;
            }
            let list = |width: usize, values: ArrayRef| {
                let offsets = OffsetBuffer::from_lengths(texts.iter().map(|n| n * width));
                let item = item_of(values.data_type().clone());
                ListArray::try_new(item, offsets, values, None)
            };
            let tokens: ArrayRef = Arc::new(Int32Array::from(tokens));
            let item = item_of(tokens.data_type().clone());
            let batch = RecordBatch::try_new(
                schema.clone(),
                vec![
                    Arc::new(FixedSizeListArray::try_new(item, length as i32, tokens, None)?),
                    Arc::new(list(sides, Arc::new(Int32Array::from(lengths)))?),
                    Arc::new(list(1, Arc::new(UInt64Array::from(doc_ids)))?),
                ],
            )?;
            writer.write(&batch).map_err(failed)?;
        }
        writer.finish().map_err(failed)?;
        let Hashing { to, hash, bytes } = writer.into_inner().map_err(failed)?;
        drop(to);
        temp.as_file().sync_all().map_err(|e| Error::io(temp.path(), e))?;
        let part = Part {
            file: format!("{name}.arrow"),
            bytes,
            xxh3: id::hex128(hash.digest128()),
            ..Part::default()
        };
        Ok((temp.into_temp_path(), part))
    }
}

/// A sink that counts and hashes what passes through.
struct Hashing<'f> {
    to: BufWriter<&'f File>,
    hash: Xxh3,
    bytes: u64,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}
