//! Hand-off: the planned data in the formats that other engines read.
//!
//! One file a format, one line in [`FORMATS`]. A format gets rows and makes files; where rows come
//! from is the business of `project/`. In `parts` every document is written once and the engine is
//! told how to mix; in `stream` the mixture has been applied already, repeats included, and the
//! engine reads from front to back. Never both: what is written beside the files says which it is.

pub mod handoff;
pub mod stream;

mod datatrove;
mod flat;
mod hf;
mod litdata;
mod llmc;
mod mds;
mod megatron;
mod moses;
mod out;
mod readme;
mod tsv;

use std::path::PathBuf;

use serde::Deserialize;

use self::handoff::Handoff;
use crate::error::{Error, Result};
use crate::token::pack::GroupKind;

/// Every format, in the order of their names.
pub static FORMATS: &[&dyn Format] = &[
    &datatrove::Datatrove,
    &flat::Flat,
    &hf::HuggingFace,
    &litdata::LitData,
    &llmc::GPT2,
    &llmc::LLAMA3,
    &mds::Mds,
    &megatron::Megatron,
    &moses::Moses,
    &tsv::Tsv,
];

/// The format with a name; the error for an unknown one lists them.
///
/// ```
/// assert_eq!(hexapla::export::format("megatron").unwrap().name(), "megatron");
/// let error = hexapla::export::format("megatorn").err().unwrap();
/// assert_eq!(error.hint(), Some("did you mean `megatron`?"));
/// ```
pub fn format(name: &str) -> Result<&'static dyn Format> {
    let found = FORMATS.iter().find(|format| format.name() == name);
    found.copied().ok_or_else(|| {
        Error::unknown("export format", name, FORMATS.iter().map(|format| format.name()))
    })
}

/// Who mixes: the engine that reads, or hexapla.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Every document once; the engine mixes by the weights written beside the files.
    #[default]
    Parts,
    /// The order in which training here would read, repeats included; the engine must not mix.
    Stream,
}

impl Layout {
    /// As the project file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Parts => "parts",
            Layout::Stream => "stream",
        }
    }
}

/// Whether a file is for training or for watching it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What is trained on.
    Train,
    /// What is held out.
    Validation,
}

impl Split {
    /// The name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
        }
    }
}

/// What the files of a format hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Token ids.
    Tokens,
    /// Texts.
    Texts,
}

/// What a format takes in a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    /// What its files hold.
    pub content: Content,
    /// Whether documents can be given to it.
    pub documents: bool,
    /// Whether pairs can be given to it.
    pub pairs: bool,
}

/// What formats of token ids take. A pair is one document to them: source and target, each with the
/// token that ends a document after it.
fn tokens() -> Option<Takes> {
    Some(Takes { content: Content::Tokens, documents: true, pairs: true })
}

/// What the files of an export have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Who mixes.
    pub layout: Layout,
    /// One more than the largest id.
    pub vocab_size: usize,
    /// The id that ends a document.
    pub eos: i32,
    /// The id that fills up samples of a fixed length.
    pub pad: i32,
    /// Ids in a sample, for formats whose samples are of one length.
    pub length: usize,
    /// Bytes that a file being written may hold.
    pub memory: usize,
}

/// Where rows go.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder of the whole export.
    pub dir: PathBuf,
    /// Training or validation.
    pub split: Split,
    /// The name of the rows: a language, a pair of languages, or `stream`.
    pub name: String,
    /// What the rows hold; `None` for the rows of many groups.
    pub kind: Option<GroupKind>,
    /// What all files of the export have in common.
    pub settings: Settings,
}

/// A row of token ids.
#[derive(Debug, Clone, Copy)]
pub struct TokenRow<'a> {
    /// The ids, without padding.
    pub ids: &'a [i32],
    /// The lengths of the documents in it, one after the other; they sum to the number of ids. A
    /// pair is one document.
    pub lengths: &'a [i32],
    /// The language, or pair of languages, it belongs to.
    pub group: &'a str,
}

/// A row of text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TextRow<'a> {
    /// A document.
    Document {
        /// Its id.
        doc_id: u64,
        /// What it says.
        text: &'a str,
        /// Where it comes from.
        source: Option<&'a str>,
        /// Its address.
        url: Option<&'a str>,
    },
    /// A translation pair.
    Pair {
        /// Its id.
        doc_id: u64,
        /// The source text.
        src: &'a str,
        /// The target text.
        tgt: &'a str,
        /// Where it comes from.
        source: Option<&'a str>,
        /// How well the sides match, as its source says.
        score: Option<f32>,
    },
}

/// Takes the token ids of one place.
pub trait TokenSink: Send {
    /// Takes a row.
    fn row(&mut self, row: &TokenRow<'_>) -> Result<()>;
    /// Writes what is left, durably; returns what the engine will count as samples, where that is
    /// not the rows.
    fn finish(self: Box<Self>) -> Result<Option<u64>>;
}

/// Takes the texts of one place.
pub trait TextSink: Send {
    /// Takes a row.
    fn row(&mut self, row: &TextRow<'_>) -> Result<()>;
    /// Writes what is left, durably.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A format that another engine reads.
pub trait Format: Sync {
    /// As the project file writes it.
    fn name(&self) -> &'static str;
    /// One sentence: what it is and who reads it.
    fn doc(&self) -> &'static str;
    /// What it takes in a layout; `None` where it has no such layout.
    fn takes(&self, layout: Layout) -> Option<Takes>;
    /// No id of this size or above has room in it.
    fn ids_below(&self) -> u64 {
        1 << 31
    }
    /// Whether its samples are all of one length.
    fn fixed_length(&self) -> bool {
        false
    }
    /// Whether its card tells sources and dropped rows.
    fn has_card(&self) -> bool {
        false
    }
    /// Places that are written to at a time; memory grows with them.
    fn at_once(&self) -> usize {
        64
    }
    /// Begins the token ids of a place.
    fn token_sink(&self, _place: &Place) -> Result<Box<dyn TokenSink>> {
        Err(Error::internal(format!("`{}` takes no token ids", self.name())))
    }
    /// Begins the texts of a place.
    fn text_sink(&self, _place: &Place) -> Result<Box<dyn TextSink>> {
        Err(Error::internal(format!("`{}` takes no texts", self.name())))
    }
    /// The files that tell the engine what to read in which shares, by name; none for an engine
    /// that has no such file.
    fn beside(&self, _handoff: &Handoff) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }
    /// How the engine is pointed to the files, in Markdown.
    fn usage(&self, handoff: &Handoff) -> String;
    /// The text of `README.md`.
    fn readme(&self, handoff: &Handoff) -> String {
        readme::page(handoff, &self.usage(handoff))
    }
}

#[cfg(test)]
mod tests;
