//! The cues of a SubRip or WebVTT file: when they are shown, and their text without its markup.
//!
//! Both layouts are read by the same rules, told apart by the line `WEBVTT`. A timing line begins
//! a cue wherever it stands; a cue whose timing line cannot be read is rejected alone.

use std::sync::atomic::AtomicU64;

use crate::error::Result;
use crate::source::input::{Line, MAX_RECORD, decode, too_long};
use crate::source::{Sink, Unit};

/// What is shown at a time.
#[derive(Debug, Default, PartialEq)]
pub struct Cue {
    /// Where it begins in the file.
    pub offset: u64,
    /// When it appears, in milliseconds.
    pub start: u64,
    /// When it vanishes, in milliseconds; never before it appears.
    pub end: u64,
    /// Its lines, with a space between.
    pub text: String,
}

/// A part of the file that has come so far.
#[derive(Default)]
enum Part {
    /// Nothing, or what is not in a cue.
    #[default]
    Outside,
    /// A cue whose lines come.
    Inside(Cue),
    /// Lines that belong to no cue: where they begin, why, and their first bytes.
    Fault(u64, String, Vec<u8>),
    /// A comment, style or region of WebVTT.
    Remark(&'static str),
}

/// What may be the number or the name of the next cue, if a timing line follows.
struct Before {
    offset: u64,
    line: String,
    /// A blank line stands before it.
    blank: bool,
}

/// The state between two lines.
struct Reader<'a> {
    vtt: bool,
    part: Part,
    /// The last line, if it may be the number or the name of a cue.
    before: Option<Before>,
    blank: bool,
    cues: Vec<Cue>,
    sink: &'a mut dyn Sink,
    name: String,
}

/// Bytes of a rejected cue that are kept.
const RAW: usize = 4 << 10;
/// Why the first lines of WebVTT are no cue.
const HEADER: &str = "header";
/// Why a cue is rejected whose number is all there is.
const NO_TIMING: &str = "a cue without a timing line";

/// The cues of one of a unit's files in the order of the file, or why the file is unusable; what
/// is damaged or empty goes to the sink, under the name of the file where there are two.
pub fn cues(
    unit: &Unit,
    n: usize,
    read: &AtomicU64,
    sink: &mut dyn Sink,
) -> Result<Result<Vec<Cue>, String>> {
    let name = if unit.names.len() > 1 { format!("{}: ", unit.names[n]) } else { String::new() };
    let (part, before) = (Part::Outside, None);
    let mut reader = Reader { vtt: false, part, before, blank: true, cues: Vec::new(), sink, name };
    let mut lines = unit.open_nth(n, read)?.lines();
    let (mut first, mut bytes) = (true, 0);
    loop {
        let more = lines.next(|offset, line| {
            let first = std::mem::replace(&mut first, false);
            match line {
                Line::Whole(raw) => {
                    bytes += raw.len();
                    match decode(raw) {
                        Ok(line) if first && line.starts_with("WEBVTT") => reader.header(),
                        Ok(line) => reader.line(offset, line)?,
                        Err(reason) => reader.damage(offset, &reason, raw)?,
                    }
                }
                Line::TooLong(head) => reader.damage(offset, &too_long(), head)?,
                Line::Damaged(reason, cut) => reader.damage(offset, reason, cut)?,
            }
            Ok(())
        })?;
        if bytes > MAX_RECORD {
            return Ok(Err(too_long()));
        }
        if more.is_none() {
            break;
        }
    }
    reader.close()?;
    Ok(Ok(reader.cues))
}

