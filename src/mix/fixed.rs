//! `fixed`: shares that were decided elsewhere, by hand or by DoReMi and its like.

use super::{Options, Part, Strategy};
use crate::error::{Error, Result};

/// The strategy.
pub const FIXED: Strategy = Strategy {
    name: "fixed",
    doc: "Each group gets the share that `weights` gives its name, such as `isl_Latn` or \
          `pairs:eng_Latn-isl_Latn`; groups that it does not name get nothing.",
    max_epochs: None,
    options: &["weights"],
    weights,
};

fn weights(parts: &[Part], _: f64, _: &Options) -> Result<Vec<f64>> {
    let weights: Vec<f64> = parts.iter().map(|part| part.weight.unwrap_or(0.0)).collect();
    if weights.iter().any(|w| *w > 0.0) {
        return Ok(weights);
    }
    let names: Vec<&str> = parts.iter().map(|p| p.name.as_str()).take(8).collect();
    let more = if parts.len() > names.len() { ", …" } else { "" };
    let names = format!("{}{more}", names.join(", "));
    let message = if parts.iter().all(|part| part.weight.is_none()) {
        format!("strategy `fixed` needs `weights`, a number for each of {names}")
    } else {
        format!("strategy `fixed` has no positive weight for any of {names}")
    };
    Err(Error::usage(message)
        .hint_with("for example `weights: {isl_Latn: 0.3, eng_Latn: 0.7}`, or a table of weights"))
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
            plan(&sizes(&[5, 6]), &[strategy("fixed").unwrap()], &options).unwrap_err().to_string()
        };
        assert!(error(vec![]).contains("needs `weights`"));
        assert!(error(vec![("l1".into(), 0.0)]).contains("no positive weight"));
        assert!(error(vec![("l7".into(), 1.0)]).starts_with("unknown group `l7`"));
        assert!(error(vec![("l1".into(), -1.0)]).contains("weight of `l1`"));
    }
}
