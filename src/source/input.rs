//! A file as decompressed text in UTF-8, and that as lines of bounded length.
//!
//! Damage inside a compressed file is not an error but an end: what was decoded before it counts.

use std::io::{self, BufRead, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use encoding_rs::Encoding;

use super::charset::{self, Charsets, LOOK, Transcoded, UNDECODABLE};
use super::decompress;
use super::location::{Bytes, Location};
use super::row::Sink;
use crate::error::{Error, Result, refused};

/// The longest line or document that is read, in bytes; a longer one is rejected.
pub const MAX_RECORD: usize = 32 << 20;

/// A reader of one file: decompressed, and of a text file decoded.
pub struct Input<'a> {
    path: &'a Path,
    reader: Bytes,
    /// The outermost compression, for messages.
    compression: Option<&'static str>,
    charset: Option<&'static Encoding>,
    offset: u64,
    /// Bytes read from disk, and how many of them `read` knows of.
    counted: Arc<AtomicU64>,
    told: u64,
    read: &'a AtomicU64,
}

impl<'a> Input<'a> {
    /// Opens a file. `read` counts its bytes as they lie on disk. Text is decoded from the
    /// encoding that is `asked` for, else from the one that its first bytes tell; a byte-order
    /// mark is passed over. Errors when the file cannot be opened.
    pub fn open(
        location: &'a Location,
        charsets: Charsets,
        asked: Option<&'static Encoding>,
        read: &'a AtomicU64,
    ) -> Result<Self> {
        let counted = Arc::new(AtomicU64::new(0));
        let raw = location.open(counted.clone())?;
        let io = |e: io::Error| Error::reading(location.path(), e);
        let (mut bytes, compression) = decompress::open(raw, &counted).map_err(io)?;
        // A member is checked even where it is stored as it is.
        let compression = compression.or(matches!(location, Location::Member(_)).then_some("zip"));
        let (mut head, mut failed) = (Vec::with_capacity(LOOK), None);
        match (&mut bytes).take(LOOK as u64).read_to_end(&mut head) {
            Err(e) if refused(&e) => return Err(io(e)),
            Err(e) => failed = Some(e),
            Ok(_) => {}
        }
        let whole = head.len() < LOOK;
        let (found, mark) = charset::detect(&head, whole, charsets);
        let charset = match asked {
            Some(asked) if charsets != Charsets::Binary => {
                (asked != encoding_rs::UTF_8).then_some(asked)
            }
            _ => found,
        };
        let mut head = Cursor::new(head);
        head.set_position(mark as u64);
        let bytes: Bytes = match failed {
            // Where it broke is reached again only after what came before.
            Some(e) => Box::new(io::BufReader::new(head.chain(Broken(Some(e))))),
            None => Box::new(head.chain(bytes)),
        };
        let reader = match charset {
            Some(charset) => Box::new(Transcoded::new(bytes, charset)),
            None => bytes,
        };
        let path = location.path();
        let offset = if charset.is_none() { mark as u64 } else { 0 };
        Ok(Self { path, reader, compression, charset, offset, counted, told: 0, read })
    }

