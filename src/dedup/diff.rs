//! What differs between two texts, word by word.
//!
//! Myers' algorithm (1986) in linear space, over words by script with the space that follows them;
//! punctuation marks are words of their own. Texts that differ in too much are not compared
//! further: what is left of them is removed and added as a whole.

use std::ops::Range;

use crate::id::hash64;
use crate::text::segment;

/// Differences in one piece after which it is not compared further.
const MOST: usize = 4096;

/// A stretch of two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Both have it.
    Same(String),
    /// Both have this many words here, which are left out.
    Omitted(usize),
    /// Only the first has it.
    Removed(String),
    /// Only the second has it.
    Added(String),
}

/// What makes the second text of the first. Of words that both have, `keep` stand on each side of a
/// difference; more are left out.
///
/// ```
/// use hexapla::dedup::diff::{Change, diff};
/// let changes = diff("我们去北京。", "我们去上海。", 9);
/// assert_eq!(changes[1], Change::Removed("北京".into()));
/// assert_eq!(changes[2], Change::Added("上海".into()));
/// ```
pub fn diff(a: &str, b: &str, keep: usize) -> Vec<Change> {
    let (a, b) = (tokens(a), tokens(b));
    let hashes = |tokens: &[&str]| -> Vec<u64> {
        tokens.iter().map(|token| hash64(token.trim_end().as_bytes())).collect()
    };
    let mut common = Vec::new();
    compare(&hashes(&a), &hashes(&b), 0, 0, &mut common);
    // A last run of nothing ends both texts.
    common.push((a.len(), b.len(), 0));
    let mut changes = Vec::new();
    let (mut at_a, mut at_b) = (0, 0);
    for (in_a, in_b, length) in joined(common) {
        let mut push = |text: String, of: fn(String) -> Change| {
            if !text.is_empty() {
                changes.push(of(text));
            }
        };
        push(a[at_a..in_a].concat(), Change::Removed);
        push(b[at_b..in_b].concat(), Change::Added);
        let same = &b[in_b..in_b + length];
        // Nothing differs before the first and after the last run.
        let before = if in_a == 0 && in_b == 0 { 0 } else { keep };
        let after = if in_a + length == a.len() && in_b + length == b.len() { 0 } else { keep };
        if length > before + after + 1 {
            push(same[..before].concat(), Change::Same);
            changes.push(Change::Omitted(length - before - after));
            let rest = same[length - after..].concat();
            if !rest.is_empty() {
                changes.push(Change::Same(rest));
            }
        } else {
            push(same.concat(), Change::Same);
        }
        (at_a, at_b) = (in_a + length, in_b + length);
    }
    changes
}

/// Words and marks, each with the white space after it; white space at the beginning is a token.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for segment in segment::segments(text, None) {
        let end = at + segment.text.len();
        match tokens.last_mut() {
            Some(last) if segment.text.trim().is_empty() => last.end = end,
            _ => tokens.push(at..end),
        }
        at = end;
    }
    tokens.into_iter().map(|token| &text[token]).collect()
}

/// Runs of equal words `(in a, in b, length)` that follow each other, as one.
fn joined(runs: Vec<(usize, usize, usize)>) -> Vec<(usize, usize, usize)> {
    let mut all: Vec<(usize, usize, usize)> = Vec::new();
    for run in runs {
        match all.last_mut() {
            Some(last) if last.0 + last.2 == run.0 && last.1 + last.2 == run.1 => last.2 += run.2,
            _ => all.push(run),
        }
    }
    all
}

/// Appends the runs that both have; `at_a` and `at_b` are where the two pieces begin.
fn compare(a: &[u64], b: &[u64], at_a: usize, at_b: usize, out: &mut Vec<(usize, usize, usize)>) {
    let prefix = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    if prefix > 0 {
        out.push((at_a, at_b, prefix));
    }
    let (a, b) = (&a[prefix..], &b[prefix..]);
    let (at_a, at_b) = (at_a + prefix, at_b + prefix);
    let suffix = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - suffix], &b[..b.len() - suffix]);
    if !a.is_empty()
        && !b.is_empty()
        && let Some((x, y)) = middle(a, b)
    {
        compare(&a[..x], &b[..y], at_a, at_b, out);
        compare(&a[x..], &b[y..], at_a + x, at_b + y, out);
    }
    if suffix > 0 {
        out.push((at_a + a.len(), at_b + b.len(), suffix));
    }
}

