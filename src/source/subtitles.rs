//! Subtitles, SubRip or WebVTT: a document a file or a cue, or pairs of two files by their times.
//!
//! Two files are aligned as OPUS aligns them: one cue to one, one to two or two to one, whichever
//! shares the most time, from the first cue to the last. What shares less than half of the time
//! is in no pair. Nothing looks at the texts.

use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};

use super::{Into, Row, Sink, Source, Unit};
use crate::error::{Error, Result};
use crate::id;
use cue::{Cue, cues};

mod cue;

/// One document a file.
pub const SUBTITLES: Subtitles = Subtitles { whole: true };
/// One document a cue.
pub const CUES: Subtitles = Subtitles { whole: false };

/// A format of subtitles.
pub struct Subtitles {
    whole: bool,
}

/// The least share of the time of a pair's cues that both sides are shown.
const LEAST: f64 = 0.5;

impl Source for Subtitles {
    fn name(&self) -> &'static str {
        if self.whole { "subtitles" } else { "cues" }
    }

    fn doc(&self) -> &'static str {
        if self.whole {
            "Subtitles in SubRip or WebVTT, one document a file, or pairs of cues by their times."
        } else {
            "Subtitles in SubRip or WebVTT, one document a cue."
        }
    }

    fn extensions(&self) -> &'static [&'static str] {
        if self.whole { &["srt", "vtt"] } else { &[] }
    }

    fn tables(&self) -> &'static [Into] {
        match self.whole {
            true => &[Into::Documents, Into::Pairs, Into::Labelled],
            false => &[Into::Documents, Into::Labelled],
        }
    }

    fn content(&self, start: &[u8]) -> bool {
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let after = start.strip_prefix(b"WEBVTT").map(|rest| rest.first());
        self.whole && matches!(after, Some(None | Some(b' ' | b'\t' | b'\r' | b'\n')))
    }

    fn sides(&self) -> bool {
        self.whole
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        if let Some(field) = unit.spec.columns.keys().next() {
            let message = format!("subtitles have no column for `{field}`");
            return Err(Error::usage(message).within(unit.source_path()));
        }
        let first = match cues(unit, 0, read, sink)? {
            Ok(cues) => cues,
            Err(reason) => return sink.refuse(&reason),
        };
        if unit.into == Into::Pairs {
            return match cues(unit, 1, read, sink)? {
                Ok(second) => pairs(unit, first, second, sink),
                Err(reason) => sink.refuse(&reason),
            };
        }
        let row = |cue: &Cue, text: String, meta: Map<String, Value>| Row {
            text,
            lang: unit.lang.clone(),
            label: unit.label.clone(),
            split: unit.split.clone(),
            meta: [("start".to_string(), seconds(cue.start))].into_iter().chain(meta).collect(),
            ..Row::default()
        };
        if !self.whole {
            for (i, cue) in first.iter().enumerate() {
                let meta = [("end", seconds(cue.end)), ("position", i.into())];
                let meta = meta.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
                sink.row(cue.offset, row(cue, cue.text.clone(), meta))?;
            }
            return Ok(());
        }
        let (Some(one), Some(last)) = (first.first(), first.last()) else { return Ok(()) };
        let meta = [("end", seconds(last.end)), ("cues", first.len().into())];
        let meta = meta.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        let texts: Vec<&str> = first.iter().map(|cue| cue.text.as_str()).collect();
        sink.row(one.offset, row(one, texts.join("\n"), meta))
    }
}

/// Milliseconds as seconds.
fn seconds(milliseconds: u64) -> Value {
    (milliseconds as f64 / 1000.0).into()
}

