//! A bzip2 file split where magic numbers stand, at whatever bit that is.
//!
//! Decodes nothing, so a number that stands in a block by chance splits it too.

use std::io::{self, BufRead};

use super::block::{BLOCK, END, Kind, LONGEST, Segment};

/// How much is read at once.
const PIECE: usize = 256 << 10;

const MAGIC_BITS: u64 = 48;

/// The segments of a file.
pub struct Splitter<'a> {
    raw: Box<dyn BufRead + Send + 'a>,
    buffer: Vec<u8>,
    /// The bit of the buffer where the segment begins.
    begin: u64,
    kind: Kind,
    /// No magic number begins between the begin and this bit.
    searched: u64,
    ended: bool,
    done: bool,
}

impl<'a> Splitter<'a> {
    /// The segments of a file that is read from its begin.
    pub fn new(raw: Box<dyn BufRead + Send + 'a>) -> Self {
        Self {
            raw,
            buffer: Vec::new(),
            begin: 0,
            kind: Kind::Header,
            searched: 0,
            ended: false,
            done: false,
        }
    }

    /// The next segment; `None` at the end of the file. One that is longer than any block is
    /// split at no magic number.
    pub fn next(&mut self) -> io::Result<Option<Segment>> {
        if self.done {
            return Ok(None);
        }
        loop {
            if let Some((bit, kind)) = find(&self.buffer, self.searched) {
                let segment = self.segment(bit);
                (self.begin, self.kind) = (bit, kind);
                self.searched = bit + MAGIC_BITS;
                return Ok(Some(segment));
            }
            let bits = self.buffer.len() as u64 * 8;
            self.searched = self.searched.max(bits.saturating_sub(MAGIC_BITS - 1));
            if self.ended {
                self.done = true;
                return Ok(
                    (bits > self.begin || self.kind == Kind::Header).then(|| self.segment(bits))
                );
            }
            if bits - self.begin > (LONGEST as u64 + 1) * 8 {
                let segment = self.segment(bits);
                self.begin = bits;
                self.searched = bits;
                return Ok(Some(segment));
            }
            self.read()?;
        }
    }

    fn segment(&self, end: u64) -> Segment {
        let bytes = self.buffer[(self.begin / 8) as usize..end.div_ceil(8) as usize].to_vec();
        let first = (self.begin % 8) as u32;
        Segment { kind: self.kind, bytes, first, bits: end - self.begin, last: self.done }
    }

    /// Lets go of what is split, and reads on.
    fn read(&mut self) -> io::Result<()> {
        let gone = self.begin / 8;
        self.buffer.drain(..gone as usize);
        self.begin -= gone * 8;
        self.searched -= gone * 8;
        let goal = self.buffer.len() + PIECE;
        while self.buffer.len() < goal {
            match self.raw.fill_buf() {
                Ok([]) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(piece) => {
                    let count = piece.len();
                    self.buffer.extend_from_slice(piece);
                    self.raw.consume(count);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// The pairs of bytes that stand in the middle of a magic number, at any bit, as a set of bits.
static PAIRS: [u64; 1 << 10] = {
    let mut set = [0; 1 << 10];
    let magics = [BLOCK, END];
    let mut i = 0;
    while i < 2 * 8 * 4 {
        // Of seven bytes with the number at one of eight bits, those from the second to the sixth
        // are always its own.
        let bytes = magics[i / 32] << (8 - i / 4 % 8);
        let pair = (bytes >> (8 * (1 + i % 4))) as u16;
        set[(pair >> 6) as usize] |= 1 << (pair & 63);
        i += 1;
    }
    set
};

/// The first magic number that begins at or after a bit and is there as a whole.
fn find(bytes: &[u8], from: u64) -> Option<(u64, Kind)> {
    // One of the four pairs of a number that begins in byte p stands at a multiple of four.
    let mut at = ((from / 8) as usize / 4 + 1) * 4;
    while at + 1 < bytes.len() {
        let pair = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        if PAIRS[usize::from(pair >> 6)] >> (pair & 63) & 1 == 1
            && let found @ Some(_) = (at - 4..at).find_map(|p| begins(bytes, p, from))
        {
            return found;
        }
        at += 4;
    }
    None
}

/// The magic number that begins in a byte.
fn begins(bytes: &[u8], p: usize, from: u64) -> Option<(u64, Kind)> {
    let byte = |i: usize| u64::from(bytes.get(p + i).copied().unwrap_or(0));
    let seven = (0..7).fold(0, |bits, i| bits << 8 | byte(i));
    (0..8).find_map(|shift| {
        let bit = p as u64 * 8 + shift;
        let kind = match seven >> (8 - shift) & ((1 << MAGIC_BITS) - 1) {
            BLOCK => Kind::Block,
            END => Kind::End,
            _ => return None,
        };
        (bit >= from && bit + MAGIC_BITS <= bytes.len() as u64 * 8).then_some((bit, kind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_magic_number_is_found_at_every_bit() {
        for (magic, kind) in [(BLOCK, Kind::Block), (END, Kind::End)] {
            for bit in 0..100_u64 {
                let mut bytes = vec![0xa5; 20];
                for i in 0..MAGIC_BITS {
                    let (byte, mask) = (((bit + i) / 8) as usize, 0x80 >> ((bit + i) % 8));
                    match magic >> (MAGIC_BITS - 1 - i) & 1 {
                        0 => bytes[byte] &= !mask,
                        _ => bytes[byte] |= mask,
                    }
                }
                assert_eq!(find(&bytes, 0), Some((bit, kind)), "{bit}");
                assert_eq!(find(&bytes, bit), Some((bit, kind)), "{bit}");
                assert_eq!(find(&bytes, bit + 1), None);
                assert_eq!(
                    find(&bytes[..((bit + MAGIC_BITS) / 8) as usize], 0).is_some(),
                    bit % 8 == 0
                );
            }
        }
    }
}
