//! Dumps of MediaWiki (`pages-articles.xml`): each article as plain text.
//!
//! Redirects, pages that are no articles and pages without text are counted and passed over. Of
//! several revisions the last counts. Templates are not expanded; `text::wikitext` says what is
//! left of an article.

mod page;
mod site;

use std::sync::atomic::AtomicU64;

use page::Page;
use serde_json::{Map, Value};
use site::Site;

use super::elements::{Kind, Names, each_element};
use super::{Into, Row, Sink, Source, Unit};
use crate::error::Result;
use crate::text::wikitext::plain_text;

/// Dumps of MediaWiki.
pub const WIKI: Wiki = Wiki;

/// The format of dumps of MediaWiki.
pub struct Wiki;

const NAMES: Names = Names { whole: &["page", "siteinfo"], tags: &["mediawiki"] };

impl Source for Wiki {
    fn name(&self) -> &'static str {
        "mediawiki"
    }

    fn doc(&self) -> &'static str {
        "Dumps of MediaWiki, such as Wikipedia's `pages-articles.xml`; each article as plain text."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &[]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Documents, Into::Labelled]
    }

    fn content(&self, start: &[u8]) -> bool {
        memchr::memmem::find(start, b"<mediawiki").is_some()
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        let mut site = Site::default();
        each_element(unit.open(read)?, NAMES, sink, |element, text, sink| {
            let outcome = match (element.kind, element.name) {
                (Kind::EndTag, _) => Ok(()),
                (Kind::Tag, _) => site.root(text),
                (_, "siteinfo") => site.info(text),
                _ => match Page::parse(text) {
                    Ok(page) => return article(unit, &site, element.offset, page, sink),
                    Err(reason) => Err(reason),
                },
            };
            outcome.or_else(|reason| sink.reject(element.offset, &reason, element.bytes))
        })
    }
}

/// The row of a page, or why it has none.
fn article(unit: &Unit, site: &Site, offset: u64, page: Page, sink: &mut dyn Sink) -> Result<()> {
    let reason = if !site.is_article(&page) {
        Some("not an article")
    } else if page.redirect || is_redirect(&page.text) {
        Some("redirect")
    } else if page.text.trim().is_empty() {
        Some("empty")
    } else if !matches!(page.model.as_str(), "" | "wikitext") {
        Some("not wikitext")
    } else {
        None
    };
    if let Some(reason) = reason {
        sink.skip(reason);
        return Ok(());
    }
    let text = plain_text(&page.text, &site.embedded);
    if text.is_empty() {
        sink.skip("nothing but markup");
        return Ok(());
    }
    let mut meta = Map::new();
    let url = site.url(&page.title);
    let number = |text: String| text.parse::<u64>().map_or_else(|_| text.into(), Value::from);
    meta.insert("title".into(), page.title.into());
    if !page.revision.is_empty() {
        meta.insert("revision".into(), number(page.revision));
    }
    if !page.timestamp.is_empty() {
        meta.insert("timestamp".into(), page.timestamp.into());
    }
    sink.row(
        offset,
        Row {
            text,
            lang: unit.lang.clone().or_else(|| site.lang()),
            id: (!page.id.is_empty()).then_some(page.id),
            url,
            label: unit.label.clone(),
            split: unit.split.clone(),
            meta,
            ..Row::default()
        },
    )
}

