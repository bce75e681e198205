//! Writes packs.
//!
//! Groups are made one after the other. Their token ids wait in a file without a name, and what is
//! sorted is sorted externally: memory does not grow with the corpus. Files are written under temporary names, synced, and take their place together just before the
//! manifest does; until then a reader finds the old pack or none. Texts arrive tokenized by
//! nobody: the writer encodes them on all threads, in order.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, Int32Array, ListArray, RecordBatch};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::ipc::MetadataVersion;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use rayon::prelude::*;
use serde_json::json;
use xxhash_rust::xxh3::Xxh3;

use super::fit::Fit;
use super::stage::{Piece, Stage, Staged};
use super::{GroupKind, MIN_LENGTH, PackMeta, PackOptions, PackStats, RECORD_ROWS, group_name};
use crate::error::{Error, Result};
use crate::id;
use crate::store::group::{Sorted, Sorter};
use crate::store::manifest::{self, Manifest, Part};
use crate::token::Tokenizer;

/// Texts encoded at a time.
const ENCODED_AT_ONCE: usize = 4096;
/// Bytes of text after which a batch is full.
const BYTES_AT_ONCE: usize = 8 << 20;

/// Writes the groups of one pack.
pub struct PackWriter<'a> {
    dir: PathBuf,
    tokenizer: &'a Tokenizer,
    fingerprint: String,
    options: PackOptions,
    part: String,
    // Finished files under their temporary names, by group.
    done: BTreeMap<String, (tempfile::TempPath, Part, PackStats)>,
}

impl<'a> PackWriter<'a> {
    /// Begins a pack in a folder, which is made if need be.
    pub fn create(dir: &Path, tokenizer: &'a Tokenizer, options: PackOptions) -> Result<Self> {
        if options.length < MIN_LENGTH || options.length > 1 << 20 {
            return Err(Error::usage(format!(
                "rows of `{}` tokens; expected {MIN_LENGTH} to {}",
                options.length,
                1 << 20
            )));
        }
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let fingerprint = tokenizer.fingerprint();
        let (dir, part, done) = (dir.into(), String::new(), BTreeMap::new());
        Ok(Self { dir, tokenizer, fingerprint, options, part, done })
    }

    /// Says which part of its language the next groups are, in a mixture by more than languages.
    pub fn part(&mut self, part: &str) {
        self.part = part.into();
    }

    /// Packs the documents of a language, given as `(doc_id, text)` in any order.
    ///
    /// A document of more than `length` - 2 tokens is cut into pieces of that many; each piece
    /// begins with `<s>` and ends with `</s>`.
    pub fn documents<T: AsRef<str> + Sync>(
        &mut self,
        lang: &str,
        texts: impl IntoIterator<Item = Result<(u64, T)>>,
    ) -> Result<PackStats> {
        let mut stage = self.stage()?;
        let mut stats = PackStats::default();
        let seed = self.options.seed;
        let encode = |text: &T| self.tokenizer.encode(text.as_ref());
        let size = |text: &T| text.as_ref().len();
        in_batches(texts, size, encode, |doc_id, ids: Vec<i32>| {
            if ids.is_empty() {
                stats.empty += 1;
                return Ok(());
            }
            stage.push(id::keyed(doc_id, seed), doc_id, &ids, &[])
        })?;
        let kind = GroupKind::Documents { lang: lang.into() };
        self.group(kind, &stage.finish()?, self.options.length - 2, stats)
    }

    /// Packs the pairs of two languages, given as `(doc_id, source, target)` in any order.
    ///
    /// A pair of more than `length` - 4 tokens is shortened on both sides in proportion.
    pub fn pairs<T: AsRef<str> + Sync>(
        &mut self,
        src_lang: &str,
        tgt_lang: &str,
        texts: impl IntoIterator<Item = Result<(u64, T, T)>>,
    ) -> Result<PackStats> {
        let mut stage = self.stage()?;
        let mut stats = PackStats::default();
        let seed = self.options.seed;
        let room = self.options.length - 4;
        let encode = |(src, tgt): &(T, T)| -> Result<(Vec<i32>, Vec<i32>)> {
            Ok((self.tokenizer.encode(src.as_ref())?, self.tokenizer.encode(tgt.as_ref())?))
        };
        let size = |(src, tgt): &(T, T)| src.as_ref().len() + tgt.as_ref().len();
        let texts = texts.into_iter().map(|row| row.map(|(doc_id, src, tgt)| (doc_id, (src, tgt))));
        in_batches(texts, size, encode, |doc_id, (mut src, mut tgt): (Vec<i32>, Vec<i32>)| {
            if src.is_empty() || tgt.is_empty() {
                stats.empty += 1;
                return Ok(());
            }
            let both = src.len() + tgt.len();
            if both > room {
                stats.truncated += 1;
                let kept = (room * src.len() / both).clamp(1, room - 1);
                src.truncate(kept);
                tgt.truncate(room - kept);
            }
            stage.push(id::keyed(doc_id, seed), doc_id, &src, &tgt)
        })?;
        let kind = GroupKind::Pairs { src_lang: src_lang.into(), tgt_lang: tgt_lang.into() };
        self.group(kind, &stage.finish()?, room, stats)
    }

