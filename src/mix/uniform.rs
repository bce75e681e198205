//! `uniform`: the same for each group.

use super::Strategy;

/// The strategy.
pub const UNIFORM: Strategy = Strategy {
    name: "uniform",
    doc: "Each group gets the same share.",
    max_epochs: None,
    options: &[],
    weights: |parts, _, _| Ok(vec![1.0; parts.len()]),
};

#[cfg(test)]
mod tests {
    use crate::mix::plan::tests::weights;

    #[test]
    fn weights_are_equal() {
        assert_eq!(weights("uniform", &[900, 90, 10, 1], |_| {}), [0.25; 4]);
    }
}