/// The pairs of two files, each cue in one pair at most.
fn pairs(unit: &Unit, a: Vec<Cue>, b: Vec<Cue>, sink: &mut dyn Sink) -> Result<()> {
    let (a, b) = (in_order(a), in_order(b));
    let base = [unit.spec.name.as_str(), unit.aligned.as_deref().unwrap_or_default()];
    let (mut i, mut j, mut made) = (0, 0, 0u64);
    while let (Some(source), Some(target)) = (a.get(i), b.get(j)) {
        let (m, n, share) = best(&a[i..], &b[j..]);
        if share < LEAST {
            sink.skip("cue without another at its time");
            if source.end <= target.end {
                i += 1
            } else {
                j += 1
            }
            continue;
        }
        // Files that are aligned with the same source share its cues.
        let number = i.to_string();
        let group = id::hash_fields(base.into_iter().chain([number.as_str()]));
        let mut meta = Map::new();
        meta.insert("position".into(), made.into());
        meta.insert("start".into(), seconds(source.start));
        meta.insert("cues".into(), vec![m, n].into());
        meta.insert("overlap".into(), ((share * 1000.0).round() / 1000.0).into());
        let row = Row {
            text: joined(&a[i..i + m]),
            second: Some(joined(&b[j..j + n])),
            lang: unit.lang.clone(),
            second_lang: unit.second_lang.clone(),
            group: Some(group),
            meta,
            ..Row::default()
        };
        // What was joined to another cue is in no row of its own.
        for _ in 0..m + n - 2 {
            sink.skip("cue joined to the one before");
        }
        sink.row(source.offset, row)?;
        (i, j, made) = (i + m, j + n, made + 1);
    }
    for _ in 0..(a.len() - i) + (b.len() - j) {
        sink.skip("cue without another at its time");
    }
    Ok(())
}

/// Cues by the time they appear; files are in order but for mistakes.
fn in_order(mut cues: Vec<Cue>) -> Vec<Cue> {
    cues.sort_by_key(|cue| (cue.start, cue.end));
    cues
}

/// How many of the next cues of either side fit one another best, and the share of their time
/// that both are shown; of equal ones, the fewest.
fn best(a: &[Cue], b: &[Cue]) -> (usize, usize, f64) {
    let mut best = (1, 1, 0.0);
    for (m, n) in [(1, 1), (1, 2), (2, 1)] {
        if let (Some(a), Some(b)) = (a.get(..m), b.get(..n)) {
            let share = share(a, b);
            if share > best.2 {
                best = (m, n, share);
            }
        }
    }
    best
}

/// The time that both sides are shown over the time that either is.
fn share(a: &[Cue], b: &[Cue]) -> f64 {
    let shown = |cues: &[Cue]| cues.iter().map(|cue| cue.end - cue.start).sum::<u64>();
    let both: u64 = a
        .iter()
        .flat_map(|a| b.iter().map(move |b| (a, b)))
        .map(|(a, b)| a.end.min(b.end).saturating_sub(a.start.max(b.start)))
        .sum();
    let either = (shown(a) + shown(b)).saturating_sub(both);
    if either == 0 { 0.0 } else { (both as f64 / either as f64).min(1.0) }
}

