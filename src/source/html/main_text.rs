//! Which blocks of a page are its text.
//!
//! The rules of jusText (Pomikálek, "Removing Boilerplate and Duplicate Content from Web Corpora",
//! 2011) without its lists of words, so that they hold in every language: long blocks with few
//! links are text, and short ones are what the blocks around them are. What words say there, the
//! end of a sentence says here: it excuses links, of which encyclopedias are full.

use super::blocks::Block;

/// A block of at least this weight is text by itself.
const LONG: u32 = 140;
/// One of at least this weight is text unless it stands among what is none.
const MEDIUM: u32 = 60;
/// A sentence of at least this weight is as good as a block of medium weight.
const SENTENCE: u32 = 40;
/// A link of less than this weight that stands alone says nothing of the blocks around it.
const ANCHOR: u32 = 40;
/// The share of links above which a block is none, in hundredths; and of one that is a sentence.
const LINKED: u32 = 40;
const LINKED_SENTENCE: u32 = 85;
/// How much text may stand between a heading and the text that it belongs to.
const HEADING: u32 = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Good,
    Near,
    Short,
    /// A link that stands alone, such as the anchor of a heading.
    Anchor,
    Bad,
}

/// The text of a page, one block a line; empty when there is none.
pub fn main_text(blocks: &[Block]) -> String {
    let (blocks, declared) = scope(blocks);
    let mut classes: Vec<Class> = blocks.iter().map(|b| class(b)).collect();
    anchors(&blocks, &mut classes);
    if declared {
        // Where the author says where the text is, there is less to be doubted.
        for class in classes.iter_mut().filter(|c| **c == Class::Near) {
            *class = Class::Good;
        }
    }
    settle(&mut classes);
    headings(&blocks, &mut classes);
    let kept = |want: Class| blocks.iter().zip(&classes).filter(move |(_, c)| **c == want);
    let mut text = String::new();
    for (block, _) in kept(Class::Good) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&block.text);
    }
    text
}

/// The blocks that may be text: without furniture, and of a page whose author says where its
/// content is, that; and whether one says so.
fn scope(blocks: &[Block]) -> (Vec<&Block>, bool) {
    let plain = |b: &Block| u64::from(b.weight - b.linked.min(b.weight));
    let total: u64 = blocks.iter().map(plain).sum();
    // What holds most of a page's text is no furniture, whatever it is called.
    let pieces = blocks.iter().filter_map(|b| b.furniture).max().unwrap_or(0);
    let mut sums = vec![0; pieces as usize + 1];
    for block in blocks {
        sums[block.furniture.unwrap_or(0) as usize] += plain(block);
    }
    let inside = |b: &&Block| b.furniture.is_none_or(|piece| sums[piece as usize] * 2 > total);
    let free: Vec<&Block> = blocks.iter().filter(inside).collect();
    let all: u64 = free.iter().map(|b| plain(b)).sum();
    let main: u64 = free.iter().filter(|b| b.main).map(|b| plain(b)).sum();
    if main * 3 > all && main > u64::from(LONG) {
        return (free.into_iter().filter(|b| b.main).collect(), true);
    }
    (free, false)
}

/// Whether a text ends as a sentence does, in one of the scripts that mark it.
fn is_sentence(text: &str) -> bool {
    const ENDS: &[char] =
        &['.', '!', '?', '…', '。', '！', '？', '．', '।', '॥', '؟', '۔', '።', '։', '။', '។'];
    let closes = |c: char| {
        c.is_whitespace()
            || matches!(c, ')' | ']' | '"' | '\'' | '»' | '”' | '’' | '」' | '』' | '）')
    };
    text.trim_end_matches(closes).ends_with(ENDS)
}

fn class(block: &Block) -> Class {
    let density = u64::from(block.linked) * 100 / u64::from(block.weight.max(1));
    let copyright = block.weight < MEDIUM * 2 && block.text.contains('©');
    let sentence = block.weight >= SENTENCE && is_sentence(&block.text);
    let limit = if sentence { LINKED_SENTENCE } else { LINKED };
    // Headings are often links to themselves; what follows them decides.
    if block.heading {
        Class::Short
    } else if density > u64::from(limit) || copyright {
        Class::Bad
    } else if block.weight < MEDIUM && !sentence {
        Class::Short
    } else if block.weight < LONG {
        Class::Near
    } else {
        Class::Good
    }
}

/// Tells links that stand alone from menus.
fn anchors(blocks: &[&Block], classes: &mut [Class]) {
    let bad: Vec<bool> = classes.iter().map(|c| *c == Class::Bad).collect();
    for (i, block) in blocks.iter().enumerate() {
        let beside = i > 0 && bad[i - 1] || bad.get(i + 1) == Some(&true);
        if bad[i] && !beside && block.linked > 0 && block.weight < ANCHOR {
            classes[i] = Class::Anchor;
        }
    }
}

