//! Lists of domains, addresses, rules and words, ready to be asked about a URL.
//!
//! Asking walks no list: domains and addresses are looked up, rules and words found by automata.

use std::collections::HashSet;

use super::adblock::{Line, Rules};
use super::format::Format;
use super::host::{self, Url};
use super::words::{self, Words};
use crate::error::Result;
use crate::id;

/// What is looked at of a URL, in bytes: none in use is longer.
const LONGEST_URL: usize = 1 << 16;

/// How many places of a path a listed address may end at.
const DEEPEST_PATH: usize = 32;

/// Why a URL is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its host or a domain above it is listed.
    Domain,
    /// It is listed, or what it begins with.
    Url,
    /// It has a hard word.
    Word,
    /// It has two soft words.
    SoftWords,
    /// It has a subword.
    Subword,
    /// It matches a rule.
    Rule,
}

/// A set of texts by their hashes, sorted: lists have millions, and of 2⁶⁴ hashes two hardly fall
/// together.
#[derive(Default)]
struct Hashes(Vec<u64>);

impl Hashes {
    fn add(&mut self, text: &str) {
        self.0.push(id::hash64(text.as_bytes()));
    }

    /// To be called when all are added.
    fn sort(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.shrink_to_fit();
    }

    fn has(&self, text: &str) -> bool {
        !self.0.is_empty() && self.0.binary_search(&id::hash64(text.as_bytes())).is_ok()
    }
}

/// Lists, ready to be asked.
#[derive(Default)]
pub struct UrlList {
    domains: Hashes,
    allowed_domains: Hashes,
    /// Hosts with paths.
    urls: Hashes,
    words: Words,
    rules: Rules,
    allowed: Rules,
    skipped: usize,
    fingerprint: u64,
}