    /// Puts the files in their places and commits the manifest, whose parts, counts and group
    /// statistics (`params.groups`) are filled in; returns the statistics by group.
    pub fn finish(self, mut manifest: Manifest) -> Result<BTreeMap<String, PackStats>> {
        let dir = &self.dir;
        // Between the first rename and the commit there is no manifest, hence no pack.
        let old = dir.join(manifest::MANIFEST);
        match fs::remove_file(&old) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(&old, e)),
            _ => manifest::sync_dir(dir)?,
        }
        manifest.parts.clear();
        manifest.rows_in = 0;
        manifest.rows_out = 0;
        let mut statistics = BTreeMap::new();
        for (name, (temp, part, stats)) in self.done {
            let path = dir.join(&part.file);
            temp.persist(&path).map_err(|e| Error::io(&path, e.error))?;
            manifest::open_to_all(&path)?;
            manifest.rows_in += stats.documents + stats.empty;
            manifest.rows_out += stats.rows;
            for (reason, n) in [("empty", stats.empty)] {
                if n > 0 {
                    *manifest.dropped.entry(reason.into()).or_default() += n;
                }
            }
            manifest.parts.push(part);
            statistics.insert(name, stats);
        }
        manifest::sync_dir(dir)?;
        let special = self.tokenizer.special();
        manifest.params.insert("length".into(), json!(self.options.length));
        manifest.params.insert("pad_id".into(), json!(special.pad));
        manifest.params.insert("tokenizer".into(), json!(self.fingerprint));
        manifest.params.insert("vocab_size".into(), json!(self.tokenizer.vocab_size()));
        manifest.params.insert("groups".into(), json!(statistics));
        manifest.commit(dir)?;
        sweep(dir, &manifest)?;
        Ok(statistics)
    }

    /// Texts are packed in the order of a hash of (seed, id), whatever order they come in.
    fn stage(&self) -> Result<Stage> {
        Stage::new(&self.dir, self.options.memory / 2)
    }

    /// The pieces of each row as records `[place, row, piece, start, lengths]` in the order of rows.
    fn rows(
        &self,
        name: &str,
        staged: &Staged,
        room: usize,
        stats: &mut PackStats,
    ) -> Result<Sorted<5>> {
        let PackOptions { length, seed, window, memory } = self.options;
        // The same key for all groups would give groups of equal size the same order.
        let key = id::keyed(id::hash_fields([name]), seed);
        let mut rows = Sorter::new(&self.dir, memory / 2);
        let mut fit = Fit::new(length);
        let mut placed = 0;
        let mut waiting: Vec<Piece> = Vec::new();
        let mut pieces = staged.pieces(room)?;
        loop {
            let piece = pieces.next().transpose()?;
            let ended = piece.is_none();
            waiting.extend(piece);
            if ended || waiting.len() >= window.max(1) {
                let sizes: Vec<usize> = waiting.iter().map(Piece::size).collect();
                stats.tokens += sizes.iter().map(|size| *size as u64).sum::<u64>();
                for (piece, row) in waiting.drain(..).zip(fit.place(&sizes)) {
                    let [start, lengths] = piece.words();
                    rows.push([id::keyed(row, key), row, placed, start, lengths])?;
                    placed += 1;
                }
            }
            if ended {
                break;
            }
        }
        stats.rows = fit.rows();
        stats.padding = stats.rows * length as u64 - stats.tokens;
        rows.finish()
    }

    fn group(
        &mut self,
        kind: GroupKind,
        staged: &Staged,
        room: usize,
        mut stats: PackStats,
    ) -> Result<PackStats> {
        let name = group_name(&kind.name(), &self.part);
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return Err(Error::usage(format!("`{name}` cannot name a file of a pack")));
        }
        if self.done.contains_key(&name) {
            return Err(Error::usage(format!("the pack has `{name}` twice")));
        }
        let length = self.options.length;
        stats.documents = staged.len();
        let rows = self.rows(&name, staged, room, &mut stats)?;

        let special = self.tokenizer.special();
        let meta = PackMeta {
            kind,
            part: self.part.clone(),
            length,
            pad: special.pad,
            tokenizer: self.fingerprint.clone(),
        };
        let schema = Arc::new(meta.schema());
        let temp = tempfile::Builder::new()
            .prefix(".tmp-")
            .tempfile_in(&self.dir)
            .map_err(|e| Error::io(&self.dir, e))?;
        let failed = |e: arrow::error::ArrowError| Error::io(temp.path(), e);
        let sink = Hashing { to: BufWriter::new(temp.as_file()), hash: Xxh3::new(), bytes: 0 };
        let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5).map_err(failed)?;
        let mut writer =
            FileWriter::try_new_with_options(sink, &schema, options).map_err(failed)?;

        let item = || Arc::new(Field::new("item", DataType::Int32, false));
        let mut rows = rows.groups(2)?;
        loop {
            let mut tokens: Vec<i32> = Vec::with_capacity(RECORD_ROWS * length);
            let mut lengths: Vec<i32> = Vec::new();
            let mut documents: Vec<usize> = Vec::with_capacity(RECORD_ROWS);
            for row in rows.by_ref().take(RECORD_ROWS) {
                let before = lengths.len();
                for [.., start, words] in row? {
                    let (first, second) = staged.ids(Piece::of([start, words]))?;
                    for (begin, side) in [(special.bos, first), (special.eos, second)] {
                        if side.is_empty() {
                            continue;
                        }
                        tokens.push(begin);
                        tokens.extend_from_slice(&side);
                        tokens.push(special.eos);
                        lengths.push(side.len() as i32 + 2);
                    }
                }
                documents.push(lengths.len() - before);
                tokens.resize(documents.len() * length, special.pad);
            }
            if documents.is_empty() {
                break;
            }
            let tokens: ArrayRef = Arc::new(FixedSizeListArray::try_new(
                item(),
                length as i32,
                Arc::new(Int32Array::from(tokens)),
                None,
            )?);
            let lengths: ArrayRef = Arc::new(ListArray::try_new(
                item(),
                OffsetBuffer::from_lengths(documents),
                Arc::new(Int32Array::from(lengths)),
                None,
            )?);
            let batch = RecordBatch::try_new(schema.clone(), vec![tokens, lengths])?;
            writer.write(&batch).map_err(failed)?;
        }
        writer.finish().map_err(failed)?;
        let Hashing { to, hash, bytes } = writer.into_inner().map_err(failed)?;
        drop(to);
        temp.as_file().sync_all().map_err(|e| Error::io(temp.path(), e))?;
        let part = Part {
            file: format!("{name}.arrow"),
            rows: stats.rows,
            bytes,
            xxh3: id::hex128(hash.digest128()),
            ..Part::default()
        };
        self.done.insert(name, (temp.into_temp_path(), part, stats));
        Ok(stats)
    }
}

