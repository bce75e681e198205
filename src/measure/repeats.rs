//! Repeated lines and n-grams of one text, in code points.
//!
//! Definitions of datatrove; duplicates between documents are `dedup`'s.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use crate::id::hash64;

/// A fixed, fast hash for keys that are texts; the sets are only asked, never iterated.
#[derive(Default)]
pub struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(5) ^ hash64(bytes);
    }

    // The end mark of a `str`.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

type Build = BuildHasherDefault<TextHasher>;

/// The second and later occurrences among some items: their number and their code points.
pub fn duplicates<'t>(items: impl IntoIterator<Item = &'t str>) -> (usize, usize) {
    let mut seen: HashSet<&str, Build> = HashSet::default();
    items
        .into_iter()
        .filter(|item| !seen.insert(item))
        .fold((0, 0), |(n, chars), item| (n + 1, chars + item.chars().count()))
}

/// The tokens of a text, joined, with the places where each begins.
pub struct Joined {
    text: String,
    /// Byte and code point at which each token begins, and the end of the text.
    starts: Vec<(usize, usize)>,
    gap: usize,
}

impl Joined {
    /// Joins tokens with `gap` spaces (0 or 1) between them.
    pub fn new<'t>(tokens: impl IntoIterator<Item = &'t str>, gap: usize) -> Self {
        let (mut text, mut starts, mut chars) = (String::new(), Vec::new(), 0);
        for token in tokens {
            starts.push((text.len(), chars));
            text.push_str(token);
            text.extend(std::iter::repeat_n(' ', gap));
            chars += token.chars().count() + gap;
        }
        starts.push((text.len(), chars));
        Self { text, starts, gap }
    }

    /// The number of n-grams of `n` tokens.
    fn grams(&self, n: usize) -> usize {
        self.starts.len().saturating_sub(n)
    }

    /// The n-gram of `n` tokens at a token, and its code points.
    fn gram(&self, at: usize, n: usize) -> (&str, usize) {
        let ((from, first), (to, last)) = (self.starts[at], self.starts[at + n]);
        (&self.text[from..to - self.gap], last - first - self.gap)
    }

    /// The code points of the most frequent n-gram times its occurrences, of which there may be
    /// just one; of equally frequent ones the first counts.
    pub fn top(&self, n: usize) -> usize {
        let mut counts: HashMap<&str, usize, Build> = HashMap::default();
        for at in 0..self.grams(n) {
            *counts.entry(self.gram(at, n).0).or_default() += 1;
        }
        let Some(most) = counts.values().copied().max() else { return 0 };
        (0..self.grams(n))
            .map(|at| self.gram(at, n))
            .find(|(gram, _)| counts.get(gram) == Some(&most))
            .map_or(0, |(_, chars)| chars * most)
    }

    /// The code points of n-grams that occurred before, going from left to right and on behind
    /// each one that did.
    pub fn repeated(&self, n: usize) -> usize {
        let mut seen: HashSet<&str, Build> = HashSet::default();
        let (mut at, mut chars) = (0, 0);
        while at < self.grams(n) {
            let (gram, length) = self.gram(at, n);
            if seen.insert(gram) {
                at += 1;
            } else {
                chars += length;
                at += n;
            }
        }
        chars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_occurrences_are_duplicates() {
        assert_eq!(duplicates(["да", "нет", "да", "да"]), (2, 4));
        assert_eq!(duplicates([""; 3]), (2, 0));
    }

    #[test]
    fn the_first_of_the_most_frequent_n_grams_counts() {
        let of = |text: &str, n| Joined::new(text.split(' '), 1).top(n);
        assert_eq!(of("a b a b", 2), 6);
        // Each occurs once: the first, "अ आ", has three code points.
        assert_eq!(of("अ आ इईउ", 2), 3);
        assert_eq!(of("a", 2), 0);
    }

    #[test]
    fn repeated_n_grams_are_counted_greedily() {
        let of = |text: &str, n| Joined::new(text.split(' '), 0).repeated(n);
        assert_eq!(of("я ты я ты я ты", 2), 6);
        assert_eq!(of("a b c d", 2), 0);
        // Joined without spaces, "ab c" and "a bc" are the same.
        assert_eq!(of("ab c x a bc", 2), 3);
    }
}