    /// The encoding that the text was decoded from, unless it is UTF-8.
    pub fn charset(&self) -> Option<&'static Encoding> {
        self.charset
    }

    /// Where the next byte lies in the decompressed content, or of text in another encoding, in
    /// the decoded content.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes without moving on; empty at the end.
    pub fn peek(&mut self) -> io::Result<&[u8]> {
        self.fill_buf()
    }

    /// The lines of the file.
    pub fn lines(self) -> Lines<'a> {
        Lines { input: self, line: Vec::new(), ended: false }
    }

    /// Hands the bytes to `f` as they come, with the offset of each piece; where the compressed
    /// file is damaged, the offset and the reason.
    pub fn each_piece(
        mut self,
        mut f: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<Option<(u64, String)>> {
        loop {
            let offset = self.offset;
            let n = match self.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(piece) => {
                    f(offset, piece)?;
                    piece.len()
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return self.damage(e).map(|reason| Some((offset, reason))),
            };
            self.consume(n);
        }
    }

    /// Tells damage in the compressed bytes, with its reason, from a refusal of the system.
    pub fn damage(&self, error: io::Error) -> Result<String> {
        match self.compression {
            Some(name) if !refused(&error) => {
                let what = match error.kind() {
                    io::ErrorKind::UnexpectedEof => "is truncated".to_string(),
                    _ => format!("is damaged ({error})"),
                };
                Ok(format!("{name} file {what} at offset {} of its content", self.offset))
            }
            _ => Err(Error::reading(self.path, error)),
        }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let n = bytes.len().min(buf.len());
        buf[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let counted = self.counted.load(Relaxed);
        if counted > self.told {
            self.read.fetch_add(counted - self.told, Relaxed);
            self.told = counted;
        }
        self.reader.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.reader.consume(n);
        self.offset += n as u64;
    }
}

/// A reader that fails once more where another one failed, then ends.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// One line, or what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes without the line end (`\n` or `\r\n`).
    Whole(&'a [u8]),
    /// More than [`MAX_RECORD`] bytes; these are the first.
    TooLong(&'a [u8]),
    /// The compressed file ends or breaks here: the reason, and the bytes of the cut line.
    Damaged(&'a str, &'a [u8]),
}

/// The lines of a file, one buffer for all.
pub struct Lines<'a> {
    input: Input<'a>,
    line: Vec<u8>,
    ended: bool,
}

/// Bytes as text, or why they are none: not UTF-8, or with a NUL, which no text has and a file
/// system leaves behind after a crash.
pub fn decode(bytes: &[u8]) -> Result<&str, String> {
    match simdutf8::compat::from_utf8(bytes) {
        Ok(_) if memchr::memchr(0, bytes).is_some() => Err("contains a NUL byte".into()),
        Ok(text) => Ok(text),
        Err(e) => {
            let at = e.valid_up_to();
            match bytes[at..].starts_with(UNDECODABLE) {
                true => Err(format!("byte {at} means nothing in the file's encoding")),
                false => Err(format!("invalid UTF-8 at byte {at}")),
            }
        }
    }
}

/// Why a line or file that is too long is rejected.
pub fn too_long() -> String {
    format!("longer than {} MiB", MAX_RECORD >> 20)
}

/// Hands each line of a text file that can be decoded to `f`, with its offset; rejects the others.
pub fn each_line(
    input: Input<'_>,
    sink: &mut dyn Sink,
    mut f: impl FnMut(u64, &str, &mut dyn Sink) -> Result<()>,
) -> Result<()> {
    let mut lines = input.lines();
    let mut handle = |offset, line: Line<'_>| match line {
        Line::Whole(bytes) => match decode(bytes) {
            Ok(text) => f(offset, text, sink),
            Err(reason) => sink.reject(offset, &reason, bytes),
        },
        Line::TooLong(head) => sink.reject(offset, &too_long(), head),
        Line::Damaged(reason, cut) => sink.reject(offset, reason, cut),
    };
    while lines.next(&mut handle)?.is_some() {}
    Ok(())
}

/// What stopped a read.
enum Stop {
    Found,
    End,
    TooLong,
    Damaged(String),
}

