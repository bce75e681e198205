//! Moses text: two files a language pair, line n of one the translation of line n of the other.
//!
//! A text is one line: line breaks and tabs in it become spaces.

use super::handoff::Handoff;
use super::out::Out;
use super::{Content, Format, Layout, Place, Takes, TextRow, TextSink};
use crate::error::{Error, Result};
use crate::token::pack::GroupKind;

/// The format.
pub struct Moses;

/// What formats of one pair a line take.
pub(super) fn pairs(layout: Layout) -> Option<Takes> {
    let takes = Takes { content: Content::Texts, documents: false, pairs: true };
    (layout == Layout::Parts).then_some(takes)
}

/// A text in one line.
pub(super) fn line(text: &str) -> String {
    // What some reader takes for the end of a line, and what ends a column.
    let breaks = |c: char| {
        matches!(c, '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}')
            || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    text.split(breaks).filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(" ")
}

impl Format for Moses {
    fn name(&self) -> &'static str {
        "moses"
    }

    fn doc(&self) -> &'static str {
        "Two text files a language pair, line by line translations: Moses, Marian, OpusFilter, fairseq."
    }

    fn takes(&self, layout: Layout) -> Option<Takes> {
        pairs(layout)
    }

    fn text_sink(&self, place: &Place) -> Result<Box<dyn TextSink>> {
        let Some(GroupKind::Pairs { src_lang, tgt_lang }) = &place.kind else {
            return Err(Error::internal(format!("`{}` is no language pair", place.name)));
        };
        let folder = place.dir.join(place.split.name());
        let file = |lang: &str| Out::create(folder.join(format!("{}.{lang}", place.name)));
        Ok(Box::new(Sink { src: file(src_lang)?, tgt: file(tgt_lang)? }))
    }

    fn usage(&self, handoff: &Handoff) -> String {
        let pair = handoff.groups.iter().find_map(|group| match &group.kind {
            GroupKind::Pairs { src_lang, tgt_lang } => Some((src_lang, tgt_lang)),
            GroupKind::Documents { .. } => None,
        });
        let Some((src, tgt)) = pair else { return String::new() };
        format!(
            "`marian --train-sets train/{src}-{tgt}.{src} train/{src}-{tgt}.{tgt} --valid-sets \
             validation/{src}-{tgt}.{src} validation/{src}-{tgt}.{tgt} …`. Marian has no weights \
             over several pairs; `to = \"tsv\"` writes a curriculum for OpusTrainer, which feeds \
             Marian. `row_share` in `mixture.json` has the weights by lines.\n"
        )
    }
}

struct Sink {
    src: Out,
    tgt: Out,
}

impl TextSink for Sink {
    fn row(&mut self, row: &TextRow<'_>) -> Result<()> {
        let TextRow::Pair { src, tgt, .. } = row else {
            return Err(Error::internal("a document among pairs"));
        };
        self.src.write(format!("{}\n", line(src)).as_bytes())?;
        self.tgt.write(format!("{}\n", line(tgt)).as_bytes())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.src.finish()?;
        self.tgt.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line() {
        assert_eq!(line("Góðan\r\ndag\tog\u{2028}nótt\n"), "Góðan dag og nótt");
        assert_eq!(line("早上好\n\n晚安"), "早上好 晚安");
        assert_eq!(line("مرحبا  بك"), "مرحبا  بك");
    }
}
