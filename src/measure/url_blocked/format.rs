//! How lists of URLs are written, and how a file tells it.

use crate::error::{Error, Result};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A domain a line, as UT1's `domains` files; all below it is blocked with it.
    Domains,
    /// An address without scheme a line, as UT1's `urls` files; so is all that its path begins.
    Urls,
    /// A hosts file: an address of nowhere and the domains that lead there.
    Hosts,
    /// Rules in the syntax of Adblock Plus.
    Adblock,
    /// A word a line; one in a URL blocks it.
    Words,
    /// A word a line; two different ones in a URL block it.
    SoftWords,
    /// A word a line; one anywhere in the letters and digits of a URL blocks it.
    Subwords,
}

impl Format {
    /// All formats with their names.
    pub const ALL: &[(&str, Format)] = &[
        ("domains", Format::Domains),
        ("urls", Format::Urls),
        ("hosts", Format::Hosts),
        ("adblock", Format::Adblock),
        ("words", Format::Words),
        ("soft_words", Format::SoftWords),
        ("subwords", Format::Subwords),
    ];

    /// The format by its name; errors for an unknown one.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        let names = Self::ALL.iter().map(|(name, _)| *name);
        found.map(|(_, format)| *format).ok_or_else(|| Error::unknown("list format", name, names))
    }

    /// The format that the name of a file tells, as UT1 and datatrove name theirs, else the one
    /// that its first lines look like.
    pub fn guess(file_name: &str, text: &str) -> Self {
        let name = file_name.to_ascii_lowercase();
        let by_name = [
            ("subword", Format::Subwords),
            ("soft", Format::SoftWords),
            ("word", Format::Words),
            ("hosts", Format::Hosts),
            ("urls", Format::Urls),
            ("domains", Format::Domains),
        ];
        if let Some((_, format)) = by_name.iter().find(|(part, _)| name.contains(part)) {
            return *format;
        }
        let lines = || {
            text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).take(100)
        };
        let rule = |l: &str| {
            ["||", "@@", "!", "[Adblock"].iter().any(|sign| l.starts_with(sign)) || l.contains("##")
        };
        match () {
            () if lines().any(rule) => Format::Adblock,
            () if lines().any(|l| l.split_whitespace().count() > 1) => Format::Hosts,
            () if lines().any(|l| l.contains('/')) => Format::Urls,
            () => Format::Domains,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_name_and_by_look() {
        for (name, text, format) in [
            ("adult/domains", "", Format::Domains),
            ("adult/urls", "", Format::Urls),
            ("soft_banned_words.txt", "", Format::SoftWords),
            ("banned_subwords.txt", "", Format::Subwords),
            ("banned_words.txt", "", Format::Words),
            ("easylist.txt", "! Title\n||a.de^", Format::Adblock),
            ("x", "# c\n0.0.0.0 a.de", Format::Hosts),
            ("x", "a.de\nb.de/x", Format::Urls),
            ("x", "a.de\nпример.рф", Format::Domains),
        ] {
            assert_eq!(Format::guess(name, text), format, "{name}");
        }
        assert!(Format::named("adblok").is_err());
        assert_eq!(Format::named("hosts").unwrap(), Format::Hosts);
    }
}