impl Lines<'_> {
    /// Where the next line begins, in bytes of the decompressed content.
    pub fn offset(&self) -> u64 {
        self.input.offset
    }

    /// Hands the next line to `f` with its offset; `None` at the end.
    pub fn next<T>(&mut self, f: impl FnOnce(u64, Line<'_>) -> Result<T>) -> Result<Option<T>> {
        self.read(Some(b'\n'), f)
    }

    /// Hands the rest of the file to `f` as if it were one line, its line ends included.
    pub fn rest<T>(&mut self, f: impl FnOnce(u64, Line<'_>) -> Result<T>) -> Result<Option<T>> {
        self.read(None, f)
    }

    fn read<T>(
        &mut self,
        end: Option<u8>,
        f: impl FnOnce(u64, Line<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.ended {
            return Ok(None);
        }
        let offset = self.input.offset;
        self.line.clear();
        match self.fill(end)? {
            Stop::End if self.line.is_empty() => Ok(None),
            Stop::Found | Stop::End => {
                let line = match (end, self.line.as_slice()) {
                    (Some(_), [line @ .., b'\r', b'\n'] | [line @ .., b'\n']) => line,
                    (_, line) => line,
                };
                f(offset, Line::Whole(line)).map(Some)
            }
            Stop::TooLong => f(offset, Line::TooLong(&self.line)).map(Some),
            Stop::Damaged(reason) => f(offset, Line::Damaged(&reason, &self.line)).map(Some),
        }
    }

    /// Reads up to and with `end`; of a line that is too long, passes over what is not kept.
    fn fill(&mut self, end: Option<u8>) -> Result<Stop> {
        let limit = MAX_RECORD as u64 + 2;
        let mut long = false;
        loop {
            let kept = self.line.len();
            let mut reader = (&mut self.input).take(limit);
            let result = match end {
                Some(end) => reader.read_until(end, &mut self.line),
                None => reader.read_to_end(&mut self.line),
            };
            if let Err(e) = result {
                self.ended = true;
                return self.input.damage(e).map(Stop::Damaged);
            }
            let found = end.is_some() && self.line.len() > kept && self.line.last() == end.as_ref();
            let at_end = self.line.len() == kept;
            if self.line.len() as u64 >= limit || long {
                long = true;
                self.line.truncate(8 << 10);
                self.line.shrink_to(1 << 20);
            }
            match (found, at_end, long) {
                (true, _, false) => return Ok(Stop::Found),
                (true, _, true) => return Ok(Stop::TooLong),
                (false, true, true) => {
                    self.ended = true;
                    return Ok(Stop::TooLong);
                }
                (false, _, false) => {
                    self.ended = true;
                    return Ok(Stop::End);
                }
                (false, false, true) => {}
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    /// Gzip of some bytes.
    pub fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    /// A file in a folder that vanishes with it.
    pub fn file(bytes: &[u8]) -> (tempfile::TempDir, Location) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        (dir, Location::File(path))
    }

    fn lines(bytes: &[u8]) -> Vec<(u64, String)> {
        let (_dir, location) = file(bytes);
        let read = AtomicU64::new(0);
        let mut lines = Input::open(&location, Charsets::Any, None, &read).unwrap().lines();
        let mut out = Vec::new();
        let mut show = |offset, line: Line<'_>| {
            let text = match line {
                Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                Line::TooLong(head) => format!("too long: {}", head.len()),
                Line::Damaged(reason, cut) => format!("{reason}: {} bytes cut", cut.len()),
            };
            out.push((offset, text));
            Ok(())
        };
        while lines.next(&mut show).unwrap().is_some() {}
        out
    }

    #[test]
    fn lines_end_with_lf_or_crlf_or_the_file() {
        let want = vec![(3, "þetta".to_string()), (11, String::new()), (12, "日本".into())];
        assert_eq!(lines("\u{feff}þetta\r\n\n日本".as_bytes()), want);
        assert_eq!(lines(b""), vec![]);
    }

    #[test]
    fn several_members_and_frames_are_one_file() {
        let want = vec![(0, "α".to_string()), (3, "β".into())];
        let mut bytes = gzip("α\n".as_bytes());
        bytes.extend(gzip("β\n".as_bytes()));
        assert_eq!(lines(&bytes), want);
        let mut bytes = zstd::encode_all("α\n".as_bytes(), 3).unwrap();
        bytes.extend(zstd::encode_all("β\n".as_bytes(), 3).unwrap());
        assert_eq!(lines(&bytes), want);
    }

    #[test]
    fn a_truncated_file_gives_its_lines_then_says_so() {
        let text: String =
            (0..5000).map(|i| format!("mstari wa {i}: {}\n", i * 7919 % 1000)).collect();
        let gz = gzip(text.as_bytes());
        let zst = zstd::encode_all(text.as_bytes(), 3).unwrap();
        for bytes in [&gz[..gz.len() * 2 / 3], &zst[..zst.len() - 5], &gz[..gz.len() - 4]] {
            let lines = lines(bytes);
            let (last, before) = lines.split_last().unwrap();
            assert!(last.1.contains("file is truncated at offset"), "{last:?}");
            for (line, want) in before.iter().zip(text.lines()) {
                assert_eq!(line.1, want);
            }
        }
    }

    #[test]
    fn a_huge_line_costs_itself_only() {
        let mut bytes = b"a\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', MAX_RECORD + 5));
        bytes.extend(b"\nb\n");
        let want = vec![
            (0, "a".to_string()),
            (2, "too long: 8192".into()),
            (MAX_RECORD as u64 + 8, "b".into()),
        ];
        assert_eq!(lines(&bytes), want);
    }

    #[test]
    fn every_compression_is_read_and_its_damage_told() {
        let text: String = (0..3000).map(|i| format!("línea {}\n", i * 7919 % 1000)).collect();
        let packed: [(&str, Vec<u8>); 4] = [
            ("gzip", gzip(text.as_bytes())),
            ("zstd", zstd::encode_all(text.as_bytes(), 3).unwrap()),
            ("bzip2", {
                let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                out.write_all(text.as_bytes()).unwrap();
                out.finish().unwrap()
            }),
            ("xz", {
                let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
                out.write_all(text.as_bytes()).unwrap();
                out.finish().unwrap()
            }),
        ];
        for (name, bytes) in packed {
            assert_eq!(lines(&bytes).len(), 3000, "{name}");
            assert_eq!(lines(&gzip(&bytes)).len(), 3000, "{name} in gzip");
            let twice = [bytes.clone(), bytes.clone()].concat();
            assert_eq!(lines(&twice).len(), 6000, "{name} twice");
            let cut = lines(&bytes[..bytes.len() - 9]);
            let last = &cut.last().unwrap().1;
            assert!(last.starts_with(&format!("{name} file is truncated")), "{name}: {last}");
        }
    }
}
