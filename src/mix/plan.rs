//! The plan: a strategy's weights made into whole tokens under an epoch cap.
//!
//! A group's share is the budget times its weight, rounded by largest remainders so that shares sum
//! to the budget exactly. Its target is the share, but never more than `available × max_epochs`;
//! what the cap leaves unspent is the group's shortfall and goes to nobody else. A group with
//! nothing available is never given a target. Groups come out ordered by kind and language, and
//! sums are made in that order, so the plan does not depend on the order of the sizes.

use std::cmp::Reverse;

use super::Strategy;
use crate::error::{Error, Result};

/// Above this, whole tokens are not exact in 64-bit floating point.
const MOST: u64 = 1 << 53;

/// What there is of one group, in tokens or characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// `documents` or `pairs`.
    pub kind: String,
    /// The language; of a pair, `src-tgt`.
    pub lang: String,
    /// How much there is.
    pub available: u64,
}

/// What a plan is made under; a strategy ignores what it has no use for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// The exponent of `temperature`, in 0 to 1; 0.3 when absent.
    pub alpha: Option<f64>,
    /// How much to train on, in the unit of the sizes; everything available when absent.
    pub budget: Option<u64>,
    /// The most passes over any group; no cap when absent, but 4 for `unimax`.
    pub max_epochs: Option<f64>,
    /// The share of the budget that pairs get, in 0 to 1; the strategy then divides documents and
    /// pairs each by themselves. When absent all groups are divided together.
    pub pairs: Option<f64>,
    /// Weights by language or `kind:lang`, for `fixed`.
    pub weights: Vec<(String, f64)>,
}

/// One group's part of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRow {
    /// `documents` or `pairs`.
    pub kind: String,
    /// The language; of a pair, `src-tgt`.
    pub lang: String,
    /// How much there is.
    pub available: u64,
    /// The share of the budget; all weights sum to 1.
    pub weight: f64,
    /// How much to train on.
    pub target: u64,
    /// `target / available`; 0 for an empty group.
    pub epochs: f64,
    /// The part of the share that the cap leaves unspent.
    pub shortfall: u64,
}

/// The plan for some groups, ordered by kind and language; empty for no groups.
///
/// Errors when an option is out of its range, a group stands twice or there is nothing to mix.
///
/// ```
/// use hexapla::mix::{Options, Size, plan, strategy};
/// let size = |lang: &str, available| Size { kind: "documents".into(), lang: lang.into(), available };
/// let sizes = [size("eng_Latn", 1000), size("yor_Latn", 10), size("isl_Latn", 100), size("swh_Latn", 50)];
/// let options = Options { budget: Some(1000), max_epochs: Some(4.0), ..Options::default() };
/// let rows = plan(&sizes, strategy("unimax")?, &options)?;
/// let targets: Vec<(&str, u64)> = rows.iter().map(|r| (r.lang.as_str(), r.target)).collect();
/// assert_eq!(targets, [("eng_Latn", 380), ("isl_Latn", 380), ("swh_Latn", 200), ("yor_Latn", 40)]);
/// # Ok::<(), hexapla::error::Error>(())
/// ```
pub fn plan(sizes: &[Size], strategy: &Strategy, options: &Options) -> Result<Vec<PlanRow>> {
    let mut sizes = sizes.to_vec();
    sizes.sort();
    check(&sizes, options)?;
    let all = sizes.iter().try_fold(0u64, |sum, s| sum.checked_add(s.available));
    let budget = match (options.budget, all) {
        (Some(budget), _) => budget,
        (None, Some(all)) => all,
        (None, None) => u64::MAX,
    };
    if budget > MOST {
        return Err(Error::usage(format!("a budget of {budget} is more than {MOST}, the most")));
    }
    let Some(share) = options.pairs else {
        return divide(&sizes, strategy, budget, 1.0, options);
    };
    let (pairs, documents): (Vec<Size>, Vec<Size>) =
        sizes.into_iter().partition(|s| s.kind == "pairs");
    for (groups, share, kind) in [(&documents, 1.0 - share, "documents"), (&pairs, share, "pairs")]
    {
        if share > 0.0 && groups.is_empty() {
            let message = format!("`pairs` gives {kind} a share of {share}, but there are none");
            return Err(Error::usage(message));
        }
    }
    let for_pairs = (budget as f64 * share).round() as u64;
    let mut rows = divide(&documents, strategy, budget - for_pairs, 1.0 - share, options)?;
    rows.extend(divide(&pairs, strategy, for_pairs, share, options)?);
    Ok(rows)
}

