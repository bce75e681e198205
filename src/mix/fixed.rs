//! `fixed`: shares that were decided elsewhere, by hand or by DoReMi and its like.

use super::Strategy;
use crate::error::{Error, Result};
use crate::mix::{Options, Size};

/// The strategy.
pub const FIXED: Strategy = Strategy {
    name: "fixed",
    doc: "Each group gets the share that `weights` gives its language (or `kind:lang`); groups that \
          it does not name get nothing.",
    max_epochs: None,
    weights,
};

fn weights(sizes: &[Size], _: u64, options: &Options) -> Result<Vec<f64>> {
    let weight = |size: &Size| {
        let full = format!("{}:{}", size.kind, size.lang);
        let named = |name: &String| *name == full || *name == size.lang;
        options.weights.iter().find(|(name, _)| named(name)).map_or(0.0, |(_, weight)| *weight)
    };
    let weights: Vec<f64> = sizes.iter().map(weight).collect();
    if weights.iter().any(|w| *w > 0.0) {
        return Ok(weights);
    }
    let message = if options.weights.is_empty() {
        "strategy `fixed` needs `weights`, a number for each language"
    } else {
        "strategy `fixed` has no positive weight for any group"
    };
    Err(Error::usage(message).hint_with("for example `{weights: {isl_Latn: 0.3, eng_Latn: 0.7}}`"))
}

#[cfg(test)]
mod tests {
    use crate::mix::plan::tests::{close, sizes, weights};
    use crate::mix::{Options, plan, strategy};

    #[test]
    fn weights_need_not_sum_to_one() {
        let found = weights("fixed", &[900, 90, 10], |o| {
            o.weights = vec![("l0".into(), 1.0), ("documents:l2".into(), 3.0)];
        });
        assert!(close(&found, &[0.25, 0.0, 0.75], 1e-12));
    }

    #[test]
    fn weights_are_demanded_and_checked() {
        let error = |weights: Vec<(String, f64)>| {
            let options = Options { weights, ..Options::default() };
            plan(&sizes(&[5, 6]), strategy("fixed").unwrap(), &options).unwrap_err().to_string()
        };
        assert!(error(vec![]).contains("needs `weights`"));
        assert!(error(vec![("l1".into(), 0.0)]).contains("no positive weight"));
        assert!(error(vec![("l7".into(), 1.0)]).starts_with("unknown group `l7`"));
        assert!(error(vec![("l1".into(), -1.0)]).contains("weight of `l1`"));
    }
}
