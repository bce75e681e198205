//! Pages of the web: their encoding, title, language and main text.
//!
//! Knows no files: archives and folders of pages hand it bytes.

pub mod blocks;
pub mod charset;
pub mod element;
pub mod entity;
pub mod main_text;
pub mod prescan;
pub mod token;

/// What is taken from a page.
#[derive(Debug, PartialEq)]
pub struct Page {
    /// Its main text, one paragraph a line; empty when it has none.
    pub text: String,
    /// Its title.
    pub title: Option<String>,
    /// The language that its root element names, as it is written there.
    pub lang: Option<String>,
}

/// Reads a page.
pub fn page(text: &str) -> Page {
    let found = blocks::blocks(text);
    Page { text: main_text::main_text(&found.blocks), title: found.title, lang: found.lang }
}
