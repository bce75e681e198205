//! The parts of a URL that lists are about: its host in one spelling, and what comes after it.
//!
//! Not a parser of URLs: whatever stands where a host stands is taken for one, valid or not.

use std::borrow::Cow;

use memchr::memmem;

/// A URL in parts.
pub struct Url<'u> {
    /// The host in lower case, Punycode decoded, without a final dot.
    pub host: Cow<'u, str>,
    /// Where the host begins in the URL, and where it ends.
    pub span: (usize, usize),
    /// Path, query and fragment.
    pub rest: &'u str,
}

impl<'u> Url<'u> {
    /// The parts of a URL; a scheme may be missing.
    pub fn parse(url: &'u str) -> Self {
        // Behind the first slash `://` is a part of the path.
        let begin = match url.find([':', '/', '?', '#']) {
            Some(at) if url[at..].starts_with("://") => at + 3,
            Some(0) if url.starts_with("//") => 2,
            _ => 0,
        };
        let authority = url[begin..].find(['/', '?', '#', '\\']).map_or(url.len(), |at| begin + at);
        let start = url[begin..authority].rfind('@').map_or(begin, |at| begin + at + 1);
        let named = &url[start..authority];
        // A port, but not the colons of an IPv6 address.
        let end = match named.rfind(':') {
            Some(at) if !named[at..].contains(']') => start + at,
            _ => authority,
        };
        let host = canonical(url[start..end].trim_end_matches('.'));
        Self { host, span: (start, end), rest: &url[authority..] }
    }

    /// The host and the domains above it, the longest first; an address has none above it.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        let host: &str = &self.host;
        let address =
            host.bytes().all(|b| b.is_ascii_digit() || b == b'.') || host.starts_with('[');
        let above =
            host.match_indices('.').filter(move |_| !address).map(|(at, _)| &host[at + 1..]);
        std::iter::once(host).chain(above).filter(|domain| !domain.is_empty())
    }
}

/// A host in lower case and without Punycode.
pub fn canonical(host: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii() && !b.is_ascii_uppercase();
    if host.bytes().all(plain) && memmem::find(host.as_bytes(), b"xn--").is_none() {
        return Cow::Borrowed(host);
    }
    let lower = host.to_lowercase().replace(['。', '．', '｡'], ".");
    let label = |label: &str| match label.strip_prefix("xn--") {
        Some(code) => punycode(code).unwrap_or_else(|| label.to_owned()),
        None => label.to_owned(),
    };
    Cow::Owned(lower.split('.').map(label).collect::<Vec<_>>().join("."))
}

/// The label that Punycode stands for (RFC 3492, section 6.2); `None` if it stands for none.
fn punycode(code: &str) -> Option<String> {
    const BASE: u32 = 36;
    // A label has at most 63 bytes; inserting would be quadratic in longer ones.
    if code.len() > 63 {
        return None;
    }
    let (basic, extended) = code.rsplit_once('-').unwrap_or(("", code));
    let mut label: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (128u32, 0u32, 72u32);
    let mut digits = extended.bytes();
    while digits.len() > 0 {
        let before = i;
        let (mut weight, mut k) = (1u32, BASE);
        loop {
            let digit = match digits.next()? {
                b @ b'a'..=b'z' => u32::from(b - b'a'),
                b @ b'0'..=b'9' => u32::from(b - b'0') + 26,
                _ => return None,
            };
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(1, 26);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
            k += BASE;
        }
        let length = u32::try_from(label.len()).ok()? + 1;
        bias = adapt(i - before, length, before == 0);
        n = n.checked_add(i / length)?;
        i %= length;
        label.insert(usize::try_from(i).ok()?, char::from_u32(n)?);
        i += 1;
    }
    Some(label.into_iter().collect())
}

/// The bias after a character (RFC 3492, section 6.1).
fn adapt(delta: u32, length: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / length;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_all_kinds_of_urls() {
        for (url, host, rest) in [
            ("http://Example.COM/a", "example.com", "/a"),
            ("https://user:pw@example.com:8080?q", "example.com", "?q"),
            ("//cdn.example.com.", "cdn.example.com", ""),
            ("example.com/http://other.org", "example.com", "/http://other.org"),
            ("http://[2001:db8::1]:80/x", "[2001:db8::1]", "/x"),
            ("http://ПРИМЕР.рф/путь", "пример.рф", "/путь"),
            ("http://xn--e1afmkfd.xn--p1ai/", "пример.рф", "/"),
            ("http://bücher.example", "bücher.example", ""),
            ("http://xn--bcher-kva.example", "bücher.example", ""),
            ("", "", ""),
            ("http://", "", ""),
        ] {
            let parts = Url::parse(url);
            assert_eq!((&*parts.host, parts.rest), (host, rest), "{url}");
        }
    }

    #[test]
    fn punycode_is_decoded() {
        for (code, label) in
            [("fiqs8s", "中国"), ("wgbh1c", "مصر"), ("h2brj9c", "भारत"), ("mnchen-3ya", "münchen")]
        {
            assert_eq!(punycode(code).as_deref(), Some(label), "{code}");
        }
        assert_eq!(punycode("99999999999999"), None);
        assert_eq!(punycode(&"a".repeat(64)), None);
    }

    #[test]
    fn addresses_have_no_domains_above_them() {
        let all = |url| Url::parse(url).domains().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(all("http://a.b.c/"), ["a.b.c", "b.c", "c"]);
        assert_eq!(all("http://10.1.2.3/"), ["10.1.2.3"]);
        assert_eq!(all("http:///x"), [""; 0]);
    }
}
