//! The text that is left of a wikitext, written line by line.
//!
//! A line is written before it is known whether it stays; what is then found empty is taken back,
//! and headings wait until something stands below them.

use memchr::{memchr, memmem};

use super::entities::reference;
use super::scan::{Set, run};
use super::structure::{Fate, Range};
use super::tags::{Role, tag};
use super::{tidy, variants};

const SPECIAL: Set = Set::of(b"'<&[]{}_\n");

/// No place in a text.
const NONE: usize = usize::MAX;

/// The text outside of the ranges.
pub fn write(text: &str, ranges: &[Range]) -> String {
    let mut writer = Writer {
        bytes: text.as_bytes(),
        at: 0,
        ranges,
        out: Vec::with_capacity(text.len() / 2),
        line: 0,
        state: Line::default(),
        gap: NONE,
        paragraph: false,
        dropped: false,
        headings: Vec::new(),
    };
    while writer.step() {}
    writer.end_line();
    let mut out = writer.out;
    out.truncate(out.trim_ascii_end().len());
    // Every cut is made at an ASCII byte, so this is the text as it is.
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// What is known of the line that is being written.
struct Line {
    /// Nothing of it has been written.
    head: bool,
    /// Something in it went.
    cut: bool,
    /// The rank of a heading, else 0.
    rank: usize,
    /// Between bold quotes.
    bold: bool,
    /// Between `-{` and `}-`.
    variant: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self { head: true, cut: false, rank: 0, bold: false, variant: false }
    }
}

struct Writer<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Those that are still to come.
    ranges: &'t [Range],
    out: Vec<u8>,
    /// Where the line begins in `out`.
    line: usize,
    state: Line,
    /// Where something went last in `out`, to be joined with what comes after.
    gap: usize,
    /// What comes next begins a paragraph.
    paragraph: bool,
    /// The line before was left over from a table or a template.
    dropped: bool,
    /// Headings with their ranks that have nothing below them yet.
    headings: Vec<(usize, Vec<u8>)>,
}

