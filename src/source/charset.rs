//! The character encoding of a text file: found from its first bytes, decoded to UTF-8.
//!
//! A file is UTF-8 unless something speaks against it; one that is UTF-8 with a few damaged bytes
//! stays so, as rejecting these rows is better than misreading all others. Encodings have the
//! names of the WHATWG Encoding Standard. Bytes that mean nothing in the encoding come out as
//! [`UNDECODABLE`], which is no UTF-8, so that the row they stand in is rejected.

use std::io::{self, BufRead, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};

use super::location::{BUFFER, Bytes};
use crate::error::{Error, Result};

/// What stands for bytes that cannot be decoded.
pub const UNDECODABLE: &[u8] = &[0xff, 0xfe, 0xff];

/// Which encodings the files of a format may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charsets {
    /// Any: plain text and what was written by editors.
    Any,
    /// Unicode: the format's definition leaves nothing else.
    Unicode,
    /// None: the file is not text.
    Binary,
}

/// Bytes of a file that are looked at.
pub const LOOK: usize = 64 << 10;

/// The encoding with a name, such as `windows-1251`, `latin1`, `sjis` or `utf-16le`.
pub fn named(label: &str) -> Result<&'static Encoding> {
    let plain = match label.to_ascii_lowercase().as_str() {
        "tis-620" | "cp874" => "windows-874",
        "cp932" => "shift_jis",
        "cp936" => "gbk",
        "cp949" => "euc-kr",
        "cp950" => "big5",
        _ => label,
    };
    let known = Encoding::for_label(plain.as_bytes());
    known.filter(|e| e.name() != "replacement").ok_or_else(|| {
        let usual = [
            "utf-8",
            "utf-16le",
            "utf-16be",
            "windows-1250",
            "windows-1251",
            "windows-1252",
            "windows-1253",
            "windows-1254",
            "windows-1255",
            "windows-1256",
            "windows-1258",
            "windows-874",
            "iso-8859-2",
            "koi8-r",
            "gb18030",
            "big5",
            "shift_jis",
            "euc-jp",
            "iso-2022-jp",
            "euc-kr",
        ];
        Error::unknown("encoding", label, usual)
    })
}

/// The encoding of a text by its first bytes and the length of its byte-order mark; `None` for
/// UTF-8. `whole` says that nothing follows these bytes.
pub fn detect(start: &[u8], whole: bool, charsets: Charsets) -> (Option<&'static Encoding>, usize) {
    match start {
        _ if charsets == Charsets::Binary => return (None, 0),
        [0xef, 0xbb, 0xbf, ..] => return (None, 3),
        [0xff, 0xfe, 0, 0, ..] | [] => return (None, 0),
        [0xff, 0xfe, ..] => return (Some(UTF_16LE), 2),
        [0xfe, 0xff, ..] => return (Some(UTF_16BE), 2),
        _ => {}
    }
    let encoding = match () {
        () if start.contains(&0) => utf16(start),
        () if charsets == Charsets::Unicode => None,
        () => eight_bits(start, whole),
    };
    (encoding.filter(|e| *e != UTF_8), 0)
}

/// UTF-16 without a mark: every other byte of its spaces, line ends and ASCII is NUL.
fn utf16(start: &[u8]) -> Option<&'static Encoding> {
    let (mut little, mut big) = (0, 0);
    for pair in start.chunks_exact(2) {
        little += usize::from(pair[1] == 0 && pair[0] != 0);
        big += usize::from(pair[0] == 0 && pair[1] != 0);
    }
    let nul = start.iter().filter(|byte| **byte == 0).count();
    let mostly = |these: usize| these * 10 > nul * 9 && these * 50 > start.len() / 2;
    match (mostly(little), mostly(big)) {
        (true, false) => Some(UTF_16LE),
        (false, true) => Some(UTF_16BE),
        _ => None,
    }
}

fn eight_bits(start: &[u8], whole: bool) -> Option<&'static Encoding> {
    let Count { mut valid, mut invalid, high } = Count::of(start, whole);
    if high == 0 {
        let shifts = [&b"\x1b$B"[..], b"\x1b$@", b"\x1b(J", b"\x1b(I"];
        let shifted = shifts.iter().any(|s| memchr::memmem::find(start, s).is_some());
        return shifted.then_some(ISO_2022_JP);
    }
    let declared = declared(start);
    if invalid == 0 {
        return None;
    }
    if let Some(declared) = declared.filter(|e| *e != UTF_8) {
        return Some(declared);
    }
    // A handful of bytes is damage, not an encoding.
    (valid, invalid) = (valid.min(1 << 20), invalid.min(1 << 20));
    if invalid < 16 || invalid * 100 < start.len() || valid > invalid {
        return None;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(start, whole);
    Some(detector.guess(None, Utf8Detection::Deny))
}

/// How a text looks as UTF-8.
struct Count {
    /// Bytes of characters of several bytes.
    valid: usize,
    /// Bytes that are in no character.
    invalid: usize,
    /// Bytes above ASCII.
    high: usize,
}

impl Count {
    fn of(start: &[u8], whole: bool) -> Self {
        let high = start.iter().filter(|byte| !byte.is_ascii()).count();
        let (mut rest, mut invalid) = (start, 0);
        while let Err(e) = std::str::from_utf8(rest) {
            let Some(length) = e.error_len() else {
                // The last character may go on behind what is looked at.
                invalid += if whole { rest.len() - e.valid_up_to() } else { 0 };
                break;
            };
            invalid += length;
            rest = &rest[e.valid_up_to() + length..];
        }
        Self { valid: high.saturating_sub(invalid), invalid, high }
    }
}

