//! XLIFF 1.2 and 2: the sources and targets of translation units as pairs or documents.
//!
//! A unit that both sides divide into the same segments gives a row for each of them. Targets
//! that nobody has translated yet are counted and passed over, as are suggestions
//! (`alt-trans`, `matches`). Native codes are left out as they are of TMX.

use std::sync::atomic::AtomicU64;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use super::elements::{Element, Kind, Names, each_element};
use super::parallel::{Aligned, LARGEST, REPEATS, Rows, Variant};
use super::xml::{Content, attributes, context, event, pass};
use super::{Into, Sink, Source, Unit};
use crate::error::{Error, Result};

/// Files of the XML Localisation Interchange File Format.
pub const XLIFF: Xliff = Xliff;

/// The format of XLIFF files.
pub struct Xliff;

const NAMES: Names = Names { whole: &["trans-unit", "unit"], tags: &["xliff", "file"] };

impl Source for Xliff {
    fn name(&self) -> &'static str {
        "xliff"
    }

    fn doc(&self) -> &'static str {
        "XLIFF 1.2 and 2; pairs of source and target, or the texts of both one by one."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["xlf", "xliff", "mqxliff", "sdlxliff", "mxliff"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Pairs, Into::Documents, Into::Labelled]
    }

    fn content(&self, start: &[u8]) -> bool {
        memchr::memmem::find(start, b"<xliff").is_some()
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        if let Some(field) = unit.spec.columns.keys().next() {
            let message = format!("XLIFF has no column for `{field}`");
            return Err(Error::usage(message).within(unit.source_path()));
        }
        let mut rows = Rows::new(unit)?;
        let mut file = File { unit, top: [None, None], langs: [None, None], original: None };
        each_element(unit.open(read)?, NAMES, sink, |element, text, sink| {
            let outcome = match element.kind {
                Kind::Tag => file.tag(element.name, text).map(|()| None),
                Kind::EndTag => {
                    (file.langs, file.original) = (file.top.clone(), None);
                    Ok(None)
                }
                _ => parse(text).map(Some),
            };
            match outcome {
                Ok(None) => Ok(()),
                Ok(Some(parsed)) => file.rows(&element, parsed, &mut rows, sink),
                Err(reason) => sink.reject(element.offset, &reason, element.bytes),
            }
        })
    }
}

/// What the tags around a unit say.
struct File<'u> {
    unit: &'u Unit,
    /// The source and target languages of all that follows, in version 2.
    top: [Option<String>; 2],
    /// Those of the `file` that is read.
    langs: [Option<String>; 2],
    original: Option<String>,
}

/// A source and its target.
#[derive(Debug, Default)]
struct Segment {
    id: Option<String>,
    source: Option<Content>,
    /// The source once more, divided into segments.
    divided: Option<Content>,
    target: Option<Content>,
    target_lang: Option<String>,
    state: Option<String>,
}

/// What the bytes of a unit say.
#[derive(Debug, Default)]
struct Parsed {
    id: Option<String>,
    name: Option<String>,
    approved: Option<String>,
    untranslatable: bool,
    notes: Vec<Value>,
    segments: Vec<Segment>,
}

impl Parsed {
    /// The bytes of what every row of the unit says.
    fn shared(&self) -> usize {
        let own = [&self.id, &self.name, &self.approved];
        let facts = self.segments.iter().flat_map(|s| [&s.id, &s.state, &s.target_lang]);
        let names = own.into_iter().chain(facts).flatten().map(String::len);
        let notes = self.notes.iter().filter_map(Value::as_str).map(str::len);
        names.sum::<usize>() + notes.sum::<usize>()
    }

    /// No fewer than its rows.
    fn parts(&self) -> usize {
        let divided = self.segments.iter().filter_map(|segment| segment.divided.as_ref());
        self.segments.len() + divided.map(|content| content.segments.len()).sum::<usize>()
    }
}