fn check(sorted: &[Size], options: &Options) -> Result<()> {
    let range = |name: &str, value: f64, expected: &str| {
        Err(Error::usage(format!("option `{name}` is {value}; expected {expected}")))
    };
    match options {
        Options { alpha: Some(a), .. } if !(0.0..=1.0).contains(a) => {
            return range("alpha", *a, "a number in 0 to 1");
        }
        Options { max_epochs: Some(e), .. } if !(e.is_finite() && *e > 0.0) => {
            return range("max_epochs", *e, "a number above 0");
        }
        Options { pairs: Some(p), .. } if !(0.0..=1.0).contains(p) => {
            return range("pairs", *p, "a number in 0 to 1");
        }
        _ => {}
    }
    let group = |s: &Size| format!("{}:{}", s.kind, s.lang);
    for two in sorted.windows(2) {
        if (&two[0].kind, &two[0].lang) == (&two[1].kind, &two[1].lang) {
            return Err(Error::usage(format!(
                "group `{}` stands twice in the sizes",
                group(&two[0])
            ))
            .hint_with("sum `available` by `kind` and `lang`"));
        }
    }
    for (name, weight) in &options.weights {
        if !(weight.is_finite() && *weight >= 0.0) {
            let message = format!("weight of `{name}` is {weight}; expected a number from 0");
            return Err(Error::usage(message));
        }
        if !sorted.iter().any(|s| s.lang == *name || group(s) == *name) {
            return Err(Error::unknown("group", name, sorted.iter().map(|s| s.lang.as_str())));
        }
    }
    Ok(())
}

/// Divides a budget among groups whose weights sum to `share`.
fn divide(
    sizes: &[Size],
    strategy: &Strategy,
    budget: u64,
    share: f64,
    options: &Options,
) -> Result<Vec<PlanRow>> {
    if sizes.is_empty() {
        return Ok(Vec::new());
    }
    if sizes.iter().all(|s| s.available == 0) {
        return Err(Error::usage("there is nothing to mix: every group has 0 available"));
    }
    let parts = (strategy.weights)(sizes, budget, options)?;
    let sum: f64 = parts.iter().sum();
    // A budget of 0 leaves `unimax` without parts; any division of nothing is right then.
    let weights: Vec<f64> = if sum > 0.0 {
        parts.iter().map(|part| part / sum).collect()
    } else {
        vec![1.0 / sizes.len() as f64; sizes.len()]
    };
    let shares = largest_remainders(budget, &weights);
    let epochs = options.max_epochs.or(strategy.max_epochs);
    let rows = sizes.iter().zip(weights).zip(shares).map(|((size, weight), whole)| {
        let available = size.available;
        let cap = match epochs {
            _ if available == 0 => 0,
            // The cast saturates, and a cap that large is none.
            Some(epochs) => (available as f64 * epochs).floor() as u64,
            None => u64::MAX,
        };
        let target = whole.min(cap);
        PlanRow {
            kind: size.kind.clone(),
            lang: size.lang.clone(),
            available,
            weight: weight * share,
            target,
            epochs: if available == 0 { 0.0 } else { target as f64 / available as f64 },
            shortfall: whole - target,
        }
    });
    Ok(rows.collect())
}

