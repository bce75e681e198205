//! A page as blocks of text, each with what tells a text from its surroundings.
//!
//! One pass over the tokens with a short stack of open elements, no tree: time and memory are in
//! proportion to the page whatever it holds. Nesting deeper than 256 elements is not followed;
//! text there belongs to what is open above it.

use super::element::{Kind, implied, judge, known};
use super::entity;
use super::token::{Tag, Token, Tokens, is_space};

/// How many open elements are kept.
const DEPTH: usize = 256;

/// A run of text that no element divides.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Its text; `\n` is where a line was broken on purpose.
    pub text: String,
    /// How much text it is: letters and digits, those of scripts without spaces counted for more.
    pub weight: u32,
    /// How much of it is the text of links.
    pub linked: u32,
    /// Whether it is a heading.
    pub heading: bool,
    /// Whether its line ends are its own.
    pub preformatted: bool,
    /// Whether it is inside what its author calls the content.
    pub main: bool,
    /// The outermost piece of furniture that it is inside of.
    pub furniture: Option<u32>,
}

/// What a page says.
#[derive(Debug, Default, PartialEq)]
pub struct Blocks {
    /// Its blocks of text in order, none of them empty.
    pub blocks: Vec<Block>,
    /// Its title.
    pub title: Option<String>,
    /// The language of its root element.
    pub lang: Option<String>,
}

struct Open {
    name: &'static str,
    kind: Kind,
    /// The piece of furniture that begins here.
    furniture: Option<u32>,
}

#[derive(Default)]
struct Builder {
    found: Blocks,
    open: Vec<Open>,
    text: String,
    weight: u32,
    linked: u32,
    /// How many open elements say that text is not read, is the content, is preformatted.
    nothing: u32,
    main: u32,
    preformatted: u32,
    /// How many elements were open where the link began that is open.
    link: Option<usize>,
    pieces: u32,
}

/// The blocks of a page.
pub fn blocks(page: &str) -> Blocks {
    let mut builder = Builder::default();
    let mut tokens = Tokens::new(page);
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text) => builder.text(text),
            Token::Hidden(_) => {}
            Token::Open(tag) if tag.name.eq_ignore_ascii_case("title") => {
                if let Some(Token::Text(text)) = tokens.next()
                    && builder.found.title.is_none()
                    && builder.drawing() == 0
                {
                    builder.found.title =
                        Some(line(&entity::decode(text))).filter(|t| !t.is_empty());
                }
            }
            Token::Open(tag) => builder.start(&tag),
            Token::Close(name) => builder.end(name),
        }
    }
    builder.divide();
    builder.found
}

/// Text on one line, white space collapsed.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Builder {
    /// How many drawings and formulas are open, whose titles are not the page's.
    fn drawing(&self) -> usize {
        self.open.iter().filter(|open| matches!(open.name, "svg" | "math")).count()
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let Some((name, kind)) = known(tag.name) else { return self.inline(tag) };
        if let Some((ends, bounds)) = implied(name) {
            self.close(ends, bounds);
        } else if kind != Kind::Nothing {
            self.close(&["head"], &["body"]);
        }
        if kind != Kind::Nothing {
            self.close(&["p"], &["div", "td", "th", "li", "button"]);
            self.divide();
        }
        if kind == Kind::Heading {
            self.close(&["h1", "h2", "h3", "h4", "h5", "h6"], &["div", "td", "th", "section"]);
        }
        if self.open.len() < DEPTH {
            let kind = judge(name, kind, tag);
            let surrounded = self.open.iter().any(|open| open.furniture.is_some());
            let furniture = (kind == Kind::Furniture && !surrounded).then(|| {
                self.pieces += 1;
                self.pieces
            });
            self.count(kind, 1);
            self.open.push(Open { name, kind, furniture });
        }
    }

    fn inline(&mut self, tag: &Tag<'_>) {
        let is = |name: &str| tag.name.eq_ignore_ascii_case(name);
        if is("a") {
            self.link = tag.attribute("href").map(|_| self.open.len());
        } else if is("br") {
            self.break_line();
        } else if is("hr") {
            self.divide();
        } else if is("html") {
            let lang = tag.attribute("lang").or_else(|| tag.attribute("xml:lang"));
            let lang = lang.map(str::trim).filter(|lang| !lang.is_empty());
            self.found.lang = self.found.lang.take().or_else(|| lang.map(str::to_string));
        }
    }

    fn end(&mut self, name: &str) {
        let Some((name, kind)) = known(name) else {
            if name.eq_ignore_ascii_case("a") {
                self.link = None;
            }
            return;
        };
        if kind != Kind::Nothing {
            self.divide();
        }
        // The end of something in a table cell does not end the table.
        let bounds: &[&str] = match name {
            "table" | "tbody" | "thead" | "tfoot" | "tr" | "td" | "th" => &[],
            "body" | "main" | "article" => &[],
            _ => &["td", "th"],
        };
        self.close(&[name], bounds);
    }

    /// Ends the innermost open element of these names that none of the others bounds.
    fn close(&mut self, names: &[&str], bounds: &[&str]) {
        let at = self
            .open
            .iter()
            .rposition(|open| names.contains(&open.name) || bounds.contains(&open.name));
        let Some(at) = at.filter(|at| names.contains(&self.open[*at].name)) else { return };
        if self.open[at..].iter().any(|open| open.kind != Kind::Nothing) {
            self.divide();
        }
        while self.open.len() > at {
            if let Some(open) = self.open.pop() {
                self.count(open.kind, -1);
            }
        }
        // A link that is left open ends with what it began in.
        self.link = self.link.filter(|depth| *depth <= self.open.len());
    }

    fn count(&mut self, kind: Kind, change: i32) {
        let counter = match kind {
            Kind::Nothing => &mut self.nothing,
            Kind::Main => &mut self.main,
            Kind::Preformatted => &mut self.preformatted,
            _ => return,
        };
        *counter = counter.saturating_add_signed(change);
    }

    fn text(&mut self, text: &str) {
        if self.nothing > 0 {
            return;
        }
        let decoded = entity::decode(text);
        let before = self.weight;
        if self.preformatted > 0 {
            self.weight += decoded.chars().map(weight).sum::<u32>();
            self.text.push_str(&decoded);
        } else {
            self.flow(&decoded);
        }
        if self.link.is_some() {
            self.linked += self.weight - before;
        }
    }

    /// Appends text, of whose white space one space is left.
    fn flow(&mut self, text: &str) {
        if text.starts_with(|c: char| c.is_ascii() && is_space(c as u8)) {
            self.space();
        }
        let mut first = true;
        for word in text.split(|c: char| c.is_ascii() && is_space(c as u8)) {
            if word.is_empty() {
                continue;
            }
            if !first {
                self.text.push(' ');
            }
            first = false;
            self.text.push_str(word);
            self.weight += word.chars().map(weight).sum::<u32>();
        }
        if !first && text.ends_with(|c: char| c.is_ascii() && is_space(c as u8)) {
            self.text.push(' ');
        }
    }

    fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    fn break_line(&mut self) {
        if self.nothing == 0 && !self.text.is_empty() {
            let end = self.text.trim_end_matches(' ').len();
            self.text.truncate(end);
            self.text.push('\n');
        }
    }

    /// Ends the block that is being gathered.
    fn divide(&mut self) {
        let (weight, linked) = (std::mem::take(&mut self.weight), std::mem::take(&mut self.linked));
        let preformatted = self.preformatted > 0;
        let text = match preformatted {
            true => self.text.trim_matches('\n').trim_end(),
            false => self.text.trim(),
        };
        if weight > 0 {
            self.found.blocks.push(Block {
                text: text.replace('\0', ""),
                weight,
                linked,
                heading: self.open.iter().rev().take(4).any(|open| open.kind == Kind::Heading),
                preformatted,
                main: self.main > 0,
                furniture: self.open.iter().find_map(|open| open.furniture),
            });
        }
        self.text.clear();
    }
}

