//! Message catalogues of gettext: `msgid` and `msgstr` as pairs, or the texts of one language.
//!
//! Fuzzy, obsolete and untranslated messages are counted and passed over. Equal messages have
//! equal groups in all files and languages, so that a message is joined to all its translations
//! and never stands in two halves of a split. Compiled catalogues are `mo`'s.

pub mod entry;
pub mod plural;

use std::sync::atomic::AtomicU64;

use entry::{Entries, Entry};
use plural::Plural;
use serde_json::{Map, Value};

use super::input::{Line, decode, too_long};
use super::spec::Column;
use super::unit::tagged;
use super::{Into, Row, Sink, Source, Unit};
use crate::error::{Error, Result};
use crate::id;
use crate::identify::tag;

/// Message catalogues.
pub const PO: Po = Po;

/// The format of message catalogues.
pub struct Po;

impl Source for Po {
    fn name(&self) -> &'static str {
        "po"
    }

    fn doc(&self) -> &'static str {
        "Message catalogues of gettext; pairs of `msgid` and `msgstr`, or the texts of `msgstr`."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["po", "pot"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Pairs, Into::Documents, Into::Labelled]
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        let input = unit.open(read)?;
        let mut catalogue = Catalogue::new(unit)?;
        let mut entries = Entries::default();
        let mut lines = input.lines();
        let mut broken: Option<(u64, String, Vec<u8>)> = None;
        loop {
            let entry = lines.next(|offset, line| {
                let (raw, reason) = match line {
                    Line::Whole(bytes) => match decode(bytes) {
                        Ok(text) => return Ok(entries.line(offset, text)),
                        Err(reason) => (bytes, reason),
                    },
                    Line::TooLong(head) => (head, too_long()),
                    Line::Damaged(reason, cut) => {
                        broken = Some((offset, reason.into(), cut.into()));
                        return Ok(None);
                    }
                };
                entries.bad_line(offset, raw, &reason);
                Ok(None)
            })?;
            match entry {
                Some(Some(entry)) => catalogue.entry(entry, sink)?,
                Some(None) => {}
                None => break,
            }
            if catalogue.refused {
                return Ok(());
            }
        }
        match broken {
            // The entry that the file breaks off in is not whole.
            Some((offset, reason, raw)) => sink.reject(offset, &reason, &raw),
            None => entries.finish().map_or(Ok(()), |entry| catalogue.entry(entry, sink)),
        }
    }
}

/// What is known of a catalogue while its entries are read.
pub struct Catalogue<'a> {
    unit: &'a Unit,
    /// The language of `msgid`.
    source: String,
    /// The language of `msgstr`.
    lang: Option<String>,
    plural: Plural,
    /// Its texts were decoded as its header says.
    decoded: bool,
    refused: bool,
}

impl<'a> Catalogue<'a> {
    /// For a compiled catalogue, whose entries are handed over decoded; errors as [`Self::new`].
    pub fn decoded(unit: &'a Unit) -> Result<Self> {
        Self::new(unit).map(|catalogue| Self { decoded: true, ..catalogue })
    }

    /// For a unit; errors when it asks for columns that no catalogue has.
    pub fn new(unit: &'a Unit) -> Result<Self> {
        let asked = unit.spec.source_lang.as_deref();
        let source = match (&unit.lang, asked, unit.into) {
            (_, Some(code), _) => tagged(code, "option")?,
            (Some(lang), None, Into::Pairs) => lang.clone(),
            _ => tagged("eng", "option")?,
        };
        if let Some((field, _)) = unit.spec.columns.iter().find(|(field, column)| {
            field.as_str() != "label" || **column != Column::Name("msgctxt".into())
        }) {
            return Err(Error::usage(format!("a catalogue has no column for `{field}`"))
                .within(unit.source_path())
                .hint_with("only `label = \"msgctxt\"` is there"));
        }
        let lang = match unit.into {
            Into::Pairs => unit.second_lang.clone(),
            Into::Documents | Into::Labelled => unit.lang.clone(),
        };
        Ok(Self { unit, source, lang, plural: Plural::default(), decoded: false, refused: false })
    }

