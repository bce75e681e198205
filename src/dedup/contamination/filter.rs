//! A filter over the n-grams of evaluation sets: says no to nearly all n-grams of training texts.
//!
//! It is asked in two steps. The first few words of an n-gram, the same number for all widths, cost
//! one access to memory at each word of a text; only where they agree are the n-grams of each width
//! asked for. Each hash sets six bits of one 64-bit word (a blocked Bloom filter: Putze, Sanders
//! and Singler, 2007). Where memory allows, the hashes themselves stand behind the second step and
//! its answer is exact; where it does not, more is let through, and what was let through by chance
//! is told apart when the n-grams are joined. It never says no wrongly.

/// Bits for each hash of each step, where memory allows.
const BITS: usize = 32;
/// Bytes of a step below which nothing is saved.
const LEAST: usize = 32 << 10;

/// The n-grams that may be among those given.
#[derive(Debug)]
pub struct Filter {
    beginnings: Blocks,
    grams: Blocks,
    /// The distinct hashes in ascending order, where they fit.
    exact: Option<Vec<u64>>,
}

impl Filter {
    /// An empty filter for this many n-grams in at most `memory` bytes, but 64 kB at least.
    pub fn new(grams: u64, memory: usize) -> Self {
        let grams = usize::try_from(grams).unwrap_or(usize::MAX);
        let wanted = grams.saturating_mul(BITS / 8).max(LEAST).checked_next_power_of_two();
        let wanted = wanted.unwrap_or(usize::MAX);
        let hashes = grams.saturating_mul(8);
        let fits = wanted.saturating_mul(2).saturating_add(hashes) <= memory;
        // The largest power of two that memory has room for twice.
        let room = 1 << (memory / 2).max(LEAST).ilog2();
        let blocks = || Blocks::new(wanted.min(room) / 8);
        let exact = fits.then(|| Vec::with_capacity(grams));
        Self { beginnings: blocks(), grams: blocks(), exact }
    }

    /// Takes an n-gram and its beginning; n-grams come in ascending order.
    pub fn insert(&mut self, hash: u64, beginning: u64) {
        self.beginnings.insert(beginning);
        self.grams.insert(hash);
        if let Some(exact) = &mut self.exact
            && exact.last() != Some(&hash)
        {
            exact.push(hash);
        }
    }

    /// Whether an n-gram may begin so; never false for one that was taken.
    pub fn may_begin(&self, beginning: u64) -> bool {
        self.beginnings.may_have(beginning)
    }

    /// Whether an n-gram may have been taken; never false for one that was.
    pub fn may_have(&self, hash: u64) -> bool {
        self.grams.may_have(hash)
            && self.exact.as_ref().is_none_or(|exact| exact.binary_search(&hash).is_ok())
    }
}

/// A power of two of 64-bit words.
#[derive(Debug)]
struct Blocks {
    words: Vec<u64>,
    shift: u32,
}

impl Blocks {
    fn new(words: usize) -> Self {
        Self { words: vec![0; words], shift: 64 - words.ilog2() }
    }

    fn insert(&mut self, hash: u64) {
        self.words[(hash >> self.shift) as usize] |= bits(hash);
    }

    fn may_have(&self, hash: u64) -> bool {
        let bits = bits(hash);
        self.words[(hash >> self.shift) as usize] & bits == bits
    }
}

/// Six bits of a word, by bits of the hash that do not choose the word.
fn bits(hash: u64) -> u64 {
    (0..6).fold(0, |bits, i| bits | 1 << (hash >> (6 * i) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::keyed;

    fn filter(hashes: &[u64], memory: usize) -> Filter {
        let mut sorted = hashes.to_vec();
        sorted.sort_unstable();
        let mut filter = Filter::new(sorted.len() as u64, memory);
        sorted.iter().for_each(|hash| filter.insert(*hash, keyed(*hash, 7)));
        filter
    }

    #[test]
    fn what_was_taken_is_never_refused() {
        let hashes: Vec<u64> = (0..20_000).map(|i| keyed(i, 1)).collect();
        for (memory, exact, most) in
            [(0, false, 100_000), (256 << 10, false, 500), (1 << 20, true, 0)]
        {
            let filter = filter(&hashes, memory);
            assert_eq!(filter.exact.is_some(), exact, "{memory}");
            assert!(filter.grams.words.len() * 16 <= memory.max(2 * LEAST), "{memory}");
            assert!(hashes.iter().all(|hash| filter.may_have(*hash)));
            assert!(hashes.iter().all(|hash| filter.may_begin(keyed(*hash, 7))));
            let others = || (20_000..120_000).map(|i| keyed(i, 1));
            assert!(others().filter(|hash| filter.may_have(*hash)).count() <= most, "{memory}");
            let begin = others().filter(|hash| filter.may_begin(*hash)).count();
            assert!(begin <= most.max(100), "{memory}: {begin}");
        }
        assert!(!filter(&[], 0).may_have(7));
    }
}
