//! Writes packs.
//!
//! Texts of all groups come in any order and are encoded on all threads. Their ids wait in a file
//! without a name, and what is sorted is sorted externally: memory does not grow with the corpus.
//! Then groups are fitted and written one after the other, under temporary names, synced, and take
//! their place together just before the manifest does; until then a reader finds the old pack or
//! none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::json;

use super::group::GroupWriter;
use super::stage::Stage;
use super::{GroupKind, MIN_LENGTH, PackMeta, PackOptions, PackStats, group_name};
use crate::error::{Error, Result};
use crate::id;
use crate::store::manifest::{self, Manifest, Part};
use crate::token::Tokenizer;

/// Texts encoded at a time.
const ENCODED_AT_ONCE: usize = 4096;
/// Bytes of text after which a batch is full.
const BYTES_AT_ONCE: usize = 8 << 20;

/// Writes a pack: groups are named, then take their texts, then are written.
pub struct PackWriter<'a> {
    dir: PathBuf,
    tokenizer: &'a Tokenizer,
    options: PackOptions,
    groups: Vec<Waiting>,
    stage: Stage,
}

/// A group whose texts are coming.
struct Waiting {
    name: String,
    meta: PackMeta,
    stats: PackStats,
}

/// A text of a group: its number, the text's id, and the text or both sides of a pair.
pub type Row<T> = (usize, u64, T);