/// How much of a text a character is: nothing if it is no letter or digit, and for scripts that
/// write without spaces as much as the letters of the part of a word that it stands for.
fn weight(c: char) -> u32 {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => 1,
        '\0'..='\x7f' => 0,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{3ffff}' => 3,
        '\u{3040}'..='\u{30ff}' | '\u{ac00}'..='\u{d7af}' => 2,
        c => u32::from(c.is_alphanumeric()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(page: &str) -> Vec<String> {
        blocks(page).blocks.into_iter().map(|b| b.text).collect()
    }

    #[test]
    fn elements_divide_text_or_do_not() {
        assert_eq!(
            texts("<p>a <b>b</b>c<p>d<div>e<br>f</div> g\n h"),
            ["a bc", "d", "e\nf", "g h"]
        );
        assert_eq!(texts("<ul><li>α<li>β</ul><table><tr><td>γ<td>δ</table>"), ["α", "β", "γ", "δ"]);
        assert_eq!(texts("<p>x&nbsp;&lt;p&gt;</p><p> </p><p>—</p>"), ["x\u{a0}<p>"]);
        assert_eq!(texts("<pre>\n a\n  b\n</pre>c  d"), [" a\n  b", "c d"]);
    }

    #[test]
    fn what_is_not_read_is_no_text() {
        let page = "<head><style>p{}</style><title>T &amp;\n T</title></head><body><p>a\
                    <script>b</script><select><option>c</select><svg><title>d</title></svg>e\
                    <p hidden>f</p>g<div style='display:none'>h<div>i</div></div>j";
        let found = blocks(page);
        assert_eq!(found.title.as_deref(), Some("T & T"));
        assert_eq!(texts(page), ["ae", "g", "j"]);
        assert_eq!(texts("<head><title>x</title><p>no body"), ["no body"]);
    }

    #[test]
    fn links_furniture_and_content_are_known() {
        let page = "<html lang='ja'><nav>家 <div>x</div></nav>a <a href=/>bc</a>\
                    <main><h2>d</h2><p>e <a href=/>f<p>g</main>h";
        let found = blocks(page);
        let of = |b: &Block| (b.text.clone(), b.weight, b.linked, b.heading, b.main, b.furniture);
        let all: Vec<_> = found.blocks.iter().map(of).collect();
        let want = [
            ("家", 3, 0, false, false, Some(1)),
            ("x", 1, 0, false, false, Some(1)),
            ("a bc", 3, 2, false, false, None),
            ("d", 1, 0, true, true, None),
            ("e f", 2, 1, false, true, None),
            ("g", 1, 0, false, true, None),
            ("h", 1, 0, false, false, None),
        ];
        let want = want.map(|(t, w, l, h, m, f)| (t.to_string(), w, l, h, m, f));
        assert_eq!(all, want);
        assert_eq!(found.lang.as_deref(), Some("ja"));
    }

    #[test]
    fn deep_and_broken_pages_are_read_in_one_pass() {
        for piece in [
            "<div>",
            "<table><td>",
            "<a href=x>",
            "<b><p>",
            "<ul><li>",
            "</div>",
            "<!--",
            "<nav class=",
        ] {
            let page = format!("<p>one</p>{}<p>two</p>", piece.repeat(100_000));
            let found = texts(&page);
            assert_eq!(found[0], "one", "{piece}");
            assert!(found.len() <= 2, "{piece}");
        }
    }
}
