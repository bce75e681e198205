//! What the tags and the text of one XML element say, decoded.
//!
//! Knows the five entities that XML has of itself and character references. An entity that a
//! document type defines is an error, never expanded. Walks no tree and finds no element.

use std::ops::Range;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Error, Reader, XmlVersion};

/// Why some bytes are not the XML they should be, short enough to be kept with each of them.
pub fn fault(error: Error) -> String {
    let what = match error {
        Error::Syntax(e) => e.to_string(),
        Error::IllFormed(e) => e.to_string(),
        other => other.to_string(),
    };
    // A message may quote a name, and a name may be as long as the file.
    format!("invalid XML: {}", shown(&what))
}

/// The beginning of what a file says, for a message about it.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_string(),
    }
}

/// The next event; an error where the element ends too early.
pub fn event<'a>(reader: &mut Reader<&'a [u8]>) -> Result<Event<'a>, String> {
    match reader.read_event().map_err(fault)? {
        Event::Eof => Err("invalid XML: it ends too early".into()),
        event => Ok(event),
    }
}

/// A start tag that stands alone.
pub fn tag(text: &str) -> Result<BytesStart<'_>, String> {
    match event(&mut Reader::from_str(text))? {
        Event::Start(start) | Event::Empty(start) => Ok(start),
        _ => Err("invalid XML: no start tag".into()),
    }
}

/// The values of attributes by their names without prefixes; `lang` is also `xml:lang`.
pub fn attributes<const N: usize>(
    start: &BytesStart<'_>,
    names: [&str; N],
) -> Result<[Option<String>; N], String> {
    let mut values = [const { None }; N];
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| fault(e.into()))?;
        let name = attribute.key.local_name().into_inner();
        if let Some(i) = names.iter().position(|n| *n == name) {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(fault)?;
            values[i] = Some(value.into_owned());
        }
    }
    Ok(values)
}

/// The attributes of a tag that stands alone and is about all that follows it. As they are said
/// again of every row, none may be long.
pub fn context<const N: usize>(
    text: &str,
    names: [&str; N],
) -> Result<[Option<String>; N], String> {
    let values = attributes(&tag(text)?, names)?;
    match values.iter().flatten().any(|value| value.len() > 1000) {
        true => Err("an attribute of more than 1000 bytes".into()),
        false => Ok(values),
    }
}

/// Appends what a reference stands for.
pub fn reference(name: &BytesRef<'_>, to: &mut String) -> Result<(), String> {
    if let Some(c) = name.resolve_char_ref().map_err(fault)? {
        to.push(c);
    } else if let Some(text) = resolve_predefined_entity(name) {
        to.push_str(text);
    } else {
        return Err(format!("unknown entity `&{};`", shown(name)));
    }
    Ok(())
}

/// The text of a translatable element without what is markup of its origin.
#[derive(Debug, Default, PartialEq)]
pub struct Content {
    /// The text.
    pub text: String,
    /// The parts that are marked as segments: their names, and where they stand in the text.
    pub segments: Vec<(String, Range<usize>)>,
}

/// Elements whose content is code of the format that was translated, in TMX and XLIFF.
const CODE: &[&str] = &["bpt", "ept", "it", "ph", "ut"];

impl Content {
    /// Reads up to the end of the element whose start tag was just read.
    pub fn read(reader: &mut Reader<&[u8]>) -> Result<Self, String> {
        let mut content = Self::default();
        // For each open element, whether text in it counts, and which segment it is.
        let mut open: Vec<(bool, Option<usize>)> = Vec::new();
        loop {
            let shows = open.last().is_none_or(|(shows, _)| *shows);
            match event(reader)? {
                Event::Text(text) if shows => content.text.push_str(&text.xml10_content()),
                Event::CData(text) if shows => content.text.push_str(&text.xml10_content()),
                Event::GeneralRef(name) if shows => reference(&name, &mut content.text)?,
                Event::Start(start) => {
                    let name = start.local_name().into_inner();
                    let segment = if name == "mrk" { content.segment(&start)? } else { None };
                    // A subflow is text again, wherever it stands.
                    let shows = (shows && !CODE.contains(&name)) || name == "sub";
                    open.push((shows, segment));
                }
                Event::Empty(start) if shows && start.local_name().into_inner() == "cp" => {
                    content.code_point(&start)?;
                }
                Event::End(_) => match open.pop() {
                    None => return Ok(content),
                    Some((_, Some(segment))) => {
                        content.segments[segment].1.end = content.text.len();
                    }
                    Some((_, None)) => {}
                },
                _ => {}
            }
        }
    }

