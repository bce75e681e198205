//! Moses text: line-aligned files, one a language; every two that are wanted make pairs.
//!
//! Files with different numbers of lines are refused as a whole: from some line on their rows
//! would be no translations of each other, and nothing says from which.

use std::sync::atomic::AtomicU64;

use super::input::{Line, Lines, decode, too_long};
use super::{Into, Row, Sink, Source, Unit};
use crate::error::{Error, Result};
use crate::id;

/// Line-aligned files.
pub const MOSES: Moses = Moses;

/// The format of line-aligned files.
pub struct Moses;

impl Source for Moses {
    fn name(&self) -> &'static str {
        "moses"
    }

    fn doc(&self) -> &'static str {
        "Line-aligned plain text, one file a language, as Moses and OPUS have it."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["txt", "moses"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Pairs]
    }

    fn sides(&self) -> bool {
        true
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        // The counts come first: a file that is refused must not have given any row. What was
        // read for counting stands for half of the way.
        let unread = AtomicU64::new(0);
        let mut counts = Vec::new();
        for (i, name) in unit.names.iter().enumerate() {
            match count(unit.open_nth(i, &unread)?.lines())? {
                Ok(lines) => counts.push(lines),
                Err(reason) => return sink.refuse(&format!("{name}: {reason}")),
            }
        }
        let [source, target] = counts[..] else {
            return Err(Error::internal("a pair that is not two files"));
        };
        if source != target {
            let (a, b) = (&unit.names[0], &unit.names[1]);
            return sink.refuse(&format!(
                "`{a}` has {source} lines and `{b}` has {target}; the files are not aligned"
            ));
        }
        let base = [unit.spec.name.as_str(), unit.aligned.as_deref().unwrap_or_default()];
        let mut lines = [unit.open_nth(0, read)?.lines(), unit.open_nth(1, read)?.lines()];
        for line in 0..source {
            let (offset, text) = side(&mut lines[0])?;
            let (_, second) = side(&mut lines[1])?;
            let (text, second) = match (text, second) {
                (Ok(text), Ok(second)) => (text, second),
                (Err((reason, raw)), _) => {
                    sink.reject(offset, &format!("{}: {reason}", unit.names[0]), &raw)?;
                    continue;
                }
                (_, Err((reason, raw))) => {
                    sink.reject(offset, &format!("{}: {reason}", unit.names[1]), &raw)?;
                    continue;
                }
            };
            let number = line.to_string();
            let group = id::hash_fields(base.into_iter().chain([number.as_str()]));
            sink.row(
                offset,
                Row {
                    text,
                    second: Some(second),
                    lang: unit.lang.clone(),
                    second_lang: unit.second_lang.clone(),
                    group: Some(group),
                    ..Row::default()
                },
            )?;
        }
        Ok(())
    }
}

/// The number of lines, or the damage that keeps it from being known.
fn count(mut lines: Lines<'_>) -> Result<Result<u64, String>> {
    let mut n = 0;
    loop {
        let damage = lines.next(|_, line| {
            Ok(match line {
                Line::Damaged(reason, _) => Some(reason.to_string()),
                Line::Whole(_) | Line::TooLong(_) => None,
            })
        })?;
        match damage {
            None => return Ok(Ok(n)),
            Some(Some(reason)) => return Ok(Err(reason)),
            Some(None) => n += 1,
        }
    }
}

/// A line of one side with its offset, or why it is none and its bytes.
type Side = (u64, Result<String, (String, Vec<u8>)>);

fn side(lines: &mut Lines<'_>) -> Result<Side> {
    let line = lines.next(|offset, line| {
        let text = match line {
            Line::Whole(bytes) => {
                decode(bytes).map(str::to_string).map_err(|reason| (reason, bytes.to_vec()))
            }
            Line::TooLong(head) => Err((too_long(), head.to_vec())),
            Line::Damaged(reason, cut) => Err((reason.to_string(), cut.to_vec())),
        };
        Ok((offset, text))
    })?;
    // Fewer lines than a moment ago: somebody is writing to the file.
    line.ok_or_else(|| Error::usage("a file changed while it was read"))
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::read;
    use super::*;

    const LANGS: &str = "langs = ['en', 'ka']\nformat = 'moses'";

    #[test]
    fn lines_at_the_same_place_are_a_pair() {
        let (kept, result) =
            read(&MOSES, &["yes\r\n\r\nno".as_bytes(), "დიახ\n\nარა\n".as_bytes()], LANGS);
        result.unwrap();
        assert_eq!(kept.texts(), ["yes", "", "no"]);
        let row = &kept.rows[2].1;
        assert_eq!(row.second.as_deref(), Some("არა"));
        assert_eq!(row.group, Some(id::hash_fields(["s", "f", "2"])));
    }

    #[test]
    fn unequal_files_are_refused_and_bad_lines_cost_themselves() {
        let (kept, result) = read(&MOSES, &[b"a\nb\nc\n", b"d\ne\n"], LANGS);
        result.unwrap();
        assert!(kept.rows.is_empty());
        assert!(kept.reasons()[0].starts_with("`f0` has 3 lines and `f1` has 2"));
        let (kept, _) = read(&MOSES, &[b"a\nb\nc\n", b"d\n\xff\nf"], LANGS);
        assert_eq!(kept.texts(), ["a", "c"]);
        assert_eq!(kept.rows[1].1.group, Some(id::hash_fields(["s", "f", "2"])));
        assert_eq!(kept.reasons(), ["f1: invalid UTF-8 at byte 0"]);
    }

    #[test]
    fn a_truncated_side_refuses_the_pair() {
        let text: Vec<u8> =
            (0..9999).flat_map(|i| format!("{}\n", i * 7919).into_bytes()).collect();
        let gz = super::super::input::tests::gzip(&text);
        let (kept, result) = read(&MOSES, &[&text, &gz[..gz.len() / 2]], LANGS);
        result.unwrap();
        assert!(kept.rows.is_empty());
        assert!(kept.reasons()[0].starts_with("f1: gzip file is truncated"));
    }
}