impl Writer<'_> {
    fn step(&mut self) -> bool {
        let limit = loop {
            match self.ranges.first() {
                // Inside of what a range before took.
                Some(range) if range.end <= self.at && range.start < self.at => {}
                Some(range) if range.start <= self.at => {
                    let range = *range;
                    self.ranges = &self.ranges[1..];
                    self.range(range);
                    return true;
                }
                Some(range) => break range.start,
                None => break self.bytes.len(),
            }
            self.ranges = &self.ranges[1..];
        };
        if self.at >= self.bytes.len() {
            return false;
        }
        // Of several gaps in a row, and markup between them, the last is joined.
        if self.gap == self.out.len() {
            let after = &self.bytes[self.at..limit];
            self.at += tidy::join(&mut self.out, self.line, after);
            self.gap = self.out.len();
            if self.at == limit {
                return true;
            }
        }
        if self.state.head && self.begin(limit) {
            return true;
        }
        let plain = SPECIAL.find(&self.bytes[self.at..limit]);
        self.out.extend_from_slice(&self.bytes[self.at..self.at + plain]);
        self.at += plain;
        if self.at < limit {
            self.special(limit);
        }
        true
    }

    fn range(&mut self, range: Range) {
        let from = self.at.max(range.start);
        self.at = self.at.max(range.end);
        match range.fate {
            Fate::Mark => {}
            Fate::Cut => {
                self.state.cut = true;
                self.gap = self.out.len();
            }
            Fate::Block => {
                self.end_line();
                self.paragraph = true;
            }
            Fate::Literal => {
                self.state.head = false;
                for (i, line) in self.bytes[from..self.at].split(|b| *b == b'\n').enumerate() {
                    if i > 0 {
                        self.end_line();
                        self.state.head = false;
                    }
                    literal(&mut self.out, line);
                }
            }
        }
    }

    /// Passes over what a line begins with and is no text; whether there was any.
    fn begin(&mut self, limit: usize) -> bool {
        let rest = &self.bytes[self.at..limit];
        let count = run(rest);
        let next = rest.get(1);
        match rest.first() {
            Some(b' ' | b'\t' | b'\r' | b'*' | b'#' | b':' | b';') => self.at += count,
            Some(b'-') if count >= 4 => self.at += count,
            Some(b'}') if count >= 2 => {
                self.state.cut = true;
                self.at += count;
            }
            Some(b'=') if self.state.rank == 0 => {
                self.at += count;
                self.state.rank = count;
            }
            Some(b'|') => self.drop_line(),
            Some(b'!') if self.dropped => self.drop_line(),
            Some(b'{') if matches!(next, Some(b'{' | b'|')) => self.drop_line(),
            Some(b'\n') => return false,
            _ => {
                self.state.head = false;
                return false;
            }
        }
        true
    }

    /// Passes over a line up to its end; content that goes does not end it.
    fn drop_line(&mut self) {
        let mut end = self.line_end();
        while let Some(range) = self.ranges.first()
            && range.start < end
        {
            if range.end > end {
                self.at = range.end;
                end = self.line_end();
            }
            self.ranges = &self.ranges[1..];
        }
        self.at = end;
        self.state.cut = true;
        self.dropped = true;
    }

    fn line_end(&self) -> usize {
        memchr(b'\n', &self.bytes[self.at..]).map_or(self.bytes.len(), |n| self.at + n)
    }

    fn special(&mut self, limit: usize) {
        let rest = &self.bytes[self.at..];
        let here = &rest[..limit - self.at];
        let byte = here[0];
        match byte {
            b'\n' => {
                self.at += 1;
                let dropped = std::mem::take(&mut self.dropped);
                self.end_line();
                self.dropped = dropped && self.bytes.get(self.at) == Some(&b'!');
            }
            b'\'' => self.quotes(),
            b'<' if here.starts_with(b"<!--") => self.at += 4,
            b'<' => match tag(rest) {
                Some(tag) => {
                    self.at += tag.length;
                    match tag.role {
                        Role::Line => self.end_part(),
                        Role::Paragraph => {
                            self.end_part();
                            self.paragraph = true;
                        }
                        Role::Content(_) | Role::Inline | Role::Literal => self.state.cut = true,
                    }
                }
                None => self.keep(1),
            },
            b'&' => match reference(&here[1..]) {
                Some((found, length)) => {
                    push(&mut self.out, found);
                    self.at += 1 + length;
                }
                None => self.keep(1),
            },
            b'_' => match switch(here) {
                Some(length) => {
                    self.state.cut = true;
                    self.at += length;
                }
                None => self.keep(run(here)),
            },
            _ if run(here) >= 2 => self.at += run(here),
            b'{' if self.out.last() == Some(&b'-') => self.variant(limit),
            b'}' if self.state.variant && rest.get(1) == Some(&b'-') => {
                self.state.variant = false;
                self.at += 2;
            }
            _ => self.keep(1),
        }
    }

    /// Copies some bytes.
    fn keep(&mut self, count: usize) {
        self.out.extend_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
    }

    /// Bold and italic go; an apostrophe before them stays.
    fn quotes(&mut self) {
        let rest = &self.bytes[self.at..];
        let count = run(rest);
        let mut kept = match count {
            1 | 4 => 1,
            2 | 3 | 5 => 0,
            more => more - 5,
        };
        let letter =
            self.out[self.line..].last().is_some_and(|b| !b.is_ascii() || b.is_ascii_alphabetic());
        if count == 3 && !self.state.bold && letter && italic_next(&rest[3..]) {
            // `l'''amour''` is an apostrophe and italic.
            kept = 1;
        } else if count >= 3 {
            self.state.bold = !self.state.bold;
        }
        self.out.extend_from_slice(&rest[..kept]);
        self.at += count;
    }

    /// `-{…}-` of languages in several scripts: the first of its variants.
    fn variant(&mut self, limit: usize) {
        self.out.pop();
        match variants::first(&self.bytes[self.at + 1..limit]) {
            Some((text, length)) => {
                self.out.extend_from_slice(text);
                self.at += 1 + length;
            }
            None => {
                self.state.variant = true;
                self.at += 1;
            }
        }
    }

    /// Ends the line at a tag; what comes after it belongs to the same paragraph.
    fn end_part(&mut self) {
        // A heading is one line.
        if self.state.rank > 0 {
            self.out.push(b' ');
            return;
        }
        // Nothing before it, or nothing after it, is no blank line.
        self.state.cut |= self.out[self.line..].trim_ascii().is_empty();
        self.end_line();
        self.state.cut = true;
    }

    fn end_line(&mut self) {
        let state = std::mem::take(&mut self.state);
        self.gap = NONE;
        collapse(&mut self.out, self.line);
        let line = &self.out[self.line..];
        let mut end = line.trim_ascii_end().len();
        if state.rank > 0 {
            let title = line[..end].trim_ascii();
            let closing = title.iter().rev().take_while(|b| **b == b'=').count();
            if closing > 0 {
                let rank = state.rank.min(closing);
                let title = title[..title.len() - closing].trim_ascii().to_vec();
                self.out.truncate(self.line);
                self.headings.retain(|(above, _)| *above < rank);
                if !title.is_empty() {
                    self.headings.push((rank, title));
                }
                self.paragraph = true;
                return;
            }
        }
        if state.cut && is_leftover(&line[..end]) {
            end = 0;
        }
        self.out.truncate(self.line + end);
        if end == 0 {
            // What was emptied is no blank line.
            self.paragraph |= !state.cut;
            return;
        }
        if self.paragraph && self.line > 0 || !self.headings.is_empty() {
            let length = self.out.len();
            if self.line > 0 {
                self.out.push(b'\n');
            }
            for (_, title) in self.headings.drain(..) {
                self.out.extend_from_slice(&title);
                self.out.extend_from_slice(b"\n\n");
            }
            let added = self.out.len() - length;
            self.out[self.line..].rotate_right(added);
        }
        self.paragraph = false;
        self.out.push(b'\n');
        self.line = self.out.len();
    }
}

