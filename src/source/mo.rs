//! Compiled message catalogues of gettext: the rows that their `.po` would give.
//!
//! The layout is that of the gettext manual §10.3, in either byte order. The hash table is not
//! looked at; strings that are put together for a system (minor revision 1) have the names of their
//! parts, such as `%<PRIu64>`. A file is read whole, up to the length that a record may have.

use std::sync::atomic::AtomicU64;

use encoding_rs::{Encoding, UTF_8};

use super::charset::Charsets;
use super::input::{MAX_RECORD, too_long};
use super::po::entry::Entry;
use super::po::{Catalogue, charset};
use super::{Into, Sink, Source, Unit};
use crate::error::Result;

/// Compiled message catalogues.
pub const MO: Mo = Mo;

/// The format of compiled message catalogues.
pub struct Mo;

const LITTLE: [u8; 4] = [0xde, 0x12, 0x04, 0x95];
const BIG: [u8; 4] = [0x95, 0x04, 0x12, 0xde];
/// Strings may lie over one another; those of a file are no longer than this many times the file.
const OVERLAP: usize = 4;
/// Bytes of a rejected message that are kept.
const RAW: usize = 4 << 10;

impl Source for Mo {
    fn name(&self) -> &'static str {
        "mo"
    }

    fn doc(&self) -> &'static str {
        "Compiled message catalogues of gettext; rows as of `po`."
    }

    fn extensions(&self) -> &'static [&'static str] {
        // Text in Moldovan ends in `.mo` too; the first bytes tell a catalogue.
        &["gmo"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Pairs, Into::Documents, Into::Labelled]
    }

    fn magic(&self, head: &[u8]) -> bool {
        head.starts_with(&LITTLE) || head.starts_with(&BIG)
    }

    fn charsets(&self) -> Charsets {
        Charsets::Binary
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        let mut catalogue = Catalogue::decoded(unit)?;
        let (mut bytes, mut long) = (Vec::new(), false);
        let damage = unit.open(read)?.each_piece(|_, piece| {
            long |= bytes.len() + piece.len() > MAX_RECORD;
            if !long {
                bytes.extend_from_slice(piece);
            }
            Ok(())
        })?;
        if let Some((_, reason)) = damage {
            return sink.refuse(&reason);
        }
        if long {
            return sink.refuse(&too_long());
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let file = match File::new(&bytes) {
            Ok(file) => file,
            Err(reason) => return sink.refuse(&reason),
        };
        let encoding = match file.encoding() {
            Ok(encoding) => encoding,
            Err(reason) => return sink.refuse(&reason),
        };
        // The header says what the forms of all others are; it stands first, but need not.
        let header = file.header();
        let order = header.into_iter().chain((0..file.messages).filter(|n| Some(*n) != header));
        let mut room = bytes.len().saturating_mul(OVERLAP);
        for n in order {
            let offset = (file.originals + 8 * n) as u64;
            let strings = file.string(file.originals, n).zip(file.string(file.translations, n));
            let entry = match strings {
                Some(strings) => entry(offset, strings, encoding, &mut room),
                None => fault(offset, "a string of the message is not in the file"),
            };
            catalogue.entry(entry, sink)?;
        }
        for n in 0..file.composed {
            let [originals, translations] = file.composed_tables;
            let offset = (originals + 4 * n) as u64;
            let mut string = |table| file.composed(table, n, &mut room);
            let entry = match string(originals).zip(string(translations)) {
                Some((a, b)) => entry(offset, (&a, &b), encoding, &mut room),
                None => fault(offset, "a string of the message is not in the file"),
            };
            catalogue.entry(entry, sink)?;
        }
        Ok(())
    }
}

/// The tables of a file.
struct File<'a> {
    bytes: &'a [u8],
    big: bool,
    messages: usize,
    originals: usize,
    translations: usize,
    /// How many messages are put together for a system, and where they and their parts are.
    composed: usize,
    composed_tables: [usize; 2],
    parts: usize,
}

/// What stands for a part of a string after the last one.
const NO_PART: usize = u32::MAX as usize;

