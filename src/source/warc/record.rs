//! The records of an archive one by one, each with its block and what is wrong with it.
//!
//! Lengths are believed when something that looks like a record, or nothing, follows the block;
//! else the record ends where the next one begins. Does not look into blocks.

use memchr::memmem;

use super::super::input::{MAX_RECORD, too_long};
use super::headers::{Headers, line};
use super::start::{Kind, Line};
use super::window::Window;
use crate::error::Result;

/// The longest header of a record, in bytes.
const HEADER: usize = 64 << 10;

/// How much of a record is kept that is too long.
const HEAD: usize = 1 << 20;

/// What stands at some place of an archive.
#[derive(Debug)]
pub enum Found<'r> {
    /// A record.
    Record(Record<'r>),
    /// Bytes that are no record, with the reason; the first of them.
    Broken(String, &'r [u8]),
    /// Bytes that are no record, and no record in all the file.
    Foreign,
}

/// The header of a record, by the kind of archive.
#[derive(Debug)]
pub enum Header<'r> {
    /// Named fields.
    Warc(Headers<'r>),
    /// One line.
    Arc(Line<'r>),
}

/// A record.
#[derive(Debug)]
pub struct Record<'r> {
    /// Its header.
    pub header: Header<'r>,
    /// Its block.
    pub block: &'r [u8],
    /// Why the block is not whole, if it is not.
    pub cut: Option<String>,
    /// The length that the header states, if another one was found.
    pub stated: Option<u64>,
}

/// The records of an archive.
pub struct Records<'a> {
    window: Window<'a>,
    kind: Option<Kind>,
}

/// How far a record reaches in the window.
struct Extent {
    /// Where its block ends.
    end: usize,
    /// Where the next record begins, line ends between them passed over.
    next: usize,
    cut: bool,
    lies: bool,
}

impl<'a> Records<'a> {
    /// The records of some content.
    pub fn new(window: Window<'a>) -> Self {
        Self { window, kind: None }
    }

    /// Hands what comes next to `f`, with its offset; whether there was anything.
    pub fn next(&mut self, f: impl FnOnce(u64, Found<'_>) -> Result<()>) -> Result<bool> {
        let offset = loop {
            while self.blank()? {
                self.window.pass(1);
            }
            let offset = self.window.offset();
            if self.window.want(1)? {
                break offset;
            }
            if !self.window.at_edge() {
                return Ok(false);
            }
            if let Some(damage) = self.window.cross() {
                return f(offset, Found::Broken(damage, b"")).map(|()| true);
            }
        };
        self.window.want(4 << 10)?;
        let here = self.kind.or_else(|| Kind::of(self.window.bytes()));
        let Some(kind) = here.filter(|kind| kind.starts(self.window.bytes())) else {
            return self.lost(offset, "not the start of a record", f);
        };
        self.kind = Some(kind);
        match self.header(kind)? {
            Err(reason) => self.lost(offset, reason, f),
            Ok((begin, length)) => self.record(kind, begin, length, offset, f),
        }
    }

    /// Whether a line end comes next, of which archives have too many or too few.
    fn blank(&mut self) -> Result<bool> {
        Ok(self.window.want(1)? && matches!(self.window.bytes(), [b'\r' | b'\n', ..]))
    }

    /// The length of the header that comes next, and the length of the block that it states.
    fn header(&mut self, kind: Kind) -> Result<Result<(usize, u64), &'static str>> {
        if kind == Kind::Arc {
            let line = Line::parse(self.window.bytes());
            return Ok(line.map(|l| (l.bytes, l.length)).ok_or("the header line cannot be read"));
        }
        let mut looked = 0;
        let end = loop {
            let bytes = self.window.bytes();
            let from = looked;
            let found = memmem::find(&bytes[from..], b"\n\r\n").map(|at| from + at + 3);
            let bare = memmem::find(&bytes[from..], b"\n\n").map(|at| from + at + 2);
            match found.into_iter().chain(bare).min() {
                Some(end) => break end,
                None if bytes.len() > HEADER => return Ok(Err("the header has no end")),
                None => {}
            }
            looked = bytes.len().saturating_sub(2);
            if !self.window.want(self.window.bytes().len() + 1)? {
                return Ok(Err("the file ends or breaks in the header of a record"));
            }
        };
        let bytes = &self.window.bytes()[..end];
        if end > HEADER || kind.find(bytes).is_some() {
            return Ok(Err("the header has no end"));
        }
        let (headers, _, _) = Headers::parse(bytes, |_| false);
        let length = headers.get("Content-Length").and_then(|v| std::str::from_utf8(v).ok());
        Ok(match length.and_then(|v| v.parse().ok()) {
            Some(length) => Ok((end, length)),
            None => Err("no `Content-Length`"),
        })
    }

