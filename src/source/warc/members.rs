//! The members of a gzip file one after another, going on behind a damaged one.
//!
//! Archives hold one record a member (WARC 1.1, annex D), so a damaged member costs its record
//! only: the next start of a member is looked for in the raw bytes. Knows of records only how
//! they begin.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;
use memchr::memmem;

use super::window::{Content, Step, read_into};
use crate::error::{Error, Result};

/// The first bytes of a member: the magic number and the only method there is (RFC 1952).
const MAGIC: &[u8] = &[0x1f, 0x8b, 8];

/// How far behind the place where damage shows the search for the next member begins at most.
const BACK: u64 = 64 << 20;

/// How many bytes are read a second time in one file; after that, the search only goes forward.
const AGAIN: u64 = 1 << 30;

/// How many raw bytes the search looks at in one go, and how many a trial needs of a member.
const PIECE: usize = 256 << 10;
const TRIAL: usize = 8 << 10;

/// A file whose bytes are counted once, also when they are read again.
struct Counted<'a> {
    file: File,
    position: u64,
    furthest: u64,
    read: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.position += n as u64;
        if self.position > self.furthest {
            self.read.fetch_add(self.position - self.furthest, Ordering::Relaxed);
            self.furthest = self.position;
        }
        Ok(n)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.file.seek(to)?;
        Ok(self.position)
    }
}

type Raw<'a> = BufReader<Counted<'a>>;

