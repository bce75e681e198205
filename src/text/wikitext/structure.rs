//! The ranges of a wikitext that are markup or content that goes, found in one pass.
//!
//! What is open is kept on a stack of bounded depth; every byte is looked at a bounded number of
//! times. A brace or bracket without a partner has no range: the writer passes over it.

use memchr::memmem;

use super::namespaces::{Namespaces, is_media};
use super::scan::{Set, run};
use super::tags::{Role, end_tag, tag};

/// What becomes of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Markup of text that stays; it goes without a trace.
    Mark,
    /// Content that goes; what stands around it is joined.
    Cut,
    /// Content that goes, and a paragraph ends.
    Block,
    /// Text in which markup is none.
    Literal,
}

/// Some bytes of a wikitext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// What becomes of it.
    pub fate: Fate,
}

/// What is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// So many braces, of a template or an argument.
    Braces(usize),
    Table,
    /// A link to a page, whose label is text.
    Link,
    /// A link to a file, a category or another language, which goes as a whole.
    Embed,
    /// A link to an address.
    Url,
}

#[derive(Clone, Copy)]
struct Open {
    kind: Kind,
    /// The number of its range; those after it lie inside of it.
    slot: usize,
    /// Of a link, where the bar before its label stands, else 0; of an address, where it ends.
    bar: usize,
}

/// More open at once than any text has; what is opened beyond is text.
const DEEPEST: usize = 1000;

const SPECIAL: Set = Set::of(b"{}[]<|\n");

/// How addresses begin.
const SCHEMES: &[&str] = &[
    "http://",
    "https://",
    "//",
    "ftp://",
    "mailto:",
    "news:",
    "irc://",
    "tel:",
    "ftps://",
    "gopher://",
    "git://",
    "magnet:",
    "geo:",
    "sftp://",
    "urn:",
];

/// The ranges of a text, by where they begin. Inner ranges of what goes as a whole are not there,
/// but a range may begin inside the one before.
pub fn ranges(text: &str, names: &Namespaces) -> Vec<Range> {
    let bytes = text.as_bytes();
    let mut structure = Structure {
        bytes,
        names,
        at: 0,
        line: 0,
        open: Vec::new(),
        braces: 0,
        tables: 0,
        links: 0,
        ranges: Vec::new(),
        absent: 0,
    };
    structure.line_start();
    while structure.step() {}
    while structure.abandon(bytes.len()) {}
    structure.ranges
}

struct Structure<'t> {
    bytes: &'t [u8],
    names: &'t Namespaces,
    at: usize,
    /// Where the line begins, its indentation and bullets left out.
    line: usize,
    open: Vec<Open>,
    /// How many of each are open.
    braces: usize,
    tables: usize,
    links: usize,
    ranges: Vec<Range>,
    /// The tags that have no end tag from here on; the last bit is the comment's.
    absent: u64,
}