    fn record(
        &mut self,
        kind: Kind,
        begin: usize,
        length: u64,
        offset: u64,
        f: impl FnOnce(u64, Found<'_>) -> Result<()>,
    ) -> Result<bool> {
        let long = length > MAX_RECORD as u64;
        let extent = match long {
            true => None,
            false => self.extent(kind, begin, length as usize)?,
        };
        let (end, stated, cut) = match &extent {
            Some(x) => {
                let reason = || "the file ends or breaks in the record".to_string();
                (x.end, x.lies.then_some(length), x.cut.then(reason))
            }
            None => {
                self.window.want(begin + HEAD)?;
                let end = self.window.bytes().len().min(begin + HEAD);
                (end, None, Some(too_long()))
            }
        };
        let reaches = extent.as_ref().is_some_and(|x| x.next == self.window.bytes().len());
        let damage = self.window.damage().filter(|_| reaches).map(str::to_string);
        let bytes = self.window.bytes();
        let header = match kind {
            Kind::Warc => {
                let (_, version) = line(bytes);
                Header::Warc(Headers::parse(&bytes[version..begin], |_| false).0)
            }
            Kind::Arc => match Line::parse(bytes) {
                Some(line) => Header::Arc(line),
                None => return Ok(false),
            },
        };
        let block = &bytes[begin..end];
        let record = Record { header, block, cut: damage.clone().or(cut), stated };
        f(offset, Found::Record(record))?;
        match extent {
            Some(extent) => {
                self.window.pass(extent.next);
                if damage.is_some() {
                    self.window.cross();
                }
            }
            None => self.pass_over(kind, begin, length)?,
        }
        Ok(true)
    }

    /// Where a record ends that is not too long; `None` when it turns out to be.
    fn extent(&mut self, kind: Kind, begin: usize, length: usize) -> Result<Option<Extent>> {
        let total = begin + length;
        let whole = self.window.want(total)?;
        if whole && let Some(next) = self.follows(kind, total)? {
            return Ok(Some(Extent { end: total, next, cut: false, lies: false }));
        }
        // A record that begins inside the block ends it.
        let mut looked = begin.saturating_sub(1);
        let inside = kind.find(&self.window.bytes()[looked..]).map(|at| looked + at);
        let ended = self.window.bytes().get(total..).is_some_and(|b| b.starts_with(b"\r\n\r\n"));
        if ended && inside.is_none_or(|at| at > total) {
            return Ok(Some(Extent { end: total, next: total + 4, cut: false, lies: false }));
        }
        // Else the length lies, and the block goes on to the next record.
        loop {
            let bytes = self.window.bytes();
            if let Some(at) = kind.find(&bytes[looked..]) {
                let next = looked + at;
                let end = begin + trim_end(&bytes[begin..next]).len();
                return Ok(Some(Extent { end, next, cut: false, lies: true }));
            }
            if bytes.len() > begin + MAX_RECORD {
                return Ok(None);
            }
            // A start may lie across what is there and what comes.
            looked = bytes.len().saturating_sub(4 << 10).max(looked);
            if !self.window.want(self.window.bytes().len() + 1)? {
                break;
            }
        }
        let bytes = self.window.bytes();
        let next = bytes.len();
        let neat = whole || (self.window.at_edge() && self.window.damage().is_none());
        let end = if neat { begin + trim_end(&bytes[begin..]).len() } else { next };
        Ok(Some(Extent { end, next, cut: !neat, lies: neat }))
    }

    /// Where the next record begins if nothing but line ends stands between it and `at`.
    fn follows(&mut self, kind: Kind, at: usize) -> Result<Option<usize>> {
        let mut at = at;
        while self.window.want(at + 1)? && matches!(self.window.bytes()[at], b'\r' | b'\n') {
            at += 1;
        }
        self.window.want(at + 16)?;
        if kind == Kind::Arc {
            self.window.want(at + (4 << 10))?;
        }
        let rest = &self.window.bytes()[at..];
        // The file may break off in the next version line.
        let breaks = rest.len() < 12 && (b"WARC/".starts_with(rest) || rest.starts_with(b"WARC/"));
        Ok((breaks || kind.starts(rest)).then_some(at))
    }

    /// Moves to the next record behind one that is too long: by its length, which a start of a
    /// record on the way contradicts.
    fn pass_over(&mut self, kind: Kind, begin: usize, length: u64) -> Result<()> {
        self.window.pass(begin.saturating_sub(1));
        let mut left = length.saturating_add(1);
        while left > 0 && self.window.want(1)? {
            self.window.want(64 << 10)?;
            let bytes = self.window.bytes();
            let n = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            if let Some(at) = kind.find(&bytes[..n]) {
                self.window.pass(at);
                return Ok(());
            }
            // A start may lie across this piece and the next.
            let more = n < bytes.len() || n as u64 == left;
            let n = if more || n <= 8 << 10 { n } else { n - (4 << 10) };
            self.window.pass(n);
            left -= n as u64;
        }
        if left > 0 {
            // Damage there is this record's, which is counted.
            self.window.cross();
        }
        Ok(())
    }

    /// Behind bytes that are no record: moves on to the next start, and says so once.
    fn lost(
        &mut self,
        offset: u64,
        reason: &str,
        f: impl FnOnce(u64, Found<'_>) -> Result<()>,
    ) -> Result<bool> {
        let mut raw: Vec<u8> = Vec::new();
        let mut damage = None;
        loop {
            self.window.want(64 << 10)?;
            let bytes = self.window.bytes();
            if raw.len() < 4 << 10 {
                raw.extend_from_slice(&bytes[..bytes.len().min(4 << 10)]);
            }
            let found = match self.kind {
                Some(kind) => kind.find(bytes),
                None => Kind::Warc.find(bytes).or_else(|| Kind::Arc.find(bytes)),
            };
            if let Some(at) = found {
                self.window.pass(at);
                break;
            }
            let n = bytes.len();
            let more = self.window.want(n + 1)?;
            // A start may lie across this piece and the next.
            self.window.pass(if more { n.saturating_sub(4 << 10) } else { n });
            if !more {
                if self.window.at_edge() {
                    damage = self.window.cross();
                } else if self.kind.is_none() {
                    return f(offset, Found::Foreign).map(|()| true);
                }
                break;
            }
        }
        let reason = damage.unwrap_or_else(|| reason.to_string());
        f(offset, Found::Broken(reason, &raw)).map(|()| true)
    }
}

/// A block without the two line ends that end a record.
fn trim_end(block: &[u8]) -> &[u8] {
    let mut block = block;
    for _ in 0..2 {
        block = block.strip_suffix(b"\n").unwrap_or(block);
        block = block.strip_suffix(b"\r").unwrap_or(block);
    }
    block
}

#[cfg(test)]
mod tests {
    use super::super::start::is_start;
    use super::super::window::{Content, Step, read_into};
    use super::*;

    struct Plain<'a>(&'a [u8]);

    impl Content for Plain<'_> {
        fn read(&mut self, out: &mut Vec<u8>) -> Result<Step> {
            Ok(if read_into(&mut self.0, out).unwrap() == 0 { Step::End } else { Step::Read })
        }
    }

