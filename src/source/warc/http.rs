//! A captured HTTP response: status, headers, and the body as the server meant it.
//!
//! Transfer and content codings are undone where they are there: archives keep the headers of
//! codings that the crawler has already taken off. RFC 9112 §7.1 and RFC 9110 §8.4.

use std::borrow::Cow;
use std::io::Read;

use memchr::memchr;

use super::super::input::{MAX_RECORD, too_long};
use super::headers::{Headers, line};

/// A response.
#[derive(Debug)]
pub struct Response<'r> {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: Headers<'r>,
    /// The body as it was sent.
    pub sent: &'r [u8],
}

/// A body without its codings.
#[derive(Debug, PartialEq, Eq)]
pub struct Body<'r> {
    /// The bytes.
    pub bytes: Cow<'r, [u8]>,
    /// Whether there should be more of them.
    pub truncated: bool,
}

impl<'r> Response<'r> {
    /// Reads a block; `None` when it begins with no status line, or its header does not end.
    pub fn parse(block: &'r [u8]) -> Option<Self> {
        let (status, length) = line(block);
        let rest = status.strip_prefix(b"HTTP/").or_else(|| status.strip_prefix(b"http/"))?;
        let mut words = rest.split(|b| *b == b' ').filter(|word| !word.is_empty());
        let status = std::str::from_utf8(words.nth(1)?).ok()?.parse().ok()?;
        // A body that follows without an empty line is at least told from a header by its tags.
        let (headers, header, ended) = Headers::parse(&block[length..], |l| l[0] == b'<');
        let sent = &block[length + header..];
        (ended || !sent.is_empty()).then_some(Self { status, headers, sent })
    }

    /// The body with its codings undone; the error is why that cannot be.
    pub fn body(&self) -> Result<Body<'r>, String> {
        let has = |name, token: &str| {
            let value = self.headers.text(name).unwrap_or_default().to_ascii_lowercase();
            value.split(',').any(|part| part.trim() == token)
        };
        let mut body = Body { bytes: Cow::Borrowed(self.sent), truncated: false };
        if has("Transfer-Encoding", "chunked") {
            body = dechunk(self.sent);
        }
        let codings = self.headers.text("Content-Encoding").unwrap_or_default();
        let codings = codings.to_ascii_lowercase();
        // A body that was coded over and over is an attack.
        for coding in codings.rsplit(',').map(str::trim).take(3) {
            if let Some((bytes, truncated)) = decode(coding, &body.bytes)? {
                body = Body { bytes: bytes.into(), truncated: truncated | body.truncated };
            }
        }
        Ok(body)
    }
}

/// A body in chunks as one piece; as it is, when it is not in chunks.
fn dechunk(sent: &[u8]) -> Body<'_> {
    let size = |bytes: &[u8]| {
        let (digits, length) = line(&bytes[..bytes.len().min(1 << 10)]);
        let digits = digits[..memchr(b';', digits).unwrap_or(digits.len())].trim_ascii();
        let digits = std::str::from_utf8(digits).ok().filter(|d| !d.starts_with('+'))?;
        Some((usize::from_str_radix(digits, 16).ok()?, length))
    };
    let Some(first) = size(sent) else {
        return Body { bytes: Cow::Borrowed(sent), truncated: false };
    };
    let (mut out, mut rest, mut next) = (Vec::with_capacity(sent.len()), sent, Some(first));
    while let Some((length, header)) = next {
        if length == 0 {
            return Body { bytes: out.into(), truncated: false };
        }
        rest = &rest[header..];
        let here = length.min(rest.len());
        out.extend_from_slice(&rest[..here]);
        rest = &rest[here..];
        rest = rest.strip_prefix(b"\r").unwrap_or(rest);
        rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        next = size(rest);
    }
    Body { bytes: out.into(), truncated: true }
}

/// The bytes that a content coding was put on, and whether they broke off; `None` when it was
/// not put on.
fn decode(coding: &str, bytes: &[u8]) -> Result<Option<(Vec<u8>, bool)>, String> {
    let zlib = |b: &[u8]| {
        matches!(b, [method, check, ..] if method & 15 == 8
            && (u16::from(*method) << 8 | u16::from(*check)) % 31 == 0)
    };
    match coding {
        "" | "identity" | "none" | "utf-8" => Ok(None),
        "gzip" | "x-gzip" if !bytes.starts_with(&[0x1f, 0x8b]) => Ok(None),
        "gzip" | "x-gzip" => read(coding, flate2::read::MultiGzDecoder::new(bytes)),
        "deflate" if zlib(bytes) => read(coding, flate2::read::ZlibDecoder::new(bytes)),
        "deflate" if looks_like_text(bytes) => Ok(None),
        "deflate" => read(coding, flate2::read::DeflateDecoder::new(bytes)),
        "zstd" if !bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => Ok(None),
        "zstd" => {
            let decoder = zstd::stream::read::Decoder::new(bytes).map_err(|e| e.to_string())?;
            read(coding, decoder)
        }
        "br" if looks_like_text(bytes) => Ok(None),
        "br" => read(coding, brotli_decompressor::Decompressor::new(bytes, 16 << 10)),
        other => Err(format!("content coding `{}` is not read", other.escape_debug())),
    }
}

