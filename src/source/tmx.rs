//! Translation memories (TMX 1.1 to 1.4): each unit's texts as pairs or documents.
//!
//! Units are found by their tags and parsed one by one, so a broken one costs itself. Native
//! codes inside a segment (`bpt`, `ph` and so on) are left out, their subflows kept. Validates
//! nothing and reads no document type.

use std::sync::atomic::AtomicU64;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use super::elements::{Kind, Names, each_element};
use super::parallel::{Aligned, Rows, Variant};
use super::spec::Column;
use super::xml::{Content, attributes, context, event, pass};
use super::{Into, Sink, Source, Unit};
use crate::error::{Error, Result};

/// Translation memories.
pub const TMX: Tmx = Tmx;

/// The format of translation memories.
pub struct Tmx;

const NAMES: Names = Names { whole: &["tu"], tags: &["header"] };

impl Source for Tmx {
    fn name(&self) -> &'static str {
        "tmx"
    }

    fn doc(&self) -> &'static str {
        "Translation memories (TMX); pairs of the languages of each unit, or its texts one by one."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["tmx"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Pairs, Into::Documents, Into::Labelled]
    }

    fn content(&self, start: &[u8]) -> bool {
        memchr::memmem::find(start, b"<tmx").is_some()
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        let score = score_column(unit)?;
        let mut rows = Rows::new(unit)?;
        let mut source = None;
        each_element(unit.open(read)?, NAMES, sink, |element, text, sink| {
            let parsed = match element.kind {
                Kind::Tag => header(text).map(|code| {
                    source = code;
                    None
                }),
                Kind::EndTag => Ok(None),
                _ => parse(text).map(Some),
            };
            match parsed {
                Ok(None) => Ok(()),
                Ok(Some(mut tu)) => {
                    (tu.offset, tu.raw, tu.position) =
                        (element.offset, element.bytes, element.number);
                    tu.source = tu.source.or_else(|| source.clone());
                    tu.score = score.and_then(|name| number(&tu, name));
                    rows.unit(tu, sink)
                }
                Err(reason) => sink.reject(element.offset, &reason, element.bytes),
            }
        })
    }
}

/// The property that holds the score; the only column that a translation memory can be given.
fn score_column(unit: &Unit) -> Result<Option<&str>> {
    let mut score = None;
    for (field, column) in &unit.spec.columns {
        match (field.as_str(), column) {
            ("score", Column::Name(name)) => score = Some(name.as_str()),
            _ => {
                let message = format!("a translation memory has no column for `{field}`");
                return Err(Error::usage(message)
                    .within(unit.source_path())
                    .hint_with("only `score = \"…\"`, the type of a `prop`, is there"));
            }
        }
    }
    Ok(score)
}

fn number(tu: &Aligned<'_>, name: &str) -> Option<f32> {
    tu.about.get("props")?.get(name)?.as_str()?.trim().parse().ok()
}

/// The language that the units are translated from, unless they say otherwise.
fn header(text: &str) -> Result<Option<String>, String> {
    let [source] = context(text, ["srclang"])?;
    // Of `*all*`, every language may be the source.
    Ok(source.filter(|code| !code.starts_with('*')))
}

