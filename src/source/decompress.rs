//! Decompression by the first bytes of a file, never by its name.
//!
//! Several members, frames or streams are one file. A file in a compressed file is decompressed
//! too, three times at most. Bounded: what grows to more than a thousand times its size is no
//! text, and is not read further.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::location::{BUFFER, Bytes};
use crate::error::refused;

/// Content that a file may have for each of its bytes; gzip can reach 1032, text stays below 100.
const RATIO: u64 = 1000;
/// Content that a file may have whatever its size.
const FREE: u64 = 256 << 20;
/// Compressions within each other.
const DEPTH: usize = 3;
/// Memory that an xz dictionary may take; `xz -9` takes 64 MiB.
const XZ_MEMORY: u64 = 1 << 30;

/// The endings of names of compressed files, with the dot.
pub const ENDINGS: &[&str] = &[".gz", ".zst", ".zstd", ".bz2", ".xz"];

/// The name of a file without the ending of a compression.
pub fn stem(name: &str) -> &str {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// The name of the compression that a file begins with, if any.
pub fn compression(head: &[u8]) -> Option<&'static str> {
    const SKIPPABLE: std::ops::RangeInclusive<u8> = 0x50..=0x5f;
    match head {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [kind, 0x2a, 0x4d, 0x18, ..] if SKIPPABLE.contains(kind) => Some("zstd"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Some("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        _ => None,
    }
}

/// The decompressed content of a file whose bytes on disk `counted` counts, and the name of the
/// outermost compression. Errors when the system refuses.
pub fn open(raw: Bytes, counted: &Arc<AtomicU64>) -> io::Result<(Bytes, Option<&'static str>)> {
    let (mut bytes, mut outermost) = (raw, None);
    for _ in 0..DEPTH {
        let name = match bytes.fill_buf() {
            Ok(head) => compression(head),
            Err(e) if refused(&e) => return Err(e),
            // It is told again, and reported, by who reads on.
            Err(_) => None,
        };
        let Some(name) = name else { break };
        outermost = outermost.or(Some(name));
        bytes = match name {
            "gzip" => guarded(flate2::bufread::MultiGzDecoder::new(bytes), counted),
            "zstd" => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
                // Corpora are packed with `--long`; memory is taken only when a frame asks.
                decoder.window_log_max(31)?;
                guarded(decoder, counted)
            }
            "bzip2" => {
                let threads = std::thread::available_parallelism().map_or(1, usize::from);
                guarded(super::bzip2::reader(bytes, threads), counted)
            }
            _ => {
                const CONCATENATED: u32 = 0x08;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)
                    .map_err(io::Error::other)?;
                guarded(liblzma::bufread::XzDecoder::new_stream(bytes, stream), counted)
            }
        };
    }
    Ok((bytes, outermost))
}

fn guarded(inner: impl Read + Send + 'static, counted: &Arc<AtomicU64>) -> Bytes {
    let guard = Guard { inner, counted: counted.clone(), made: 0 };
    Box::new(BufReader::with_capacity(BUFFER, guard))
}

/// A reader that fails when its content grows out of all proportion.
struct Guard<R> {
    inner: R,
    counted: Arc<AtomicU64>,
    made: u64,
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.made += n as u64;
        if self.made > FREE && self.made / RATIO > self.counted.load(Relaxed) {
            let message = format!("it unpacks to more than {RATIO} times its size");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::tests::gzip;
    use super::*;

    fn read(raw: Vec<u8>) -> io::Result<u64> {
        // As of a file: one byte on disk counts as one.
        let counted = Arc::new(AtomicU64::new(raw.len() as u64));
        let (mut bytes, _) = open(Box::new(io::Cursor::new(raw)), &counted)?;
        io::copy(&mut bytes, &mut io::sink())
    }

    #[test]
    fn a_bomb_goes_off_outside() {
        let zeros = zstd::encode_all(io::repeat(0).take(FREE + (64 << 20)), 1).unwrap();
        let error = read(zeros.clone()).unwrap_err();
        assert!(error.to_string().contains("more than 1000 times"), "{error}");
        let error = read(gzip(&zeros)).unwrap_err();
        assert!(error.to_string().contains("more than 1000 times"), "{error}");
        let zeros = zstd::encode_all(io::repeat(0).take(FREE), 1).unwrap();
        assert_eq!(read(zeros).unwrap(), FREE);
    }

    #[test]
    fn a_name_loses_the_ending_of_its_compression() {
        assert_eq!(stem("a.jsonl.zst"), "a.jsonl");
        assert_eq!(stem("wiki.xml.bz2"), "wiki.xml");
        assert_eq!(stem("a.zip"), "a.zip");
    }
}
