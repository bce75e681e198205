//! Alignments of OPUS (XCES): links between the sentences of two documents as pairs.
//!
//! An alignment file names its documents, which lie beside it as OPUS lays them out, `raw` text
//! preferred to tokenised `xml`. Both documents of a group are held in memory, each up to
//! 256 MiB of text.

mod document;

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path};
use std::sync::atomic::AtomicU64;

use document::Document;
use serde_json::Map;

use super::elements::{Elements, Kind, Names, each_element};
use super::input::Input;
use super::location::Location;
use super::parallel::{Aligned, Rows, Variant};
use super::xml::{attributes, context, shown, tag};
use super::{Into, Sink, Source, Unit};
use super::{archive, charset};
use crate::error::{Error, Result};
use crate::identify::tag as language;

/// Alignments of OPUS.
pub const OPUS_XML: OpusXml = OpusXml;

/// The format of alignment files with their documents.
pub struct OpusXml;

const LINKS: Names = Names { whole: &["link"], tags: &["cesAlign", "linkGrp"] };

impl Source for OpusXml {
    fn name(&self) -> &'static str {
        "opus-xml"
    }

    fn doc(&self) -> &'static str {
        "Alignments of OPUS (XCES) with their documents beside them; pairs of linked sentences."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Pairs]
    }

    fn content(&self, start: &[u8]) -> bool {
        memchr::memmem::find(start, b"<cesAlign").is_some()
    }

    fn beside(&self, unit: &Unit) -> Result<Vec<Location>> {
        let (unread, mut found) = (AtomicU64::new(0), BTreeMap::new());
        let mut documents = Documents::of(unit);
        let mut elements = Elements::new(0, unit.open(&unread)?, LINKS);
        // Damage ends the list as it ends the reading, and is told there.
        while let Ok(Some(element)) = elements.advance() {
            let text = if element.kind == Kind::Tag { element.text() } else { continue };
            let names = text.ok().and_then(|text| context(text, ["fromDoc", "toDoc"]).ok());
            for name in names.into_iter().flatten().flatten() {
                if let Some(location) = documents.locate(&name)? {
                    found.insert(name, location);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        if let Some(field) = unit.spec.columns.keys().next() {
            let message = format!("an alignment has no column for `{field}`");
            return Err(Error::usage(message).within(unit.source_path()));
        }
        links(unit, read, sink)
    }
}

/// Where the documents of an alignment lie.
struct Documents<'a> {
    unit: &'a Unit,
    /// Those in archives by their names without `.gz`; looked for when one is no file.
    zipped: Option<BTreeMap<String, Location>>,
}

impl<'a> Documents<'a> {
    fn of(unit: &'a Unit) -> Self {
        Self { unit, zipped: None }
    }

    /// The place of a document in the folder of its alignment as OPUS lays it out, as somebody
    /// unpacked it, or in an archive beside it; an alignment on an object store has none.
    fn locate(&mut self, name: &str) -> Result<Option<Location>> {
        let inside = |c: Component<'_>| matches!(c, Component::Normal(_));
        if !Path::new(name).components().all(inside) {
            return Ok(None);
        }
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        let Some(alignment) = self.unit.locations.first() else { return Ok(None) };
        if let Location::File(path) = alignment
            && let Some(folder) = path.parent()
        {
            let spellings = [name.to_string(), plain.to_string(), format!("{plain}.gz")];
            let folders = ["raw", "../raw", ".", "xml", "../xml"].map(|part| folder.join(part));
            let paths =
                folders.iter().flat_map(|folder| spellings.iter().map(|name| folder.join(name)));
            if let Some(path) = paths.into_iter().find(|path| path.is_file()) {
                return Ok(Some(Location::File(path)));
            }
        }
        let zipped = match self.zipped.take() {
            Some(zipped) => zipped,
            None => zipped(alignment)?,
        };
        Ok(self.zipped.insert(zipped).get(plain).cloned())
    }
}

/// The documents in the archives beside an alignment, such as `Corpus/raw/de/a.xml` as
/// `de/a.xml`; `raw` text is preferred to tokenised `xml`.
fn zipped(alignment: &Location) -> Result<BTreeMap<String, Location>> {
    let mut found: BTreeMap<String, (usize, Location)> = BTreeMap::new();
    for (member, location) in archive::beside(alignment)? {
        let plain = member.strip_suffix(".gz").unwrap_or(&member);
        let whole = format!("/{plain}");
        let inside = |folder: &str| whole.split_once(folder).map(|(_, name)| name);
        let (rank, name) = match (inside("/raw/"), inside("/xml/")) {
            (Some(name), _) => (0, name),
            (None, Some(name)) => (1, name),
            (None, None) => (2, plain),
        };
        if found.get(name).is_none_or(|(before, _)| rank < *before) {
            found.insert(name.to_string(), (rank, location));
        }
    }
    Ok(found.into_iter().map(|(name, (_, location))| (name, location)).collect())
}

/// The two documents that the links are between.
struct Links<'a> {
    unit: &'a Unit,
    places: Documents<'a>,
    read: &'a AtomicU64,
    /// The names of the documents for all links that no group has.
    top: [Option<String>; 2],
    names: [Option<String>; 2],
    documents: [Option<Document>; 2],
    /// The first document that was not found, and the last one.
    missing: Option<String>,
    absent: Option<String>,
    /// Documents whose broken sentences were already rejected.
    told: HashSet<String>,
    rows: bool,
}

