//! `proportional`: each group by its size.

use super::Strategy;

/// The strategy.
pub const PROPORTIONAL: Strategy = Strategy {
    name: "proportional",
    doc: "Each group gets the share that it has of what is available.",
    max_epochs: None,
    options: &[],
    weights: |parts, _, _| Ok(parts.iter().map(|p| p.size).collect()),
};

#[cfg(test)]
mod tests {
    use crate::mix::plan::tests::weights;

    #[test]
    fn weights_are_shares() {
        let found = weights("proportional", &[900, 90, 10], |_| {});
        assert_eq!(found, [0.9, 0.09, 0.01]);
    }
}
