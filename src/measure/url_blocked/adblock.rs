//! Filter rules in the syntax of Adblock Plus, as far as they are about addresses.
//!
//! A rule here is asked about a document's URL by itself, so rules for kinds of resources
//! (`$script`), for certain pages (`$domain=`) and for elements of a page (`##`) say nothing and
//! are left out; `$third-party`, `$document`, `$popup`, `$all` and `$important` change nothing.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;
use regex::{Regex, RegexBuilder};

use super::host::Url;
use crate::error::{Error, Result};

/// What a line of a list says.
#[derive(Debug)]
pub enum Line {
    /// Nothing: a comment or a header.
    Nothing,
    /// Something that is not about a document's URL, or that is no rule.
    Skipped,
    /// A domain with all below it; the flag tells an exception.
    Domain(String, bool),
    /// A pattern; the flag tells an exception.
    Pattern(Rule, bool),
}

/// A rule with a pattern.
#[derive(Debug)]
pub struct Rule {
    text: String,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Glob(Glob),
    Regex(Regex),
}

/// A pattern with `*` for anything and `^` for one separator or the end.
#[derive(Debug)]
struct Glob {
    anchor: Anchor,
    /// Whether the pattern has to end where the URL ends.
    to_end: bool,
    /// What stands between the asterisks.
    parts: Vec<Vec<u8>>,
    match_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    /// Anywhere.
    None,
    /// `|`: where the URL begins.
    Start,
    /// `||`: where the host or a domain above it begins.
    Host,
}

/// Options that leave a rule about a document's URL what it is.
const HARMLESS: &[&str] =
    &["third-party", "3p", "document", "doc", "popup", "all", "important", "match-case"];

impl Line {
    /// What a line of a list says.
    pub fn parse(line: &str) -> Self {
        let line = line.trim();
        if line.is_empty() || line.starts_with('!') || line.starts_with('[') {
            return Line::Nothing;
        }
        // Rules for elements: `##`, `#@#`, `#?#`, `#$#`.
        if line.match_indices('#').any(|(at, _)| {
            let tail = &line[at + 1..];
            ["#", "@#", "?#", "$#", "@?#", "@$#"].iter().any(|sign| tail.starts_with(sign))
        }) {
            return Line::Skipped;
        }
        let (pattern, exception) = match line.strip_prefix("@@") {
            Some(pattern) => (pattern, true),
            None => (line, false),
        };
        let (pattern, options) = without_options(pattern);
        if !options.split(',').all(|o| o.is_empty() || HARMLESS.contains(&o)) {
            return Line::Skipped;
        }
        let match_case = options.split(',').any(|o| o == "match-case");
        if let Some(regex) = pattern.strip_prefix('/').and_then(|p| p.strip_suffix('/'))
            && !regex.is_empty()
        {
            let regex = RegexBuilder::new(regex).case_insensitive(!match_case).build();
            return regex.map_or(Line::Skipped, |regex| {
                Line::Pattern(Rule { text: line.into(), matcher: Matcher::Regex(regex) }, exception)
            });
        }
        if let Some(domain) = pattern.strip_prefix("||").and_then(|p| p.strip_suffix('^'))
            && is_domain(domain)
        {
            return Line::Domain(domain.into(), exception);
        }
        let glob = Glob::parse(pattern, match_case);
        if glob.parts.is_empty() {
            // It would block everything.
            return Line::Skipped;
        }
        Line::Pattern(Rule { text: line.into(), matcher: Matcher::Glob(glob) }, exception)
    }
}

/// A pattern and its options; a `$` may be a part of a pattern too.
fn without_options(pattern: &str) -> (&str, &str) {
    let is_options = |text: &str| {
        let name = |c: char| c.is_ascii_alphanumeric() || "~-_=,.|:*".contains(c);
        !text.is_empty() && text.chars().all(name) && !text.starts_with(['.', '*', '='])
    };
    match pattern.rsplit_once('$') {
        Some((pattern, options)) if is_options(options) => (pattern, options),
        _ => (pattern, ""),
    }
}

