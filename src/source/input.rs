//! A file as decompressed bytes, and those as lines of bounded length.
//!
//! Compression is told by the first bytes, never by the name. Damage inside a compressed file is
//! not an error but an end: what was decoded before it counts. Decodes no text.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::row::Sink;
use crate::error::{Error, Result};

/// The longest line or document that is read, in bytes; a longer one is rejected.
pub const MAX_RECORD: usize = 32 << 20;

/// A decompressing reader of one file.
pub struct Input<'a> {
    path: &'a Path,
    reader: Box<dyn BufRead + 'a>,
    compression: Option<&'static str>,
    offset: u64,
}

/// A file reader that adds what it read to a common counter.
struct Counted<'a> {
    file: File,
    read: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

const BUFFER: usize = 128 << 10;

/// The first bytes of a file, at most `n`.
pub fn head(path: &Path, n: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(n);
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    file.take(n as u64).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    Ok(bytes)
}

/// The name of the compression that a file begins with, if any, be it one that is read or not.
pub fn compression(head: &[u8]) -> Option<&'static str> {
    const SKIPPABLE: std::ops::RangeInclusive<u8> = 0x50..=0x5f;
    match head {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [kind, 0x2a, 0x4d, 0x18, ..] if SKIPPABLE.contains(kind) => Some("zstd"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Some("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'P', b'K', 3, 4, ..] => Some("zip"),
        _ => None,
    }
}

impl<'a> Input<'a> {
    /// Opens a file; `read` counts its bytes as they lie on disk. A byte-order mark of UTF-8 is
    /// passed over. Errors when the file cannot be opened or its compression is not read.
    pub fn open(path: &'a Path, read: &'a AtomicU64) -> Result<Self> {
        let io = |e: io::Error| Error::io(path, e);
        let file = File::open(path).map_err(io)?;
        let mut raw = BufReader::with_capacity(BUFFER, Counted { file, read });
        let compression = compression(raw.fill_buf().map_err(io)?);
        let reader: Box<dyn BufRead + 'a> = match compression {
            None => Box::new(raw),
            Some("gzip") => {
                let decoder = flate2::bufread::MultiGzDecoder::new(raw);
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            Some("zstd") => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(io)?;
                // Corpora are packed with `--long`; memory is taken only when a frame asks.
                decoder.window_log_max(31).map_err(io)?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            Some(other) => {
                return Err(Error::input(
                    path,
                    format!("compressed with {other}, which is not read"),
                )
                .hint_with("unpack it, or repack it with gzip or zstd"));
            }
        };
        let mut input = Self { path, reader, compression, offset: 0 };
        if matches!(input.peek(), Ok([0xef, 0xbb, 0xbf, ..])) {
            input.reader.consume(3);
            input.offset = 3;
        }
        Ok(input)
    }

    /// Where the next byte lies in the decompressed content.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes without moving on; empty at the end, or at damage.
    pub fn peek(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    /// Whether it begins like UTF-16, which would be rejected line by line.
    pub fn is_utf16(&mut self) -> bool {
        matches!(self.peek(), Ok([0xff, 0xfe, ..] | [0xfe, 0xff, ..]))
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
            let n = match self.reader.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(piece) => {
                    f(self.offset, piece)?;
                    piece.len()
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    let offset = self.offset;
                    return self.damage(e).map(|reason| Some((offset, reason)));
                }
            };
            self.reader.consume(n);
            self.offset += n as u64;
        }
    }

    /// Tells damage in the compressed bytes, with its reason, from a refusal of the system.
    fn damage(&self, error: io::Error) -> Result<String> {
        match self.compression {
            Some(name) if error.raw_os_error().is_none() => {
                let what = match error.kind() {
                    io::ErrorKind::UnexpectedEof => "is truncated".to_string(),
                    _ => format!("is damaged ({error})"),
                };
                Ok(format!("{name} file {what} at offset {} of its content", self.offset))
            }
            _ => Err(Error::io(self.path, error)),
        }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buf)?;
        self.offset += n as u64;
        Ok(n)
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
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => Err("contains a NUL byte".into()),
        Ok(text) => Ok(text),
        Err(e) => Err(format!("invalid UTF-8 at byte {}", e.valid_up_to())),
    }
}

/// Why a line or file that is too long is rejected.
pub fn too_long() -> String {
    format!("longer than {} MiB", MAX_RECORD >> 20)
}

/// Hands each line of a text file that can be decoded to `f`, with its offset; rejects the others.
pub fn each_line(
    mut input: Input<'_>,
    sink: &mut dyn Sink,
    mut f: impl FnMut(u64, &str, &mut dyn Sink) -> Result<()>,
) -> Result<()> {
    if input.is_utf16() {
        return sink.refuse(UTF16);
    }
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

/// Why a file in UTF-16 is refused.
pub const UTF16: &str = "the file is UTF-16; expected UTF-8";

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
            let mut reader = (&mut self.input.reader).take(limit);
            let result = match end {
                Some(end) => reader.read_until(end, &mut self.line),
                None => reader.read_to_end(&mut self.line),
            };
            self.input.offset += (self.line.len() - kept) as u64;
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
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;

    /// Gzip of some bytes.
    pub fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    /// A file in a folder that vanishes with it.
    pub fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn lines(bytes: &[u8]) -> Vec<(u64, String)> {
        let (_dir, path) = file(bytes);
        let read = AtomicU64::new(0);
        let mut lines = Input::open(&path, &read).unwrap().lines();
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
    fn other_compressions_are_named() {
        let (_dir, path) = file(b"BZh91AY&SY");
        let read = AtomicU64::new(0);
        let error = Input::open(&path, &read).err().unwrap();
        assert!(error.to_string().ends_with("compressed with bzip2, which is not read"));
    }
}