    /// Blocks, with `!` before one that is cut and `~` before one whose length lied; reasons of
    /// what is broken in brackets.
    fn records(bytes: &[u8]) -> Vec<String> {
        let mut records = Records::new(Window::new(Box::new(Plain(bytes)), is_start));
        let mut out = Vec::new();
        let mut show = |_, found: Found<'_>| {
            out.push(match found {
                Found::Record(r) => {
                    let mark = if r.cut.is_some() { "!" } else { "" };
                    let lied = if r.stated.is_some() { "~" } else { "" };
                    format!("{mark}{lied}{}", String::from_utf8_lossy(r.block))
                }
                Found::Broken(reason, _) => format!("({reason})"),
                Found::Foreign => "foreign".into(),
            });
            Ok(())
        };
        while records.next(&mut show).unwrap() {}
        out
    }

    /// A record that states a length.
    fn stated(length: impl std::fmt::Display, block: &str) -> String {
        format!("WARC/1.0\r\nContent-Length: {length}\r\n\r\n{block}\r\n\r\n")
    }

    #[test]
    fn lengths_are_believed_unless_something_else_follows() {
        let record = |block: &str| stated(block.len(), block);
        let inner = record("maji");
        let all = [record("вода"), record(""), record(&inner), record("wai")].concat();
        assert_eq!(records(all.as_bytes()), ["вода", "", inner.as_str(), "wai"]);
        let shorter = inner.len() - inner.matches('\r').count();
        let bare = all.replace(&format!(": {}\r", inner.len()), &format!(": {shorter}\r"));
        assert_eq!(records(bare.replace('\r', "").as_bytes()).len(), 4);
        for wrong in [0, 1, 3, 9, 60, 5000] {
            let all = [record("a"), stated(wrong, "vesi"), record("c")].concat();
            assert_eq!(records(all.as_bytes()), ["a", "~vesi", "c"], "{wrong}");
        }
        let all = [stated(u64::MAX, "vesi"), record("c")].concat();
        assert_eq!(
            records(all.as_bytes()),
            ["!vesi\r\n\r\n".to_string() + &record("c"), "c".into()]
        );
    }

    #[test]
    fn a_cut_file_has_a_cut_record() {
        let all = [stated(1, "a"), stated(6, "water!")].concat();
        for cut in 5..stated(6, "water!").len() {
            let found = records(&all.as_bytes()[..all.len() - cut]);
            assert!(found[0] == "a" && found.len() <= 2, "{found:?}");
            assert!(found[1..].iter().all(|f| f.starts_with(['!', '('])), "{found:?}");
        }
    }

    #[test]
    fn what_is_no_record_costs_itself() {
        let good = stated(2, "ok");
        for bad in
            ["junk\n", "WARC/1.0\r\nX: y\r\n\r\nblock\r\n\r\n", "WARC/1.0\r\nContent-Length: 3\r\n"]
        {
            let found = records([good.as_str(), bad, &good].concat().as_bytes());
            assert_eq!((found.len(), &*found[0], &*found[2]), (3, "ok", "ok"), "{found:?}");
        }
        assert_eq!(records(b"PK\x03\x04 anything\nelse"), ["foreign"]);
        assert!(records(b"").is_empty());
    }
}
