//! Common stretches of two sequences, as Python's `difflib.SequenceMatcher` finds them.
//!
//! With its treatment of sequences of 200 items and more: items that are more than a hundredth of
//! the target begin no match and only lengthen one, so that the longest match found there may be
//! shorter than the longest there is. Numbers stand for the items, see [`Coded`].

use std::ops::Range;

use super::bitwise::Bitwise;
use super::coded::Coded;

/// Items of a target from which on frequent ones are left out.
const AUTOJUNK_FROM: usize = 200;

/// Where each item of a target stands.
pub struct Matcher<'t> {
    tgt: &'t [u16],
    /// For each number, where its places begin in `places`.
    starts: Vec<u32>,
    places: Vec<u32>,
}

/// A stretch that both sequences have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Match {
    src: usize,
    tgt: usize,
    len: usize,
}

impl<'t> Matcher<'t> {
    /// Indexes a target of numbers below `n_codes`.
    pub fn new(tgt: &'t [u16], n_codes: usize) -> Self {
        let mut counts = vec![0u32; n_codes];
        for code in tgt {
            counts[usize::from(*code)] += 1;
        }
        if tgt.len() >= AUTOJUNK_FROM {
            let most = tgt.len() as u32 / 100 + 1;
            counts.iter_mut().filter(|n| **n > most).for_each(|n| *n = 0);
        }
        let mut starts = Vec::with_capacity(n_codes + 1);
        let mut end = 0;
        starts.push(0);
        for n in &counts {
            end += n;
            starts.push(end);
        }
        let mut next = starts.clone();
        let mut places = vec![0; end as usize];
        for (place, code) in tgt.iter().enumerate() {
            let code = usize::from(*code);
            if counts[code] > 0 {
                places[next[code] as usize] = place as u32;
                next[code] += 1;
            }
        }
        Self { tgt, starts, places }
    }

    /// Items in the matching stretches: the longest one, and what matches before and after it.
    pub fn n_matching(&self, src: &[u16]) -> usize {
        let mut matching = 0;
        let mut left = vec![(0..src.len(), 0..self.tgt.len())];
        while let Some((s, t)) = left.pop() {
            let found = self.longest(src, s.clone(), t.clone());
            if found.len > 0 {
                matching += found.len;
                left.push((s.start..found.src, t.start..found.tgt));
                left.push((found.src + found.len..s.end, found.tgt + found.len..t.end));
            }
        }
        matching
    }

    /// The longest match within two ranges; of equals the first in the source, then the target.
    fn longest(&self, src: &[u16], s: Range<usize>, t: Range<usize>) -> Match {
        let mut best = Match { src: s.start, tgt: t.start, len: 0 };
        // Ends of matches at the last item of the source, and at this one, with their lengths.
        let mut old: Vec<(u32, usize)> = Vec::new();
        let mut new = Vec::new();
        for i in s.clone() {
            new.clear();
            let code = usize::from(src[i]);
            let places = &self.places[self.starts[code] as usize..self.starts[code + 1] as usize];
            let mut before = old.iter().peekable();
            for place in places {
                let j = *place as usize;
                if j < t.start {
                    continue;
                }
                if j >= t.end {
                    break;
                }
                while before.next_if(|(end, _)| end + 1 < *place).is_some() {}
                let len = match before.peek() {
                    Some((end, len)) if end + 1 == *place => len + 1,
                    _ => 1,
                };
                new.push((*place, len));
                if len > best.len {
                    best = Match { src: i + 1 - len, tgt: j + 1 - len, len };
                }
            }
            std::mem::swap(&mut old, &mut new);
        }
        while best.src > s.start
            && best.tgt > t.start
            && src[best.src - 1] == self.tgt[best.tgt - 1]
        {
            best = Match { src: best.src - 1, tgt: best.tgt - 1, len: best.len + 1 };
        }
        while best.src + best.len < s.end
            && best.tgt + best.len < t.end
            && src[best.src + best.len] == self.tgt[best.tgt + best.len]
        {
            best.len += 1;
        }
        best
    }
}

/// Twice the matching items over the items of both sequences of numbers below `n_codes`; 1 when
/// both are empty.
pub fn similarity(src: &[u16], tgt: &[u16], n_codes: usize) -> f64 {
    if src == tgt {
        return 1.0;
    }
    if src.is_empty() || tgt.is_empty() {
        return 0.0;
    }
    let matching = Matcher::new(tgt, n_codes).n_matching(src);
    2.0 * matching as f64 / (src.len() + tgt.len()) as f64
}

/// The length of the longest common substring that `difflib` finds.
pub fn common_substring(pair: &Coded, bits: &Bitwise<'_>) -> usize {
    if pair.tgt.len() < AUTOJUNK_FROM {
        return bits.common_substring();
    }
    let matcher = Matcher::new(&pair.tgt, pair.n_codes);
    matcher.longest(&pair.src, 0..pair.src.len(), 0..pair.tgt.len()).len
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_targets_have_their_longest_common_substring(
            src in "[abю語]{0,90}", tgt in "[abю語]{0,90}"
        ) {
            let pair = Coded::new(&src, &tgt);
            let matcher = Matcher::new(&pair.tgt, pair.n_codes);
            let found = matcher.longest(&pair.src, 0..pair.src.len(), 0..pair.tgt.len());
            prop_assert_eq!(found.len, common_substring(&pair, &Bitwise::new(&pair)));
        }
    }

    #[test]
    fn frequent_items_of_long_targets_begin_no_match() {
        let of = |src: &str, tgt: &str| {
            let pair = Coded::new(src, tgt);
            common_substring(&pair, &Bitwise::new(&pair))
        };
        // All of the target is frequent: only a common beginning is found.
        assert_eq!(of(&"ab".repeat(100), &format!("{}xyz", "ab".repeat(100))), 200);
        assert_eq!(of(&format!("x{}", "ab".repeat(100)), &"ab".repeat(100)), 0);
        // A rare item is found, and lengthened by the frequent ones around it.
        assert_eq!(
            of(&format!("x{}語ab", "ab".repeat(3)), &format!("{}語ab", "ab".repeat(150))),
            9
        );
        assert_eq!(of(&format!("x{}", "ab".repeat(90)), &"ab".repeat(90)), 180);
    }

    #[test]
    fn similarity_is_that_of_difflib() {
        // Values of Python's difflib.SequenceMatcher(None, a, b).ratio().
        assert_eq!(similarity(&[1, 9, 8, 4], &[1, 9, 4, 8], 10), 0.75);
        assert_eq!(similarity(&[1, 2, 3], &[3, 2, 1], 10), 1.0 / 3.0);
        assert_eq!(similarity(&[], &[], 10), 1.0);
        assert_eq!(similarity(&[5], &[], 10), 0.0);
        let many = [7; 200];
        assert_eq!(similarity(&[&[1], &many[..]].concat(), &many, 10), 0.0);
        assert_eq!(similarity(&many, &[&many[..], &[1]].concat(), 10), 400.0 / 401.0);
    }
}