    /// Hands the rows of an entry to the sink, or says there what it is instead.
    pub fn entry(&mut self, entry: Entry, sink: &mut dyn Sink) -> Result<()> {
        if entry.obsolete {
            sink.skip("obsolete");
            return Ok(());
        }
        if let Some(fault) = &entry.fault {
            return sink.reject(entry.offset, fault, &entry.raw);
        }
        let id = entry.id.as_deref().unwrap_or_default();
        if id.is_empty() && entry.context.is_none() {
            return self.header(&entry, sink);
        }
        if entry.flags.iter().any(|flag| flag == "fuzzy") {
            sink.skip("fuzzy");
            return Ok(());
        }
        if self.unit.into == Into::Pairs {
            match &self.lang {
                None => {
                    let reason = "the header has no known `Language`";
                    return sink.reject(entry.offset, reason, &entry.raw);
                }
                // `en` and `en_GB` translate nothing.
                Some(lang) if *lang == self.source => {
                    sink.skip("source language");
                    return Ok(());
                }
                Some(_) => {}
            }
        }
        for (form, text) in &entry.forms {
            self.form(&entry, id, *form, text, sink)?;
        }
        Ok(())
    }

    /// The translation of one form as a row.
    fn form(
        &self,
        entry: &Entry,
        id: &str,
        form: u64,
        text: &str,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let one = self.plural.forms > 1 && form == self.plural.one;
        let (message, class) = match &entry.plural {
            None => (id, "only"),
            Some(_) if one => (id, "one"),
            Some(plural) => (plural.as_str(), "other"),
        };
        let text = match text {
            "" if self.unit.into != Into::Pairs && self.lang.as_ref() == Some(&self.source) => {
                message
            }
            "" => {
                sink.skip("untranslated");
                return Ok(());
            }
            text => text,
        };
        let context = entry.context.as_deref();
        let group = id::hash_fields(["po", class, id].into_iter().chain(context));
        let mut meta = Map::new();
        if let Some(context) = context {
            meta.insert("msgctxt".into(), context.into());
        }
        if entry.plural.is_some() {
            meta.insert("form".into(), form.into());
        }
        if !entry.flags.is_empty() {
            let flags = entry.flags.iter().cloned().map(Value::String).collect();
            meta.insert("flags".into(), Value::Array(flags));
        }
        let unit = self.unit;
        let row = if unit.into == Into::Pairs {
            Row {
                text: message.into(),
                second: Some(text.into()),
                lang: Some(self.source.clone()),
                second_lang: self.lang.clone(),
                ..Row::default()
            }
        } else {
            let label = match unit.spec.columns.get("label") {
                Some(_) => context.map(str::to_string),
                None => unit.label.clone(),
            };
            Row {
                text: text.into(),
                lang: self.lang.clone(),
                // As gettext joins context and message in its own keys.
                id: Some(context.map_or_else(|| id.into(), |c| format!("{c}\u{4}{id}"))),
                label,
                split: unit.split.clone(),
                ..Row::default()
            }
        };
        sink.row(entry.offset, Row { group: Some(group), meta, ..row })
    }

    fn header(&mut self, entry: &Entry, sink: &mut dyn Sink) -> Result<()> {
        sink.skip("header");
        let text = entry.forms.first().map_or("", |(_, text)| text.as_str());
        let field = |name: &str| header_field(text, name);
        if let Some(plural) = field("Plural-Forms").and_then(Plural::parse) {
            self.plural = plural;
        }
        if self.lang.is_none() {
            self.lang = field("Language").and_then(tag::find).map(|tag| tag.to_string());
        }
        match charset(text) {
            None => Ok(()),
            Some(_) if self.decoded => Ok(()),
            Some(other) => {
                self.refused = true;
                sink.refuse(&format!("the catalogue is in `{other}`; expected UTF-8"))
            }
        }
    }
}