impl Reader<'_> {
    fn header(&mut self) {
        self.vtt = true;
        self.part = Part::Remark(HEADER);
        self.blank = false;
    }

    fn line(&mut self, offset: u64, line: &str) -> Result<()> {
        let line = line.trim();
        if line.is_empty() {
            self.number(true)?;
            self.blank = true;
            // Blank lines end everything in WebVTT; in SubRip, text may go on after one.
            if self.vtt || !matches!(self.part, Part::Inside(_)) {
                self.close()?;
            }
            return Ok(());
        }
        let blank = std::mem::replace(&mut self.blank, false);
        let (remark, header) = match self.part {
            Part::Remark(reason) => (true, reason == HEADER),
            _ => (false, false),
        };
        // Text may have arrows too; a time on either side is what makes a timing line.
        if let Some((left, right)) = line.split_once("-->")
            && (!remark || header)
            && (looks_like_time(left) || looks_like_time(right))
        {
            let begin = self.before.take().map_or(offset, |before| before.offset);
            self.close()?;
            self.part = match timing(line) {
                Ok((start, end)) => {
                    Part::Inside(Cue { offset: begin, start, end, text: String::new() })
                }
                Err(reason) => Part::Fault(begin, reason.into(), kept(line)),
            };
            return Ok(());
        }
        if remark {
            return Ok(());
        }
        let remarks = [("NOTE", "comment"), ("STYLE", "style"), ("REGION", "region")];
        let word = line.split_whitespace().next().unwrap_or_default();
        if self.vtt
            && blank
            && let Some((_, reason)) = remarks.iter().find(|(remark, _)| *remark == word)
        {
            self.part = Part::Remark(reason);
            return Ok(());
        }
        self.number(false)?;
        if line.bytes().all(|b| b.is_ascii_digit()) || (self.vtt && blank) {
            self.before = Some(Before { offset, line: line.to_string(), blank });
        } else {
            self.text(offset, line);
        }
        Ok(())
    }

    /// What might have been a number is followed by no timing line: it is a text of digits, or
    /// the number of a cue that has none. `alone` says that a blank line follows it.
    fn number(&mut self, alone: bool) -> Result<()> {
        let Some(before) = self.before.take() else { return Ok(()) };
        let goes_on = !before.blank || (alone && !self.vtt);
        if goes_on && matches!(self.part, Part::Inside(_) | Part::Fault(..)) {
            self.text(before.offset, &before.line);
            return Ok(());
        }
        self.close()?;
        self.part = Part::Fault(before.offset, NO_TIMING.into(), kept(&before.line));
        Ok(())
    }

    fn text(&mut self, offset: u64, line: &str) {
        match &mut self.part {
            Part::Inside(cue) => {
                let text = plain(line, self.vtt);
                if !text.is_empty() && !cue.text.is_empty() {
                    cue.text.push(' ');
                }
                cue.text.push_str(&text);
            }
            Part::Fault(_, _, raw) => {
                let room = RAW.saturating_sub(raw.len());
                raw.extend(line.bytes().take(room));
            }
            Part::Remark(_) => {}
            Part::Outside => {
                self.part = Part::Fault(offset, "text without a timing line".into(), kept(line));
            }
        }
    }

    /// A line that is no text costs the cue that it is in.
    fn damage(&mut self, offset: u64, reason: &str, raw: &[u8]) -> Result<()> {
        self.blank = false;
        let begin = match (&self.before, &self.part) {
            (Some(before), _) => before.offset,
            (None, Part::Inside(cue)) => cue.offset,
            (None, Part::Fault(..)) => return Ok(()),
            (None, _) => offset,
        };
        if self.before.take().is_some() || !matches!(self.part, Part::Inside(_)) {
            self.close()?;
        }
        self.part = Part::Fault(begin, reason.into(), raw[..raw.len().min(RAW)].to_vec());
        Ok(())
    }

    /// Ends the part that has come so far.
    fn close(&mut self) -> Result<()> {
        self.number(true)?;
        match std::mem::take(&mut self.part) {
            Part::Outside => {}
            Part::Inside(cue) if cue.text.is_empty() => self.sink.skip("empty cue"),
            Part::Inside(cue) => self.cues.push(cue),
            Part::Remark(reason) => self.sink.skip(reason),
            Part::Fault(offset, reason, raw) => {
                self.sink.reject(offset, &format!("{}{reason}", self.name), &raw)?;
            }
        }
        Ok(())
    }
}