/// Whether the first bytes can be those of a page.
fn looks_like_text(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.trim_ascii_start().starts_with(b"<")
}

fn read(coding: &str, mut decoder: impl Read) -> Result<Option<(Vec<u8>, bool)>, String> {
    let mut out = Vec::new();
    let result = (&mut decoder).take(MAX_RECORD as u64 + 1).read_to_end(&mut out);
    if out.len() > MAX_RECORD {
        return Err(format!("the decoded payload is {}", too_long()));
    }
    match result {
        Ok(_) => Ok(Some((out, false))),
        // The checksum is behind the text: what precedes the break may be all there is.
        Err(_) if !out.is_empty() => Ok(Some((out, true))),
        Err(e) => Err(format!("the payload is no {coding} ({e})")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::super::input::tests::gzip;
    use super::*;

    fn body(headers: &str, sent: &[u8]) -> Result<(String, bool), String> {
        let mut block = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n").into_bytes();
        block.extend(sent);
        let response = Response::parse(&block).unwrap();
        assert_eq!(response.status, 200);
        let body = response.body()?;
        Ok((String::from_utf8_lossy(&body.bytes).into_owned(), body.truncated))
    }

    #[test]
    fn chunks_are_joined_where_there_are_any() {
        let chunked = "Transfer-Encoding: Chunked";
        let whole = |text: &str| Ok((text.to_string(), false));
        let cut = |text: &str| Ok((text.to_string(), true));
        assert_eq!(body(chunked, b"3;x=y\r\n<p>\r\n002\r\nno\r\n0\r\n\r\n"), whole("<p>no"));
        assert_eq!(body(chunked, b"<p>not in chunks"), whole("<p>not in chunks"));
        assert_eq!(body(chunked, b"5\r\n<p>"), cut("<p>"));
        assert_eq!(body(chunked, b"3\r\n<p>\r\nzz"), cut("<p>"));
        assert_eq!(body(chunked, b"ffffffffffffffff\r\n<p>"), cut("<p>"));
        assert_eq!(body("X: y", b"3\r\n<p>\r\n0\r\n\r\n"), whole("3\r\n<p>\r\n0\r\n\r\n"));
    }

    #[test]
    fn codings_are_undone_where_they_are_there() {
        let page = "<p>Bonġu</p>".repeat(99);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
        zlib.write_all(page.as_bytes()).unwrap();
        let zlib = zlib.finish().unwrap();
        let zstd = zstd::encode_all(page.as_bytes(), 3).unwrap();
        let whole = Ok((page.clone(), false));
        assert_eq!(body("content-encoding: gzip", &gzip(page.as_bytes())), whole);
        assert_eq!(body("Content-Encoding: deflate", &zlib), whole);
        assert_eq!(body("Content-Encoding: deflate", &zlib[2..zlib.len() - 4]), whole);
        assert_eq!(body("Content-Encoding: zstd", &zstd), whole);
        let twice = gzip(&gzip(page.as_bytes()));
        assert_eq!(body("Content-Encoding: gzip, gzip", &twice), whole);
        for coding in ["gzip", "deflate", "br", "zstd", "identity"] {
            assert_eq!(body(&format!("Content-Encoding: {coding}"), page.as_bytes()), whole);
        }
        let cut = body("Content-Encoding: gzip", &gzip(page.as_bytes())[..30]).unwrap();
        assert!(cut.1 && page.starts_with(&cut.0));
        assert!(body("Content-Encoding: compress", b"").unwrap_err().contains("`compress`"));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = gzip(&gzip(&vec![b' '; MAX_RECORD + 1]));
        let error = body("Content-Encoding: gzip, gzip", &bomb).unwrap_err();
        assert_eq!(error, "the decoded payload is longer than 32 MiB");
    }

    #[test]
    fn a_header_need_not_be_tidy() {
        let parse = |block: &'static str| Response::parse(block.as_bytes());
        assert_eq!(parse("HTTP/1.0 200\nA: b\n<html>").unwrap().sent, b"<html>");
        assert_eq!(parse("HTTP/2 404 Not Found\r\n\r\n").unwrap().status, 404);
        for bad in
            ["", "<html>", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 x\r\n\r\n"]
        {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