impl Structure<'_> {
    fn step(&mut self) -> bool {
        self.at += SPECIAL.find(&self.bytes[self.at..]);
        match self.bytes.get(self.at) {
            None => return false,
            Some(b'\n') => {
                self.at += 1;
                self.line_start();
            }
            Some(b'{') => self.open_braces(),
            Some(b'}') => self.close_braces(),
            Some(b'[') => self.open_brackets(),
            Some(b']') => self.close_brackets(),
            Some(b'<') => self.tag(),
            Some(_) => self.bar(),
        }
        true
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    fn push(&mut self, kind: Kind, start: usize, bar: usize) {
        match kind {
            Kind::Braces(_) => self.braces += 1,
            Kind::Table => self.tables += 1,
            Kind::Link | Kind::Embed => self.links += 1,
            Kind::Url => {}
        }
        self.open.push(Open { kind, slot: self.ranges.len(), bar });
        self.ranges.push(Range { start, end: start, fate: Fate::Mark });
    }

    fn pop(&mut self) -> Option<(Open, usize)> {
        let open = self.open.pop()?;
        match open.kind {
            Kind::Braces(_) => self.braces -= 1,
            Kind::Table => self.tables -= 1,
            Kind::Link | Kind::Embed => self.links -= 1,
            Kind::Url => {}
        }
        Some((open, self.ranges[open.slot].start))
    }

    /// Gives up what was opened last; of a file without an end, what stands up to here goes.
    fn abandon(&mut self, here: usize) -> bool {
        let Some((open, start)) = self.pop() else { return false };
        if open.kind == Kind::Embed {
            self.close(open.slot, start, here, Fate::Cut);
        } else if open.slot + 1 == self.ranges.len() {
            self.ranges.pop();
        }
        true
    }

    /// Makes one range of all from a slot on.
    fn close(&mut self, slot: usize, start: usize, end: usize, fate: Fate) {
        self.ranges.truncate(slot);
        self.ranges.push(Range { start, end, fate });
    }

    /// Passes over the indentation of a line; links do not go on over paragraphs.
    fn line_start(&mut self) {
        let here = self.at.saturating_sub(1);
        let head = self.rest();
        let indent = head
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b':' | b'*' | b'#' | b';'));
        let indent = indent.count();
        let ends = matches!(head.get(indent), None | Some(b'\n' | b'='));
        while let Some(top) = self.open.last() {
            let over = match top.kind {
                Kind::Url => true,
                Kind::Link => ends || top.bar == 0,
                Kind::Embed => ends,
                Kind::Braces(_) | Kind::Table => false,
            };
            if !over {
                break;
            }
            self.abandon(here);
        }
        self.at += indent;
        self.line = self.at;
    }

    fn open_braces(&mut self) {
        let count = run(self.rest());
        let before = self.at.checked_sub(1).map(|i| self.bytes[i]);
        let begins = self.at == self.line || matches!(before, Some(b'>' | b'}'));
        let room = self.open.len() < DEEPEST;
        if count >= 2 && room {
            self.push(Kind::Braces(count), self.at, 0);
        } else if count == 1 && begins && room && self.rest().get(1) == Some(&b'|') {
            self.push(Kind::Table, self.at, 0);
            self.at += 1;
        }
        self.at += count;
    }

    fn close_braces(&mut self) {
        let mut left = run(self.rest());
        while left >= 2 && self.braces > 0 {
            let Some(top) = self.open.last_mut() else { break };
            let Kind::Braces(count) = &mut top.kind else {
                self.abandon(self.at);
                continue;
            };
            let taken = left.min(*count);
            *count -= taken;
            let (slot, count) = (top.slot, *count);
            let start = self.ranges[slot].start;
            // What is left of the opening encloses this range.
            let inner = if count >= 2 { slot + 1 } else { slot };
            if count < 2 {
                self.pop();
            }
            self.close(inner, start + count, self.at + taken, Fate::Cut);
            self.at += taken;
            left -= taken;
        }
        self.at += left;
    }

    fn bar(&mut self) {
        let here = self.at;
        let next = (self.bytes.get(here + 1), self.bytes.get(here + 2));
        let ends = here == self.line && self.tables > 0 && next.0 == Some(&b'}');
        // `|}}` ends a template whose last argument is empty.
        let in_braces = self.open.last().is_some_and(|top| matches!(top.kind, Kind::Braces(_)));
        self.at += 1;
        if ends && !(in_braces && next.1 == Some(&b'}')) {
            while self.open.last().is_some_and(|top| top.kind != Kind::Table) {
                self.abandon(here);
            }
            if let Some((open, start)) = self.pop() {
                self.close(open.slot, start, here + 2, Fate::Block);
            }
            self.at += 1;
        } else if let Some(Open { kind: Kind::Link | Kind::Embed, bar, .. }) = self.open.last_mut()
            && *bar == 0
        {
            *bar = here;
        }
    }

    fn open_brackets(&mut self) {
        let count = run(self.rest());
        self.at += count;
        if self.open.len() >= DEEPEST {
            return;
        }
        let after = self.rest();
        if let Some(length) = address(after) {
            self.push(Kind::Url, self.at - 1, self.at + length);
            self.at += length;
        } else if count >= 2 {
            let kind = match prefix(after) {
                Some(prefix) if self.names.is_embedded(prefix) => Kind::Embed,
                _ => Kind::Link,
            };
            self.push(kind, self.at - 2, 0);
        }
    }

    fn close_brackets(&mut self) {
        let mut left = run(self.rest());
        while left > 0 {
            match self.open.last().map(|top| top.kind) {
                Some(Kind::Url) => {
                    self.close_url();
                    left -= 1;
                }
                Some(Kind::Link | Kind::Embed) if left >= 2 => {
                    self.close_link();
                    left -= 2;
                }
                Some(_) if left >= 2 && self.links > 0 => {
                    self.abandon(self.at);
                }
                _ => break,
            }
        }
        self.at += left;
    }

    fn close_url(&mut self) {
        let Some((open, start)) = self.pop() else { return };
        let label = &self.bytes[open.bar.min(self.at)..self.at];
        let spaces = label.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        if spaces == label.len() {
            self.close(open.slot, start, self.at + 1, Fate::Cut);
        } else {
            self.ranges[open.slot].end = open.bar + spaces;
            self.ranges.push(Range { start: self.at, end: self.at + 1, fate: Fate::Mark });
        }
        self.at += 1;
    }

    fn close_link(&mut self) {
        let Some((open, start)) = self.pop() else { return };
        let end = self.at + 2;
        let target = &self.bytes[start + 2..if open.bar > 0 { open.bar } else { self.at }];
        if open.kind == Kind::Embed || is_media(target) {
            self.close(open.slot, start, end, Fate::Cut);
        } else if open.bar > 0 && open.bar + 1 < self.at {
            self.ranges[open.slot].end = open.bar + 1;
            self.ranges.push(Range { start: self.at, end, fate: Fate::Mark });
        } else {
            // `[[:de:Haus]]` shows its target; so does a link whose label is empty.
            let colon = usize::from(target.first() == Some(&b':'));
            self.ranges[open.slot].end = start + 2 + colon;
            let begin = if open.bar > 0 { open.bar } else { self.at };
            self.ranges.push(Range { start: begin, end, fate: Fate::Mark });
        }
        self.at = end;
    }

    fn tag(&mut self) {
        const COMMENT: u64 = 1 << 63;
        let (here, rest) = (self.at, &self.bytes[self.at..]);
        if rest.starts_with(b"<!--") {
            let end = match self.absent & COMMENT {
                0 => memmem::find(&rest[4..], b"-->"),
                _ => None,
            };
            match end {
                Some(n) => {
                    self.at += 4 + n + 3;
                    self.ranges.push(Range { start: here, end: self.at, fate: Fate::Cut });
                }
                None => {
                    self.absent |= COMMENT;
                    self.at += 4;
                }
            }
            return;
        }
        let Some(tag) = tag(rest) else {
            self.at += 1;
            return;
        };
        self.at += tag.length;
        let bit = match tag.role {
            Role::Content(kind) => 1 << kind,
            Role::Literal => 1 << 62,
            Role::Inline | Role::Line | Role::Paragraph => return,
        };
        if tag.end {
            return;
        }
        if tag.closed {
            self.ranges.push(Range { start: here, end: self.at, fate: Fate::Cut });
            return;
        }
        let found = match self.absent & bit {
            0 => end_tag(self.rest(), tag.name),
            _ => None,
        };
        let Some((inside, length)) = found else {
            // No later tag of this name has an end either, so it is not searched for again.
            self.absent |= bit;
            return;
        };
        let (start, end) = (self.at, self.at + inside);
        let table = tag.name.eq_ignore_ascii_case(b"table");
        self.ranges.push(match tag.role {
            Role::Literal => Range { start, end, fate: Fate::Literal },
            _ if table => Range { start: here, end: end + length, fate: Fate::Block },
            _ => Range { start: here, end: end + length, fate: Fate::Cut },
        });
        self.at = end + length;
    }
}