impl<'a> File<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let big = match bytes {
            [a, b, c, d, ..] if [*a, *b, *c, *d] == LITTLE => false,
            [a, b, c, d, ..] if [*a, *b, *c, *d] == BIG => true,
            _ => return Err("not a compiled catalogue".into()),
        };
        let (messages, originals, translations, parts) = (0, 0, 0, 0);
        let (composed, composed_tables) = (0, [0, 0]);
        let file = Self {
            bytes,
            big,
            messages,
            originals,
            translations,
            composed,
            composed_tables,
            parts,
        };
        let at = |at| file.number(at).ok_or("the catalogue ends inside its header");
        let revision = at(4)?;
        if revision >> 16 > 1 {
            return Err(format!("a catalogue of revision {}; expected 0 or 1", revision >> 16));
        }
        let (messages, originals, translations) = (at(8)?, at(12)?, at(16)?);
        let inside = |table: usize, n: usize, each: usize| {
            let end = n.checked_mul(each).and_then(|bytes| bytes.checked_add(table));
            end.is_some_and(|end| end <= bytes.len())
        };
        let all = inside(originals, messages, 8) && inside(translations, messages, 8);
        let file = Self { messages, originals, translations, ..file };
        let file = match revision & 0xffff {
            0 => file,
            _ => Self {
                parts: at(32)?,
                composed: at(36)?,
                composed_tables: [at(40)?, at(44)?],
                ..file
            },
        };
        let composed = file.composed_tables.iter().all(|table| inside(*table, file.composed, 4));
        if !all || !composed {
            let messages = messages.saturating_add(file.composed);
            return Err(format!("the tables of {messages} messages are not all in the file"));
        }
        Ok(file)
    }

    /// The number at a place.
    fn number(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let number = if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        usize::try_from(number).ok()
    }

    /// The bytes of a string of a table.
    fn string(&self, table: usize, n: usize) -> Option<&'a [u8]> {
        let (length, begin) = (self.number(table + 8 * n)?, self.number(table + 8 * n + 4)?);
        self.bytes.get(begin..begin.checked_add(length)?)
    }

    /// The bytes of a string that is put together of plain text and parts; what it took is off
    /// `room`.
    fn composed(&self, table: usize, n: usize, room: &mut usize) -> Option<Vec<u8>> {
        let mut at = self.number(table + 4 * n)?;
        let mut begin = self.number(at)?;
        let mut text = Vec::new();
        loop {
            let (length, part) =
                (self.number(at.checked_add(4)?)?, self.number(at.checked_add(8)?)?);
            let end = begin.checked_add(length)?;
            *room = room.checked_sub(length.checked_add(8)?)?;
            text.extend_from_slice(self.bytes.get(begin..end)?);
            if part == NO_PART {
                // Unlike other strings, these have their NUL counted.
                text.pop_if(|last| *last == 0);
                return Some(text);
            }
            let name = self.string(self.parts.checked_add(part.checked_mul(8)?)?, 0)?;
            *room = room.checked_sub(name.len())?;
            text.push(b'<');
            text.extend(name.iter().filter(|b| **b != 0));
            text.push(b'>');
            (begin, at) = (end, at + 8);
        }
    }

    /// The message that is empty.
    fn header(&self) -> Option<usize> {
        (0..self.messages).find(|n| self.number(self.originals + 8 * n) == Some(0))
    }

    /// The charset that the header says, else UTF-8.
    fn encoding(&self) -> Result<&'static Encoding, String> {
        let header = self.header().and_then(|n| self.string(self.translations, n));
        let header = String::from_utf8_lossy(header.unwrap_or_default());
        let Some(label) = charset(&header) else { return Ok(UTF_8) };
        // Names of Windows that the Encoding Standard has under others.
        let known = match label.as_str() {
            "cp932" => "shift_jis",
            "cp936" => "gbk",
            "cp949" => "euc-kr",
            "cp950" => "big5",
            other => other,
        };
        Encoding::for_label(known.as_bytes())
            .filter(|encoding| encoding.is_ascii_compatible())
            .ok_or_else(|| format!("the catalogue is in `{label}`, which is not known"))
    }
}

fn fault(offset: u64, fault: &str) -> Entry {
    Entry { offset, fault: Some(fault.into()), ..Entry::default() }
}