impl<'a> PackWriter<'a> {
    /// Begins a pack in a folder, which is made if need be. `groups` are what it holds, each with
    /// the values of the mixture's other grouping columns, joined by `/` (see [`PackMeta`]); texts
    /// name them by their place in it.
    ///
    /// Errors for rows shorter than [`MIN_LENGTH`] or longer than 2²⁰ tokens, for an overlap that
    /// leaves no step, and for groups whose names are alike or are no names of files.
    pub fn create(
        dir: &Path,
        tokenizer: &'a Tokenizer,
        options: PackOptions,
        groups: Vec<(GroupKind, String)>,
    ) -> Result<Self> {
        let PackOptions { length, overlap, .. } = options;
        if !(MIN_LENGTH..=1 << 20).contains(&length) {
            return Err(Error::usage(format!(
                "rows of `{length}` tokens; expected {MIN_LENGTH} to {}",
                1 << 20
            )));
        }
        if overlap > (length - 2) / 2 {
            return Err(Error::usage(format!(
                "an overlap of `{overlap}` tokens; expected 0 to {}, half of a row",
                (length - 2) / 2
            )));
        }
        let mut names = BTreeSet::new();
        let fingerprint = tokenizer.fingerprint();
        let pad = tokenizer.special().pad;
        let mut waiting = Vec::with_capacity(groups.len());
        for (kind, part) in groups {
            let name = group_name(&kind.name(), &part);
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                return Err(Error::usage(format!("`{name}` cannot name a file of a pack")));
            }
            if !names.insert(name.clone()) {
                return Err(Error::usage(format!("the pack has `{name}` twice")));
            }
            let meta = PackMeta { kind, part, length, pad, tokenizer: fingerprint.clone() };
            waiting.push(Waiting { name, meta, stats: PackStats::default() });
        }
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let stage = Stage::new(dir, waiting.len(), options.memory)?;
        Ok(Self { dir: dir.into(), tokenizer, options, groups: waiting, stage })
    }

    /// Takes documents in any order.
    ///
    /// A document of more than `length` - 2 tokens is cut into pieces of that many, each of which
    /// begins with the last `overlap` tokens of the one before; each piece begins with `<s>` and
    /// ends with `</s>`.
    pub fn documents<T: AsRef<str> + Sync>(
        &mut self,
        rows: impl IntoIterator<Item = Result<Row<T>>>,
    ) -> Result<()> {
        let Self { tokenizer, options, groups, stage, .. } = self;
        let encode = |text: &T| tokenizer.encode(text.as_ref());
        let size = |text: &T| text.as_ref().len();
        in_batches(rows, size, encode, |group, doc_id, ids: Vec<i32>| {
            let stats = &mut waiting(groups, group)?.stats;
            if ids.is_empty() {
                stats.empty += 1;
                return Ok(());
            }
            stats.documents += 1;
            stage.push(group, id::keyed(doc_id, options.seed), doc_id, &ids, &[])
        })
    }

    /// Takes pairs of source and target in any order.
    ///
    /// A pair of more than `length` - 4 tokens is shortened on both sides in proportion.
    pub fn pairs<T: AsRef<str> + Sync>(
        &mut self,
        rows: impl IntoIterator<Item = Result<Row<(T, T)>>>,
    ) -> Result<()> {
        let Self { tokenizer, options, groups, stage, .. } = self;
        let room = options.length - 4;
        let encode = |(src, tgt): &(T, T)| -> Result<(Vec<i32>, Vec<i32>)> {
            Ok((tokenizer.encode(src.as_ref())?, tokenizer.encode(tgt.as_ref())?))
        };
        let size = |(src, tgt): &(T, T)| src.as_ref().len() + tgt.as_ref().len();
        in_batches(rows, size, encode, |group, doc_id, (mut src, mut tgt)| {
            let stats = &mut waiting(groups, group)?.stats;
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
            stats.documents += 1;
            stage.push(group, id::keyed(doc_id, options.seed), doc_id, &src, &tgt)
        })
    }

    /// Writes the groups, tells `progress` how many are done after each, puts the files in their
    /// places and commits the manifest, whose parts, counts and group statistics (`params.groups`)
    /// are filled in; returns the statistics by group.
    pub fn finish(
        self,
        mut manifest: Manifest,
        progress: &mut dyn FnMut(u64),
    ) -> Result<BTreeMap<String, PackStats>> {
        let Self { dir, tokenizer, options, groups, stage } = self;
        let staged = stage.finish()?;
        let mut texts = staged.texts()?;
        let writer = GroupWriter { dir: &dir, options: &options, special: tokenizer.special() };
        let mut done = Vec::with_capacity(groups.len());
        for (number, group) in groups.into_iter().enumerate() {
            let mut stats = group.stats;
            let rows = writer.fit(&group.name, &mut texts, number, &mut stats)?;
            let (temp, part) = writer.write(&group.name, &group.meta, &staged, &rows)?;
            done.push((group.name, temp, Part { rows: stats.rows, ..part }, stats));
            progress(number as u64 + 1);
        }
        let dir = &dir;
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
        for (name, temp, part, stats) in done {
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
        manifest.params.insert("length".into(), json!(options.length));
        manifest.params.insert("overlap".into(), json!(options.overlap));
        manifest.params.insert("pad_id".into(), json!(tokenizer.special().pad));
        manifest.params.insert("tokenizer".into(), json!(tokenizer.fingerprint()));
        manifest.params.insert("vocab_size".into(), json!(tokenizer.vocab_size()));
        manifest.params.insert("groups".into(), json!(statistics));
        manifest.commit(dir)?;
        sweep(dir, &manifest)?;
        Ok(statistics)
    }
}

/// The group of a number.
fn waiting(groups: &mut [Waiting], number: usize) -> Result<&mut Waiting> {
    groups.get_mut(number).ok_or_else(|| Error::internal(format!("a text of group {number}")))
}

/// Encodes rows on all threads, some thousand or megabytes at a time, and takes the results in order.
fn in_batches<T: Sync, U: Send>(
    rows: impl IntoIterator<Item = Result<Row<T>>>,
    size: impl Fn(&T) -> usize,
    encode: impl Fn(&T) -> Result<U> + Sync,
    mut take: impl FnMut(usize, u64, U) -> Result<()>,
) -> Result<()> {
    let mut rows = rows.into_iter();
    loop {
        let (mut names, mut texts, mut bytes) = (Vec::new(), Vec::new(), 0);
        while texts.len() < ENCODED_AT_ONCE && bytes < BYTES_AT_ONCE {
            let Some((group, doc_id, text)) = rows.next().transpose()? else { break };
            bytes += size(&text);
            names.push((group, doc_id));
            texts.push(text);
        }
        if texts.is_empty() {
            return Ok(());
        }
        let encoded: Vec<U> = texts.par_iter().map(&encode).collect::<Result<_>>()?;
        for ((group, doc_id), tokens) in names.into_iter().zip(encoded) {
            take(group, doc_id, tokens)?;
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
