//! Compiled message catalogues of gettext: the rows that their `.po` would give.
//!
//! The layout is that of the gettext manual §10.3, in either byte order. The hash table is not
//! looked at; strings put together for a system (revision 1) are counted and passed over. A file
//! is read whole, up to the length that a record may have.

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
            catalogue.entry(file.entry(n, encoding, &mut room), sink)?;
        }
        for _ in 0..file.for_systems {
            sink.skip("message put together for a system");
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
    for_systems: usize,
}

impl<'a> File<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let big = match bytes {
            [a, b, c, d, ..] if [*a, *b, *c, *d] == LITTLE => false,
            [a, b, c, d, ..] if [*a, *b, *c, *d] == BIG => true,
            _ => return Err("not a compiled catalogue".into()),
        };
        let file = Self { bytes, big, messages: 0, originals: 0, translations: 0, for_systems: 0 };
        let at = |at| file.number(at).ok_or("the catalogue ends inside its header");
        let revision = at(4)?;
        if revision >> 16 > 1 {
            return Err(format!("a catalogue of revision {}; expected 0 or 1", revision >> 16));
        }
        let (messages, originals, translations) = (at(8)?, at(12)?, at(16)?);
        let inside = |table: usize| {
            let end = messages.checked_mul(8).and_then(|bytes| bytes.checked_add(table));
            end.is_some_and(|end| end <= bytes.len())
        };
        if !inside(originals) || !inside(translations) {
            return Err(format!("the tables of {messages} messages are not all in the file"));
        }
        // A count that no file of this length can have is no count.
        let for_systems = if revision & 0xffff > 0 { at(36)? } else { 0 };
        let for_systems = if for_systems > bytes.len() / 8 { 0 } else { for_systems };
        Ok(Self { messages, originals, translations, for_systems, ..file })
    }

    /// The number at a place.
    fn number(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let number = if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        usize::try_from(number).ok()
    }

    /// Where a string of a table begins, and its bytes.
    fn string(&self, table: usize, n: usize) -> Option<(usize, &'a [u8])> {
        let (length, begin) = (self.number(table + 8 * n)?, self.number(table + 8 * n + 4)?);
        Some((begin, self.bytes.get(begin..begin.checked_add(length)?)?))
    }

    /// The message that is empty.
    fn header(&self) -> Option<usize> {
        (0..self.messages).find(|n| self.number(self.originals + 8 * n) == Some(0))
    }

    /// The charset that the header says, else UTF-8.
    fn encoding(&self) -> Result<&'static Encoding, String> {
        let header = self.header().and_then(|n| self.string(self.translations, n));
        let header = String::from_utf8_lossy(header.map_or(&b""[..], |(_, bytes)| bytes));
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

    /// A message as it would stand in a `.po`; `room` is what all further ones may be long.
    fn entry(&self, n: usize, encoding: &'static Encoding, room: &mut usize) -> Entry {
        let offset = (self.originals + 8 * n) as u64;
        let fault = |fault: &str| Entry { offset, fault: Some(fault.into()), ..Entry::default() };
        let strings = (self.string(self.originals, n), self.string(self.translations, n));
        let (Some((begin, original)), Some((_, translation))) = strings else {
            return fault("a string of the message is not in the file");
        };
        let Some(left) = room.checked_sub(original.len() + translation.len()) else {
            return fault("the strings of the catalogue lie over one another");
        };
        *room = left;
        let decode = |bytes: &'a [u8]| {
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
        let (context, plural) = (context.map(decode), plural.map(decode));
        let raw = original[..original.len().min(RAW)].to_vec();
        let offset = begin as u64;
        let (Some(id), Some(forms), Some(context), Some(plural)) = (
            decode(id),
            forms,
            context.map_or(Some(None), |c| c.map(Some)),
            plural.map_or(Some(None), |p| p.map(Some)),
        ) else {
            let fault = format!("not the charset of the catalogue, {}", encoding.name());
            return Entry { offset, raw, fault: Some(fault), ..Entry::default() };
        };
        Entry { offset, context, id: Some(id), plural, forms, raw, ..Entry::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::po::PO;
    use super::super::unit::tests::read;
    use super::*;
    use crate::id;

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
            let mut bytes = file.clone();
            let draw = |k: u64, below: usize| (id::keyed(n, k) % below as u64) as usize;
            let (at, to) = (draw(1, bytes.len()), draw(2, bytes.len()));
            match n % 3 {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1 << draw(3, 8),
                _ => bytes.splice(at..at, file[to..].iter().copied()).for_each(drop),
            }
            let (kept, result) = read(&MO, &[&bytes], "langs = ['en', 'ru']");
            result.unwrap();
            assert!(kept.rows.len() + kept.rejected.len() < 5000);
        }
    }
}