/// Makes one space of several, as a browser does.
fn collapse(out: &mut Vec<u8>, line: usize) {
    let Some(first) = memmem::find(&out[line..], b"  ") else { return };
    let begin = line + first;
    let mut to = begin;
    for from in begin..out.len() {
        if out[from] != b' ' || to == line || out[to - 1] != b' ' {
            out[to] = out[from];
            to += 1;
        }
    }
    out.truncate(to);
}

/// Whether a line has nothing but punctuation.
fn is_leftover(line: &[u8]) -> bool {
    let ascii = |b: &u8| b.is_ascii_alphanumeric();
    let other = |text: &str| text.chars().any(|c| c.is_alphanumeric());
    !line.iter().any(ascii) && !std::str::from_utf8(line).is_ok_and(other)
}

/// Whether the next quotes of a line end italic text.
fn italic_next(rest: &[u8]) -> bool {
    let end = memchr(b'\n', rest).unwrap_or(rest.len());
    let mut line = &rest[..end];
    while let Some(at) = memchr(b'\'', line) {
        match run(&line[at..]) {
            1 => line = &line[at + 1..],
            count => return count == 2,
        }
    }
    false
}

/// The length of a behaviour switch such as `__NOTOC__`, in any language.
fn switch(bytes: &[u8]) -> Option<usize> {
    const LONGEST: usize = 100;
    if run(bytes) != 2 {
        return None;
    }
    let rest = &bytes[2..bytes.len().min(LONGEST)];
    let end = memmem::find(rest, b"__").filter(|n| *n > 2)?;
    let name = std::str::from_utf8(&rest[..end]).ok()?;
    let fits = |c: char| c == '_' || c.is_alphabetic() && !c.is_lowercase() || c == '\u{94d}';
    name.chars().all(fits).then_some(2 + end + 2)
}

fn push(out: &mut Vec<u8>, found: Option<char>) {
    match found {
        Some(' ') if matches!(out.last(), Some(b' ' | b'\n')) => {}
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {}
    }
}

