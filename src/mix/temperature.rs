//! `temperature`: sizes flattened by an exponent (XLM, arXiv 1901.07291; XLM-R, arXiv 1911.02116).
//!
//! `q ∝ p^α`. Papers that speak of a temperature `T` mean `α = 1/T`.

use super::Strategy;

/// The exponent of XLM-R.
pub(super) const ALPHA: f64 = 0.3;

/// The strategy.
pub const TEMPERATURE: Strategy = Strategy {
    name: "temperature",
    doc: "Each group gets a share proportional to its size to the power of `alpha` (0.3 unless \
          given, as in XLM-R; `alpha` is one over the temperature).",
    max_epochs: None,
    options: &["alpha"],
    weights: |parts, _, options| {
        let alpha = options.alpha.unwrap_or(ALPHA);
        let all: f64 = parts.iter().map(|p| p.size).sum();
        // An empty group stays empty, also for an exponent of 0.
        let weight = |size: f64| if size > 0.0 { (size / all).powf(alpha) } else { 0.0 };
        Ok(parts.iter().map(|p| weight(p.size)).collect())
    },
};

#[cfg(test)]
mod tests {
    use crate::mix::plan::tests::{close, weights};

    #[test]
    fn golden_values() {
        // curation.md §4.7.
        for (alpha, expected) in [
            (0.3, [0.568039, 0.284694, 0.147267]),
            (0.5, [0.703414, 0.222439, 0.074146]),
            (0.7, [0.804904, 0.160599, 0.034496]),
        ] {
            let found = weights("temperature", &[900, 90, 10], |o| o.alpha = Some(alpha));
            assert!(close(&found, &expected, 5e-7), "{alpha}: {found:?}");
        }
        let plain = weights("temperature", &[900, 90, 10], |_| {});
        assert!(close(&plain, &[0.568039, 0.284694, 0.147267], 5e-7));
    }

    #[test]
    fn the_ends_are_uniform_and_proportional() {
        let uniform = weights("temperature", &[900, 90, 0], |o| o.alpha = Some(0.0));
        assert_eq!(uniform, [0.5, 0.5, 0.0]);
        let proportional = weights("temperature", &[900, 90, 10], |o| o.alpha = Some(1.0));
        assert!(close(&proportional, &[0.9, 0.09, 0.01], 1e-12));
    }
}