fn kept(line: &str) -> Vec<u8> {
    line.bytes().take(RAW).collect()
}

/// Whether something has two digits around a colon, as times have.
fn looks_like_time(text: &str) -> bool {
    let text = text.trim_start();
    let time = text.split_whitespace().next().unwrap_or_default();
    time.contains(':') && time.bytes().any(|b| b.is_ascii_digit())
}

/// The start and the end that a timing line says, in milliseconds; settings may follow.
fn timing(line: &str) -> Result<(u64, u64), &'static str> {
    let unread = "the timing line cannot be read";
    let (start, end) = line.split_once("-->").ok_or(unread)?;
    let end = end.split_whitespace().next().ok_or(unread)?;
    let (start, end) = (time(start.trim()).ok_or(unread)?, time(end).ok_or(unread)?);
    if end < start { Err("the cue ends before it begins") } else { Ok((start, end)) }
}

/// `hours:minutes:seconds,thousandths` with a comma or a point; hours and thousandths may lack.
fn time(text: &str) -> Option<u64> {
    let number = |digits: &str, longest: usize| -> Option<u64> {
        let fits =
            (1..=longest).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then_some(digits)?.parse().ok()
    };
    let (clock, rest) = text.split_once([',', '.']).unwrap_or((text, "0"));
    let mut parts = clock.rsplit(':');
    let seconds = number(parts.next()?, 2)?;
    let minutes = number(parts.next()?, 2)?;
    let hours = parts.next().map_or(Some(0), |hours| number(hours, 4))?;
    if parts.next().is_some() || minutes > 59 || seconds > 59 {
        return None;
    }
    let thousandths = number(rest, 3)? * 10u64.pow(3 - rest.len() as u32);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths)
}

/// A line without tags (`<i>`, `<v Name>`) and overrides (`{\an8}`), and in WebVTT with its
/// character references as characters.
fn plain(line: &str, vtt: bool) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['<', '{', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let inner = &rest[1..];
        let (close, opens): (char, fn(char) -> bool) = match rest.as_bytes()[0] {
            b'<' => ('>', |c| c.is_ascii_alphanumeric() || c == '/'),
            b'{' => ('}', |c| c == '\\'),
            _ => (';', |_| false),
        };
        if inner.starts_with(opens)
            && let Some(end) = inner.find(close)
        {
            rest = &inner[end + 1..];
            continue;
        }
        let reference = REFERENCES.iter().find(|(name, _)| vtt && rest.starts_with(name));
        match reference {
            Some((name, text)) => {
                out.push_str(text);
                rest = &rest[name.len()..];
            }
            None => {
                out.push_str(&rest[..1]);
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out.trim().to_string()
}

/// The character references that WebVTT has names for.
const REFERENCES: &[(&str, &str)] = &[
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&nbsp;", "\u{a0}"),
    ("&lrm;", "\u{200e}"),
    ("&rlm;", "\u{200f}"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_all_their_spellings() {
        assert_eq!(time("00:01:02,345"), Some(62_345));
        assert_eq!(time("1:02.5"), Some(62_500));
        assert_eq!(time("100:00:00.000"), Some(360_000_000));
        for bad in ["", "1", "00:61:00,000", "0:0:0:0", "aa:00", "00:00:01,0000", "-1:00"] {
            assert_eq!(time(bad), None, "{bad}");
        }
        assert_eq!(timing("00:01.000 --> 00:02.000 align:start"), Ok((1000, 2000)));
        assert!(timing("00:02.000 --> 00:01.000").is_err());
    }

    #[test]
    fn markup_is_no_text() {
        assert_eq!(plain("{\\an8}<i>- Ça va&amp; ?</i>", false), "- Ça va&amp; ?");
        assert_eq!(plain("<v Ásta>1 < 2 {x} &lt;b&gt;<00:01.000>", true), "1 < 2 {x} <b>");
        assert_eq!(plain("<i", true), "<i");
    }
}