/// A point in the middle of a shortest way from the beginnings to the ends, where forward and
/// backward searches meet; `None` when it is too far. Neither both beginnings nor both ends, for
/// pieces that begin and end differently.
fn middle(a: &[u64], b: &[u64]) -> Option<(usize, usize)> {
    let (n, m) = (a.len() as isize, b.len() as isize);
    let delta = n - m;
    let most = ((n + m + 1) / 2).min(MOST as isize);
    let place = |k: isize| (k + most + 1) as usize;
    // The furthest along a that each diagonal is reached, from both sides.
    let mut forward = vec![NEVER; 2 * most as usize + 3];
    let mut backward = forward.clone();
    for d in 0..=most {
        for k in (-d..=d).step_by(2) {
            let same = |x: isize, y: isize| a[x as usize] == b[y as usize];
            let x = furthest(&forward, k, d, (n, m), place, same);
            forward[place(k)] = x;
            let other = delta - k;
            if delta % 2 != 0 && other.abs() < d && x + backward[place(other)] >= n {
                return Some((x as usize, (x - k) as usize));
            }
        }
        for k in (-d..=d).step_by(2) {
            let same = |x: isize, y: isize| a[(n - 1 - x) as usize] == b[(m - 1 - y) as usize];
            let x = furthest(&backward, k, d, (n, m), place, same);
            backward[place(k)] = x;
            let other = delta - k;
            if delta % 2 == 0 && other.abs() <= d && x + forward[place(other)] >= n {
                return Some(((n - x) as usize, (m - (x - k)) as usize));
            }
        }
    }
    None
}

/// A diagonal that is not reached.
const NEVER: isize = isize::MIN / 4;

/// How far one more difference leads on a diagonal, and what is equal from there on.
fn furthest(
    reached: &[isize],
    k: isize,
    d: isize,
    (n, m): (isize, isize),
    place: impl Fn(isize) -> usize,
    same: impl Fn(isize, isize) -> bool,
) -> isize {
    let right = reached[place(k - 1)] + 1;
    let down = reached[place(k + 1)];
    let right = if right <= n { right } else { NEVER };
    let down = if down - k <= m { down } else { NEVER };
    let mut x = if d == 0 { 0 } else { right.max(down) };
    if x < 0 {
        return NEVER;
    }
    while x < n && x - k < m && same(x, x - k) {
        x += 1;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lengths of a longest common subsequence, by the table.
    fn longest(a: &[u64], b: &[u64]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (j, y) in b.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
                diagonal = above;
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn as_much_as_can_be_is_the_same(
            a in prop::collection::vec(0u64..5, 0..40),
            b in prop::collection::vec(0u64..5, 0..40),
        ) {
            let mut runs = Vec::new();
            compare(&a, &b, 0, 0, &mut runs);
            for (x, y, length) in &runs {
                prop_assert_eq!(&a[*x..x + length], &b[*y..y + length]);
            }
            prop_assert!(runs.windows(2).all(|w| w[0].0 + w[0].2 <= w[1].0 && w[0].1 + w[0].2 <= w[1].1));
            prop_assert_eq!(runs.iter().map(|run| run.2).sum::<usize>(), longest(&a, &b));
        }

        #[test]
        fn both_texts_are_in_the_changes(a in "[ab 。,北京ไทย\n]{0,30}", b in "[ab 。,北京ไทย\n]{0,30}") {
            let side = |other: bool| -> String {
                let of = |change: Change| match change {
                    Change::Same(text) => text,
                    Change::Removed(text) if !other => text,
                    Change::Added(text) if other => text,
                    _ => String::new(),
                };
                diff(&a, &b, 1000).into_iter().map(of).collect()
            };
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(plain(&side(false)), plain(&a));
            prop_assert_eq!(side(true), b);
        }
    }

    #[test]
    fn words_are_compared_and_long_runs_left_out() {
        let a = "Einu sinni var karl og kerling í koti sínu og áttu kú.";
        let b = a.replace("kerling", "kona");
        let changes = diff(a, &b, 2);
        let expected = [
            Change::Omitted(3),
            Change::Same("karl og ".into()),
            Change::Removed("kerling ".into()),
            Change::Added("kona ".into()),
            Change::Same("í koti ".into()),
            Change::Omitted(5),
        ];
        assert_eq!(changes, expected);
        assert_eq!(diff(a, a, 3), [Change::Omitted(13)]);
        assert_eq!(diff("", "já", 3), [Change::Added("já".into())]);
        assert!(diff("", "", 3).is_empty());
    }

    #[test]
    fn texts_that_share_nothing_are_given_up() {
        let text = |salt: u64| {
            (0..9000).map(|i| format!("w{} ", crate::id::keyed(i, salt))).collect::<String>()
        };
        let changes = diff(&text(1), &text(2), 3);
        assert!(matches!(&changes[..], [Change::Removed(_), Change::Added(_)]));
    }
}
