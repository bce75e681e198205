//! Repeated lines and paragraphs of one text, in code points.
//!
//! N-grams are `grams`'s, duplicates between documents `dedup`'s.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::id::hash64;

/// A fixed, fast hash for keys that are texts; the maps are only asked, never iterated.
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

/// The hash of a map of texts.
pub type TextHash = BuildHasherDefault<TextHasher>;

/// How many of some items are alike, and their code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duplicates {
    /// All items.
    pub n: usize,
    /// Second and later occurrences.
    pub later: usize,
    /// Code points of those.
    pub later_chars: usize,
    /// Items that occur again, each counted once.
    pub repeated: usize,
    /// Code points of those.
    pub repeated_chars: usize,
}

/// The duplicates among some items.
pub fn duplicates<'t>(items: impl IntoIterator<Item = &'t str>) -> Duplicates {
    // Whether an item that was seen has been seen again.
    let mut seen: HashMap<&str, bool, TextHash> = HashMap::default();
    let mut found = Duplicates::default();
    for item in items {
        found.n += 1;
        let mut is_later = true;
        let seen_again = seen.entry(item).or_insert_with(|| {
            is_later = false;
            false
        });
        if is_later {
            let chars = item.chars().count();
            found.later += 1;
            found.later_chars += chars;
            if !std::mem::replace(seen_again, true) {
                found.repeated += 1;
                found.repeated_chars += chars;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_occurrences_are_duplicates() {
        let found = duplicates(["да", "нет", "да", "да"]);
        assert_eq!((found.n, found.later, found.later_chars), (4, 2, 4));
        assert_eq!((found.repeated, found.repeated_chars), (1, 2));
        assert_eq!(duplicates([""; 3]).later, 2);
        assert_eq!(duplicates([]), Duplicates::default());
    }
}