/// Encodes rows on all threads, some thousand or megabytes at a time, and takes the results in order.
fn in_batches<T: Sync, U: Send>(
    rows: impl IntoIterator<Item = Result<(u64, T)>>,
    size: impl Fn(&T) -> usize,
    encode: impl Fn(&T) -> Result<U> + Sync,
    mut take: impl FnMut(u64, U) -> Result<()>,
) -> Result<()> {
    let mut rows = rows.into_iter();
    loop {
        let (mut doc_ids, mut texts, mut bytes) = (Vec::new(), Vec::new(), 0);
        while texts.len() < ENCODED_AT_ONCE && bytes < BYTES_AT_ONCE {
            let Some((doc_id, text)) = rows.next().transpose()? else { break };
            bytes += size(&text);
            doc_ids.push(doc_id);
            texts.push(text);
        }
        if texts.is_empty() {
            return Ok(());
        }
        let encoded: Vec<U> = texts.par_iter().map(&encode).collect::<Result<_>>()?;
        for (doc_id, tokens) in doc_ids.into_iter().zip(encoded) {
            take(doc_id, tokens)?;
        }
    }
}

/// Removes files of earlier packs and of writers that were killed.
fn sweep(dir: &Path, manifest: &Manifest) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let entry = entry.map_err(|e| Error::io(dir, e))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let ours = name.ends_with(".arrow") || name.starts_with(".tmp-");
        if ours && !manifest.parts.iter().any(|part| part.file == name) {
            fs::remove_file(entry.path()).map_err(|e| Error::io(entry.path(), e))?;
        }
    }
    Ok(())
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