/// States of a target that is a copy or a placeholder.
const UNTRANSLATED: &[&str] = &["new", "needs-translation", "initial"];

impl File<'_> {
    fn tag(&mut self, name: &str, text: &str) -> Result<(), String> {
        let names = ["source-language", "target-language", "srcLang", "trgLang", "original"];
        self.langs = [None, None];
        let [source, target, src, trg, original] = context(text, names)?;
        if name == "xliff" {
            self.top = [src, trg];
            self.langs = self.top.clone();
        } else {
            let [src, trg] = self.top.clone();
            self.langs = [source.or(src), target.or(trg)];
            self.original = original;
        }
        Ok(())
    }

    fn rows(
        &self,
        element: &Element<'_>,
        parsed: Parsed,
        rows: &mut Rows<'_>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        if parsed.untranslatable {
            sink.skip("not to be translated");
            return Ok(());
        }
        if parsed.segments.is_empty() {
            return sink.reject(element.offset, "a unit without a source", element.bytes);
        }
        if parsed.shared().saturating_mul(parsed.parts()) > LARGEST {
            return sink.reject(element.offset, REPEATS, element.bytes);
        }
        let mut parts = 0;
        for segment in parsed.segments {
            let pairs = self.unit.into == Into::Pairs;
            let state = segment.state.as_deref();
            let untranslated = state.is_some_and(|s| UNTRANSLATED.contains(&s));
            let target =
                segment.target.filter(|target| !untranslated && !target.text.trim().is_empty());
            if target.is_none() && pairs {
                sink.skip("untranslated");
                continue;
            }
            // A language that the file does not tell may still be that of its path.
            let [lang, other] = self.langs.clone();
            let lang = lang.or_else(|| self.unit.lang.clone());
            let second_lang = segment.target_lang.or(other);
            let second_lang = second_lang.or_else(|| self.unit.second_lang.clone());
            let Some(lang) = lang else {
                let reason = "the source language is not told";
                return sink.reject(element.offset, reason, element.bytes);
            };
            let mut about = Map::new();
            let original = self.original.clone().filter(|name| !name.is_empty());
            let facts = [
                ("file", original),
                ("name", parsed.name.clone()),
                ("approved", parsed.approved.clone()),
                ("state", segment.state),
            ];
            about.extend(facts.into_iter().filter_map(|(key, v)| Some((key.into(), v?.into()))));
            if !parsed.notes.is_empty() {
                about.insert("notes".into(), parsed.notes.clone().into());
            }
            let source = segment.source.unwrap_or_default();
            for (part, source, target) in divide(source, segment.divided, target) {
                parts += 1;
                // Of very many rejected parts, not each one keeps the bytes of the unit.
                let raw = if parts > 8 { b"" } else { element.bytes };
                let mut variants =
                    vec![Variant { code: lang.clone(), text: source, ..Variant::default() }];
                if let Some(text) = target {
                    let Some(code) = second_lang.clone() else {
                        let reason = "the target language is not told";
                        sink.reject(element.offset, reason, raw)?;
                        continue;
                    };
                    variants.push(Variant { code, text, ..Variant::default() });
                }
                let aligned = Aligned {
                    offset: element.offset,
                    raw,
                    position: element.number,
                    id: parsed.id.clone(),
                    part: part.or_else(|| segment.id.clone()),
                    about: about.clone(),
                    variants,
                    ..Aligned::default()
                };
                rows.unit(aligned, sink)?;
            }
        }
        Ok(())
    }
}

/// A part's name, its source and its target.
type Part = (Option<String>, String, Option<String>);