/// What an XML declaration says.
fn declared(start: &[u8]) -> Option<&'static Encoding> {
    let start = start.trim_ascii_start();
    if !start.starts_with(b"<?xml") {
        return None;
    }
    let end = memchr::memchr(b'>', start)?;
    let text = std::str::from_utf8(&start[..end]).ok()?;
    let after = text.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let label = after[1..].split(quote).next()?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // Who can read the declaration byte by byte does not read UTF-16.
    (encoding != UTF_16LE && encoding != UTF_16BE).then_some(encoding)
}

/// A reader of UTF-8 over one of another encoding.
pub struct Transcoded {
    inner: Bytes,
    decoder: Decoder,
    text: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Transcoded {
    /// Over the bytes of a text behind its mark.
    pub fn new(inner: Bytes, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        Self { inner, decoder, text: Vec::new(), at: 0, ended: false }
    }

    fn decode(&mut self) -> io::Result<()> {
        (self.at, self.text) = (0, std::mem::take(&mut self.text));
        self.text.clear();
        while self.text.is_empty() && !self.ended {
            let piece = self.inner.fill_buf()?;
            self.ended = piece.is_empty();
            let (mut rest, length) = (piece, piece.len());
            loop {
                let begin = self.text.len();
                let room = self.decoder.max_utf8_buffer_length_without_replacement(rest.len());
                self.text.resize(begin + room.unwrap_or(BUFFER), 0);
                let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
                    rest,
                    &mut self.text[begin..],
                    self.ended,
                );
                self.text.truncate(begin + written);
                rest = &rest[read..];
                match result {
                    DecoderResult::Malformed(..) => self.text.extend_from_slice(UNDECODABLE),
                    DecoderResult::OutputFull => {}
                    DecoderResult::InputEmpty => break,
                }
            }
            self.inner.consume(length);
        }
        Ok(())
    }
}

impl Read for Transcoded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let text = self.fill_buf()?;
        let n = text.len().min(buf.len());
        buf[..n].copy_from_slice(&text[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Transcoded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.text.len() {
            self.decode()?;
        }
        Ok(&self.text[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at = (self.at + n).min(self.text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> &'static str {
        detect(bytes, true, Charsets::Any).0.map_or("UTF-8", Encoding::name)
    }

    fn decoded(bytes: &[u8], encoding: &'static Encoding) -> Vec<u8> {
        let mut text = Vec::new();
        let inner: Bytes =
            Box::new(io::BufReader::with_capacity(3, io::Cursor::new(bytes.to_vec())));
        Transcoded::new(inner, encoding).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn a_mark_a_declaration_or_the_bytes_tell() {
        assert_eq!(found("þetta er íslenska".as_bytes()), "UTF-8");
        assert_eq!(found(b"\xff\xfea\0b\0"), "UTF-16LE");
        assert_eq!(found(b"\0<\0t\0m\0x\0>"), "UTF-16BE");
        let chinese: Vec<u8> =
            "他说：你好。\n他们走了。\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(found(&chinese), "UTF-16LE");
        let polish = b"<?xml version='1.0' encoding='iso-8859-2'?><a>\xb1\xea</a>";
        assert_eq!(found(polish), "ISO-8859-2");
        let text = "Все люди рождаются свободными и равными в своём достоинстве и правах.";
        let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(text);
        assert_eq!(found(&bytes), "windows-1251");
        let (bytes, ..) = ISO_2022_JP.encode("すべての人間は");
        assert_eq!(found(&bytes), "ISO-2022-JP");
    }

    #[test]
    fn damage_is_no_encoding() {
        assert_eq!(found(b"plain\nlines \xff with\n one \xe9 bad byte"), "UTF-8");
        let mut text = "Ọjọ́ kan ṣoṣo ".repeat(50).into_bytes();
        text.extend([0xe9; 20]);
        assert_eq!(found(&text), "UTF-8");
        assert_eq!(found(b"a\0\0\0\0b\xff"), "UTF-8");
        assert_eq!(found(&"日本".as_bytes()[..5]), "UTF-8");
    }

    #[test]
    fn pieces_of_any_size_decode_to_the_same_text() {
        let text = "ここに日本語。\n改行も\n";
        for encoding in [encoding_rs::SHIFT_JIS, encoding_rs::EUC_JP, ISO_2022_JP] {
            let (bytes, ..) = encoding.encode(text);
            assert_eq!(decoded(&bytes, encoding), text.as_bytes());
        }
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decoded(&bytes, UTF_16BE), text.as_bytes());
    }

    #[test]
    fn what_means_nothing_cannot_be_taken_for_text() {
        let text = decoded(b"a\x81\x20b", encoding_rs::EUC_JP);
        assert!(std::str::from_utf8(&text).is_err());
        assert!(memchr::memmem::find(&text, UNDECODABLE).is_some());
    }

    #[test]
    fn encodings_have_many_names() {
        assert_eq!(named("Latin1").unwrap().name(), "windows-1252");
        assert_eq!(named("tis-620").unwrap().name(), "windows-874");
        assert_eq!(named("kio8-r").unwrap_err().hint(), Some("did you mean `koi8-r`?"));
    }
}
