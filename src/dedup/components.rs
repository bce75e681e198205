//! Connected components over dense indices.
//!
//! The representative of a component is its smallest index, so the result is a function of the set
//! of edges: their order, direction and repetition do not count. Four bytes an index.

use crate::error::{Error, Result};

use std::ops::DerefMut;

/// A forest of components; its numbers may lie in memory of any kind.
#[derive(Debug, Clone)]
pub struct Components<P = Vec<u32>> {
    parent: P,
}

impl Components {
    /// `n` components of one index each; errors when `n` does not fit 32 bits.
    pub fn new(n: usize) -> Result<Self> {
        Self::over(vec![0; n])
    }
}

impl<P: DerefMut<Target = [u32]>> Components<P> {
    /// As many components of one index each as the memory has numbers, whatever they are.
    pub fn over(mut parent: P) -> Result<Self> {
        let n = parent.len();
        let Ok(end) = u32::try_from(n) else {
            let message = format!("{n} rows are too many; {} are the most", u32::MAX);
            return Err(Error::usage(message).hint_with("deduplicate each language by itself"));
        };
        parent.iter_mut().zip(0..end).for_each(|(parent, index)| *parent = index);
        Ok(Self { parent })
    }

    /// The smallest index of the component that `index` is in, without shortening the way to it.
    pub fn root(&self, index: u32) -> u32 {
        let mut at = index;
        while self.parent[at as usize] != at {
            at = self.parent[at as usize];
        }
        at
    }

    /// The smallest index of the component that `index` is in.
    pub fn find(&mut self, index: u32) -> u32 {
        let mut at = index;
        loop {
            let parent = self.parent[at as usize];
            if parent == at {
                return at;
            }
            // Halving: each node on the way then points to its grandparent.
            let grandparent = self.parent[parent as usize];
            self.parent[at as usize] = grandparent;
            at = grandparent;
        }
    }

    /// Joins two components; whether they were two.
    pub fn join(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b) as usize] = a.min(b);
        a != b
    }

    /// For each index the smallest of its component; more may be joined later.
    pub fn flatten(&mut self) -> &[u32] {
        // A parent is never larger than its child, so it is final before the child is reached.
        for i in 0..self.parent.len() {
            self.parent[i] = self.parent[self.parent[i] as usize];
        }
        &self.parent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn components_do_not_know_the_order_of_edges(
            edges in prop::collection::vec((0u32..50, 0u32..50), 0..60),
            shuffle: u64,
        ) {
            let mut shuffled: Vec<(u32, u32)> = edges.iter().map(|(a, b)| (*b, *a)).collect();
            shuffled.sort_by_key(|(a, b)| crate::id::keyed(u64::from(*a) << 32 | u64::from(*b), shuffle));
            let of = |edges: &[(u32, u32)]| {
                let mut components = Components::new(50).unwrap();
                edges.iter().for_each(|(a, b)| { components.join(*a, *b); });
                components.flatten().to_vec()
            };
            let labels = of(&edges);
            prop_assert_eq!(&of(&shuffled), &labels);
            // The naive way: spread the smallest label until nothing changes.
            let mut naive: Vec<u32> = (0..50).collect();
            for _ in 0..50 {
                for (a, b) in &edges {
                    let least = naive[*a as usize].min(naive[*b as usize]);
                    naive[*a as usize] = least;
                    naive[*b as usize] = least;
                }
            }
            prop_assert_eq!(labels, naive);
        }
    }
}