/// A message as it would stand in a `.po`; `room` is what it and all further ones may be long.
fn entry(
    offset: u64,
    (original, translation): (&[u8], &[u8]),
    encoding: &'static Encoding,
    room: &mut usize,
) -> Entry {
    let Some(left) = room.checked_sub(original.len() + translation.len()) else {
        return fault(offset, "the strings of the catalogue lie over one another");
    };
    *room = left;
    let decode = |bytes: &[u8]| {
        let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
        Some(text.into_owned())
    };
    let mut parts = original.split(|b| *b == 0);
    let first = parts.next().unwrap_or_default();
    let plural = parts.next();
    let (context, id) = match first.iter().position(|b| *b == 4) {
        Some(end) => (Some(&first[..end]), &first[end + 1..]),
        None => (None, first),
    };
    // Of a message without a plural, gettext itself reads up to the first NUL.
    let forms = translation.split(|b| *b == 0).take(if plural.is_some() { 1000 } else { 1 });
    let forms: Option<Vec<(u64, String)>> =
        (0..).zip(forms).map(|(n, form)| Some((n, decode(form)?))).collect();
    let optional = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => decode(bytes).map(Some),
        None => Some(None),
    };
    let raw = original[..original.len().min(RAW)].to_vec();
    match (decode(id), forms, optional(context), optional(plural)) {
        (Some(id), Some(forms), Some(context), Some(plural)) => {
            Entry { offset, context, id: Some(id), plural, forms, raw, ..Entry::default() }
        }
        _ => {
            let fault = format!("not the charset of the catalogue, {}", encoding.name());
            Entry { offset, raw, fault: Some(fault), ..Entry::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::po::PO;
    use super::super::unit::tests::{damaged, read};
    use super::*;

    const HEADER: &str = "Language: ru\nContent-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=3; \
         plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);\n";

    const MESSAGES: &[(&[u8], &str)] = &[
        (b"", HEADER),
        (b"%d day\0%d days", "%d день\0%d дня\0%d дней"),
        (b"Open", "Открыть"),
        (b"menu\x04Open", "Открой"),
    ];

    /// A catalogue with all strings behind both tables.
    fn file(messages: &[(&[u8], Vec<u8>)], big: bool) -> Vec<u8> {
        let number = |n: usize| {
            let n = n as u32;
            if big { n.to_be_bytes() } else { n.to_le_bytes() }
        };
        let n = messages.len();
        let mut tables = [Vec::new(), Vec::new()];
        let mut strings = Vec::new();
        for (original, translation) in messages {
            for (table, string) in tables.iter_mut().zip([*original, translation.as_slice()]) {
                table.extend(number(string.len()));
                table.extend(number(28 + 16 * n + strings.len()));
                strings.extend_from_slice(string);
                strings.push(0);
            }
        }
        let head = [0, n, 28, 28 + 8 * n, 0, 28 + 16 * n].map(number);
        let magic = if big { BIG } else { LITTLE };
        [&magic[..], &head.concat(), &tables.concat(), &strings].concat()
    }

    fn encoded(encode: impl Fn(&str) -> Vec<u8>) -> Vec<(&'static [u8], Vec<u8>)> {
        MESSAGES.iter().map(|(id, text)| (*id, encode(text))).collect()
    }

    #[test]
    fn rows_are_those_of_the_catalogue_before_it_was_compiled() {
        let po = format!(
            "msgid \"\"\nmsgstr \"{}\"\n\nmsgid \"%d day\"\nmsgid_plural \"%d days\"\n\
             msgstr[0] \"%d день\"\nmsgstr[1] \"%d дня\"\nmsgstr[2] \"%d дней\"\n\n\
             msgid \"Open\"\nmsgstr \"Открыть\"\n\nmsgctxt \"menu\"\nmsgid \"Open\"\n\
             msgstr \"Открой\"\n",
            HEADER.replace('\n', "\\n")
        );
        for options in ["into = 'pairs'", "lang = 'ru'", "into = 'labelled'\nlabel = 'ui'"] {
            let (want, _) = read(&PO, &[po.as_bytes()], options);
            for big in [false, true] {
                let bytes = file(&encoded(|text| text.as_bytes().to_vec()), big);
                let (kept, result) = read(&MO, &[&bytes], options);
                result.unwrap();
                let rows = |kept: super::super::row::Kept| -> Vec<_> {
                    kept.rows.into_iter().map(|(_, row)| row).collect()
                };
                assert_eq!(kept.rows.len(), 5);
                assert_eq!(kept.skipped, want.skipped);
                assert_eq!(rows(kept), rows(read(&PO, &[po.as_bytes()], options).0));
            }
        }
    }

    #[test]
    fn texts_are_in_the_charset_of_the_header() {
        let koi8 = |text: &str| {
            let text = text.replace("UTF-8", "KOI8-R");
            encoding_rs::KOI8_R.encode(&text).0.into_owned()
        };
        let (kept, result) = read(&MO, &[&file(&encoded(koi8), false)], "into = 'pairs'");
        result.unwrap();
        assert_eq!(kept.rows[3].1.second.as_deref(), Some("Открыть"));
        let klingon = |text: &str| text.replace("UTF-8", "X-Klingon").into_bytes();
        let (kept, _) = read(&MO, &[&file(&encoded(klingon), false)], "into = 'pairs'");
        assert_eq!(kept.reasons(), ["the catalogue is in `x-klingon`, which is not known"]);
        let mut bad = encoded(|text| text.as_bytes().to_vec());
        bad[2].1 = b"\xff".to_vec();
        let (kept, _) = read(&MO, &[&file(&bad, true)], "into = 'pairs'");
        assert_eq!((kept.rows.len(), kept.rejected.len()), (4, 1));
    }

    #[test]
    fn what_is_not_in_the_file_is_rejected() {
        let bytes = file(&encoded(|text| text.as_bytes().to_vec()), false);
        let changed = |at: usize, number: u32| {
            let mut bytes = bytes.clone();
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
            read(&MO, &[&bytes], "into = 'pairs'").0
        };
        assert!(changed(8, u32::MAX).reasons()[0].starts_with("the tables of 4294967295"));
        assert!(changed(4, 2 << 16).reasons()[0].contains("revision 2"));
        let kept = changed(28 + 8 * 2, u32::MAX);
        assert_eq!(kept.reasons(), ["a string of the message is not in the file"]);
        assert_eq!(kept.rows.len(), 4);
        let (kept, _) = read(&MO, &[&bytes[..10]], "into = 'pairs'");
        assert_eq!(kept.reasons(), ["the catalogue ends inside its header"]);
    }

    #[test]
    fn strings_for_a_system_have_the_names_of_their_parts() {
        let header = [1, 0, 48, 48, 0, 48, 1, 48, 1, 56, 60];
        let (part, tables) = ([7, 104], [64, 84]);
        let original = [111, 1, 0, 6, NO_PART];
        let translation = [118, 1, 0, 4, NO_PART];
        let mut bytes = LITTLE.to_vec();
        for number in [&header[..], &part, &tables, &original, &translation].concat() {
            bytes.extend((number as u32).to_le_bytes());
        }
        bytes.extend("PRIu64\0% days\0% д\0".as_bytes());
        let read = read(&MO, &[&bytes], "langs = ['en', 'ru']").0;
        assert_eq!((read.texts(), read.reasons().len()), (vec!["%<PRIu64> days"], 0));
        assert_eq!(read.rows[0].1.second.as_deref(), Some("%<PRIu64> д"));
    }

    #[test]
    fn strings_that_lie_over_one_another_do_not_grow_without_end() {
        let n = 20_000;
        let mut bytes = LITTLE.to_vec();
        for number in [0, n, 28, 28, 0, 0] {
            bytes.extend((number as u32).to_le_bytes());
        }
        for _ in 0..n {
            bytes.extend(100_000u32.to_le_bytes());
            bytes.extend(28u32.to_le_bytes());
        }
        let (kept, _) = read(&MO, &[&bytes], "langs = ['en', 'ru']");
        assert_eq!(kept.rows.len() + kept.rejected.len(), n);
        assert!(kept.rows.len() < 10);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let file = file(&encoded(|text| text.as_bytes().to_vec()), false);
        for n in 0..400u64 {
            let bytes = damaged(&file, n);
            let (kept, result) = read(&MO, &[&bytes], "langs = ['en', 'ru']");
            result.unwrap();
            assert!(kept.rows.len() + kept.rejected.len() < 5000);
        }
    }
}
