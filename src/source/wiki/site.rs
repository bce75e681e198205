//! What a dump says of its wiki: language, addresses, namespaces.
//!
//! Codes of Wikipedias that mean another language in ISO 639 are put right here; all others are
//! `identify::tag`'s.

use std::collections::HashSet;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::page::{Page, content, values};
use crate::identify::tag;
use crate::source::xml::{event, pass, tag as start_tag};
use crate::text::wikitext::Namespaces;

/// What is known of a wiki.
#[derive(Debug, Default)]
pub struct Site {
    /// Namespaces whose links leave no text.
    pub embedded: Namespaces,
    /// The names of all namespaces but that of articles, with a colon.
    others: HashSet<String>,
    database: String,
    /// The address of its main page.
    base: String,
    /// The language of the file.
    declared: String,
}

/// Wikipedias whose code is not that of their language.
const CODES: &[(&str, &str)] = &[
    ("als", "gsw"),
    ("bh", "bho"),
    ("eml", "egl"),
    ("mo", "ron_Cyrl"),
    ("nah", "nhn"),
    ("nrm", "nrf"),
    ("roa_tara", "nap"),
    ("tokipona", "tok"),
];

/// The projects of Wikimedia that have a wiki for each language.
const PROJECTS: &[&str] = &[
    "wiki",
    "wiktionary",
    "wikibooks",
    "wikinews",
    "wikiquote",
    "wikisource",
    "wikiversity",
    "wikivoyage",
];

/// The namespaces of files and of categories, by their numbers in every wiki.
const EMBEDDED: &[&str] = &["6", "14"];

impl Site {
    /// Reads the start tag of the file.
    pub fn root(&mut self, xml: &str) -> Result<(), String> {
        [self.declared] = values(&start_tag(xml)?, ["lang"])?;
        Ok(())
    }

    /// Reads `<siteinfo>`.
    pub fn info(&mut self, xml: &str) -> Result<(), String> {
        let mut reader = Reader::from_str(xml);
        let mut embedded = Vec::new();
        loop {
            match event(&mut reader)? {
                Event::Start(start) => match start.local_name().into_inner() {
                    "siteinfo" | "namespaces" => {}
                    "dbname" => self.database = content(&mut reader)?,
                    "base" => self.base = content(&mut reader)?,
                    "namespace" => {
                        let [key] = values(&start, ["key"])?;
                        let name = content(&mut reader)?;
                        if EMBEDDED.contains(&key.as_str()) {
                            embedded.push(name.clone());
                        }
                        if key != "0" && !name.is_empty() {
                            self.others.insert(name + ":");
                        }
                    }
                    _ => pass(&mut reader, &start)?,
                },
                Event::End(end) if end.local_name().into_inner() == "siteinfo" => break,
                _ => {}
            }
        }
        self.embedded = Namespaces::new(embedded.iter().map(String::as_str));
        Ok(())
    }

    /// Whether a page is an article; dumps before 2011 say so in the title alone.
    pub fn is_article(&self, page: &Page) -> bool {
        match page.namespace.as_str() {
            "" => page.title.find(':').is_none_or(|at| !self.others.contains(&page.title[..=at])),
            namespace => namespace.trim() == "0",
        }
    }

    /// The language as a tag: by the name of the database, the address, the file, whichever comes
    /// first.
    pub fn lang(&self) -> Option<String> {
        let database = PROJECTS.iter().find_map(|p| self.database.strip_suffix(p));
        let host = self.base.split_once("://").map_or("", |(_, rest)| rest);
        // A wiki of all languages has no language in its address: `www`, `commons`.
        let host = host.split_once('.').filter(|(_, rest)| rest.starts_with("wik"));
        [database, host.map(|(code, _)| code), Some(self.declared.as_str())]
            .into_iter()
            .flatten()
            .find_map(language)
    }

    /// The address of a page.
    pub fn url(&self, title: &str) -> Option<String> {
        const PATH: &str = "/wiki/";
        let end = match self.base.find(PATH) {
            Some(at) => at + PATH.len(),
            None => self.base.rfind('/')? + 1,
        };
        let mut url = self.base[..end].to_string();
        for byte in title.bytes() {
            match byte {
                b' ' => url.push('_'),
                // What MediaWiki itself leaves as it is.
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => url.push(char::from(byte)),
                b'-' | b'_' | b'.' | b';' | b'@' | b'$' | b'!' | b'*' | b'(' | b')' | b',' => {
                    url.push(char::from(byte));
                }
                b'/' | b'~' | b':' => url.push(char::from(byte)),
                _ => url.push_str(&format!("%{byte:02X}")),
            }
        }
        Some(url)
    }
}

fn language(code: &str) -> Option<String> {
    let code = code.replace('-', "_");
    let code = CODES.iter().find(|(own, _)| *own == code).map_or(code.as_str(), |(_, iso)| iso);
    tag::find(code).map(|tag| tag.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_of_wikis() {
        for (database, want) in [
            ("bgwiki", "bul_Cyrl"),
            ("simplewiki", "eng_Latn"),
            ("zh_yuewiki", "yue_Hant"),
            ("nds_nlwiki", "nds_Latn"),
            ("alswiki", "gsw_Latn"),
            ("nowiki", "nob_Latn"),
            ("bat_smgwiki", "sgs_Latn"),
            ("fiu_vrowiki", "vro_Latn"),
            ("roa_rupwiki", "rup_Latn"),
            ("zh_classicalwiki", "lzh_Hant"),
            ("zh_min_nanwiki", "nan_Latn"),
            ("be_x_oldwiki", "bel_Cyrl"),
            ("nrmwiki", "nrf_Latn"),
            ("shwiki", "hbs_Latn"),
            ("cdowiki", "cdo_Latn"),
            ("nahwiki", "nhn_Latn"),
            ("dewiktionary", "deu_Latn"),
        ] {
            let site = Site { database: database.into(), ..Site::default() };
            assert_eq!(site.lang().as_deref(), Some(want), "{database}");
        }
        let base = |base: &str| Site { base: base.into(), ..Site::default() }.lang();
        assert_eq!(base("https://als.wikipedia.org/wiki/A").as_deref(), Some("gsw_Latn"));
        assert_eq!(base("https://de.example.org/wiki/A"), None);
        let site = Site {
            database: "commonswiki".into(),
            base: "https://commons.wikimedia.org/wiki/Main_Page".into(),
            declared: "en".into(),
            ..Site::default()
        };
        assert_eq!(site.lang().as_deref(), Some("eng_Latn"));
    }

    #[test]
    fn every_wikipedia_has_a_known_language() {
        let codes = crate::text::wikitext::namespaces::LANGUAGE_PREFIXES.split_whitespace();
        let unknown: Vec<&str> = codes.filter(|code| language(code).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn addresses_are_written_as_the_wiki_writes_them() {
        let site = |base: &str| Site { base: base.into(), ..Site::default() };
        let url = site("https://el.wikipedia.org/wiki/%CE%A0/%CE%A0").url("C++ (α)/β:?").unwrap();
        assert_eq!(url, "https://el.wikipedia.org/wiki/C%2B%2B_(%CE%B1)/%CE%B2:%3F");
        assert_eq!(site("http://a.b/Main").url("C").unwrap(), "http://a.b/C");
        assert_eq!(site("").url("C"), None);
    }
}