/// Whether a text begins as redirects do in any language: `#WORD [[…`. An item of a numbered list
/// has a space after its `#`, or no word before its link.
fn is_redirect(text: &str) -> bool {
    const LONGEST: usize = 40;
    let Some(rest) = text.trim_start().strip_prefix('#') else { return false };
    if !rest.starts_with(char::is_alphabetic) {
        return false;
    }
    let word = rest.chars().take(LONGEST).take_while(|c| !matches!(c, '[' | '\n' | '.' | ','));
    rest[word.map(char::len_utf8).sum()..].starts_with("[[")
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::read;
    use super::*;

    const HEAD: &str = r#"<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="is">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>iswiki</dbname>
    <base>https://is.wikipedia.org/wiki/Fors%C3%AD%C3%B0a</base>
    <case>first-letter</case>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="4" case="first-letter">Wikipedia</namespace>
      <namespace key="6" case="first-letter">Bogusskrá</namespace>
    </namespaces>
  </siteinfo>
"#;

    fn page(title: &str, inner: &str) -> String {
        format!("<page>\n<title>{title}</title>\n{inner}\n</page>\n")
    }

    fn revision(text: &str) -> String {
        format!(
            "<revision><id>12</id><timestamp>2020-01-02T03:04:05Z</timestamp><contributor>\
             <username>a</username><id>9</id></contributor><model>wikitext</model>\
             <text bytes=\"5\" xml:space=\"preserve\">{text}</text><sha1>x</sha1></revision>"
        )
    }

    #[test]
    fn an_article_is_a_document_with_its_address() {
        let text = revision(
            "[[Bogusskrá:x|þumall]]&lt;!-- --&gt;'''Hús''' &amp;amp; [[borg|borgir]]&#33;\n\n== A ==\n{{b}}",
        );
        let file = format!(
            "{HEAD}{}</mediawiki>",
            page(
                "Hús í &quot;borg&quot;",
                &format!("<ns>0</ns><id>7</id>{}{text}", revision("old"))
            )
        );
        let (kept, result) = read(&WIKI, &[file.as_bytes()], "");
        result.unwrap();
        assert_eq!(kept.texts(), ["Hús & borgir!"]);
        let (offset, row) = &kept.rows[0];
        assert_eq!(*offset as usize, file.find("<page>").unwrap());
        assert_eq!((row.id.as_deref(), row.lang.as_deref()), (Some("7"), Some("isl_Latn")));
        assert_eq!(
            row.url.as_deref(),
            Some("https://is.wikipedia.org/wiki/H%C3%BAs_%C3%AD_%22borg%22")
        );
        let meta = Value::Object(row.meta.clone()).to_string();
        assert_eq!(
            meta,
            r#"{"title":"Hús í \"borg\"","revision":12,"timestamp":"2020-01-02T03:04:05Z"}"#
        );
        let (kept, _) = read(&WIKI, &[file.as_bytes()], "lang = 'fo'");
        assert_eq!(kept.rows[0].1.lang.as_deref(), Some("fao_Latn"));
    }

    #[test]
    fn pages_that_are_no_articles_are_counted() {
        let pages = [
            page("a", &format!("<ns>0</ns><redirect title=\"b\" />{}", revision("#x"))),
            page("b", &format!("<ns>0</ns>{}", revision("#TILVÍSUN [[c]]"))),
            page("c", &format!("<ns>4</ns>{}", revision("d"))),
            page("Wikipedia:d", &revision("d")),
            page("e", "<ns>0</ns><revision><text deleted=\"deleted\" /></revision>"),
            page("f", "<ns>0</ns>"),
            page("g", &format!("<ns>0</ns>{}", revision("{{h}}\n[[Flokkur:i]]"))),
            page("j", "<revision><model>css</model><text>k</text></revision>"),
            page("l", &revision("# m [[n]]")),
        ];
        let (kept, _) = read(&WIKI, &[format!("{HEAD}{}", pages.concat()).as_bytes()], "");
        assert_eq!(kept.texts(), ["m n"]);
        let skipped: Vec<(&str, u64)> = kept.skipped.into_iter().collect();
        let want = [
            ("empty", 2),
            ("not an article", 2),
            ("not wikitext", 1),
            ("nothing but markup", 1),
            ("redirect", 2),
        ];
        assert_eq!(skipped, want);
    }

    #[test]
    fn a_broken_page_costs_itself() {
        let broken = [
            page("a", &revision("&bogus;")),
            page("b", "<revision><text>c</revision>"),
            page("d", &revision("<b>e</b>")).replace("</page>", ""),
            page("f", &revision("g")).replace("title>", "t>"),
            page("h", &revision("i")),
            "<page><title>j".into(),
        ];
        let (kept, _) = read(&WIKI, &[broken.concat().as_bytes()], "");
        assert_eq!(kept.texts(), ["i"]);
        assert_eq!(kept.reasons().len(), 5, "{:?}", kept.reasons());
        assert_eq!(kept.reasons()[0], "unknown entity `&bogus;`");
    }

    #[test]
    fn any_damage_leaves_every_page_counted_once() {
        let pages: String = (0..5).map(|i| page(&i.to_string(), &revision("þ &lt;ref>"))).collect();
        let whole = format!("{HEAD}{pages}</mediawiki>").into_bytes();
        let mut seed = 7_u64;
        for _ in 0..300 {
            let mut next = |below: usize| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) as usize % below
            };
            let mut bytes = whole.clone();
            let (a, b) = (next(bytes.len()), next(bytes.len()));
            match next(3) {
                0 => bytes.truncate(a),
                1 => bytes[a] ^= 1 << next(8),
                _ => drop(bytes.drain(a.min(b)..a.max(b))),
            }
            let (kept, result) = read(&WIKI, &[&bytes], "");
            result.unwrap();
            assert!(kept.rows.len() <= 5 && kept.rejected.len() <= 3);
        }
    }
}
