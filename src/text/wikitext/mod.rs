//! Wikitext, the markup of MediaWiki, as plain text.
//!
//! Two passes, each linear in the text whatever it holds: one finds which ranges are markup or
//! content that goes, one writes what is left line by line. Expands no template.

pub mod entities;
pub mod namespaces;
pub mod scan;
pub mod structure;
pub mod tags;
pub mod tidy;
pub mod variants;
pub mod write;

pub use namespaces::Namespaces;

/// The plain text of a wikitext.
///
/// Templates, tables, references, media, categories, links to other languages, formulas and code
/// are left out; labels of links, headings, list items and paragraphs stay. Paragraphs and
/// headings are separated by a blank line, list items by a line break. A heading with nothing
/// below it is left out. Braces and brackets without a partner go, their content stays.
pub fn plain_text(text: &str, names: &Namespaces) -> String {
    write::write(text, &structure::ranges(text, names))
}