/// Text in which only character references mean something.
fn literal(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = memchr(b'&', text) {
        out.extend_from_slice(&text[..at]);
        text = &text[at + 1..];
        match reference(text) {
            Some((found, length)) => {
                push(out, found);
                text = &text[length..];
            }
            None => out.push(b'&'),
        }
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::super::{Namespaces, plain_text};

    fn check(cases: &[(&str, &str)]) {
        for (text, want) in cases {
            assert_eq!(plain_text(text, &Namespaces::default()), *want, "{text}");
        }
    }

    #[test]
    fn an_article_becomes_paragraphs() {
        let text = "{{Infobox\n| a = [[b]]\n}}\n[[File:x.jpg|thumb|200px|Ein [[Haus]]]]\n\
            '''Σπίτι''' ({{lang|el|x}}; um 1900) ist ein ''[[Gebäude|Bau]]''.<ref name=a>{{b}}</ref> Es\n\
            steht.\n\n\n== Lage ==\n=== Leer ===\n{{Hauptartikel}}\n=== Stadt ===\n* [[Wien]]\n\
            ** [http://a.b Graz] {{c}}\n{| class=d\n| e\n|}\nEnde &amp; aus&nbsp;!\n== Quellen ==\n\
            <references />\n[[Kategorie:X]]\n[[en:House]]\n__NOTOC__\n";
        let want = "Σπίτι (um 1900) ist ein Bau. Es\nsteht.\n\nLage\n\nStadt\n\nWien\nGraz\n\n\
            Ende & aus !";
        check(&[(text, want)]);
    }

    #[test]
    fn lines_lose_what_they_begin_with() {
        check(&[
            ("* a\n*# b\n: c\n; d : e\n f\n----\ng", "a\nb\nc\nd : e\nf\n\ng"),
            ("a\n| b = c\n! d\n}}\ne", "a\ne"),
            ("{{open\n| b = {{c\n|d}} e\nf", "f"),
            ("{| open\n! a\n|-\n| b\nc", "c"),
            ("a<br>b<br />\nc\n\n<p>d</p>e", "a\nb\nc\n\nd\n\ne"),
            ("a\n<!-- b -->\nc\n<!-- d -->* e", "a\nc\ne"),
        ]);
    }

    #[test]
    fn quotes_and_apostrophes_are_told_apart() {
        check(&[
            ("'''a''' ''b'' '''''c''''' d'e", "a b c d'e"),
            ("l''''Italia''' e l'''Espresso''", "l'Italia e l'Espresso"),
            ("l'''a''' b", "la b"),
        ]);
    }

    #[test]
    fn references_tags_and_switches() {
        check(&[
            ("5&nbsp;m &lt;b&gt; &unknown; &", "5 m <b> &unknown; &"),
            ("H<sub>2</sub>O <b>x</b> 1 <b 2 <http://a>", "H2O x 1 <b 2 <http://a>"),
            ("<nowiki>[[a]] ''b'' &amp;\n* c</nowiki> d", "[[a]] ''b'' &\n* c d"),
            ("__KEIN_INHALTSVERZEICHNIS__a __init__ __目次__", "a __init__"),
            ("-{zh-hans:联邦州; zh-hant:邦}-和-{TXL}-和-{[[a]]}-", "联邦州和TXL和a"),
            ("before <span>{{IPA|r}}</span>, as  in ''{{x}}''. (''{{y}}'')", "before, as in."),
            ("a ]] b [[ c }} d {{ e [1] {f}", "a b c d e [1] {f}"),
        ]);
    }

    #[test]
    fn a_heading_needs_something_below_it() {
        check(&[
            (
                "== a ==\n=== b ===\nc\n== d ==\n=== e ===\n== f == <!-- g -->\nh",
                "a\n\nb\n\nc\n\nf\n\nh",
            ),
            ("== a ==", ""),
            ("= a", "a"),
            ("=='' [[a|b]] ''==\nc", "b\n\nc"),
        ]);
    }
}
