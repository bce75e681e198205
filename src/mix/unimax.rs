//! `unimax`: as uniform as an epoch cap allows (arXiv 2304.09151).
//!
//! Groups are served from the smallest to the largest; each gets an equal part of the budget that
//! is left, but no more than its size times the most epochs. When every group is capped the budget
//! is not spent; the plan reports what is left over.

use super::Strategy;

/// Passes over a group unless told otherwise.
const EPOCHS: f64 = 4.0;

/// The strategy.
pub const UNIMAX: Strategy = Strategy {
    name: "unimax",
    doc: "Each group gets the same share as far as `max_epochs` passes over it (4 unless given) \
          reach, and the larger groups share what is left (UniMax, arXiv 2304.09151).",
    max_epochs: Some(EPOCHS),
    options: &[],
    weights: |parts, budget, _| {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        // Equal groups get equal parts, so their order does not matter; the sort is stable.
        order.sort_by(|a, b| parts[*a].most.total_cmp(&parts[*b].most));
        let mut left = budget;
        let mut shares = vec![0.0; parts.len()];
        for (served, i) in order.into_iter().enumerate() {
            let equal = left / (parts.len() - served) as f64;
            shares[i] = equal.min(parts[i].most);
            left -= shares[i];
        }
        Ok(shares)
    },
};

#[cfg(test)]
mod tests {
    use crate::mix::plan::tests::{close, planned, weights};

    #[test]
    fn golden_values() {
        // curation.md §4.8.
        let found = weights("unimax", &[100, 200, 300, 400, 500], |o| {
            o.budget = Some(1000);
            o.max_epochs = Some(2.0);
        });
        assert!(close(&found, &[0.2; 5], 1e-12));
        let rows = planned("unimax", &[1000, 10, 100, 50], |o| {
            o.budget = Some(1000);
            o.max_epochs = Some(4.0);
        });
        assert_eq!(rows.iter().map(|r| r.target).collect::<Vec<_>>(), [380, 40, 380, 200]);
        assert!(rows.iter().all(|r| r.shortfall == 0));
    }

    #[test]
    fn what_no_group_may_take_is_reported() {
        let rows = planned("unimax", &[10, 20, 30], |o| {
            o.budget = Some(1000);
            o.max_epochs = Some(4.0);
        });
        assert_eq!(rows.iter().map(|r| r.target).collect::<Vec<_>>(), [40, 80, 120]);
        assert_eq!(rows.iter().map(|r| r.shortfall).sum::<u64>(), 760);
        assert!(rows.iter().all(|r| r.epochs == 4.0));
        let weights: Vec<f64> = rows.iter().map(|r| r.weight).collect();
        assert!(close(&weights, &[1.0 / 6.0, 1.0 / 3.0, 0.5], 1e-12));
    }
}
