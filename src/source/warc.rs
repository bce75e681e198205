//! Web archives: the main text of captured pages, and the texts that others made of them.
//!
//! WARC 1.0 and 1.1 (ISO 28500), WET files, and ARC 1.0. A record is one unit: a row, a rejected
//! row, or one that is skipped and counted by reason. What a page says of its language is a hint
//! and goes to `meta`. Dictionaries of `.warc.zst` are not read.

pub mod headers;
pub mod http;
pub mod members;
pub mod record;
pub mod start;
pub mod window;

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;

use headers::{Headers, media_type, parameter};
use http::Response;
use members::Members;
use record::{Found, Header, Record, Records};
use serde_json::{Map, Value};
use start::is_start;
use window::{Content, Window};

use super::charset::Charsets;
use super::html::{self, charset};
use super::input::{self, decode};
use super::{Into, Row, Sink, Source, Unit};
use crate::error::{Error, Result};

/// Web archives.
pub const WARC: Warc = Warc;

/// The format of web archives.
pub struct Warc;

impl Source for Warc {
    fn name(&self) -> &'static str {
        "warc"
    }

    fn doc(&self) -> &'static str {
        "Web archives (WARC, WET, ARC): the main text of each page, or the text that came with it."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["warc", "wet", "wat", "arc"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Documents, Into::Labelled]
    }

    fn charsets(&self) -> Charsets {
        Charsets::Binary
    }

    fn magic(&self, head: &[u8]) -> bool {
        head.starts_with(b"WARC/1.") || head.starts_with(b"filedesc://")
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        if let Some(field) = unit.spec.columns.keys().next() {
            return Err(Error::usage(format!("an archive has no column for `{field}`"))
                .within(unit.source_path()));
        }
        let local = unit.local()?;
        // The members of a gzip file are its records: one that is damaged ends nothing.
        let content: Box<dyn Content + '_> = match Members::open(local.path(), read, is_start)? {
            Some(members) => Box::new(members),
            None => Box::new(Some(unit.open(read)?)),
        };
        let mut records = Records::new(Window::new(content, is_start));
        let mut each = |offset, found: Found<'_>| match found {
            Found::Record(record) => match convert(&record, unit) {
                Outcome::Row(row) => sink.row(offset, *row),
                Skip(reason) => {
                    sink.skip(reason);
                    Ok(())
                }
                Reject(reason) => sink.reject(offset, &reason, record.block),
            },
            Found::Broken(reason, raw) => sink.reject(offset, &reason, raw),
            Found::Foreign => sink.refuse("not a web archive: no record begins in it"),
        };
        while records.next(&mut each)? {}
        Ok(())
    }
}