    fn segment(&mut self, start: &BytesStart<'_>) -> Result<Option<usize>, String> {
        let [kind, id] = attributes(start, ["mtype", "mid"])?;
        if kind.as_deref() != Some("seg") {
            return Ok(None);
        }
        let at = self.text.len();
        self.segments.push((id.unwrap_or_default(), at..at));
        Ok(Some(self.segments.len() - 1))
    }

    /// XLIFF 2 writes characters that XML forbids as `<cp hex="001F"/>`.
    fn code_point(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        let [hex] = attributes(start, ["hex"])?;
        let number = hex.and_then(|hex| u32::from_str_radix(&hex, 16).ok());
        match number.and_then(char::from_u32) {
            Some('\0') | None => Err("`cp` is no character".into()),
            Some(c) => {
                self.text.push(c);
                Ok(())
            }
        }
    }
}

/// Passes over the rest of the element whose start tag was just read.
pub fn pass(reader: &mut Reader<&[u8]>, start: &BytesStart<'_>) -> Result<(), String> {
    reader.read_to_end(start.name()).map(|_| ()).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(xml: &str) -> Result<Content, String> {
        let mut reader = Reader::from_str(xml);
        event(&mut reader).unwrap();
        Content::read(&mut reader)
    }

    #[test]
    fn markup_of_the_origin_is_left_out_and_subflows_are_kept() {
        let got = content(
            "<seg> <bpt i='1'>&lt;b></bpt>&#x1225;ላም<ept i='1'>x</ept> &amp; <hi>한<it>y<sub>국</sub>\
             z</it></hi><ph/><!-- n --><![CDATA[<a>]]>\r\n<x>q</x></seg>",
        );
        assert_eq!(got.unwrap().text, " ሥላም & 한국<a>\nq");
    }

    #[test]
    fn entities_are_never_expanded() {
        assert_eq!(content("<seg>a&lol;</seg>").unwrap_err(), "unknown entity `&lol;`");
        for broken in
            ["<seg>a & b</seg>", "<seg><hi>a</seg>", "<seg>&#0;</seg>", "<seg>&#xd800;</seg>"]
        {
            assert!(content(broken).unwrap_err().starts_with("invalid XML: "), "{broken}");
        }
    }

    #[test]
    fn segments_are_parts_of_the_text() {
        let got = content(
            "<s><mrk mtype='seg' mid='1'>Ein.</mrk> <mrk mtype='seg' mid='2'>Z<g>wei</g><cp hex='1F'/></mrk></s>",
        )
        .unwrap();
        assert_eq!(got.segments, [("1".to_string(), 0..4), ("2".into(), 5..10)]);
        assert_eq!(&got.text[5..10], "Zwei\u{1f}");
    }

    #[test]
    fn attributes_are_found_without_their_prefix() {
        let start = tag("<tuv xml:lang='és&#45;x' b=\"2\" c='>'>").unwrap();
        let got = attributes(&start, ["b", "lang", "none"]).unwrap();
        assert_eq!(got, [Some("2".into()), Some("és-x".into()), None]);
        assert!(attributes(&tag("<a b='1' b='2'>").unwrap(), ["c"]).is_err());
        assert!(context(&format!("<a b='{}'>", "日".repeat(400)), ["b"]).is_err());
    }
}
