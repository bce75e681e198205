//! A filter over the n-grams of evaluation sets: says no to nearly all n-grams of training texts.
//!
//! Each hash sets six bits of one 64-bit word, so a question costs one access to memory (a blocked
//! Bloom filter: Putze, Sanders and Singler, 2007). Where memory allows, the hashes themselves stand
//! behind it and the answer is exact; where it does not, more is let through, and what was let
//! through by chance is told apart when the n-grams are joined. It never says no wrongly.

/// Bits of the filter for each hash, where memory allows.
const BITS: usize = 32;
/// Bytes of a filter below which nothing is saved.
const LEAST: usize = 64 << 10;

/// The hashes that may be among those given.
#[derive(Debug)]
pub struct Filter {
    blocks: Vec<u64>,
    shift: u32,
    /// The distinct hashes in ascending order, where they fit.
    exact: Option<Vec<u64>>,
}

impl Filter {
    /// An empty filter for this many hashes in at most `memory` bytes, but 64 kB at least.
    pub fn new(hashes: u64, memory: usize) -> Self {
        let hashes = usize::try_from(hashes).unwrap_or(usize::MAX);
        let memory = memory.max(LEAST);
        let wanted = hashes.saturating_mul(BITS / 8).max(LEAST);
        // Both a filter of the wanted size and the hashes, else a filter alone.
        let fits = wanted.saturating_mul(2).saturating_add(hashes.saturating_mul(8)) <= memory;
        let blocks = (wanted.min(memory) / 8).max(1);
        let blocks = if fits || wanted <= memory / 2 {
            blocks.next_power_of_two()
        } else {
            // The largest power of two that memory has room for.
            1 << (memory / 8).ilog2()
        };
        let exact = fits.then(|| Vec::with_capacity(hashes));
        Self { blocks: vec![0; blocks], shift: 64 - blocks.ilog2(), exact }
    }

    /// Takes a hash; hashes come in ascending order.
    pub fn insert(&mut self, hash: u64) {
        let block = self.block(hash);
        self.blocks[block] |= bits(hash);
        if let Some(exact) = &mut self.exact
            && exact.last() != Some(&hash)
        {
            exact.push(hash);
        }
    }

    /// Whether a hash may have been taken; never false for one that was.
    pub fn may_have(&self, hash: u64) -> bool {
        let bits = bits(hash);
        self.blocks[self.block(hash)] & bits == bits
            && self.exact.as_ref().is_none_or(|exact| exact.binary_search(&hash).is_ok())
    }

    fn block(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
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
        sorted.iter().for_each(|hash| filter.insert(*hash));
        filter
    }

    #[test]
    fn what_was_taken_is_never_refused() {
        let hashes: Vec<u64> = (0..20_000).map(|i| keyed(i, 1)).collect();
        for (memory, exact) in [(0, false), (100 << 10, false), (1 << 20, true)] {
            let filter = filter(&hashes, memory);
            assert_eq!(filter.exact.is_some(), exact, "{memory}");
            assert!(filter.blocks.len() * 8 <= memory.max(LEAST), "{memory}");
            assert!(hashes.iter().all(|hash| filter.may_have(*hash)));
            let wrong = (20_000..120_000).filter(|i| filter.may_have(keyed(*i, 1))).count();
            assert!(wrong < if exact { 1 } else { 500 }, "{memory}: {wrong}");
        }
        assert!(!filter(&[], 0).may_have(7));
    }
}