fn joined(cues: &[Cue]) -> String {
    cues.iter().map(|cue| cue.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::{damaged, read};
    use super::*;

    const SRT: &str = "\u{feff}1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>- Góðan dag.</i>\r\n- Já.\r\n\r\n\
                       2\r\n00:00:03,000 --> 00:00:0x,000\r\ntýnt\r\n\r\n\
                       3\r\n00:00:05,000 --> 00:00:06,000\r\n{\\an8}Hér\r\n\r\n1984\r\n\r\n\
                       4\r\n00:00:07,000 --> 00:00:08,000\r\n\r\n\
                       5\r\nno time\r\n\r\n\
                       6\r\n00:00:09,000 --> 00:00:10,000\r\nbless\r\n7\r\n00:00:11,000 --> 00:00:12,000\r\nend --> all";

    const VTT: &str = "WEBVTT - title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\n\
                       intro\n00:01.000 --> 00:02.500 align:start\n<v Jón>日本 &amp; 東京\n\n\
                       NOTE a remark\n00:00 --> nothing\n\n\
                       00:05.000 --> 00:06.000\nこれ\nだ\n\nlost\n";

    #[test]
    fn a_file_is_a_document_with_a_line_a_cue() {
        let (kept, result) = read(&SUBTITLES, &[SRT.as_bytes()], "lang = 'is'");
        result.unwrap();
        assert_eq!(kept.texts(), ["- Góðan dag. - Já.\nHér 1984\nbless\nend --> all"]);
        let meta = serde_json::to_string(&kept.rows[0].1.meta).unwrap();
        assert_eq!(meta, r#"{"start":1.0,"end":12.0,"cues":4}"#);
        let want = ["the timing line cannot be read", "a cue without a timing line"];
        assert_eq!(kept.reasons(), want);
        assert_eq!(kept.skipped["empty cue"], 1);
        let (kept, _) = read(&SUBTITLES, &[VTT.as_bytes()], "lang = 'ja'");
        assert_eq!(kept.texts(), ["日本 & 東京\nこれ だ"]);
        assert_eq!(kept.reasons(), ["a cue without a timing line"]);
        let skipped: Vec<_> = kept.skipped.into_iter().collect();
        assert_eq!(skipped, [("comment", 1), ("header", 1), ("style", 1)]);
        assert!(SUBTITLES.content(VTT.as_bytes()) && !SUBTITLES.content(b"WEBVTTX"));
    }

    #[test]
    fn a_cue_may_be_a_document() {
        let (kept, _) = read(&CUES, &[VTT.as_bytes()], "lang = 'ja'");
        assert_eq!(kept.texts(), ["日本 & 東京", "これ だ"]);
        let meta = serde_json::to_string(&kept.rows[1].1.meta).unwrap();
        assert_eq!(meta, r#"{"start":5.0,"end":6.0,"position":1}"#);
        assert!(VTT[kept.rows[0].0 as usize..].starts_with("intro"));
    }

    fn srt(cues: &[(u64, u64, &str)]) -> Vec<u8> {
        let cue = |(start, end, text): &(u64, u64, &str)| {
            format!("1\n00:00:{start:02},000 --> 00:00:{end:02},000\n{text}\n\n")
        };
        cues.iter().map(cue).collect::<String>().into_bytes()
    }

    #[test]
    fn cues_meet_by_the_time_that_they_share() {
        let a = srt(&[(1, 3, "a"), (4, 5, "b"), (5, 6, "c"), (10, 14, "d"), (20, 22, "e")]);
        let b = srt(&[(1, 3, "α"), (4, 6, "β"), (7, 8, "γ"), (10, 12, "δ"), (12, 14, "ε")]);
        let (kept, result) = read(&SUBTITLES, &[&a, &b], "langs = ['en', 'el']");
        result.unwrap();
        let pairs: Vec<_> = kept
            .rows
            .iter()
            .map(|(_, r)| (r.text.as_str(), r.second.as_deref().unwrap()))
            .collect();
        assert_eq!(pairs, [("a", "α"), ("b c", "β"), ("d", "δ ε")]);
        let meta = serde_json::to_string(&kept.rows[1].1.meta).unwrap();
        assert_eq!(meta, r#"{"position":1,"start":4.0,"cues":[2,1],"overlap":1.0}"#);
        assert_eq!(kept.rows[2].1.group, Some(id::hash_fields(["s", "f", "3"])));
        assert_eq!(kept.skipped["cue without another at its time"], 2);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for n in 0..600u64 {
            let file = if n % 2 == 0 { SRT } else { VTT };
            let bytes = damaged(file.as_bytes(), n);
            let (kept, result) = read(&CUES, &[&bytes], "");
            result.unwrap();
            assert!(kept.rows.len() + kept.rejected.len() < 25);
            let (_, result) = read(&SUBTITLES, &[&bytes, SRT.as_bytes()], "langs = ['is', 'ja']");
            result.unwrap();
        }
    }
}