/// Reads the bytes of one unit.
fn parse(text: &str) -> Result<Aligned<'static>, String> {
    let mut reader = Reader::from_str(text);
    let mut tu = Aligned::default();
    let mut variant: Option<(Variant, bool)> = None;
    match event(&mut reader)? {
        Event::Start(start) => {
            let [id, source] = attributes(&start, ["tuid", "srclang"])?;
            (tu.id, tu.source) = (id, source.filter(|code| !code.starts_with('*')));
        }
        _ => return Ok(tu),
    }
    loop {
        match event(&mut reader)? {
            Event::Start(start) => match (start.local_name().into_inner(), &mut variant) {
                ("tuv", None) => variant = Some((open(&start)?, false)),
                ("tuv", Some(_)) => return Err("a `tuv` inside a `tuv`".into()),
                ("seg", Some((_, true))) => return Err("two `seg` in a `tuv`".into()),
                ("seg", Some((variant, seen))) => {
                    variant.text = Content::read(&mut reader)?.text;
                    *seen = true;
                }
                ("prop", variant) => {
                    let [kind] = attributes(&start, ["type"])?;
                    let text = Content::read(&mut reader)?.text;
                    let about = variant.as_mut().map_or(&mut tu.about, |(v, _)| &mut v.about);
                    props(about, kind.unwrap_or_default(), text);
                }
                ("note", variant) => {
                    let text = Content::read(&mut reader)?.text;
                    let about = variant.as_mut().map_or(&mut tu.about, |(v, _)| &mut v.about);
                    append(about, "note".into(), text);
                }
                _ => pass(&mut reader, &start)?,
            },
            Event::End(end) => match (end.local_name().into_inner(), variant.take()) {
                ("tuv", Some((variant, _))) => tu.variants.push(variant),
                _ => return Ok(tu),
            },
            _ => {}
        }
    }
}

fn open(start: &BytesStart<'_>) -> Result<Variant, String> {
    match attributes(start, ["lang"])? {
        [Some(code)] => Ok(Variant { code, ..Variant::default() }),
        [None] => Err("a `tuv` without its language".into()),
    }
}

fn props(about: &mut Map<String, Value>, kind: String, text: String) {
    let props = about.entry("props").or_insert_with(|| Map::new().into());
    if let Value::Object(props) = props {
        append(props, kind, text);
    }
}

