//! Packs: the token ids of a mixture as mapped Arrow files, ready to be handed out.
//!
//! A pack folder has one uncompressed Arrow IPC file per group (a language, or a pair of
//! languages) and a manifest. Each row is one training sequence of exactly `length` ids, filled
//! up with padding; `document_lengths` says where its documents end, so that attention need not
//! cross them, and `doc_ids` which they are. Rows are shuffled when the pack is written and each
//! document occurs once: epochs, batches and the mixture are the feed's business.

mod fit;
mod group;
mod read;
mod stage;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use read::{Group, Pack, open};
pub use write::{PackWriter, Row};

/// Rows of each record batch but the last one of a file.
pub const RECORD_ROWS: usize = 1024;

/// The column of token ids, `length` per row.
pub const TOKENS: &str = "tokens";

/// The column of the lengths of a row's documents; for pairs, source and target in turn.
pub const DOCUMENT_LENGTHS: &str = "document_lengths";

/// The column of the ids of a row's documents, or of its pairs.
pub const DOC_IDS: &str = "doc_ids";

/// The shortest row that a pack can have.
pub const MIN_LENGTH: usize = 8;

/// How rows are made.
#[derive(Debug, Clone, PartialEq)]
pub struct PackOptions {
    /// Ids per row.
    pub length: usize,
    /// Ids that a piece of a document longer than a row repeats of the piece before it.
    pub overlap: usize,
    /// Decides the order of documents and rows.
    pub seed: u64,
    /// How many pieces of documents are fitted together at a time.
    pub window: usize,
    /// Bytes to sort in.
    pub memory: usize,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self { length: 512, overlap: 0, seed: 0, window: 16_384, memory: 256 << 20 }
    }
}

/// What the rows of a group hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupKind {
    /// Pieces of documents, each `<s> … </s>`.
    Documents {
        /// The language's tag.
        lang: String,
    },
    /// Translation pairs, each `<s> source </s> </s> target </s>` within one row.
    Pairs {
        /// The source language's tag.
        src_lang: String,
        /// The target language's tag.
        tgt_lang: String,
    },
}

impl GroupKind {
    /// The group's name: the language, or `source-target`.
    pub fn name(&self) -> String {
        match self {
            GroupKind::Documents { lang } => lang.clone(),
            GroupKind::Pairs { src_lang, tgt_lang } => format!("{src_lang}-{tgt_lang}"),
        }
    }

    /// The languages: one, or source and target.
    pub fn langs(&self) -> Vec<&str> {
        match self {
            GroupKind::Documents { lang } => vec![lang],
            GroupKind::Pairs { src_lang, tgt_lang } => vec![src_lang, tgt_lang],
        }
    }

    /// `documents` or `pairs`.
    pub fn label(&self) -> &'static str {
        match self {
            GroupKind::Documents { .. } => "documents",
            GroupKind::Pairs { .. } => "pairs",
        }
    }
}

/// What was written for a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackStats {
    /// Rows of `length` ids.
    pub rows: u64,
    /// Ids that are not padding, special tokens included.
    pub tokens: u64,
    /// Ids that are padding.
    pub padding: u64,
    /// Documents or pairs in the rows.
    pub documents: u64,
    /// Pairs that were shortened to fit a row.
    pub truncated: u64,
    /// Documents or pairs left out because a side has no tokens.
    pub empty: u64,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackMeta {
    /// What the rows hold.
    pub kind: GroupKind,
    /// The values of the mixture's other grouping columns, joined by `/`; empty without any.
    pub part: String,
    /// Ids per row.
    pub length: usize,
    /// The id that fills rows up.
    pub pad: i32,
    /// The fingerprint of the tokenizer that made the ids.
    pub tokenizer: String,
}

/// The name of a group: the language (of pairs, both), and after a point the part of the mixture
/// that it is, in letters that a file's name may have.
///
/// ```
/// use hexapla::token::pack::group_name;
/// assert_eq!(group_name("isl_Latn", ""), "isl_Latn");
/// assert_eq!(group_name("isl_Latn", "wiki/5"), "isl_Latn.wiki.5");
/// ```
pub fn group_name(lang: &str, part: &str) -> String {
    let safe = |c: char| match c {
        '/' => '.',
        c if c.is_alphanumeric() || matches!(c, '_' | '-') => c,
        _ => '~',
    };
    match part {
        "" => lang.into(),
        part => format!("{lang}.{}", part.chars().map(safe).collect::<String>()),
    }
}

impl PackMeta {
    fn schema(&self) -> Schema {
        let mut metadata = BTreeMap::from([
            ("kind", self.kind.label().to_string()),
            ("length", self.length.to_string()),
            ("pad_id", self.pad.to_string()),
            ("tokenizer", self.tokenizer.clone()),
        ]);
        if !self.part.is_empty() {
            metadata.insert("part", self.part.clone());
        }
        match &self.kind {
            GroupKind::Documents { lang } => {
                metadata.insert("lang", lang.clone());
            }
            GroupKind::Pairs { src_lang, tgt_lang } => {
                metadata.insert("src_lang", src_lang.clone());
                metadata.insert("tgt_lang", tgt_lang.clone());
            }
        }
        let tokens = DataType::FixedSizeList(item_of(DataType::Int32), self.length as i32);
        Schema::new_with_metadata(
            vec![
                Field::new(TOKENS, tokens, false),
                Field::new(DOCUMENT_LENGTHS, DataType::List(item_of(DataType::Int32)), false),
                Field::new(DOC_IDS, DataType::List(item_of(DataType::UInt64)), false),
            ],
            metadata.into_iter().map(|(key, value)| (key.to_string(), value)).collect(),
        )
    }

    fn of(schema: &Schema) -> Result<Self> {
        let get = |key: &str| {
            schema
                .metadata()
                .get(key)
                .cloned()
                .ok_or_else(|| Error::usage(format!("the schema has no `{key}`")))
        };
        let number = |key: &str| -> Result<i32> {
            let text = get(key)?;
            text.parse().map_err(|_| Error::usage(format!("`{key}` is `{text}`, not a number")))
        };
        let kind = match get("kind")?.as_str() {
            "documents" => GroupKind::Documents { lang: get("lang")? },
            "pairs" => GroupKind::Pairs { src_lang: get("src_lang")?, tgt_lang: get("tgt_lang")? },
            other => return Err(Error::unknown("kind of pack", other, ["documents", "pairs"])),
        };
        let length = usize::try_from(number("length")?).unwrap_or(0);
        let part = get("part").unwrap_or_default();
        let meta =
            Self { kind, part, length, pad: number("pad_id")?, tokenizer: get("tokenizer")? };
        if meta.length < MIN_LENGTH || meta.schema().fields() != schema.fields() {
            return Err(Error::usage("the columns are not those of a pack"));
        }
        Ok(meta)
    }
}

/// The values of a list.
fn item_of(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", kind, false))
}

#[cfg(test)]
mod tests;