fn links(unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
    let mut rows = Rows::new(unit)?;
    let mut links = Links {
        unit,
        places: Documents::of(unit),
        read,
        top: [None, None],
        names: [None, None],
        documents: [None, None],
        missing: None,
        absent: None,
        told: HashSet::new(),
        rows: false,
    };
    each_element(unit.open(read)?, LINKS, sink, |element, text, sink| match element.kind {
        Kind::Tag => match context(text, ["fromDoc", "toDoc"]) {
            Ok(names) => {
                if element.name == "cesAlign" {
                    links.top = names.clone();
                }
                links.names = names;
                Ok(())
            }
            Err(reason) => {
                links.names = [None, None];
                sink.reject(element.offset, &reason, element.bytes)
            }
        },
        Kind::EndTag => {
            // A link after it whose own group cannot be read is between unknown documents.
            links.names = links.top.clone();
            Ok(())
        }
        _ => match links.link(text, sink)? {
            Ok(Some(link)) => {
                links.rows = true;
                let (offset, position) = (element.offset, element.number);
                rows.unit(Aligned { offset, position, raw: element.bytes, ..link }, sink)
            }
            Ok(None) => Ok(()),
            Err(reason) => sink.reject(element.offset, &reason, element.bytes),
        },
    })?;
    match links.missing {
        Some(name) if links.rows => {
            sink.reject(0, &format!("documents are not there, such as `{}`", shown(&name)), b"")
        }
        Some(name) => {
            sink.refuse(&format!("none of its documents is there, such as `{}`", shown(&name)))
        }
        None => Ok(()),
    }
}

