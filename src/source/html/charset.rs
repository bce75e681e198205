//! The character encoding of a page, and its text.
//!
//! As the HTML standard has it (§13.2.3): byte-order mark, HTTP header, `<meta>`, then a guess;
//! labels are those of the Encoding Standard. Other than a browser, it does not believe a
//! declaration that the bytes contradict.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use serde_json::Value;

use super::prescan::prescan;

/// How many bytes a guess looks at.
const GUESS: usize = 1 << 20;

/// How many characters of two bytes and more make text that is valid UTF-8 certainly UTF-8.
const CERTAIN: usize = 4;

/// A page as text.
#[derive(Debug, PartialEq)]
pub struct Decoded<'b> {
    /// The text; what could not be decoded is U+FFFD.
    pub text: Cow<'b, str>,
    /// The name of the encoding in lower case, such as `shift_jis`.
    pub charset: String,
    /// How it was found: `bom`, `header`, `meta` or `detected`.
    pub from: &'static str,
    /// The label that was declared, where the bytes contradict it.
    pub overruled: Option<String>,
    /// How many characters could not be decoded.
    pub invalid: usize,
}

/// Decodes a page. `header` is the label in the HTTP header; `domain` is the last part of the
/// host's name, which a guess takes into account.
pub fn decode<'b>(bytes: &'b [u8], header: Option<&[u8]>, domain: Option<&str>) -> Decoded<'b> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return with(encoding, &bytes[length..], "bom", None);
    }
    let label = |label: &[u8]| Encoding::for_label_no_replacement(label);
    let declared = header
        .and_then(label)
        .map(|encoding| (encoding, "header"))
        .or_else(|| prescan(bytes).map(|encoding| (encoding, "meta")));
    let Some((encoding, from)) = declared else {
        return with(guess(bytes, domain), bytes, "detected", None);
    };
    if encoding != UTF_8 && contradicts(encoding, bytes) {
        return with(UTF_8, bytes, "detected", Some(encoding));
    }
    let decoded = with(encoding, bytes, from, None);
    if many(decoded.invalid, &decoded.text) {
        let other = guess(bytes, domain);
        let again = with(other, bytes, "detected", Some(encoding));
        if other != encoding && !many(again.invalid, &again.text) {
            return again;
        }
    }
    decoded
}

impl Decoded<'_> {
    /// What is worth knowing of it later.
    pub fn meta(&self) -> Vec<(&'static str, Value)> {
        let mut meta =
            vec![("charset", self.charset.as_str().into()), ("charset_from", self.from.into())];
        meta.extend(self.overruled.as_deref().map(|label| ("charset_declared", label.into())));
        if self.invalid > 0 {
            meta.push(("invalid_sequences", self.invalid.into()));
        }
        meta
    }
}

fn with<'b>(
    encoding: &'static Encoding,
    bytes: &'b [u8],
    from: &'static str,
    overruled: Option<&'static Encoding>,
) -> Decoded<'b> {
    let (text, faulty) = encoding.decode_without_bom_handling(bytes);
    let invalid = if faulty { text.matches('\u{fffd}').count() } else { 0 };
    let name = |e: &'static Encoding| e.name().to_ascii_lowercase();
    Decoded { text, charset: name(encoding), from, overruled: overruled.map(name), invalid }
}

/// Whether the bytes are UTF-8 although another encoding is declared.
fn contradicts(encoding: &'static Encoding, bytes: &[u8]) -> bool {
    let Some(text) = valid(bytes) else { return false };
    let certain = text.chars().filter(|c| !c.is_ascii()).take(CERTAIN).count() == CERTAIN;
    // The tags of a page in UTF-16 are full of zeros.
    let wide = encoding == UTF_16LE || encoding == UTF_16BE;
    certain || (wide && !bytes.contains(&0))
}

/// The bytes as UTF-8, but for a last character that may be cut.
fn valid(bytes: &[u8]) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&bytes[..e.valid_up_to()]).ok(),
        Err(_) => None,
    }
}

/// Whether more than one in twenty characters beyond ASCII could not be decoded.
fn many(invalid: usize, text: &str) -> bool {
    invalid > 0 && invalid * 20 > text.chars().filter(|c| !c.is_ascii()).count()
}

