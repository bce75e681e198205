//! What one `<page>` of a dump says.
//!
//! The text is nearly all of it, so it is cut out before the rest is parsed and decoded apart.

use memchr::{memchr, memmem};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::source::xml::{attributes, event, pass, reference, shown};

/// A page and its last revision; what it does not say is empty.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// Its title with its namespace.
    pub title: String,
    /// The number of its namespace.
    pub namespace: String,
    /// Its number.
    pub id: String,
    /// It says that it is a redirect.
    pub redirect: bool,
    /// The number of the revision.
    pub revision: String,
    /// When it was made.
    pub timestamp: String,
    /// What kind of content it is.
    pub model: String,
    /// Its wikitext.
    pub text: String,
}

impl Page {
    /// Reads the bytes of one `<page>`; errors say what is wrong with it.
    pub fn parse(xml: &str) -> Result<Self, String> {
        let Some((start, end)) = last_text(xml) else { return Self::events(xml) };
        let rest = [&xml[..start], &xml[end..]].concat();
        let mut page = Self::events(&rest)?;
        page.text = unescape(&xml[start..end])?;
        Ok(page)
    }

    fn events(xml: &str) -> Result<Self, String> {
        let mut reader = Reader::from_str(xml);
        let mut page = Self::default();
        let mut titled = false;
        event(&mut reader)?;
        loop {
            match event(&mut reader)? {
                Event::Start(start) => match start.local_name().into_inner() {
                    "title" => {
                        page.title = content(&mut reader)?;
                        titled = true;
                    }
                    "ns" => page.namespace = content(&mut reader)?,
                    "id" => page.id = content(&mut reader)?,
                    "redirect" => {
                        page.redirect = true;
                        pass(&mut reader, &start)?;
                    }
                    "revision" => page.revision(&mut reader)?,
                    _ => pass(&mut reader, &start)?,
                },
                Event::Empty(tag) => page.redirect |= tag.local_name().into_inner() == "redirect",
                Event::End(_) if titled => return Ok(page),
                Event::End(_) => return Err("a page without a title".into()),
                _ => {}
            }
        }
    }

    fn revision(&mut self, reader: &mut Reader<&[u8]>) -> Result<(), String> {
        for field in [&mut self.revision, &mut self.timestamp, &mut self.model, &mut self.text] {
            field.clear();
        }
        loop {
            match event(reader)? {
                Event::Start(start) => match start.local_name().into_inner() {
                    "id" => self.revision = content(reader)?,
                    "timestamp" => self.timestamp = content(reader)?,
                    "model" => self.model = content(reader)?,
                    "text" => self.text = content(reader)?,
                    _ => pass(reader, &start)?,
                },
                Event::End(_) => return Ok(()),
                _ => {}
            }
        }
    }
}

/// Where the text of the last revision stands, if it is one piece.
fn last_text(xml: &str) -> Option<(usize, usize)> {
    let bytes = xml.as_bytes();
    // Text has no `<` of its own, so this is a tag.
    let tag = memmem::rfind(bytes, b"<text")?;
    let start = tag + memchr(b'>', &bytes[tag..])? + 1;
    let end = start + memchr(b'<', &bytes[start..])?;
    let one = bytes[start - 2] != b'/' && bytes[end..].starts_with(b"</text");
    one.then_some((start, end))
}

/// The text up to the end of the element whose start tag was just read.
pub fn content(reader: &mut Reader<&[u8]>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match event(reader)? {
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(name) => reference(&name, &mut text)?,
            Event::Start(start) => return Err(unexpected(&start)),
            Event::Empty(start) => return Err(unexpected(&start)),
            Event::End(_) => return Ok(text),
            _ => {}
        }
    }
}

fn unexpected(start: &BytesStart<'_>) -> String {
    format!("an element `{}` inside of text", shown(start.local_name().into_inner()))
}

/// The values of attributes of a tag of a known name.
pub fn values<const N: usize>(
    tag: &BytesStart<'_>,
    names: [&str; N],
) -> Result<[String; N], String> {
    Ok(attributes(tag, names)?.map(Option::unwrap_or_default))
}

/// Text with its references decoded.
fn unescape(mut text: &str) -> Result<String, String> {
    use quick_xml::events::BytesRef;
    let mut out = String::with_capacity(text.len());
    while let Some(at) = memchr(b'&', text.as_bytes()) {
        out.push_str(&text[..at]);
        text = &text[at + 1..];
        let known = [("lt;", "<"), ("gt;", ">"), ("quot;", "\""), ("amp;", "&")];
        if let Some((name, to)) = known.iter().find(|(name, _)| text.starts_with(name)) {
            out.push_str(to);
            text = &text[name.len()..];
            continue;
        }
        let head = &text.as_bytes()[..text.len().min(LONGEST_REFERENCE)];
        let Some(end) = memchr(b';', head) else {
            return Err("invalid XML: a `&` that begins no reference".into());
        };
        reference(&BytesRef::new(&text[..end]), &mut out)?;
        text = &text[end + 1..];
    }
    out.push_str(text);
    Ok(out)
}

/// In bytes, without the `&`.
const LONGEST_REFERENCE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_read_alike_in_one_piece_and_in_several() {
        let of = |text: &str| {
            Page::parse(&format!(
                "<page><title>ж</title><revision><id>1</id>{text}<x/></revision></page>"
            ))
            .map(|page| page.text)
        };
        assert_eq!(of("<text a='b'>&lt;b&gt; &#x436;&apos;\n</text>").unwrap(), "<b> ж'\n");
        assert_eq!(of("<text>a<![CDATA[<b>]]>&amp;</text >").unwrap(), "a<b>&");
        assert_eq!(of("<text/>").unwrap(), "");
        assert_eq!(of("<text></text>").unwrap(), "");
        for broken in ["<text>&</text>", "<text>&x;</text>", "<text>a<b/></text>", "<text>a"] {
            assert!(of(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_page_needs_a_title() {
        assert_eq!(Page::parse("<page></page>").unwrap_err(), "a page without a title");
    }
}