impl Links<'_> {
    /// What a link joins; `None` where that was counted as skipped.
    fn link(
        &mut self,
        text: &str,
        sink: &mut dyn Sink,
    ) -> Result<Result<Option<Aligned<'static>>, String>> {
        let said = tag(text).and_then(|start| attributes(&start, ["id", "xtargets", "certainty"]));
        let [id, targets, certainty] = match said {
            Ok(said) => said,
            Err(reason) => return Ok(Err(reason)),
        };
        let Some((from, to)) = targets.as_deref().and_then(|t| t.split_once(';')) else {
            return Ok(Err("a link without `xtargets`".into()));
        };
        if from.trim().is_empty() || to.trim().is_empty() {
            sink.skip("aligned with nothing");
            return Ok(Ok(None));
        }
        let mut link = Aligned {
            id,
            score: certainty.and_then(|score| score.trim().parse().ok()),
            ..Aligned::default()
        };
        for (side, ids) in [from, to].into_iter().enumerate() {
            let Some(name) = self.names[side].clone() else {
                return Ok(Err("a link outside of its group".into()));
            };
            if self.documents[side].as_ref().is_none_or(|document| document.name != name) {
                self.documents[side] = None;
                self.documents[side] = self.load(&name, sink)?;
            }
            let Some(document) = &self.documents[side] else {
                sink.skip("its document is not there");
                return Ok(Ok(None));
            };
            let text = match document.join(ids) {
                Ok(text) => text,
                Err(reason) => return Ok(Err(reason)),
            };
            let in_path = name.split('/').next().filter(|code| language::find(code).is_some());
            let settled = [&self.unit.lang, &self.unit.second_lang][side].as_deref();
            let Some(code) = in_path.or(settled).map(str::to_string) else {
                return Ok(Err(format!("the language of `{}` is not told", shown(&name))));
            };
            let about = Map::from_iter([
                ("document".to_string(), name.into()),
                ("sentences".to_string(), ids.trim().into()),
            ]);
            link.variants.push(Variant { code, text, about });
        }
        Ok(Ok(Some(link)))
    }

    /// Reads a document; `None` where there is none.
    fn load(&mut self, name: &str, sink: &mut dyn Sink) -> Result<Option<Document>> {
        if self.absent.as_deref() == Some(name) {
            return Ok(None);
        }
        let Some(location) = self.places.locate(name)? else {
            self.missing.get_or_insert_with(|| name.to_string());
            self.absent = Some(name.to_string());
            return Ok(None);
        };
        let tell = self.told.insert(name.to_string());
        let asked = self.unit.spec.encoding.as_deref().map(charset::named).transpose()?;
        let input = Input::open(&location, self.unit.format.charsets(), asked, self.read)?;
        Document::read(name, input, |offset, reason, raw| match tell {
            true => sink.reject(offset, &format!("{}: {reason}", shown(name)), raw),
            false => Ok(()),
        })
        .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::Kept;
    use super::super::spec::SourceSpec;
    use super::super::unit::units;
    use super::*;

    const ALIGNMENT: &str = "<?xml version='1.0'?><!DOCTYPE cesAlign><cesAlign version='1.0'>\
        <linkGrp fromDoc='en/a.xml.gz' toDoc='ka/a.xml.gz'>\
        <link id='SL1' xtargets='s1;1' certainty='0.5'/><link xtargets='s2 s3 ;2'/>\
        <link xtargets='s1;'/><link xtargets='s9;1'/><link xtargets='s4;1'/><link xtargets='1'/>\
        </linkGrp><linkGrp fromDoc='en/b.xml.gz' toDoc='../ka/a.xml'><link xtargets='s1;1'/>\
        </linkGrp><link xtargets='s1;1'/></cesAlign>";

    fn read(files: &[(&str, &str)], options: &str) -> (Kept, Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let spec: SourceSpec =
            toml::from_str(&format!("path = 'xml/en-ka.xml'\n{options}")).unwrap();
        let unit = units(&spec, dir.path()).unwrap().remove(0);
        assert_eq!(unit.format.name(), "opus-xml");
        let mut kept = Kept::default();
        let result = unit.format.read(&unit, &AtomicU64::new(0), &mut kept);
        (kept, result)
    }

    const ENGLISH: &str = "<text><s id='s1'>Hello\n world.</s><p><s id='s2'><w>How</w> <w misc='SpaceAfter=No'>are</w>\
        <w>you</w></s><s id=\"s3\">&amp;</s></p><s id='s4'>a<b></s></text>";
    const GEORGIAN: &str =
        "<text><s id='1'>გამარჯობა</s><s id='2'><time id='T'/>როგორ ხარ</s></text>";

    #[test]
    fn links_join_sentences_of_their_documents() {
        let files = [
            ("xml/en-ka.xml", ALIGNMENT),
            ("raw/en/a.xml", ENGLISH),
            ("xml/ka/a.xml.gz", GEORGIAN),
        ];
        let (kept, result) = read(&files, "into = 'pairs'");
        result.unwrap();
        assert_eq!(kept.texts(), ["Hello world.", "How areyou &"]);
        let row = &kept.rows[1].1;
        assert_eq!(
            (row.second.as_deref(), row.second_lang.as_deref()),
            (Some("როგორ ხარ"), Some("kat_Geor"))
        );
        assert_eq!(kept.rows[0].1.score, Some(0.5));
        assert_eq!(row.meta["src"]["sentences"], "s2 s3");
        assert_eq!(
            (kept.skipped["aligned with nothing"], kept.skipped["its document is not there"]),
            (1, 1)
        );
        assert_eq!(
            kept.reasons(),
            [
                "en/a.xml.gz: invalid XML: expected `</b>`, but `</s>` was found",
                "`en/a.xml.gz` has no sentence `s9`",
                "sentence `s4` of `en/a.xml.gz` is broken",
                "a link without `xtargets`",
                "a link outside of its group",
                "documents are not there, such as `en/b.xml.gz`",
            ]
        );
    }

    #[test]
    fn documents_are_found_in_the_archives_of_opus() {
        use super::super::archive::tests::zipped;
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        put("en-ka.xml", ALIGNMENT.as_bytes());
        put("Corpus_latest_raw_en.zip", &zipped(&[("Corpus/raw/en/a.xml", ENGLISH)]));
        put(
            "Corpus_latest_ka.zip",
            &zipped(&[
                ("Corpus/xml/ka/a.xml", "<text><s id='1'><w>x</w></s></text>"),
                ("Corpus/raw/ka/a.xml", GEORGIAN),
            ]),
        );
        let spec: SourceSpec = toml::from_str("path = 'en-ka.xml'\ninto = 'pairs'").unwrap();
        let unit = units(&spec, dir.path()).unwrap().remove(0);
        assert_eq!(unit.format.beside(&unit).unwrap().len(), 2);
        let mut kept = Kept::default();
        unit.format.read(&unit, &AtomicU64::new(0), &mut kept).unwrap();
        assert_eq!(kept.texts(), ["Hello world.", "How areyou &"]);
    }

    #[test]
    fn an_alignment_without_documents_is_refused() {
        let (kept, _) = read(&[("xml/en-ka.xml", ALIGNMENT)], "into = 'pairs'");
        assert!(kept.rows.is_empty());
        let last = kept.reasons().pop().unwrap().to_string();
        assert_eq!(last, "none of its documents is there, such as `en/a.xml.gz`");
    }

    #[test]
    fn no_damage_stops_or_invents_links() {
        for seed in 0..200u64 {
            let damaged = |text: &str, salt: u64| {
                let mut bytes = text.as_bytes().to_vec();
                let at = crate::id::keyed(seed, salt) as usize % bytes.len();
                if seed % 2 == 0 {
                    bytes.truncate(at);
                } else {
                    bytes[at] = b'<';
                }
                String::from_utf8_lossy(&bytes).into_owned()
            };
            let alignment = format!("<cesAlign>{}", damaged(ALIGNMENT, 1));
            let (english, georgian) = (damaged(ENGLISH, 2), damaged(GEORGIAN, 3));
            let files = [
                ("xml/en-ka.xml", &*alignment),
                ("xml/en/a.xml", &english),
                ("xml/ka/a.xml", &georgian),
            ];
            let (kept, result) = read(&files, "into = 'pairs'");
            assert!(result.is_ok() && kept.rows.len() <= 4 && kept.rejected.len() <= 16, "{seed}");
        }
    }
}