/// Whole parts of a budget by weights that sum to 1: each rounded down, then one more for the
/// largest remainders, the earlier first, until the sum is the budget.
fn largest_remainders(budget: u64, weights: &[f64]) -> Vec<u64> {
    let exact: Vec<f64> = weights.iter().map(|w| w * budget as f64).collect();
    let mut whole: Vec<u64> = exact.iter().map(|x| *x as u64).collect();
    let mut order: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0.0).collect();
    let remainder = |i: &usize| exact[*i] - exact[*i].floor();
    order.sort_by(|a, b| {
        Reverse(remainder(a)).partial_cmp(&Reverse(remainder(b))).unwrap_or(a.cmp(b))
    });
    let given: u64 = whole.iter().sum();
    let missing = budget.saturating_sub(given) as usize;
    for i in order.iter().cycle().take(if order.is_empty() { 0 } else { missing }) {
        whole[*i] += 1;
    }
    // Weights are rounded numbers, so their floors may exceed a large budget by a little.
    let mut excess = given.saturating_sub(budget);
    for i in order.iter().rev() {
        let less = excess.min(whole[*i]);
        whole[*i] -= less;
        excess -= less;
    }
    whole
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::mix::{STRATEGIES, strategy};
    use proptest::prelude::*;
    use proptest::strategy::Strategy as _;

    /// Groups `documents` `l0`, `l1`, … of some sizes.
    pub(in crate::mix) fn sizes(available: &[u64]) -> Vec<Size> {
        let size = |(i, n): (usize, &u64)| Size {
            kind: "documents".into(),
            lang: format!("l{i}"),
            available: *n,
        };
        available.iter().enumerate().map(size).collect()
    }

    pub(in crate::mix) fn planned(
        name: &str,
        available: &[u64],
        set: impl Fn(&mut Options),
    ) -> Vec<PlanRow> {
        let mut options = Options::default();
        set(&mut options);
        plan(&sizes(available), strategy(name).unwrap(), &options).unwrap()
    }

    pub(in crate::mix) fn weights(
        name: &str,
        available: &[u64],
        set: impl Fn(&mut Options),
    ) -> Vec<f64> {
        planned(name, available, set).iter().map(|r| r.weight).collect()
    }

    pub(in crate::mix) fn close(found: &[f64], expected: &[f64], slack: f64) -> bool {
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= slack)
    }

    fn options() -> impl proptest::strategy::Strategy<Value = Options> {
        (
            prop::option::of(0.0f64..=1.0),
            prop::option::of(0u64..10_000_000_000_000),
            prop::option::of(0.1f64..9.0),
        )
            .prop_map(|(alpha, budget, max_epochs)| Options {
                alpha,
                budget,
                max_epochs,
                ..Options::default()
            })
    }

    proptest! {
        #[test]
        fn laws_of_every_strategy(
            mut available in prop::collection::vec(0u64..1_000_000_000_000, 1..12),
            options in options(),
            key: u64,
        ) {
            available[0] += 1;
            let groups = sizes(&available);
            let mut shuffled = groups.clone();
            shuffled.sort_by_key(|s| crate::id::keyed(s.lang.len() as u64 ^ s.available, key));
            for strategy in STRATEGIES {
                let mut options = options.clone();
                options.weights = groups.iter().map(|s| (s.lang.clone(), 1.0 + s.available as f64)).collect();
                let rows = plan(&groups, strategy, &options).unwrap();
                prop_assert_eq!(&plan(&shuffled, strategy, &options).unwrap(), &rows);
                let sum: f64 = rows.iter().map(|r| r.weight).sum();
                prop_assert!((sum - 1.0).abs() < 1e-9, "{} {sum}", strategy.name);
                let budget = options.budget.unwrap_or(available.iter().sum());
                let spent: u64 = rows.iter().map(|r| r.target + r.shortfall).sum();
                prop_assert_eq!(spent, budget, "{}", strategy.name);
                for row in &rows {
                    prop_assert!(row.weight >= 0.0 && row.epochs.is_finite());
                    let epochs = options.max_epochs.or(strategy.max_epochs);
                    let epochs = epochs.unwrap_or(f64::INFINITY);
                    if row.available == 0 {
                        prop_assert_eq!(row.target, 0);
                    } else {
                        prop_assert!(row.target as f64 <= row.available as f64 * epochs);
                    }
                    if row.available > 0 && epochs.is_infinite() {
                        prop_assert_eq!(row.shortfall, 0);
                    }
                }
            }
        }
    }

    #[test]
    fn targets_without_a_cap_sum_to_the_budget() {
        let rows = planned("uniform", &[7, 7, 7], |o| o.budget = Some(100));
        assert_eq!(rows.iter().map(|r| r.target).collect::<Vec<_>>(), [34, 33, 33]);
    }

    #[test]
    fn a_cap_takes_without_giving_to_others() {
        let rows = planned("proportional", &[90, 10], |o| {
            o.budget = Some(1000);
            o.max_epochs = Some(1.5);
        });
        assert_eq!((rows[0].target, rows[0].shortfall, rows[0].epochs), (135, 765, 1.5));
        assert_eq!((rows[1].target, rows[1].shortfall, rows[1].weight), (15, 85, 0.1));
    }

    #[test]
    fn pairs_get_their_share() {
        let mut groups = sizes(&[900, 100]);
        groups.push(Size { kind: "pairs".into(), lang: "l0-l1".into(), available: 10 });
        let options = Options { budget: Some(1000), pairs: Some(0.1), ..Options::default() };
        let rows = plan(&groups, strategy("proportional").unwrap(), &options).unwrap();
        assert_eq!(rows.iter().map(|r| r.target).collect::<Vec<_>>(), [810, 90, 100]);
        let sum: f64 = rows.iter().map(|r| r.weight).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        let none = plan(&sizes(&[9]), strategy("uniform").unwrap(), &options).unwrap_err();
        assert!(none.to_string().contains("but there are none"), "{none}");
    }

    #[test]
    fn what_cannot_be_planned_is_named() {
        let error = |sizes: &[Size], options: Options| {
            plan(sizes, strategy("temperature").unwrap(), &options).unwrap_err().to_string()
        };
        let mut twice = sizes(&[1, 2]);
        twice[1].lang = "l0".into();
        assert!(error(&twice, Options::default()).contains("`documents:l0` stands twice"));
        assert!(error(&sizes(&[0, 0]), Options::default()).contains("nothing to mix"));
        let hot = Options { alpha: Some(3.3), ..Options::default() };
        assert!(error(&sizes(&[1]), hot).contains("`alpha` is 3.3; expected a number in 0 to 1"));
        let never = Options { max_epochs: Some(0.0), ..Options::default() };
        assert!(error(&sizes(&[1]), never).contains("`max_epochs`"));
        assert_eq!(plan(&[], strategy("uniform").unwrap(), &Options::default()).unwrap(), []);
    }
}