fn guess(bytes: &[u8], domain: Option<&str>) -> &'static Encoding {
    let head = &bytes[..bytes.len().min(GUESS)];
    let utf8 = String::from_utf8_lossy(head);
    let invalid = match &utf8 {
        Cow::Borrowed(_) => 0,
        Cow::Owned(text) => text.matches('\u{fffd}').count(),
    };
    if !many(invalid, &utf8) {
        return UTF_8;
    }
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let domain = domain.map(str::as_bytes).filter(|d| !d.is_empty() && d.iter().all(|b| lower(*b)));
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(head, true);
    detector.guess(domain, Utf8Detection::Deny)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8], header: Option<&str>) -> (String, &'static str, String) {
        let decoded = decode(bytes, header.map(str::as_bytes), None);
        (decoded.charset, decoded.from, decoded.text.into_owned())
    }

    fn encoded(label: &str, text: &str) -> Vec<u8> {
        Encoding::for_label(label.as_bytes()).unwrap().encode(text).0.into_owned()
    }

    #[test]
    fn the_mark_precedes_the_header_and_the_header_the_page() {
        let page = "<meta charset=koi8-r><p>Съешь ещё булок</p>";
        let koi = encoded("koi8-r", page);
        let of = |bytes: &[u8], header| {
            let (charset, from, text) = found(bytes, header);
            (charset, from, text == page)
        };
        assert_eq!(of(&koi, None), ("koi8-r".into(), "meta", true));
        assert_eq!(of(&koi, Some("nonsense")), ("koi8-r".into(), "meta", true));
        let cp1251 = encoded("windows-1251", page);
        assert_eq!(of(&cp1251, Some(" CP1251 ")), ("windows-1251".into(), "header", true));
        let marked = [b"\xef\xbb\xbf", page.as_bytes()].concat();
        assert_eq!(of(&marked, Some("koi8-r")), ("utf-8".into(), "bom", true));
        let wide: Vec<u8> = "\u{feff}ბ".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(found(&wide, None), ("utf-16le".into(), "bom", "ბ".into()));
    }

    #[test]
    fn a_declaration_that_the_bytes_contradict_is_overruled() {
        let page = "<p>ქართული ენა</p>";
        for label in ["iso-8859-1", "windows-1256", "shift_jis", "utf-16"] {
            let decoded = decode(page.as_bytes(), Some(label.as_bytes()), None);
            assert_eq!((&*decoded.text, decoded.from), (page, "detected"), "{label}");
            assert!(decoded.overruled.is_some() && decoded.invalid == 0);
        }
        let cut = &page.as_bytes()[..page.len() - 5];
        assert_eq!(decode(cut, Some(b"latin1"), None).charset, "utf-8");
        let text = "<p>吾輩は猫である。名前はまだ無い。どこで生れたか。</p>";
        let decoded = decode(&encoded("shift_jis", text), Some(b"utf-8"), None).text.into_owned();
        assert_eq!(decoded, text);
        // Four bytes of no text in UTF-8 are no reason.
        assert_eq!(found(b"\xc3\xa9", Some("latin1")).2, "Ã©");
    }

    #[test]
    fn what_is_declared_nowhere_is_guessed() {
        let russian = "<p>В чащах юга жил бы цитрус? Да, но фальшивый экземпляр!</p>";
        let arabic = "<p>نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر</p>";
        for (label, text) in
            [("koi8-u", russian), ("windows-1251", russian), ("windows-1256", arabic)]
        {
            let (charset, from, found) = found(&encoded(label, text), None);
            assert_eq!((&*charset, from, &*found), (label, "detected", text));
        }
        assert_eq!(found("<p>naïf</p>".as_bytes(), None).0, "utf-8");
        assert_eq!(found(b"", None), ("utf-8".into(), "detected", String::new()));
    }

    #[test]
    fn what_cannot_be_decoded_is_counted() {
        let page = [" Καλημέρα κόσμε, τι κάνεις;".as_bytes(), b"\xff"].concat();
        let decoded = decode(&page, Some(b"utf-8"), None);
        assert_eq!((decoded.invalid, decoded.charset.as_str()), (1, "utf-8"));
        assert_eq!(decode(&page, None, None).charset, "utf-8");
    }
}