/// The segments that both sides have, in order, or both texts as they are.
fn divide(source: Content, divided: Option<Content>, target: Option<Content>) -> Vec<Part> {
    if let (Some(divided), Some(target)) = (&divided, &target) {
        let names = |content: &Content| -> Vec<String> {
            content.segments.iter().map(|(name, _)| name.clone()).collect()
        };
        let (from, to) = (names(divided), names(target));
        if !from.is_empty() && from == to {
            let pieces = divided.segments.iter().zip(&target.segments);
            return pieces
                .map(|((name, a), (_, b))| {
                    let piece = target.text[b.clone()].to_string();
                    (Some(name.clone()), divided.text[a.clone()].to_string(), Some(piece))
                })
                .collect();
        }
    }
    vec![(None, source.text, target.map(|target| target.text))]
}

/// Reads the bytes of one unit.
fn parse(text: &str) -> Result<Parsed, String> {
    let mut reader = Reader::from_str(text);
    let mut parsed = Parsed::default();
    let mut segment = None;
    let old = match event(&mut reader)? {
        Event::Start(start) => {
            let [id, name, approved, translate] =
                attributes(&start, ["id", "resname", "approved", "translate"])?;
            (parsed.id, parsed.name) = (id, name);
            parsed.approved = approved;
            parsed.untranslatable = translate.as_deref() == Some("no");
            start.local_name().into_inner() == "trans-unit"
        }
        _ => return Ok(parsed),
    };
    if old {
        segment = Some(Segment::default());
    }
    loop {
        match event(&mut reader)? {
            Event::Start(start) => match (start.local_name().into_inner(), &mut segment) {
                ("segment", None) => {
                    let [id, state] = attributes(&start, ["id", "state"])?;
                    segment = Some(Segment { id, state, ..Segment::default() });
                }
                ("source", Some(segment)) => segment.source = Some(Content::read(&mut reader)?),
                ("seg-source", Some(segment)) => {
                    segment.divided = Some(Content::read(&mut reader)?);
                }
                ("target", Some(segment)) => segment.target(&start, &mut reader)?,
                // Notes are inside `notes` in version 2.
                ("notes", None) => {}
                ("note", _) => parsed.notes.push(Content::read(&mut reader)?.text.into()),
                _ => pass(&mut reader, &start)?,
            },
            Event::End(end) => match end.local_name().into_inner() {
                "notes" => {}
                "segment" => parsed.segments.extend(segment.take().filter(|s| s.source.is_some())),
                _ => {
                    parsed.segments.extend(segment.take().filter(|s| s.source.is_some()));
                    return Ok(parsed);
                }
            },
            _ => {}
        }
    }
}