impl UrlList {
    /// The lists of some texts in one; errors when there are more rules than an automaton holds.
    ///
    /// ```
    /// use hexapla::measure::url_blocked::{Format, Reason, UrlList};
    /// let list = UrlList::parse(&[(Format::Domains, "spam.example\nказино.рф"), (Format::Words, "casino")])?;
    /// assert_eq!(list.find("https://www.spam.example/x"), Some((Reason::Domain, "spam.example".into())));
    /// assert!(list.is_blocked("http://xn--80aodfsg.xn--p1ai/") && list.is_blocked("http://a.de/casino"));
    /// assert!(!list.is_blocked("https://notspam.example/"));
    /// # Ok::<(), hexapla::error::Error>(())
    /// ```
    pub fn parse(texts: &[(Format, &str)]) -> Result<Self> {
        let mut list = Self::default();
        let (mut hard, mut soft, mut sub) = (HashSet::new(), HashSet::new(), Vec::new());
        let (mut rules, mut allowed) = (Vec::new(), Vec::new());
        for (format, text) in texts {
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                // In Adblock's syntax a `#` begins no comment.
                if line.starts_with('#') && *format != Format::Adblock {
                    continue;
                }
                match format {
                    Format::Domains => list.add_domain(line),
                    Format::Urls => list.add_url(line),
                    Format::Hosts => {
                        let named = line.split('#').next().unwrap_or_default();
                        // Names without a dot are those of the machine itself.
                        let domains = named.split_whitespace().skip(1).filter(|d| d.contains('.'));
                        domains.filter(|d| *d != "0.0.0.0").for_each(|d| list.add_domain(d));
                    }
                    Format::Adblock => match Line::parse(line) {
                        Line::Nothing => {}
                        Line::Skipped => list.skipped += 1,
                        Line::Domain(domain, false) => list.add_domain(&domain),
                        Line::Domain(domain, true) => {
                            list.allowed_domains.add(&host::canonical(&domain));
                        }
                        Line::Pattern(rule, false) => rules.push(rule),
                        Line::Pattern(rule, true) => allowed.push(rule),
                    },
                    Format::Words => add_word(line, |word| hard.insert(word)),
                    Format::SoftWords => add_word(line, |word| soft.insert(word)),
                    Format::Subwords => add_word(line, |word| {
                        sub.push(word);
                        true
                    }),
                }
            }
        }
        list.domains.sort();
        list.allowed_domains.sort();
        list.urls.sort();
        list.words = Words::new(hard, soft, sub)?;
        list.rules = Rules::new(rules)?;
        list.allowed = Rules::new(allowed)?;
        let names = texts.iter().map(|(format, _)| format!("{format:?}")).collect::<Vec<_>>();
        let fields = names.iter().zip(texts).flat_map(|(name, (_, text))| [name.as_str(), *text]);
        list.fingerprint = id::hash_fields(fields);
        Ok(list)
    }

    fn add_domain(&mut self, line: &str) {
        let domain = line.trim_start_matches("*.").trim_start_matches('.');
        let domain = Url::parse(domain).host;
        if !domain.is_empty() {
            self.domains.add(&domain);
        }
    }

    fn add_url(&mut self, line: &str) {
        let url = Url::parse(line);
        let path = url.rest.trim_end_matches('/');
        match path.is_empty() {
            true => self.add_domain(line),
            false => {
                self.urls.add(&address(&url.host, path));
            }
        }
    }

    /// Whether a URL is blocked.
    pub fn is_blocked(&self, url: &str) -> bool {
        self.find(url).is_some()
    }

    /// Why a URL is blocked and by which domain, address, word or rule; `None` if it is not.
    ///
    /// An exception (`@@`) of an Adblock list outdoes all lists. Domains are asked first, then
    /// addresses, words as in datatrove, and rules.
    pub fn find(&self, url: &str) -> Option<(Reason, String)> {
        let url = url.trim();
        let url =
            &url[..(0..=url.len().min(LONGEST_URL)).rev().find(|at| url.is_char_boundary(*at))?];
        let parts = Url::parse(url);
        let listed = |domains: &Hashes| parts.domains().find(|domain| domains.has(domain));
        if listed(&self.allowed_domains).is_some() || self.allowed.find(url, &parts).is_some() {
            return None;
        }
        if let Some(domain) = listed(&self.domains) {
            return Some((Reason::Domain, domain.to_owned()));
        }
        if let Some(address) = self.find_address(&parts) {
            return Some((Reason::Url, address));
        }
        if let Some((reason, word)) = self.words.find(url) {
            return Some((reason, word.to_owned()));
        }
        self.rules.find(url, &parts).map(|rule| (Reason::Rule, rule.to_owned()))
    }

    /// The listed address that a URL is, or that it begins with up to an end of a part.
    fn find_address(&self, url: &Url<'_>) -> Option<String> {
        if self.urls.0.is_empty() {
            return None;
        }
        let whole = address(&url.host, url.rest);
        let path = whole.len() - url.rest.len();
        let ends = whole[path..].match_indices(['/', '?', '#', '&', ';']).skip(1);
        let ends = ends.map(|(at, _)| path + at).take(DEEPEST_PATH).chain([whole.len()]);
        let listed = |end: &usize| self.urls.has(&whole[..*end]);
        ends.filter(listed).map(|end| whole[..end].to_owned()).next()
    }

    /// How many rules of Adblock lists were left out, as they are not about a document's URL.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// How many domains, addresses and rules there are, exceptions included.
    pub fn len(&self) -> usize {
        let sets = self.domains.0.len() + self.allowed_domains.0.len() + self.urls.0.len();
        sets + self.rules.len() + self.allowed.len()
    }

    /// Whether there are neither domains nor addresses nor rules.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Identifies the lists' contents.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// A host without `www.` and what comes after it.
fn address(host: &str, rest: &str) -> String {
    [host.strip_prefix("www.").unwrap_or(host), rest].concat()
}

