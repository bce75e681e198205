//! Plain text: one document a file, a line or a paragraph.
//!
//! Takes nothing away from a text but its line ends; blank lines divide and are no documents.

use std::sync::atomic::AtomicU64;

use super::input::{Line, decode, each_line, too_long};
use super::{Into, Row, Sink, Source, Unit};
use crate::error::Result;

/// One document a file.
pub const TEXT: Text = Text(Division::File);
/// One document a line.
pub const LINES: Text = Text(Division::Line);
/// One document a paragraph.
pub const PARAGRAPHS: Text = Text(Division::Paragraph);

/// What a line without text is counted as, where lines are what is counted.
pub const BLANK: &str = "blank line";

/// A format of plain text.
pub struct Text(Division);

#[derive(Clone, Copy)]
enum Division {
    File,
    Line,
    Paragraph,
}

impl Source for Text {
    fn name(&self) -> &'static str {
        match self.0 {
            Division::File => "text",
            Division::Line => "lines",
            Division::Paragraph => "paragraphs",
        }
    }

    fn doc(&self) -> &'static str {
        match self.0 {
            Division::File => "Plain text, one document a file.",
            Division::Line => "Plain text, one document a line; blank lines are passed over.",
            Division::Paragraph => "Plain text, one document a paragraph; blank lines divide.",
        }
    }

    fn extensions(&self) -> &'static [&'static str] {
        match self.0 {
            Division::File => &["txt", "text", "md"],
            Division::Line | Division::Paragraph => &[],
        }
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Documents, Into::Labelled]
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        let input = unit.open(read)?;
        let row = |text: &str| Row {
            text: text.into(),
            lang: unit.lang.clone(),
            label: unit.label.clone(),
            split: unit.split.clone(),
            ..Row::default()
        };
        match self.0 {
            Division::File => whole(input, sink, row),
            Division::Line => each_line(input, sink, |offset, line, sink| {
                if line.trim().is_empty() {
                    sink.skip(BLANK);
                    return Ok(());
                }
                sink.row(offset, row(line))
            }),
            Division::Paragraph => paragraphs(input, sink, row),
        }
    }
}

fn whole(
    input: super::input::Input<'_>,
    sink: &mut dyn Sink,
    row: impl Fn(&str) -> Row,
) -> Result<()> {
    let mut handle = |offset, line: Line<'_>| match line {
        Line::Whole(bytes) => match decode(bytes) {
            Ok(text) => sink.row(offset, row(text)),
            Err(reason) => sink.reject(offset, &reason, bytes),
        },
        Line::TooLong(head) => {
            let reason = format!("{}; read it as `lines` or `paragraphs`", too_long());
            sink.reject(offset, &reason, head)
        }
        Line::Damaged(reason, cut) => sink.reject(offset, reason, cut),
    };
    input.lines().rest(&mut handle).map(|_| ())
}

fn paragraphs(
    input: super::input::Input<'_>,
    sink: &mut dyn Sink,
    row: impl Fn(&str) -> Row,
) -> Result<()> {
    let (mut begin, mut text) = (0, String::new());
    each_line(input, sink, |offset, line, sink| {
        if line.trim().is_empty() {
            let done = std::mem::take(&mut text);
            return if done.is_empty() { Ok(()) } else { sink.row(begin, row(&done)) };
        }
        if text.is_empty() {
            begin = offset;
        } else {
            text.push('\n');
        }
        text.push_str(line);
        if text.len() > super::input::MAX_RECORD {
            // What follows up to the next blank line becomes a paragraph of its own.
            let long = std::mem::take(&mut text);
            return sink.reject(begin, &too_long(), long.as_bytes());
        }
        Ok(())
    })?;
    if text.is_empty() { Ok(()) } else { sink.row(begin, row(&text)) }
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::read;
    use super::*;

    #[test]
    fn a_file_a_line_a_paragraph() {
        let text = "Ọjọ́ kan\r\nó sì\n\n \nmwaka\n".as_bytes();
        let (kept, _) = read(&TEXT, &[text], "");
        assert_eq!(kept.texts(), ["Ọjọ́ kan\r\nó sì\n\n \nmwaka\n"]);
        let (kept, _) = read(&LINES, &[text], "lang = 'yo'");
        assert_eq!(kept.texts(), ["Ọjọ́ kan", "ó sì", "mwaka"]);
        assert_eq!(kept.rows[2].0, text.len() as u64 - 6);
        assert_eq!(kept.rows[2].1.lang.as_deref(), Some("yor_Latn"));
        let (kept, _) = read(&PARAGRAPHS, &[text], "");
        assert_eq!(kept.texts(), ["Ọjọ́ kan\nó sì", "mwaka"]);
    }

    #[test]
    fn damaged_lines_are_rejected_with_their_bytes() {
        let (kept, _) = read(&LINES, &[b"a\nb\xff\n\0\0\nc"], "");
        assert_eq!(kept.texts(), ["a", "c"]);
        assert_eq!(kept.reasons(), ["invalid UTF-8 at byte 1", "contains a NUL byte"]);
        assert_eq!(kept.rejected[0].2, b"b\xff");
    }

    #[test]
    fn an_empty_file_has_no_document() {
        for source in [&TEXT, &LINES, &PARAGRAPHS] {
            let (kept, result) = read(source, &[b""], "");
            assert!(kept.rows.is_empty() && kept.rejected.is_empty() && result.is_ok());
        }
    }

    #[test]
    fn other_encodings_are_read_as_what_they_are() {
        let text = "Ọjọ́ kan\nó sì\n";
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [b"\xff\xfe".to_vec(), utf16.clone()].concat();
        for bytes in [utf16, marked] {
            let (kept, _) = read(&LINES, &[&bytes], "");
            assert_eq!(kept.texts(), ["Ọjọ́ kan", "ó sì"]);
            assert_eq!(kept.rows[1].0, "Ọjọ́ kan\n".len() as u64);
        }
        let (kept, _) = read(&LINES, &[b"caf\xe9\n"], "encoding = 'latin1'");
        assert_eq!(kept.texts(), ["café"]);
        let (kept, _) = read(&LINES, &[b"a\n\x81\x20\n"], "encoding = 'euc-jp'");
        assert_eq!(kept.reasons(), ["byte 0 means nothing in the file's encoding"]);
    }
}