/// The length of the address that some bytes begin with.
fn address(bytes: &[u8]) -> Option<usize> {
    const ENDS: Set = Set::of(b" \t\n[]<>{}\"|");
    let is = |scheme: &&&str| {
        let head = bytes.get(..scheme.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    // Titles are looked at too, and hardly any begins like this.
    let colon = bytes.iter().take(9).any(|b| *b == b':') || bytes.starts_with(b"//");
    SCHEMES.iter().filter(|_| colon).find(is).map(|_| ENDS.find(bytes))
}

/// What stands before the first colon of a link's target.
fn prefix(target: &[u8]) -> Option<&[u8]> {
    const LONGEST: usize = 60;
    let head = &target[..target.len().min(LONGEST)];
    let end = head.iter().position(|b| matches!(b, b':' | b'|' | b']' | b'[' | b'\n' | b'{'))?;
    (head[end] == b':').then(|| &head[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left outside of the ranges, and what stood in them.
    fn left(text: &str) -> String {
        let (mut out, mut at) = (String::new(), 0);
        for range in ranges(text, &Namespaces::default()) {
            if range.end <= at {
                continue;
            }
            out.push_str(&text[at.min(range.start)..range.start.max(at)]);
            if range.fate == Fate::Literal {
                out.push_str(&text[range.start..range.end]);
            }
            at = range.end;
        }
        out + &text[at..]
    }

    #[test]
    fn templates_end_where_their_braces_do() {
        for (text, want) in [
            ("a{{b|c={{d}}|{{{e|}}}}}f", "af"),
            ("{{{{a}}b}}c", "c"),
            ("{{a}}}b", "}b"),
            ("{{{a}}b", "{b"),
            ("a}}b{{c", "a}}b{{c"),
            ("{{a|[[b}}c]]", "c]]"),
            ("{{a|\n{|\n|x\n|}}}\n|}}d", "\n|}}d"),
            ("{{a|}}\n|}b", "\n|}b"),
        ] {
            assert_eq!(left(text), want, "{text}");
        }
    }

    #[test]
    fn tables_stand_at_the_begin_of_lines() {
        for (text, want) in [
            ("a\n{| b\n|-\n| {{c|}} || d\n|}\ne", "a\n\ne"),
            ("{|\n|\n  {|\n|}\n|}e", "e"),
            ("a {| b\n|}", "a {| b\n|}"),
            ("{|\n| {{a\n|}b", "b"),
            (":{|\n|}b", ":b"),
        ] {
            assert_eq!(left(text), want, "{text}");
        }
    }

    #[test]
    fn links_keep_their_labels_and_files_keep_nothing() {
        for (text, want) in [
            ("[[a]]s [[b|c]] [[d|]] [[:e:f]]", "as c d e:f"),
            ("[[File:a|thumb|b [[c]] d]]e", "e"),
            ("[[Bogus:a.JPG |thumb|b [[c]] d]]e", "e"),
            ("[http://a b [[c]]] [https://d] [1] [[http://e f]]", "b c  [1] [f]"),
            ("[[a\nb]] [[c", "[[a\nb]] [[c"),
            ("[[File:a|b\n\nc]]", "\n\nc]]"),
            ("[[de:a]][[zh-yue:b]][[Kategorie:c]][[d:e]]", "d:e"),
        ] {
            assert_eq!(left(text), want, "{text}");
        }
    }

    #[test]
    fn content_of_tags_goes_and_literal_text_stays() {
        for (text, want) in [
            ("a<ref>{{b</ref>c<ref name=d/>e<REF>f</Ref>g", "aceg"),
            ("a<!-- {{ -->b<!-- c", "ab<!-- c"),
            ("<nowiki>[[a]]{{b}}</nowiki>{{c}}", "<nowiki>[[a]]{{b}}</nowiki>"),
            ("<ref>a<math>b</math>", "<ref>a"),
            ("<table><tr><table></table></table>a", "a"),
        ] {
            assert_eq!(left(text), want, "{text}");
        }
    }

    #[test]
    fn nothing_that_is_left_open_costs_more_than_its_length() {
        for part in ["{{", "[[", "{|\n", "<ref>", "[http://a ", "<!--", "[[a|", "{{[[", "<", "|}\n"]
        {
            let text = part.repeat(300_000);
            assert!(ranges(&text, &Namespaces::default()).len() <= 300_001, "{part}");
        }
    }
}