/// The value of a field of a header.
fn header_field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = header.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The charset that a header says, in lower case, unless that is UTF-8, a part of it, or none.
pub fn charset(header: &str) -> Option<String> {
    let (_, charset) = header_field(header, "Content-Type")?.split_once("charset=")?;
    let charset = charset.trim().to_ascii_lowercase();
    let utf8 = matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii" | "ascii" | "charset" | "");
    (!utf8).then_some(charset)
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::read;
    use super::*;

    const ARABIC: &str = r#"
#, fuzzy
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Language: ar\n"
"Plural-Forms: nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 "
"&& n%100<=10 ? 3 : n%100>=11 && n%100<=99 ? 4 : 5;\n"

msgctxt "naming"
msgid "Name"
msgstr "اسم"

msgid "%d day"
msgid_plural "%d days"
msgstr[0] "صفر"
msgstr[1] "يوم"
msgstr[2] "يومان"
msgstr[3] "%d أيام"
msgstr[4] "%d يوما"
msgstr[5] ""

#, fuzzy
msgid "Guess"
msgstr "تخمين"

msgid "Untranslated"
msgstr ""

#~ msgid "Gone"
#~ msgstr "ذهب"
"#;

    #[test]
    fn each_plural_form_is_a_pair() {
        let (kept, result) = read(&PO, &[ARABIC.as_bytes()], "into = 'pairs'");
        result.unwrap();
        assert_eq!(kept.texts(), ["Name", "%d days", "%d day", "%d days", "%d days", "%d days"]);
        let row = &kept.rows[2].1;
        assert_eq!((row.second.as_deref(), row.lang.as_deref()), (Some("يوم"), Some("eng_Latn")));
        assert_eq!(row.second_lang.as_deref(), Some("arb_Arab"));
        assert_ne!(kept.rows[1].1.group, row.group);
        assert_eq!(kept.rows[1].1.group, kept.rows[3].1.group);
        let skipped: Vec<(&str, u64)> = kept.skipped.into_iter().collect();
        assert_eq!(skipped, [("fuzzy", 1), ("header", 1), ("obsolete", 1), ("untranslated", 2)]);
    }

    #[test]
    fn english_speaks_for_itself() {
        let english = "msgctxt \"naming\"\nmsgid \"Name\"\nmsgstr \"\"\n\nmsgid \"%d day\"\n\
                       msgid_plural \"%d days\"\nmsgstr[0] \"\"\nmsgstr[1] \"\"\n";
        let (kept, _) = read(&PO, &[english.as_bytes()], "lang = 'en'");
        assert_eq!(kept.texts(), ["Name", "%d day", "%d days"]);
        let (arabic, _) = read(&PO, &[ARABIC.as_bytes()], "lang = 'ar'");
        let groups = |k: &super::super::row::Kept| -> Vec<Option<u64>> {
            k.rows.iter().map(|(_, r)| r.group).collect()
        };
        let (en, ar) = (groups(&kept), groups(&arabic));
        assert_eq!((en[0], en[1], en[2]), (ar[0], ar[2], ar[1]));
        assert_eq!(kept.rows[0].1.id.as_deref(), Some("naming\u{4}Name"));
        let (pairs, _) = read(&PO, &[english.as_bytes()], "langs = ['en', 'en_GB']");
        assert!(pairs.rows.is_empty());
        assert_eq!(pairs.skipped["source language"], 2);
    }

    #[test]
    fn a_language_with_one_form_translates_the_plural() {
        let file = "msgid \"\"\nmsgstr \"Plural-Forms: nplurals=1; plural=0;\\n\"\n\n\
                    msgid \"%d day\"\nmsgid_plural \"%d days\"\nmsgstr[0] \"%d 天\"\n";
        let options = "into = 'labelled'\nlang = 'zh_Hans'\nlabel = 'core'";
        let (kept, _) = read(&PO, &[file.as_bytes()], options);
        assert_eq!(kept.texts(), ["%d 天"]);
        assert_eq!(kept.rows[0].1.label.as_deref(), Some("core"));
        let (kept, _) = read(&PO, &[file.as_bytes()], "langs = ['en', 'zh_Hans']");
        assert_eq!(kept.texts(), ["%d days"]);
    }

    #[test]
    fn bad_bytes_cost_their_message_and_another_charset_the_file() {
        let mut file = b"msgid \"a\"\nmsgstr \"\xe9\"\n\nmsgid \"b\"\nmsgstr \"c\"\n".to_vec();
        let (kept, _) = read(&PO, &[&file], "lang = 'is'");
        assert_eq!(kept.texts(), ["c"]);
        assert_eq!(kept.reasons(), ["invalid UTF-8 at byte 8"]);
        let header = b"msgid \"\"\nmsgstr \"Content-Type: text/plain; charset=ISO-8859-1\\n\"\n\n";
        file.splice(0..0, header.iter().copied());
        let (kept, _) = read(&PO, &[&file], "lang = 'is'");
        assert!(kept.rows.is_empty());
        assert_eq!(kept.reasons(), ["the catalogue is in `iso-8859-1`; expected UTF-8"]);
    }
}