enum State<'a> {
    /// Between two members.
    Between(Raw<'a>),
    /// In a member.
    Inside(Box<GzDecoder<Raw<'a>>>),
    /// Behind damage: the next member begins here or later.
    Lost(Raw<'a>, u64),
    Ended,
}

/// The content of a gzip file by members.
pub struct Members<'a> {
    path: &'a Path,
    state: State<'a>,
    /// Where the member that is read begins in the file.
    begin: u64,
    /// How many bytes will have been read twice.
    again: u64,
    is_start: fn(&[u8]) -> bool,
}

impl<'a> Members<'a> {
    /// Opens a file; `read` counts its bytes, and `is_start` knows the first bytes of a record.
    /// `None` when it is no gzip file.
    pub fn open(
        path: &'a Path,
        read: &'a AtomicU64,
        is_start: fn(&[u8]) -> bool,
    ) -> Result<Option<Self>> {
        let io = |e| Error::io(path, e);
        let file = File::open(path).map_err(io)?;
        let counted = Counted { file, position: 0, furthest: 0, read };
        let mut raw = BufReader::with_capacity(128 << 10, counted);
        if !raw.fill_buf().map_err(io)?.starts_with(&MAGIC[..2]) {
            read.fetch_sub(raw.get_ref().furthest, Ordering::Relaxed);
            return Ok(None);
        }
        let state = State::Between(raw);
        Ok(Some(Self { path, state, begin: 0, again: 0, is_start }))
    }

    /// The reason of damage; behind it, the search for the next member begins.
    fn damaged(&mut self, raw: Raw<'a>, error: Option<io::Error>) -> Result<Step> {
        let what = match error {
            Some(e) if e.raw_os_error().is_some() => return Err(Error::io(self.path, e)),
            Some(e) if e.kind() == io::ErrorKind::UnexpectedEof => "is truncated".to_string(),
            Some(e) => format!("is damaged ({e})"),
            None => "is damaged (no gzip header)".to_string(),
        };
        let here = position(&raw);
        let from = (self.begin + 1).max(here.saturating_sub(BACK));
        let from = if self.again > AGAIN { here.max(from) } else { from };
        self.again += here.saturating_sub(from);
        self.state = State::Lost(raw, from);
        Ok(Step::Damaged(format!("gzip member at byte {} of the file {what}", self.begin)))
    }

    /// Moves to the next member that begins with a record; `None` when there is none.
    fn search(&self, mut raw: Raw<'a>, from: u64) -> io::Result<Option<Raw<'a>>> {
        raw.seek(SeekFrom::Start(from))?;
        let (mut piece, mut base) = (Vec::with_capacity(PIECE), from);
        loop {
            let n = (&mut raw).take((PIECE - piece.len()) as u64).read_to_end(&mut piece)?;
            let last = n == 0 || piece.len() < PIECE;
            // What is near the end of the piece is tried with the next one.
            let safe = if last { piece.len() } else { piece.len() - TRIAL };
            for at in memmem::find_iter(&piece, MAGIC).take_while(|at| *at < safe) {
                if self.begins(&piece[at..piece.len().min(at + TRIAL)]) {
                    raw.seek(SeekFrom::Start(base + at as u64))?;
                    return Ok(Some(raw));
                }
            }
            if last {
                return Ok(None);
            }
            piece.drain(..safe);
            base += safe as u64;
        }
    }

    /// Whether these bytes decompress to the start of a record.
    fn begins(&self, member: &[u8]) -> bool {
        const RESERVED: u8 = 0xe0;
        if member.get(3).is_none_or(|flags| flags & RESERVED != 0) {
            return false;
        }
        let mut start = Vec::new();
        // A trial ends in the middle of most members, which is no matter.
        let _ = GzDecoder::new(member).take(1 << 10).read_to_end(&mut start);
        (self.is_start)(&start)
    }
}

fn position(raw: &Raw<'_>) -> u64 {
    raw.get_ref().position - raw.buffer().len() as u64
}

impl Content for Members<'_> {
    fn read(&mut self, out: &mut Vec<u8>) -> Result<Step> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => Ok(Step::End),
            State::Between(mut raw) => {
                self.begin = position(&raw);
                match raw.fill_buf() {
                    Ok([]) => return Ok(Step::End),
                    Ok([0x1f, ..]) => {}
                    Ok(_) => return self.damaged(raw, None),
                    Err(e) => return Err(Error::io(self.path, e)),
                }
                self.state = State::Inside(Box::new(GzDecoder::new(raw)));
                self.read(out)
            }
            State::Inside(mut decoder) => match read_into(&mut decoder, out) {
                Ok(0) => {
                    self.state = State::Between(decoder.into_inner());
                    Ok(Step::Seam)
                }
                Ok(_) => {
                    self.state = State::Inside(decoder);
                    Ok(Step::Read)
                }
                Err(e) => self.damaged(decoder.into_inner(), Some(e)),
            },
            State::Lost(raw, from) => {
                match self.search(raw, from).map_err(|e| Error::io(self.path, e))? {
                    None => Ok(Step::End),
                    Some(raw) => {
                        self.state = State::Between(raw);
                        self.read(out)
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::input::tests::gzip;
    use super::*;

    /// The content with `|` at each seam and `!` at each damage.
    fn members(bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.warc.gz");
        std::fs::write(&path, bytes).unwrap();
        let read = AtomicU64::new(0);
        let mut members = Members::open(&path, &read, |b| b.starts_with(b"REC")).unwrap().unwrap();
        let mut out = Vec::new();
        loop {
            match members.read(&mut out).unwrap() {
                Step::Read => {}
                Step::Seam => out.push(b'|'),
                Step::Damaged(_) => out.push(b'!'),
                Step::End => break,
            }
        }
        assert_eq!(read.into_inner(), bytes.len() as u64);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_damaged_member_costs_itself_only() {
        let [a, b, c] = ["REC α", "REC β", "REC γ"].map(|t| gzip(t.as_bytes()));
        let all = [a.as_slice(), &b, &c].concat();
        assert_eq!(members(&all), "REC α|REC β|REC γ|");
        let cut = [a.as_slice(), &b[..b.len() - 9], &c].concat();
        let found = members(&cut);
        assert!(found.starts_with("REC α|") && found.ends_with("!REC γ|"), "{found}");
        let mut flipped = all.clone();
        flipped[a.len() + b.len() - 6] ^= 1;
        assert_eq!(members(&flipped), "REC α|REC β!REC γ|");
        let junk = [a.as_slice(), b"\0\0junk\x1f\x8b\x08", &c].concat();
        assert_eq!(members(&junk), "REC α|!REC γ|");
        assert_eq!(members(&all[..all.len() - 3]), "REC α|REC β|REC γ!");
    }

    #[test]
    fn a_member_far_behind_the_damage_is_found() {
        let mut state = 7u64;
        let noise: Vec<u8> = (0..3 * PIECE)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect();
        let all = [&gzip(b"a")[..], &noise, &gzip(b"not one"), &gzip(b"REC")].concat();
        assert_eq!(members(&all), "a|!REC|");
    }
}