/// Sets a value, or where there is one already, makes a list of them.
fn append(map: &mut Map<String, Value>, key: String, text: String) {
    match map.get_mut(&key) {
        None => {
            map.insert(key, text.into());
        }
        Some(Value::Array(list)) => list.push(text.into()),
        Some(value) => *value = Value::Array(vec![value.take(), text.into()]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::read;
    use super::*;

    const MEMORY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<tmx version="1.4"><header srclang="sw" datatype="text"/><body>
<tu tuid="a:1"><prop type="note">kamusi</prop><prop type="q">0.5</prop><note>n</note>
<tuv xml:lang="is"><prop type="url">u</prop><seg>j&aacute;</seg></tuv><tuv xml:lang="sw"><seg>ndiyo</seg></tuv></tu>
<tu tuid="a:2"><prop type="q">0.5</prop><tuv lang="am"><seg>አዎ <ph>{0}</ph>&lt;</seg></tuv>
 <tuv xml:lang="sw"><prop type="url">u</prop><seg>ndiyo</seg></tuv><tuv xml:lang="ja"><seg>はい</seg></tuv></tu>
<tu><tuv xml:lang="sw"><seg>hapana</seg></tuv><tuv xml:lang="is"><seg/></tuv></tu>
<tu><tuv xml:lang="sw"><seg>moja</seg></tuv></tu>
<tu><tuv xml:lang="sw"><seg>A & B</seg></tuv><tuv xml:lang="is"><seg>x</seg></tuv></tu>
<tu><tuv xml:lang="sw"><seg>tatu</seg></tuv><tuv xml:lang="qqq"><seg>x</seg></tuv></tu>
</body></tmx>"#;

    #[test]
    fn the_source_language_is_paired_with_each_other_one() {
        let options = "into = 'pairs'\ncolumns = { score = 'q' }";
        let (kept, result) = read(&TMX, &[MEMORY.as_bytes()], options);
        result.unwrap();
        let pairs: Vec<_> = kept.rows.iter().map(|(_, r)| r.second.as_deref().unwrap()).collect();
        assert_eq!((kept.texts(), pairs), (vec!["ndiyo", "ndiyo"], vec!["አዎ <", "はい"]));
        let row = &kept.rows[0].1;
        assert_eq!(row.lang.as_deref(), Some("swh_Latn"));
        assert_eq!(row.second_lang.as_deref(), Some("amh_Ethi"));
        assert_eq!((row.score, row.group), (Some(0.5), kept.rows[1].1.group));
        assert_eq!(
            Value::Object(row.meta.clone()).to_string(),
            r#"{"position":2,"id":"a:2","props":{"q":"0.5"},"src":{"props":{"url":"u"}}}"#
        );
        assert!(MEMORY[kept.rows[0].0 as usize..].starts_with("<tu tuid=\"a:2\">"));
        assert_eq!(kept.skipped["in one language only"], 1);
        assert_eq!(kept.skipped["without a text in one of the languages"], 1);
        assert_eq!(kept.reasons()[0], "unknown entity `&aacute;`");
        assert!(kept.reasons()[1].starts_with("invalid XML: entity or character reference"));
        assert_eq!(kept.reasons()[2], "unknown language code `qqq`");
    }

    #[test]
    fn languages_that_are_asked_for_are_the_only_ones() {
        let (kept, _) = read(&TMX, &[MEMORY.as_bytes()], "langs = ['jpn', 'am']");
        assert_eq!((kept.texts(), kept.rows[0].1.second.as_deref()), (vec!["はい"], Some("አዎ <")));
        assert_eq!(kept.skipped["not in the languages wanted"], 2);
        let (kept, _) = read(&TMX, &[MEMORY.as_bytes()], "into = 'documents'");
        assert_eq!(kept.texts(), ["አዎ <", "ndiyo", "はい", "hapana", "moja", "tatu"]);
        assert_eq!(kept.rows[0].1.id.as_deref(), Some("a:2"));
        let (_, result) = read(&TMX, &[b""], "langs = ['en', 'de']\ncolumns = { text = 'x' }");
        assert!(result.unwrap_err().to_string().contains("no column for `text`"));
    }

    #[test]
    fn regions_are_told_apart_by_their_spelling_and_scripts_by_their_tag() {
        let tuv =
            |code: &str, text: &str| format!("<tuv xml:lang='{code}'><seg>{text}</seg></tuv>");
        let file = format!(
            "<tmx><tu>{}{}{}{}</tu></tmx>",
            tuv("EN-US", "color"),
            tuv("en_GB", "colour"),
            tuv("zh-TW", "顏色"),
            tuv("pt-BR", "cor")
        );
        let of = |langs: &str| {
            let (kept, _) = read(&TMX, &[file.as_bytes()], &format!("langs = {langs}"));
            let pair = |r: &super::super::Row| format!("{} {}", r.text, r.second.as_ref().unwrap());
            kept.rows.iter().map(|(_, r)| pair(r)).collect::<Vec<_>>()
        };
        assert_eq!(of("['en-GB', 'zh']"), ["colour 顏色"]);
        assert_eq!(of("['en', 'zh-CN', 'pt']"), ["color cor"]);
        assert_eq!(of("['pt', 'en']"), ["cor color", "cor colour"]);
    }

    #[test]
    fn entities_of_a_document_type_are_not_expanded() {
        let laughs = "<!DOCTYPE tmx [<!ENTITY a \"haha\"><!ENTITY b \"&a;&a;\">]><tmx><tu>\
                      <tuv lang='en'><seg>&b;</seg></tuv><tuv lang='de'><seg>x</seg></tuv></tu>";
        let (kept, _) = read(&TMX, &[laughs.as_bytes()], "into = 'pairs'");
        assert_eq!(kept.reasons(), ["unknown entity `&b;`"]);
    }

    #[test]
    fn no_damage_stops_or_invents_units() {
        for seed in 0..400u64 {
            let mut bytes = MEMORY.as_bytes().to_vec();
            let at = |n: u64| crate::id::keyed(seed, n) as usize % MEMORY.len();
            match seed % 3 {
                0 => bytes.truncate(at(1)),
                1 => bytes[at(1)] ^= 1 << (at(2) % 8),
                _ => drop(bytes.splice(at(1).min(at(2))..at(1).max(at(2)), *b"<tu &")),
            }
            let (kept, result) = read(&TMX, &[&bytes], "into = 'pairs'");
            assert!(result.is_ok());
            assert!(kept.rows.len() <= 6 && kept.rejected.len() <= 12, "{seed}");
        }
    }
}
