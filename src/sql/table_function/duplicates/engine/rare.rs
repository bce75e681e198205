//! The rarest numbers of sets: what two sets that are near cannot help having in common.
//!
//! Two sets that are near share one of the rarest numbers of each: of `n` numbers the first
//! `n - ⌈threshold · n⌉ + 1`, in any order that is the same for all (prefix filtering, as in
//! Bayardo et al., "Scaling up all pairs similarity search", WWW 2007).

/// Counters of how often numbers occur; those that share one only change what counts as rare.
const COUNTS: usize = 1 << 18;

/// How often numbers occur in some sets.
pub(super) struct Rarity(Vec<u32>);

impl Rarity {
    /// Of the numbers of some sets.
    pub fn of<'a>(sets: impl Iterator<Item = &'a [u64]>) -> Self {
        let mut counts = vec![0u32; COUNTS];
        for number in sets.flatten() {
            let count = &mut counts[bucket(*number)];
            *count = count.saturating_add(1);
        }
        Self(counts)
    }

    /// The numbers of a set of which another one that is near to it has one among its own, in no
    /// order.
    pub fn rarest(&self, set: &[u64], threshold: f64) -> Vec<u64> {
        let common = (set.len() as f64 * threshold - 1e-6).ceil() as usize;
        let wanted = set.len() - common.min(set.len()) + 1;
        let mut all: Vec<(u32, u64)> = set.iter().map(|n| (self.0[bucket(*n)], *n)).collect();
        if wanted < all.len() {
            all.select_nth_unstable(wanted);
            all.truncate(wanted);
        }
        all.into_iter().map(|(_, number)| number).collect()
    }
}

fn bucket(number: u64) -> usize {
    (number % COUNTS as u64) as usize
}