fn add_word(line: &str, add: impl FnOnce(String) -> bool) {
    let word = words::normal(line);
    if !word.is_empty() {
        add(word);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(format: Format, list: &str, url: &str) -> Option<String> {
        UrlList::parse(&[(format, list)]).unwrap().find(url).map(|(_, by)| by)
    }

    #[test]
    fn a_listed_domain_covers_what_is_below_it() {
        let list = "# UT1\nspam.example\n*.пример.рф\nhttp://X.de/\n192.0.2.7\n.y.de";
        for (url, by) in [
            ("http://spam.example", Some("spam.example")),
            ("https://a.b.Spam.Example:8080/x", Some("spam.example")),
            ("https://www.xn--e1afmkfd.xn--p1ai/", Some("пример.рф")),
            ("http://x.de", Some("x.de")),
            ("http://a.y.de", Some("y.de")),
            ("http://192.0.2.7/", Some("192.0.2.7")),
            ("http://10.192.0.2.7/", None),
            ("http://notspam.example", None),
            ("http://example/spam.example", None),
            ("", None),
        ] {
            assert_eq!(find(Format::Domains, list, url).as_deref(), by, "{url}");
        }
    }

    #[test]
    fn a_listed_address_covers_what_it_begins() {
        let list = "a.de/x/y\nwww.b.de/q?id=1\nc.de/путь/\nd.de";
        for (url, by) in [
            ("http://a.de/x/y", Some("a.de/x/y")),
            ("https://www.a.de/x/y/z", Some("a.de/x/y")),
            ("http://a.de/x/yz", None),
            ("http://a.de/x", None),
            ("http://b.de/q?id=1&x", Some("b.de/q?id=1")),
            ("http://c.de/путь", Some("c.de/путь")),
            ("http://e.d.de/x", Some("d.de")),
        ] {
            assert_eq!(find(Format::Urls, list, url).as_deref(), by, "{url}");
        }
    }

    #[test]
    fn hosts_files_name_domains_after_an_address() {
        let list =
            "127.0.0.1 localhost\n0.0.0.0 ads.example b.example # both\n0.0.0.0 0.0.0.0\n::1 ip6";
        assert_eq!(find(Format::Hosts, list, "http://x.b.example/").as_deref(), Some("b.example"));
        assert_eq!(find(Format::Hosts, list, "http://localhost/"), None);
        assert_eq!(find(Format::Hosts, list, "http://0.0.0.0/"), None);
    }

    #[test]
    fn exceptions_outdo_rules() {
        let list = "[Adblock Plus 2.0]\n||a.de^\n@@||gut.a.de^\n/werbung/\n@@|http://b.de/werbung/ok\n||c.de^$image";
        let list = UrlList::parse(&[(Format::Adblock, list)]).unwrap();
        assert_eq!(list.find("http://x.a.de/"), Some((Reason::Domain, "a.de".into())));
        assert_eq!(list.find("http://gut.a.de/"), None);
        assert_eq!(list.find("http://b.de/werbung/x"), Some((Reason::Rule, "/werbung/".into())));
        assert_eq!(list.find("http://b.de/werbung/ok"), None);
        assert_eq!((list.skipped(), list.len()), (1, 4));
    }

    #[test]
    fn time_is_linear_in_hostile_urls() {
        let rules = "/a/*/a/*/b\n||a.a.a^\n*a*a*a*b|\n^a^";
        let list = UrlList::parse(&[
            (Format::Adblock, rules),
            (Format::Urls, "a.de/a/a"),
            (Format::Words, "x"),
            (Format::Subwords, "aab"),
        ]);
        let list = list.unwrap();
        for piece in ["a", "a.", "a/", "/", "xn--", "@", ":", "п", "。", "?a&", "\u{200f}\u{378}"]
        {
            list.find(&format!("http://{}", piece.repeat(10_000_000 / piece.len())));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(url in any::<String>(), list in any::<String>()) {
            for (_, format) in Format::ALL {
                if let Ok(list) = UrlList::parse(&[(*format, &list)]) {
                    list.find(&url);
                }
            }
        }
    }
}