impl Segment {
    fn target(&mut self, start: &BytesStart<'_>, reader: &mut Reader<&[u8]>) -> Result<(), String> {
        let [lang, state] = attributes(start, ["lang", "state"])?;
        self.target_lang = lang;
        self.state = state.or(self.state.take());
        self.target = Some(Content::read(reader)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::read;
    use super::*;

    const OLD: &str = r#"<xliff version="1.2"><file original="a.c" source-language="en" target-language="ka"><body>
<trans-unit id="1" resname="yes" approved="yes"><source>Yes <x id="1"/></source><target state="final">დიახ</target>
 <alt-trans><source>No</source><target>არა</target></alt-trans><note>n</note></trans-unit>
<trans-unit id="2"><source>No</source></trans-unit>
<trans-unit id="3"><source>No</source><target state="new">No</target></trans-unit>
<trans-unit id="4" translate="no"><source>%d</source><target>%d</target></trans-unit>
<trans-unit id="5"><source>A. B.</source>
 <seg-source><mrk mtype="seg" mid="0">A.</mrk> <mrk mtype="seg" mid="1">B.</mrk></seg-source>
 <target><mrk mtype="seg" mid="0">ა.</mrk> <mrk mtype="seg" mid="1">ბ.</mrk></target></trans-unit>
<trans-unit id="6"><source>Bad</target></trans-unit>
</body></file><file source-language="en"><trans-unit id="7"><source>One</source><target xml:lang="fr">Un</target>
</trans-unit></file></xliff>"#;

    #[test]
    fn a_source_and_its_target_are_a_pair() {
        let (kept, result) = read(&XLIFF, &[OLD.as_bytes()], "into = 'pairs'");
        result.unwrap();
        let pair = |r: &super::super::Row| format!("{}={}", r.text, r.second.as_ref().unwrap());
        let pairs: Vec<String> = kept.rows.iter().map(|(_, r)| pair(r)).collect();
        assert_eq!(pairs, ["Yes =დიახ", "A.=ა.", "B.=ბ.", "One=Un"]);
        let row = &kept.rows[0].1;
        assert_eq!(row.second_lang.as_deref(), Some("kat_Geor"));
        assert_eq!(
            Value::Object(row.meta.clone()).to_string(),
            r#"{"position":1,"id":"1","file":"a.c","name":"yes","approved":"yes","state":"final","notes":["n"]}"#
        );
        assert_eq!(kept.rows[2].1.meta["segment"], "1");
        assert_ne!(kept.rows[1].1.group, kept.rows[2].1.group);
        assert_eq!(kept.rows[3].1.second_lang.as_deref(), Some("fra_Latn"));
        assert_eq!((kept.skipped["untranslated"], kept.skipped["not to be translated"]), (2, 1));
        assert!(kept.reasons()[0].starts_with("invalid XML: expected `</source>`"));
    }

    #[test]
    fn version_2_has_segments_and_says_its_languages_at_the_top() {
        let file = r#"<xliff version="2.0" srcLang="ja" trgLang="sw"><file id="f"><unit id="u">
<notes><note>n</note></notes><mtc:matches><mtc:match><source>悪</source><target>x</target></mtc:match></mtc:matches>
<segment id="s1"><source>はい<ph id="1"/></source><target>ndiyo</target></segment><ignorable><source> </source></ignorable>
<segment id="s2" state="initial"><source>いいえ</source><target>いいえ</target></segment></unit><unit id="e"/></file></xliff>"#;
        let (kept, _) = read(&XLIFF, &[file.as_bytes()], "into = 'pairs'");
        assert_eq!((kept.texts(), kept.rows[0].1.second.as_deref()), (vec!["はい"], Some("ndiyo")));
        assert_eq!(kept.rows[0].1.lang.as_deref(), Some("jpn_Jpan"));
        assert_eq!(kept.skipped["untranslated"], 1);
        assert_eq!(kept.reasons(), ["a unit without a source"]);
        let (kept, _) = read(&XLIFF, &[file.as_bytes()], "into = 'documents'");
        assert_eq!(kept.texts(), ["はい", "ndiyo", "いいえ"]);
    }

    #[test]
    fn a_language_that_is_not_told_is_that_of_the_options() {
        let file =
            "<xliff><file><trans-unit id='1'><source>a</source><target>b</target></trans-unit>";
        let (kept, _) = read(&XLIFF, &[file.as_bytes()], "into = 'pairs'");
        assert_eq!(kept.reasons(), ["the source language is not told"]);
        let (kept, _) = read(&XLIFF, &[file.as_bytes()], "langs = ['is', 'fo']");
        assert_eq!(kept.rows[0].1.second_lang.as_deref(), Some("fao_Latn"));
    }

    #[test]
    fn no_damage_stops_or_invents_units() {
        for seed in 0..400u64 {
            let mut bytes = OLD.as_bytes().to_vec();
            let at = |n: u64| crate::id::keyed(seed, n) as usize % OLD.len();
            match seed % 3 {
                0 => bytes.truncate(at(1)),
                1 => bytes[at(1)] ^= 1 << (at(2) % 8),
                _ => drop(bytes.splice(at(1).min(at(2))..at(1).max(at(2)), *b"<file '")),
            }
            let (kept, result) = read(&XLIFF, &[&bytes], "into = 'pairs'");
            assert!(result.is_ok());
            assert!(kept.rows.len() <= 6 && kept.rejected.len() <= 12, "{seed}");
        }
    }
}
