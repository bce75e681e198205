//! One row of a pack: its documents, decoded.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::manifest::{MANIFEST, Manifest};
use crate::token::Tokenizer;
use crate::token::pack::{self, Pack};

/// A row of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedRow {
    /// The group that the row is of.
    pub group: String,
    /// Its number in the group, from 0.
    pub row: u64,
    /// Rows of the group.
    pub rows: u64,
    /// What it holds, in order.
    pub texts: Vec<PackedText>,
    /// Ids that fill the row up.
    pub padding: usize,
    /// Why the texts are not decoded.
    pub note: Option<String>,
}

/// A piece of a document in a row, or a side of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedText {
    /// The document or pair that it is of.
    pub doc_id: u64,
    /// Its language.
    pub lang: String,
    /// Its first id's place in the row.
    pub start: usize,
    /// Its ids, the special ones before and after it included.
    pub ids: Vec<i32>,
    /// Its text, special tokens left out, where the tokenizer is at hand.
    pub text: Option<String>,
}

/// The pack that a name or folder stands for: `pack.main` of a project, or `packs/main`.
pub fn folder(project: &Path, name: &str) -> Option<PathBuf> {
    let folder = match name.strip_prefix("pack.") {
        Some(pack) => project.join("packs").join(pack),
        None => PathBuf::from(name),
    };
    let manifest = Manifest::read(&folder).ok().flatten();
    let pack = manifest.is_some_and(|manifest| manifest.params.contains_key("groups"));
    (pack || name.starts_with("pack.")).then_some(folder)
}

/// A row of a pack: `12`, counted through all groups in the order of their names, or `isl_Latn:12`,
/// counted in one group.
pub fn row(dir: &Path, row: &str) -> Result<PackedRow> {
    let pack = pack::open(dir)?;
    let (group, number) = find(&pack, row)?;
    let group = &pack.groups[group];
    let (ids, _) = group.read(number, 1)?;
    let ids: &[i32] = ids.typed_data();
    let lengths = group.document_lengths(number, 1)?.concat();
    let doc_ids = group.doc_ids(number, 1)?.concat();
    let langs = group.kind.langs();
    if lengths.len() != doc_ids.len() * langs.len() {
        return Err(Error::input(dir, format!("row {number} of `{}` is damaged", group.name))
            .hint_with("`hexapla pack --force` writes it anew"));
    }
    let tokenizer = tokenizer(dir, &pack.tokenizer);
    let mut texts = Vec::with_capacity(lengths.len());
    let mut start = 0;
    // Lengths are at least 1 and fit into the row, which reading them has seen to.
    for (i, length) in lengths.iter().map(|length| *length as usize).enumerate() {
        let ids = ids[start..start + length].to_vec();
        let text = tokenizer.as_ref().map(|tokenizer| tokenizer.decode(&ids)).transpose()?;
        let (doc_id, lang) = (doc_ids[i / langs.len()], langs[i % langs.len()].to_string());
        texts.push(PackedText { doc_id, lang, start, text, ids });
        start += length;
    }
    let note = tokenizer.is_none().then(|| {
        format!(
            "none of the tokenizers beside it made this pack; its ids are of {}",
            pack.tokenizer
        )
    });
    let (name, rows) = (group.name.clone(), group.rows);
    Ok(PackedRow { group: name, row: number, rows, texts, padding: pack.length - start, note })
}

/// The group of a row, and the row's number in it.
fn find(pack: &Pack, row: &str) -> Result<(usize, u64)> {
    let total: u64 = pack.groups.iter().map(|group| group.rows).sum();
    let number = |text: &str| -> Result<u64> {
        text.parse().map_err(|_| {
            Error::usage(format!("`{row}` is no row of a pack"))
                .hint_with(format!("expected a number below {total}, or LANGUAGE:NUMBER"))
        })
    };
    if let Some((name, text)) = row.rsplit_once(':') {
        let (group, number) = (pack.group(name)?, number(text)?);
        let rows = pack.groups[group].rows;
        return match number < rows {
            true => Ok((group, number)),
            false => Err(Error::usage(format!("`{name}` has no row {number}; it has {rows}"))),
        };
    }
    let mut left = number(row)?;
    for (i, group) in pack.groups.iter().enumerate() {
        if left < group.rows {
            return Ok((i, left));
        }
        left -= group.rows;
    }
    Err(Error::usage(format!("the pack has no row {row}; it has {total}")))
}

/// The tokenizer of a fingerprint among those of the project that the pack lies in.
fn tokenizer(dir: &Path, fingerprint: &str) -> Option<Tokenizer> {
    let dir = fs::canonicalize(dir).ok()?;
    // Rows that are held out lie one folder further down.
    let mut folders: Vec<PathBuf> = dir
        .ancestors()
        .skip(2)
        .take(2)
        .filter_map(|project| fs::read_dir(project.join("tokenizers")).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .collect();
    folders.sort();
    folders
        .into_iter()
        .filter(|folder| folder.join(MANIFEST).is_file())
        .filter_map(|folder| Tokenizer::load(&folder).ok())
        .find(|tokenizer| tokenizer.fingerprint() == fingerprint)
}