/// What becomes of a record.
enum Outcome {
    Row(Box<Row>),
    Skip(&'static str),
    Reject(String),
}

use Outcome::{Reject, Skip};

/// What is read of a record's header, whichever kind it is.
struct About {
    url: Option<String>,
    id: Option<String>,
    date: Option<String>,
    /// `Content-Type` of the block.
    media: Vec<u8>,
    /// Further entries of `meta`.
    meta: Vec<(&'static str, Value)>,
}

/// Addresses and ids that stand between angle brackets.
fn bare(value: Cow<'_, str>) -> String {
    let inner = value.strip_prefix('<').and_then(|v| v.strip_suffix('>'));
    inner.map_or_else(|| value.to_string(), str::to_string)
}

fn convert(record: &Record<'_>, unit: &Unit) -> Outcome {
    match &record.header {
        Header::Arc(line) if line.url.starts_with(b"filedesc:") => whole(record, Skip("warcinfo")),
        Header::Arc(line) => {
            let about = About {
                url: Some(String::from_utf8_lossy(line.url).into_owned()),
                id: None,
                date: line.iso_date(),
                media: Vec::new(),
                meta: Vec::new(),
            };
            if !line.url.starts_with(b"http") {
                return whole(record, Skip("not HTTP"));
            }
            response(record, about, unit)
        }
        Header::Warc(headers) => warc(record, headers, unit),
    }
}

/// An outcome of a record that is neither row nor reject; of one that is cut, that it is.
fn whole(record: &Record<'_>, outcome: Outcome) -> Outcome {
    match &record.cut {
        // One that is too long is as much of another type as a short one.
        Some(reason) if *reason != input::too_long() => Reject(reason.clone()),
        _ => outcome,
    }
}

fn warc(record: &Record<'_>, headers: &Headers<'_>, unit: &Unit) -> Outcome {
    let kind = headers.text("WARC-Type").unwrap_or_default().to_ascii_lowercase();
    let skipped = match kind.as_str() {
        "response" | "resource" | "conversion" => None,
        "warcinfo" => Some("warcinfo"),
        "request" => Some("request"),
        "metadata" => Some("metadata"),
        "revisit" => Some("revisit"),
        "continuation" => Some("continuation"),
        "" => return Reject("no `WARC-Type`".into()),
        _ => Some("another type of record"),
    };
    if let Some(reason) = skipped {
        return whole(record, Skip(reason));
    }
    let text = |name| headers.text(name).map(|value| Value::from(value.into_owned()));
    let meta = [
        ("warc_refers_to", headers.text("WARC-Refers-To").map(|v| Value::from(bare(v)))),
        ("truncated", text("WARC-Truncated")),
        ("identified_language", text("WARC-Identified-Content-Language")),
    ];
    let about = About {
        url: headers.text("WARC-Target-URI").map(bare),
        id: headers.text("WARC-Record-ID").map(bare),
        date: headers.text("WARC-Date").map(Cow::into_owned),
        media: headers.get("Content-Type").unwrap_or_default().to_vec(),
        meta: meta.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
    };
    if about.url.as_deref().is_some_and(|url| url.starts_with("metadata:")) {
        // The log and the arguments of a crawler, which it calls resources.
        return whole(record, Skip("metadata"));
    }
    let media = media_type(&about.media);
    match kind.as_str() {
        "response" if media.is_empty() || media == "application/http" => {
            response(record, about, unit)
        }
        "response" => whole(record, Skip("not HTTP")),
        "resource" if is_html(&media) => {
            let label = parameter(&about.media, "charset").map(<[u8]>::to_vec);
            page(record, record.block, label.as_deref(), about, unit)
        }
        "resource" if media == "text/plain" => plain(record, about, unit),
        "resource" => whole(record, Skip("neither HTML nor plain text")),
        _ if media.is_empty() || media.starts_with("text/") => conversion(record, about, unit),
        _ => whole(record, Skip("not text")),
    }
}

fn is_html(media: &str) -> bool {
    matches!(media, "text/html" | "application/xhtml+xml")
}

fn response(record: &Record<'_>, mut about: About, unit: &Unit) -> Outcome {
    let Some(response) = Response::parse(record.block) else {
        return match (&record.cut, record.block.is_empty()) {
            (Some(reason), _) => Reject(reason.clone()),
            (None, true) => Skip("empty"),
            (None, false) => Reject("no HTTP header".into()),
        };
    };
    if response.status != 200 {
        return whole(record, Skip("HTTP status not 200"));
    }
    let media = response.headers.get("Content-Type").unwrap_or_default();
    // Without a type, a page is at least told from pictures.
    if !(is_html(&media_type(media)) || media.is_empty() && sniff(response.sent)) {
        return whole(record, Skip("not HTML"));
    }
    if let Some(reason) = &record.cut {
        return Reject(reason.clone());
    }
    let body = match response.body() {
        Ok(body) => body,
        Err(reason) => return Reject(reason),
    };
    if body.truncated && !about.meta.iter().any(|(key, _)| *key == "truncated") {
        about.meta.push(("truncated", "payload".into()));
    }
    if let Some(language) = response.headers.text("Content-Language") {
        about.meta.push(("content_language", language.into()));
    }
    about.media = media.to_vec();
    page(record, &body.bytes, parameter(media, "charset"), about, unit)
}

/// Whether a body of no type begins as a page does.
fn sniff(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let begins =
        |tag: &str| start.get(..tag.len()).is_some_and(|s| s.eq_ignore_ascii_case(tag.as_bytes()));
    begins("<!doctype html") || begins("<html")
}

/// The main text of a page.
fn page(
    record: &Record<'_>,
    bytes: &[u8],
    label: Option<&[u8]>,
    about: About,
    unit: &Unit,
) -> Outcome {
    if let Some(reason) = &record.cut {
        return Reject(reason.clone());
    }
    if bytes.trim_ascii().is_empty() {
        return Skip("empty");
    }
    let domain = about.url.as_deref().and_then(top_domain);
    let decoded = charset::decode(bytes, label, domain.as_deref());
    let page = html::page(&decoded.text);
    if page.text.is_empty() {
        return Skip("no main text");
    }
    let mut meta = decoded.meta();
    let hints = [("html_lang", page.lang), ("title", page.title)];
    meta.extend(hints.into_iter().filter_map(|(key, value)| Some((key, value?.into()))));
    row(record, page.text, meta, about, unit)
}

/// The last part of the name of an address's host, such as `jp`; none of an IP address.
fn top_domain(url: &str) -> Option<String> {
    let host = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = host.rsplit('@').next()?.split(':').next()?.trim_end_matches('.');
    let last = host.rsplit_once('.')?.1.to_ascii_lowercase();
    last.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(last)
}

/// A text in whatever encoding, as it is.
fn plain(record: &Record<'_>, about: About, unit: &Unit) -> Outcome {
    if let Some(reason) = &record.cut {
        return Reject(reason.clone());
    }
    let label = parameter(&about.media, "charset").map(<[u8]>::to_vec);
    let decoded = charset::decode(record.block, label.as_deref(), None);
    if decoded.text.contains('\0') {
        return Reject("contains a NUL byte".into());
    }
    if decoded.text.trim().is_empty() {
        return Skip("empty");
    }
    let meta = decoded.meta();
    row(record, decoded.text.into_owned(), meta, about, unit)
}

/// A text that was made of another record, as it is.
fn conversion(record: &Record<'_>, about: About, unit: &Unit) -> Outcome {
    if let Some(reason) = &record.cut {
        return Reject(reason.clone());
    }
    match decode(record.block) {
        Err(reason) => Reject(reason),
        Ok(text) if text.trim().is_empty() => Skip("empty"),
        Ok(text) => row(record, text.into(), Vec::new(), about, unit),
    }
}

fn row(
    record: &Record<'_>,
    text: String,
    found: Vec<(&'static str, Value)>,
    about: About,
    unit: &Unit,
) -> Outcome {
    let mut meta = Map::new();
    let media = media_type(&about.media);
    let fixed = [
        ("warc_record_id", about.id.clone().map(Value::from)),
        ("warc_date", about.date.map(Value::from)),
        ("content_type", (!media.is_empty()).then(|| media.into())),
        ("stated_length", record.stated.map(Value::from)),
    ];
    for (key, value) in fixed {
        if let Some(value) = value {
            meta.insert(key.into(), value);
        }
    }
    meta.extend(found.into_iter().chain(about.meta).map(|(key, value)| (key.into(), value)));
    Outcome::Row(Box::new(Row {
        text,
        lang: unit.lang.clone(),
        id: about.id,
        url: about.url,
        label: unit.label.clone(),
        split: unit.split.clone(),
        meta,
        ..Row::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::super::input::tests::gzip;
    use super::super::unit::tests::read;
    use super::*;

    const LINE: &str = "Ветер прошёл по долине и принёс с собой запах сена и дождя, и люди в \
                        деревне закрыли окна, потому что давно знали погоду в этих горах и ждали \
                        большой грозы ещё до наступления темноты.";

    fn record(kind: &str, headers: &str, block: &[u8]) -> Vec<u8> {
        let length = block.len();
        let mut out = format!(
            "WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:1>\r\n\
             WARC-Target-URI: <http://a.example/b>\r\n{headers}Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        out.extend(block);
        out.extend(b"\r\n\r\n");
        out
    }

    fn response(headers: &str, body: &[u8]) -> Vec<u8> {
        let mut block = format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
        block.extend(body);
        record("response", "Content-Type: application/http; msgtype=response\r\n", &block)
    }

    fn page() -> String {
        format!("<html lang=ru><title>Г</title><p><a href=/>Меню</a><p>{LINE}<p>{LINE}")
    }

    #[test]
    fn pages_and_texts_are_rows_and_all_else_is_skipped() {
        let koi = encoding_rs::KOI8_R.encode(&page()).0.into_owned();
        let text = "Content-Type: text/plain\r\n";
        let wet = format!("{text}WARC-Identified-Content-Language: rus\r\n");
        let all = [
            record("warcinfo", "", b"software: x"),
            record("request", "", b"GET / HTTP/1.1\r\n\r\n"),
            response("Content-Type: text/html; charset=koi8-r\r\nContent-Language: ru\r\n", &koi),
            response("Content-Type: image/png\r\n", b"\x89PNG"),
            response("Content-Type: text/html\r\n", b""),
            response("Content-Type: text/html\r\n", b"<p>Login"),
            record("response", "", b"HTTP/1.1 404 No\r\n\r\n"),
            record("resource", "Content-Type: text/html\r\n", page().as_bytes()),
            record("resource", text, "wie es ist\n".as_bytes()),
            record("conversion", &wet, LINE.as_bytes()),
            record("metadata", "", b"{}"),
            record("revisit", "", b""),
            record("response", "", b"what is this"),
            record("conversion", text, b"\xff"),
        ];
        for bytes in [all.concat(), all.iter().flat_map(|r| gzip(r)).collect()] {
            let (kept, result) = read(&WARC, &[&bytes], "lang = 'ru'");
            result.unwrap();
            let main = format!("{LINE}\n{LINE}");
            assert_eq!(kept.texts(), [main.as_str(), &main, "wie es ist\n", LINE]);
            let row = &kept.rows[0].1;
            assert_eq!(row.url.as_deref(), Some("http://a.example/b"));
            assert_eq!(row.id.as_deref(), Some("urn:uuid:1"));
            assert_eq!(row.lang.as_deref(), Some("rus_Cyrl"));
            let meta = Value::Object(row.meta.clone()).to_string();
            assert_eq!(
                meta,
                "{\"warc_record_id\":\"urn:uuid:1\",\"content_type\":\"text/html\",\
                 \"charset\":\"koi8-r\",\"charset_from\":\"header\",\"html_lang\":\"ru\",\
                 \"title\":\"Г\",\"content_language\":\"ru\"}"
            );
            assert_eq!(kept.rows[3].1.meta["identified_language"], "rus");
            assert_eq!(kept.reasons(), ["no HTTP header", "invalid UTF-8 at byte 0"]);
            let skipped: Vec<(&str, u64)> = kept.skipped.into_iter().collect();
            assert_eq!(
                skipped,
                [
                    ("HTTP status not 200", 1),
                    ("empty", 1),
                    ("metadata", 1),
                    ("no main text", 1),
                    ("not HTML", 1),
                    ("request", 1),
                    ("revisit", 1),
                    ("warcinfo", 1),
                ]
            );
        }
    }

    #[test]
    fn an_old_archive_is_read_too() {
        let block = format!("HTTP/1.0 200 OK\nContent-Type: text/html\n\n{}", page());
        let head = "1 0 X\nURL IP-address Archive-date Content-type Archive-length\n";
        let arc = format!(
            "filedesc://a.arc 0.0.0.0 20140216050221 text/plain {}\n{head}\n\
             http://a.example/ 192.0.2.1 20140216050221 text/html {}\n{block}\n\
             dns:a.example 192.0.2.1 20140216050221 text/dns 2\nok\n",
            head.len(),
            block.len()
        );
        let (kept, _) = read(&WARC, &[arc.as_bytes()], "");
        assert_eq!(kept.texts(), [format!("{LINE}\n{LINE}")]);
        assert_eq!(kept.rows[0].1.meta["warc_date"], "2014-02-16T05:02:21Z");
        assert_eq!(kept.skipped.into_keys().collect::<Vec<_>>(), ["not HTTP", "warcinfo"]);
    }

    #[test]
    fn a_file_without_a_record_is_refused() {
        let (kept, _) = read(&WARC, &[b"id,text\n1,a\n"], "");
        assert_eq!(kept.reasons(), ["not a web archive: no record begins in it"]);
        assert!(read(&WARC, &[b""], "").0.rejected.is_empty());
        assert!(read(&WARC, &[b""], "columns = { text = 'x' }").1.is_err());
    }

    #[test]
    fn damage_in_other_compressions_is_an_end() {
        let one = record("conversion", "Content-Type: text/plain\r\n", LINE.as_bytes());
        let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        std::io::Write::write_all(&mut packed, &[one.as_slice(), &one].concat()).unwrap();
        let mut packed = packed.finish().unwrap();
        // The checksum of the whole.
        let end = packed.len() - 3;
        packed[end] ^= 0x55;
        let (kept, result) = read(&WARC, &[&packed], "");
        result.unwrap();
        assert_eq!((kept.rows.len(), kept.rejected.len()), (1, 1));
        assert!(kept.reasons()[0].starts_with("bzip2 file is damaged"), "{:?}", kept.reasons());
    }

    #[test]
    fn damage_anywhere_ends_nothing_and_panics_nowhere() {
        let one = response(
            "Content-Type: text/html\r\nContent-Encoding: gzip\r\n",
            &gzip(page().as_bytes()),
        );
        let plain = [one.clone(), one.clone(), one.clone()].concat();
        let packed: Vec<u8> = [&one, &one, &one].iter().flat_map(|r| gzip(r)).collect();
        let mut state = 3u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        for i in 0..400 {
            let mut bytes = if i % 2 == 0 { plain.clone() } else { packed.clone() };
            let (a, b) = (next(bytes.len()), next(40));
            match i % 3 {
                0 => bytes[a] ^= 1 << (b % 8),
                1 => bytes.truncate(a),
                _ => {
                    let end = (a + b).min(bytes.len());
                    bytes.splice(a..end, [b'\n'; 3]);
                }
            }
            let (kept, result) = read(&WARC, &[&bytes], "");
            result.unwrap();
            let found = kept.rows.len() + kept.rejected.len();
            assert!(found <= 5, "{i}: {found}");
        }
    }
}
