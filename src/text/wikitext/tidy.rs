//! What stands around a gap in a text, joined as if nothing had been there.
//!
//! Doubled spaces, separators that separate nothing and empty parentheses go; text that had no gap
//! is never looked at.

/// Brackets that open, each with the one that closes it.
const BRACKETS: &[(&str, &str)] = &[("(", ")"), ("（", "）"), ("[", "]"), ("「", "」")];

const SEPARATORS: &[&str] = &[",", ";", ":", "、", "，", "；", "：", "،", "؛"];

const STOPS: &[&str] = &[".", "!", "?", "。", "۔", "।", "！", "？"];

/// The one of some endings or beginnings that fits.
fn among(list: &[&'static str], fits: impl Fn(&[u8]) -> bool) -> Option<&'static str> {
    list.iter().copied().find(|mark| fits(mark.as_bytes()))
}

fn spaces(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| **b == b' ').count()
}

/// The length of some bytes without the spaces, and those separators that `also` allows, at the
/// end.
fn trimmed(bytes: &[u8], also: bool) -> usize {
    let mut bytes = bytes.trim_ascii_end();
    while let Some(mark) = among(SEPARATORS, |m| also && bytes.ends_with(m)) {
        bytes = bytes[..bytes.len() - mark.len()].trim_ascii_end();
    }
    bytes.len()
}

/// Joins the line that begins at `line` of `out` with what comes after a gap, and gives how many
/// bytes of that to pass over.
pub fn join(out: &mut Vec<u8>, line: usize, after: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let gap = spaces(&after[at..]);
        let next = &after[at + gap..];
        let (Some(first), before) = (next.first(), &out[line..]) else { break };
        let bare = trimmed(before, false);
        let spaced = bare < before.len() || bare == 0;
        // Letters come next nearly always.
        let punctuation = !first.is_ascii_alphanumeric();
        let opened = BRACKETS.iter().any(|(open, _)| before[..bare].ends_with(open.as_bytes()));
        if let Some((open, close)) =
            BRACKETS.iter().find(|(_, close)| punctuation && next.starts_with(close.as_bytes()))
        {
            let inside = trimmed(before, true);
            if !before[..inside].ends_with(open.as_bytes()) {
                // `(a, )`; a gap before any other bracket is none of its own.
                let keep = if inside == 0 { bare } else { inside };
                out.truncate(line + keep);
                at += gap;
                break;
            }
            let outside = trimmed(&before[..inside - open.len()], false);
            out.truncate(line + outside);
            at += gap + close.len();
            // A space on both sides was one too many, on one side it stays.
            let (spaced, more) = (inside - open.len() > outside, spaces(&after[at..]));
            if spaced && more == 0 && after.get(at).is_some_and(|b| b.is_ascii_alphanumeric()) {
                out.push(b' ');
            }
            continue;
        }
        if let Some(mark) = among(SEPARATORS, |m| punctuation && next.starts_with(m)) {
            let last = among(SEPARATORS, |m| before[..bare].ends_with(m));
            if opened || bare == 0 {
                out.truncate(line + bare);
                at += gap + mark.len();
                at += spaces(&after[at..]);
                continue;
            }
            match last {
                // `German: , 5 May`
                Some(colon @ (":" | "：")) if mark != colon => {
                    out.truncate(line + bare - colon.len());
                    at += gap;
                }
                Some(_) => {
                    out.truncate(line + bare);
                    at += gap + mark.len();
                    continue;
                }
                None if gap == 0 || mark == "," => {
                    out.truncate(line + bare);
                    at += gap;
                }
                None => {}
            }
            break;
        }
        if gap == 0 && punctuation && among(STOPS, |m| next.starts_with(m)).is_some() {
            out.truncate(line + bare);
            break;
        }
        if opened {
            out.truncate(line + bare);
        }
        if spaced || opened {
            at += gap;
        }
        break;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with its gaps, written `_`, joined.
    fn joined(text: &str) -> String {
        let (mut out, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('_') {
            out.extend_from_slice(before.as_bytes());
            let at = if after.starts_with('_') { 0 } else { join(&mut out, 0, after.as_bytes()) };
            rest = &after[at..];
        }
        String::from_utf8(out).unwrap() + rest
    }

    #[test]
    fn a_gap_leaves_no_trace() {
        for (text, want) in [
            ("a _ b", "a b"),
            ("a_ b", "a b"),
            ("a _, b", "a, b"),
            ("a _.", "a."),
            ("a _: b", "a: b"),
            ("a (_) b", "a b"),
            ("a (_, _) b", "a b"),
            ("a (_; b) c", "a (b) c"),
            ("a (b; _) c", "a (b) c"),
            ("a (b: _, c)", "a (b, c)"),
            ("a _, _, b", "a, b"),
            ("a (_).", "a."),
            ("東京（_、_）は", "東京は"),
            ("東京（_、とう）", "東京（とう）"),
            ("_ a", "a"),
            ("_, a", "a"),
            ("القاهرة _، مصر", "القاهرة، مصر"),
            ("(a _) b", "(a) b"),
            ("___", ""),
            ("a ( _ ) b", "a b"),
        ] {
            assert_eq!(joined(text), want, "{text}");
        }
    }
}