fn is_domain(text: &str) -> bool {
    !text.is_empty()
        && !text
            .contains(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-._".contains(c))
}

impl Glob {
    fn parse(pattern: &str, match_case: bool) -> Self {
        let (anchor, pattern) = match pattern {
            p if p.starts_with("||") => (Anchor::Host, &p[2..]),
            p if p.starts_with('|') => (Anchor::Start, &p[1..]),
            p => (Anchor::None, p),
        };
        let (to_end, pattern) = match pattern.strip_suffix('|') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        // An asterisk at a side undoes what anchors there.
        let anchor = if pattern.starts_with('*') { Anchor::None } else { anchor };
        let to_end = to_end && !pattern.ends_with('*');
        let part = |part: &str| match match_case {
            true => part.as_bytes().to_vec(),
            false => part.to_ascii_lowercase().into_bytes(),
        };
        let parts = pattern.split('*').filter(|part| !part.is_empty()).map(part).collect();
        Self { anchor, to_end, parts, match_case }
    }

    /// The longest text that every URL of the rule has in it.
    fn literal(&self) -> &[u8] {
        let pieces = self.parts.iter().flat_map(|part| part.split(|b| *b == b'^'));
        pieces.max_by_key(|piece| piece.len()).unwrap_or_default()
    }

    fn matches(&self, url: &[u8], host: (usize, usize)) -> bool {
        let Some((first, others)) = self.parts.split_first() else { return false };
        let begins: Vec<usize> = match self.anchor {
            Anchor::Start => vec![0],
            Anchor::Host => {
                let dots = (host.0..host.1).filter(|at| url[*at] == b'.').map(|at| at + 1);
                std::iter::once(host.0).chain(dots).collect()
            }
            // The leftmost is as good as any, but for a pattern that ends with the URL.
            Anchor::None if others.is_empty() && self.to_end => (0..=url.len()).collect(),
            Anchor::None => find(url, 0, first).map(|(begin, _)| begin).into_iter().collect(),
        };
        begins.into_iter().filter_map(|begin| ends(url, begin, first)).any(|end| {
            let mut at = end;
            for (i, part) in others.iter().enumerate() {
                if i + 1 == others.len() && self.to_end {
                    return (at..=url.len()).any(|b| ends(url, b, part) == Some(url.len()));
                }
                let Some((_, end)) = find(url, at, part) else { return false };
                at = end;
            }
            !self.to_end || at == url.len()
        })
    }
}

/// Where a part is found first from a place on, and where it ends.
fn find(url: &[u8], from: usize, part: &[u8]) -> Option<(usize, usize)> {
    (from..=url.len()).find_map(|begin| Some((begin, ends(url, begin, part)?)))
}

/// Where a part that begins at a place ends.
fn ends(url: &[u8], begin: usize, part: &[u8]) -> Option<usize> {
    let mut at = begin;
    for byte in part {
        match url.get(at) {
            Some(found) if *byte == b'^' && is_separator(*found) => at += 1,
            Some(found) if *byte != b'^' && found == byte => at += 1,
            // The end of the URL is a separator too.
            None if *byte == b'^' => {}
            _ => return None,
        }
    }
    Some(at)
}

/// Anything but a letter, a digit and `_ - . %`; letters beyond ASCII are none.
fn is_separator(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"_-.%".contains(&byte)
}

/// Rules by a text that a URL has to have before they are looked at.
#[derive(Default)]
pub struct Rules {
    automaton: Option<AhoCorasick>,
    /// The rules of each literal of the automaton.
    by_literal: Vec<Vec<Rule>>,
    /// Rules without a literal.
    always: Vec<Rule>,
}

impl Rules {
    /// An index of rules.
    pub fn new(rules: Vec<Rule>) -> Result<Self> {
        let mut literals: HashMap<Vec<u8>, Vec<Rule>> = HashMap::new();
        let mut always = Vec::new();
        for rule in rules {
            match &rule.matcher {
                Matcher::Glob(glob) if !glob.literal().is_empty() => {
                    let literal = glob.literal().to_ascii_lowercase();
                    literals.entry(literal).or_default().push(rule);
                }
                _ => always.push(rule),
            }
        }
        let (literals, by_literal): (Vec<_>, Vec<_>) = literals.into_iter().unzip();
        let automaton = match literals.is_empty() {
            true => None,
            false => Some(
                AhoCorasick::new(&literals)
                    .map_err(|e| Error::usage(format!("too many rules: {e}")))?,
            ),
        };
        Ok(Self { automaton, by_literal, always })
    }

    /// A rule that a URL matches: the first by the order of their texts, so that it is always the
    /// same.
    pub fn find(&self, url: &str, parts: &Url<'_>) -> Option<&str> {
        let lower = url.to_ascii_lowercase();
        let matches = |rule: &&Rule| match &rule.matcher {
            Matcher::Regex(regex) => regex.is_match(url),
            Matcher::Glob(glob) if glob.match_case => glob.matches(url.as_bytes(), parts.span),
            Matcher::Glob(glob) => glob.matches(lower.as_bytes(), parts.span),
        };
        let mut literals: Vec<usize> = match &self.automaton {
            Some(automaton) => {
                automaton.find_overlapping_iter(&lower).map(|m| m.pattern().as_usize()).collect()
            }
            None => Vec::new(),
        };
        literals.sort_unstable();
        literals.dedup();
        let candidates = literals.into_iter().flat_map(|literal| &self.by_literal[literal]);
        let found = candidates.chain(&self.always).filter(matches);
        found.map(|rule| rule.text.as_str()).min()
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.always.len() + self.by_literal.iter().map(Vec::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(rule: &str, url: &str) -> bool {
        let Line::Pattern(rule, _) = Line::parse(rule) else { panic!("{rule} is no pattern") };
        Rules::new(vec![rule]).unwrap().find(url, &Url::parse(url)).is_some()
    }

    #[test]
    fn patterns_have_anchors_wildcards_and_separators() {
        for (rule, url, expected) in [
            ("/ads/", "http://a.de/ads/1", true),
            ("/ADS/", "http://a.de/ads/1", true),
            ("/ADS/x$match-case", "http://a.de/ads/x", false),
            ("|http://a.", "http://a.de/", true),
            ("|http://a.", "https://b.de/?http://a.", false),
            (".swf|", "http://a.de/x.swf", true),
            (".swf|", "http://a.de/x.swf.swf", true),
            (".swf|", "http://a.de/x.swf?1", false),
            ("||a.de/x^", "https://www.a.de/x", true),
            ("||a.de/x^", "https://www.a.de/xy", false),
            ("||a.de/x^", "https://ba.de/x", false),
            ("||a.de/x^", "https://b.de/a.de/x", false),
            ("/x/*/y^*z", "http://a.de/x/1/2/y?az", true),
            ("/x/*/y^*z", "http://a.de/x/y?az", false),
            ("^путь^", "http://a.de/путь/", true),
            ("||a.de^*/b|", "http://a.de:80/c/b", true),
            ("*/c*", "http://a.de/c", true),
            (r"/ban+er[0-9]/", "http://a.de/BANNNER1", true),
        ] {
            assert_eq!(matches(rule, url), expected, "{rule} {url}");
        }
    }

    #[test]
    fn lines_that_are_no_rules_for_documents_are_told_apart() {
        for line in ["", "! comment", "[Adblock Plus 2.0]"] {
            assert!(matches!(Line::parse(line), Line::Nothing), "{line}");
        }
        for line in [
            "##.ad",
            "a.de#@#.x",
            "||a.de^$script",
            "x$domain=a.de",
            "||a.de^$~third-party",
            "*",
            "/(?=x)/",
        ] {
            assert!(matches!(Line::parse(line), Line::Skipped), "{line}");
        }
        assert!(
            matches!(Line::parse("||a.de^$third-party"), Line::Domain(d, false) if d == "a.de")
        );
        assert!(matches!(Line::parse("@@||bücher.de^"), Line::Domain(d, true) if d == "bücher.de"));
        assert!(matches!(Line::parse("/a$b/c"), Line::Pattern(..)));
    }
}