/// Settles what is short or near: by the nearest blocks before and behind that are good or bad.
fn settle(classes: &mut [Class]) {
    let first = classes.to_vec();
    let decided = |c: &Class| matches!(c, Class::Good | Class::Bad);
    // The nearest decided class on each side, and whether something near lies before it.
    let nearest = |order: &mut dyn Iterator<Item = usize>| {
        let mut out = vec![(Class::Bad, false); first.len()];
        let mut last = (Class::Bad, false);
        for i in order {
            out[i] = last;
            match first[i] {
                c if decided(&c) => last = (c, false),
                Class::Near => last.1 = true,
                _ => {}
            }
        }
        out
    };
    let before = nearest(&mut (0..first.len()));
    let behind = nearest(&mut (0..first.len()).rev());
    for i in 0..first.len() {
        let ((a, near_a), (b, near_b)) = (before[i], behind[i]);
        let goods = usize::from(a == Class::Good) + usize::from(b == Class::Good);
        classes[i] = match (first[i], goods) {
            (c, _) if decided(&c) => c,
            (Class::Anchor, _) => Class::Bad,
            (_, 2) => Class::Good,
            // Two that are near hold each other up.
            (Class::Near, 0) if !near_a && !near_b => Class::Near,
            (Class::Near, _) => Class::Good,
            (_, 0) => Class::Bad,
            // Between text and what is none: with the text if something near is on the other side.
            _ if (a == Class::Bad && near_a) || (b == Class::Bad && near_b) => Class::Good,
            _ => Class::Bad,
        };
    }
    if !classes.contains(&Class::Good) {
        for class in classes.iter_mut().filter(|c| **c == Class::Near) {
            *class = Class::Good;
        }
    }
}

/// A heading belongs to the text that follows it.
fn headings(blocks: &[&Block], classes: &mut [Class]) {
    let mut distance = u32::MAX;
    for i in (0..blocks.len()).rev() {
        if classes[i] == Class::Good {
            distance = 0;
        } else if blocks[i].heading && distance <= HEADING {
            classes[i] = Class::Good;
            distance = 0;
        } else {
            distance = distance.saturating_add(blocks[i].weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::blocks;
    use super::*;

    const LINE: &str = "Der Wind zog durch das Tal und trug den Geruch von Heu und von Regen mit \
                        sich, und die Leute im Dorf schlossen ihre Fenster, denn sie kannten das \
                        Wetter in diesen Bergen seit langer Zeit.";

    fn text(page: &str) -> String {
        main_text(&blocks(page).blocks)
    }

    #[test]
    fn long_blocks_and_what_is_between_them_are_text() {
        let page = format!(
            "<ul><li><a href=/>Start</a><li><a href=/b>Bilder</a></ul><p>Von Anna<h1>Heu</h1>\
             <p>{LINE}<h2>Und dann</h2><p>Kurz.<p>{LINE}<h2>Mehr</h2><p><a href=/c>Alles</a><p>© Dorf"
        );
        assert_eq!(text(&page), format!("Heu\n{LINE}\nUnd dann\nKurz.\n{LINE}"));
    }

    #[test]
    fn an_article_full_of_links_is_text() {
        let linked = "<p>Das <a href=/a>Dorf liegt</a> im <a href=/b>oberen Tal der Lahn</a>, gar nicht \
                      weit von der <a href=/c>alten Grenze des Landes</a>.";
        let page = format!(
            "<ul><li><a href=/>Start</a></ul>{linked}<h2>Lage</h2>{linked}<p><a href=/>Mehr von hier</a>"
        );
        assert_eq!(text(&page).lines().count(), 3);
        assert!(is_sentence("他说：“是。”") && is_sentence("यह है।") && !is_sentence("Mehr »"));
    }

    #[test]
    fn an_anchor_divides_nothing_and_a_menu_does() {
        let page = |links: &str| format!("<p>{LINE}<p>Kurz{links}<p>Auch<p>{LINE}");
        assert_eq!(text(&page("<p><a href=#x>[x]</a>")), format!("{LINE}\nKurz\nAuch\n{LINE}"));
        let menu = "<p><a href=/x>Start</a><p><a href=/y>Bilder</a>";
        assert_eq!(text(&page(menu)), format!("{LINE}\n{LINE}"));
    }

    #[test]
    fn furniture_is_none_unless_it_holds_the_page() {
        let page = format!("<div class=footer><p>{LINE}</div><p>{LINE} Ja.<p>{LINE} Nein.");
        assert_eq!(text(&page), format!("{LINE} Ja.\n{LINE} Nein."));
        assert_eq!(text(&format!("<div class='with nav'><p>{LINE}</div>")), LINE);
        let page = format!("<p>{LINE} Vor.<main><p>{LINE} Drin.</main><p>{LINE} Nach.");
        assert_eq!(text(&page), format!("{LINE} Drin."));
    }

    #[test]
    fn scripts_without_spaces_are_weighed_as_what_they_say() {
        let chinese = "山谷里的风带来了干草和雨水的气味，村里的人们关上了窗户，因为他们早就熟悉这山里的天气，知道很快就要下一场大雨了。";
        let page = format!("<div><a href=/>首页</a></div><div>{chinese}</div><div>京ICP备</div>");
        assert_eq!(text(&page), chinese);
    }

    #[test]
    fn a_page_of_short_blocks_has_no_text() {
        assert_eq!(text("<p>Login<p>Name<p>Kennwort"), "");
        assert_eq!(text(""), "");
    }
}
