//! A part of a bzip2 file between two magic numbers, and the content of the block that it is.
//!
//! A block stands at any bit; to be decoded apart it is moved to a byte and given a header and an
//! end of its own, whose checksum is that of the block.

use std::sync::LazyLock;

use ::bzip2::{Decompress, Status};

/// What the bits of a segment begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The header of the first stream, or whatever a file begins with.
    Header,
    /// A block.
    Block,
    /// The end of a stream.
    End,
}

/// What a block begins with.
pub const BLOCK: u64 = 0x3141_5926_5359;
/// What the end of a stream begins with.
pub const END: u64 = 0x1772_4538_5090;

/// More bytes than the largest block takes.
pub const LONGEST: usize = 2 << 20;

/// The bits from one magic number up to the next.
#[derive(Debug, Clone)]
pub struct Segment {
    /// By the magic number.
    pub kind: Kind,
    /// The bytes that it has bits of.
    pub bytes: Vec<u8>,
    /// The bit of the first byte that it begins at.
    pub first: u32,
    /// How many bits it has.
    pub bits: u64,
    /// The file ends with it.
    pub last: bool,
}

/// Whether some bytes are the header of a stream, or as much of it as they can be.
pub fn is_header(bytes: &[u8]) -> bool {
    let fits = |(i, b): (usize, &u8)| match i {
        0..3 => *b == b"BZh"[i],
        _ => matches!(b, b'1'..=b'9'),
    };
    bytes.len() <= 4 && bytes.iter().enumerate().all(fits)
}

impl Segment {
    /// The 32 bits from a bit of the segment on.
    pub fn word(&self, from: u64) -> u32 {
        let from = from + u64::from(self.first);
        let at = (from / 8) as usize;
        let byte = |i: usize| u64::from(self.bytes.get(at + i).copied().unwrap_or(0));
        let bits = (0..5).fold(0, |bits, i| bits << 8 | byte(i));
        (bits >> (8 - from % 8)) as u32
    }

    /// The bytes from the first whole one at or after a bit on.
    pub fn bytes_from(&self, from: u64) -> &[u8] {
        let at = (from + u64::from(self.first)).div_ceil(8) as usize;
        self.bytes.get(at..).unwrap_or_default()
    }

    /// Whether it is longer than any block.
    pub fn is_too_long(&self) -> bool {
        self.bytes.len() > LONGEST
    }

    /// Adds the segment that follows.
    pub fn append(&mut self, next: &Self) {
        if next.first > 0 {
            // Both have bits of this byte.
            self.bytes.pop();
        }
        self.bytes.extend_from_slice(&next.bytes);
        self.bits += next.bits;
        self.last = next.last;
    }

    /// The content, if the segment is one whole block and nothing else.
    pub fn decode(&self) -> Option<Vec<u8>> {
        if self.bits < 80 || self.is_too_long() {
            return None;
        }
        let mut stream = self.aligned();
        let rest = (self.bits % 8) as u32;
        let bits = match rest {
            0 => 0,
            _ => stream.pop().map_or(0, |last| u128::from(last >> (8 - rest))),
        };
        let end = bits << 80 | u128::from(END) << 32 | u128::from(self.word(48));
        let length = (rest + 80).div_ceil(8);
        let end = (end << (length * 8 - rest - 80)).to_be_bytes();
        stream.extend_from_slice(&end[end.len() - length as usize..]);
        let (content, ended) = decompress(&stream);
        (ended == Ended::Whole).then_some(content)
    }

    /// The content of the block that the segment begins with, if its checksum is right, and
    /// whether the segment ended before something in it was found broken.
    pub fn salvage(&self) -> (Vec<u8>, bool) {
        let (content, ended) = decompress(&self.aligned());
        let whole = self.bits >= 80 && checksum(&content) == self.word(48);
        (if whole { content } else { Vec::new() }, ended == Ended::Cut)
    }

    /// A stream header, then the bits from a whole byte on.
    fn aligned(&self) -> Vec<u8> {
        let length = self.bits.div_ceil(8) as usize;
        let mut stream = Vec::with_capacity(length + 16);
        // The largest size of blocks serves for all.
        stream.extend_from_slice(b"BZh9");
        match self.first {
            0 => stream.extend_from_slice(&self.bytes[..length.min(self.bytes.len())]),
            first => {
                let pairs = self.bytes.windows(2);
                stream
                    .extend(pairs.map(|p| (u16::from_be_bytes([p[0], p[1]]) << first >> 8) as u8));
                stream.extend(self.bytes.last().map(|last| last << first));
                stream.truncate(4 + length);
            }
        }
        stream
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Whole,
    Cut,
    Broken,
}

/// The content of a stream up to its end or where it is broken.
fn decompress(stream: &[u8]) -> (Vec<u8>, Ended) {
    let mut decoder = Decompress::new(false);
    let mut content = Vec::with_capacity(1 << 20);
    loop {
        let read = decoder.total_in() as usize;
        let before = content.len();
        let status = decoder.decompress_vec(&stream[read..], &mut content);
        let ended = match status {
            Ok(Status::StreamEnd) if decoder.total_in() == stream.len() as u64 => Ended::Whole,
            Ok(Status::StreamEnd | Status::MemNeeded) | Err(_) => Ended::Broken,
            Ok(_) if content.len() == content.capacity() => {
                content.reserve(content.len());
                continue;
            }
            Ok(_) if content.len() > before || decoder.total_in() as usize > read => continue,
            Ok(_) => Ended::Cut,
        };
        return (content, ended);
    }
}

/// The checksum of the content of a block: CRC-32 with the most significant bit first.
fn checksum(content: &[u8]) -> u32 {
    static TABLE: LazyLock<[u32; 256]> = LazyLock::new(|| {
        std::array::from_fn(|i| {
            (0..8).fold((i as u32) << 24, |crc, _| {
                crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
            })
        })
    });
    let step = |crc: u32, byte: &u8| crc << 8 ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)];
    !content.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_format() {
        // The check value of CRC-32/BZIP2.
        assert_eq!(checksum(b"123456789"), 0xfc89_1918);
    }

    #[test]
    fn headers_and_their_beginnings() {
        assert!(is_header(b"BZh1") && is_header(b"BZ") && is_header(b""));
        assert!(!is_header(b"BZh0") && !is_header(b"BZh91") && !is_header(b"Bz"));
    }

    #[test]
    fn words_begin_at_any_bit() {
        let bytes = vec![0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc];
        let segment = Segment { kind: Kind::Block, bytes, first: 4, bits: 44, last: true };
        assert_eq!(segment.word(0), 0x2345_6789);
        assert_eq!(segment.word(4), 0x3456_789a);
        assert_eq!(segment.bytes_from(5), [0x56, 0x78, 0x9a, 0xbc]);
    }
}
