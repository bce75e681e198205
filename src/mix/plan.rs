//! The plan: a strategy's weights made into whole tokens under an epoch cap.
//!
//! A group's share is the budget times its weight, rounded by largest remainders so that shares sum
//! to the budget exactly. Its target is the share, but never more than `available × max_epochs`;
//! what the cap leaves unspent is the group's shortfall and goes to nobody else. A group with
//! nothing available is never given a target. Groups come out ordered by kind and values, and
//! sums are made in that order, so the plan does not depend on the order of the sizes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::level::{self, named, rank};
use super::{STRATEGIES, Strategy};
use crate::error::{Error, Result};

/// Above this, whole tokens are not exact in 64-bit floating point.
pub(super) const MOST: u64 = 1 << 53;

/// What there is of one group, in tokens or another unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Size {
    /// `documents` or `pairs`.
    pub kind: String,
    /// The values of the grouping columns, such as the language; of a pair, `src-tgt`.
    pub group: Vec<String>,
    /// How much there is.
    pub available: u64,
    /// How many times it counts when a strategy divides by size; 1 without upsampling.
    pub repeats: f64,
    /// Its weight for `fixed`, if it was decided elsewhere.
    pub weight: Option<f64>,
}

impl Size {
    /// The size of a group of one column, such as a language, that counts once.
    pub fn new(kind: &str, group: &str, available: u64) -> Self {
        let (kind, group) = (kind.into(), vec![group.into()]);
        Self { kind, group, available, repeats: 1.0, weight: None }
    }
}

/// What a plan is made under.
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
    /// The least share of the budget of each group of the first level that has anything, as far
    /// as the epoch cap reaches.
    pub min_share: Option<f64>,
    /// The same by name, in place of `min_share`.
    pub min_shares: Vec<(String, f64)>,
    /// Weights by name for `fixed`: `isl_Latn`, `documents:isl_Latn`, on deeper levels also
    /// `isl_Latn/wiki`.
    pub weights: Vec<(String, f64)>,
}

/// One group's part of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRow {
    /// `documents` or `pairs`.
    pub kind: String,
    /// The values of the grouping columns.
    pub group: Vec<String>,
    /// How much there is.
    pub available: u64,
    /// The share of the budget; all weights sum to 1.
    pub weight: f64,
    /// How much to train on.
    pub target: u64,
    /// `target / available`; 0 for an empty group.
    pub epochs: f64,
    /// How much is trained on in all, over all groups, when the group comes to its end for the
    /// first time and begins again; absent when it never does.
    pub first_repeat: Option<u64>,
    /// The part of the share that the cap leaves unspent.
    pub shortfall: u64,
}

/// A group as the levels see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf<'a> {
    pub size: &'a Size,
    /// The most that may be spent on it.
    pub most: f64,
    cap: u64,
}

/// The plan for some groups, ordered by kind and values; empty for no groups. Sizes of one group
/// are added up. `strategies` are one for all grouping columns, or one for each.
///
/// Errors when an option is out of its range or none of the strategies', a weight names nothing,
/// or there is nothing to mix.
///
/// ```
/// use hexapla::mix::{Options, Size, plan, strategy};
/// let size = |lang, available| Size::new("documents", lang, available);
/// let sizes = [size("eng_Latn", 1000), size("yor_Latn", 10), size("isl_Latn", 100), size("swh_Latn", 50)];
/// let options = Options { budget: Some(1000), max_epochs: Some(4.0), ..Options::default() };
/// let rows = plan(&sizes, &[strategy("unimax")?], &options)?;
/// let targets: Vec<(&str, u64)> = rows.iter().map(|r| (r.group[0].as_str(), r.target)).collect();
/// assert_eq!(targets, [("eng_Latn", 380), ("isl_Latn", 380), ("swh_Latn", 200), ("yor_Latn", 40)]);
/// # Ok::<(), hexapla::error::Error>(())
/// ```
pub fn plan(sizes: &[Size], strategies: &[&Strategy], options: &Options) -> Result<Vec<PlanRow>> {
    let sizes = summed(sizes)?;
    check(&sizes, strategies, options)?;
    let mut rows = after(&sizes, &vec![0; sizes.len()], strategies, options)?;
    let spent: u64 = rows.iter().map(|r| r.target).sum();
    for row in rows.iter_mut().filter(|r| r.target > r.available) {
        row.first_repeat = Some((row.available as f64 * (spent as f64 / row.target as f64)) as u64);
    }
    Ok(rows)
}

/// The plan of groups of which some was used before, which counts for the epoch cap. The sizes are
/// those that [`summed`] gives and have been checked.
pub(super) fn after(
    sizes: &[Size],
    used: &[u64],
    strategies: &[&Strategy],
    options: &Options,
) -> Result<Vec<PlanRow>> {
    if sizes.is_empty() {
        return Ok(Vec::new());
    }
    let budget = match options.budget {
        Some(budget) => budget,
        None => total(sizes)?,
    };
    if budget > MOST {
        return Err(Error::usage(format!("a budget of {budget} is more than {MOST}, the most")));
    }
    let epochs = options.max_epochs.or_else(|| strategies.iter().find_map(|s| s.max_epochs));
    let leaf = |(size, used): (_, &u64)| {
        let size: &Size = size;
        let cap = match epochs {
            _ if size.available == 0 => 0,
            // The cast saturates, and a cap that large is none.
            Some(epochs) => ((size.available as f64 * epochs).floor() as u64).saturating_sub(*used),
            None => u64::MAX,
        };
        let most = if cap == u64::MAX { f64::INFINITY } else { cap as f64 };
        Leaf { size, most, cap }
    };
    let leaves: Vec<Leaf<'_>> = sizes.iter().zip(used).map(leaf).collect();
    let Some(share) = options.pairs else {
        return divide(&leaves, strategies, budget, 1.0, options);
    };
    let (pairs, documents): (Vec<Leaf<'_>>, Vec<Leaf<'_>>) =
        leaves.into_iter().partition(|l| l.size.kind == "pairs");
    let for_pairs = (budget as f64 * share).round() as u64;
    let mut rows = divide(&documents, strategies, budget - for_pairs, 1.0 - share, options)?;
    rows.extend(divide(&pairs, strategies, for_pairs, share, options)?);
    rows.sort_by(|a, b| (&a.kind, &a.group).cmp(&(&b.kind, &b.group)));
    Ok(rows)
}

/// The sizes with those of one group added up, ordered by kind and values.
pub(super) fn summed(sizes: &[Size]) -> Result<Vec<Size>> {
    let mut groups: BTreeMap<(&str, &[String]), Size> = BTreeMap::new();
    for size in sizes {
        let group = groups
            .entry((&size.kind, &size.group))
            .or_insert_with(|| Size { available: 0, ..size.clone() });
        let name = || named(&size.kind, &size.group);
        group.available =
            group.available.checked_add(size.available).filter(|sum| *sum <= MOST).ok_or_else(
                || Error::usage(format!("`{}` has more than {MOST}, the most", name())),
            )?;
        if (group.weight, group.repeats) != (size.weight, size.repeats) {
            let what = if group.weight == size.weight { "factors" } else { "weights" };
            let message = format!("group `{}` has rows of different {what}", name());
            return Err(Error::usage(message).hint_with("one group has one; add a column to `by`"));
        }
    }
    Ok(groups.into_values().collect())
}

pub(super) fn total(sizes: &[Size]) -> Result<u64> {
    let sum = sizes.iter().try_fold(0u64, |sum, s| sum.checked_add(s.available));
    sum.filter(|sum| *sum <= MOST)
        .ok_or_else(|| Error::usage(format!("all groups together have more than {MOST}, the most")))
}

/// Errors unless the options are in their ranges and mean something to the strategies and sizes.
pub(super) fn check(sizes: &[Size], strategies: &[&Strategy], options: &Options) -> Result<()> {
    let range = |name: &str, value: f64, expected: &str| {
        Err(Error::usage(format!("option `{name}` is {value}; expected {expected}")))
    };
    match options {
        Options { alpha: Some(a), .. } if !(0.0..=1.0).contains(a) => {
            let hint = "`alpha` is one over the temperature: 0 makes all groups alike, 1 leaves \
                        them as they are";
            return range("alpha", *a, "a number in 0 to 1").map_err(|e: Error| e.hint_with(hint));
        }
        Options { budget: Some(0), .. } => {
            return range("budget", 0.0, "a whole number from 1").map_err(|e: Error| {
                e.hint_with("without `budget`, everything available is used once")
            });
        }
        Options { max_epochs: Some(e), .. } if !(e.is_finite() && *e > 0.0) => {
            return range("max_epochs", *e, "a number above 0");
        }
        Options { pairs: Some(p), .. } if !(0.0..=1.0).contains(p) => {
            return range("pairs", *p, "a number in 0 to 1");
        }
        Options { min_share: Some(m), .. } if !(0.0..=1.0).contains(m) => {
            return range("min_share", *m, "a number in 0 to 1");
        }
        _ => {}
    }
    let columns = sizes.first().map_or(1, |s| s.group.len());
    if strategies.is_empty() || (strategies.len() > 1 && strategies.len() != columns) {
        return Err(Error::usage(format!(
            "{} strategies for {columns} grouping columns; expected one for all, or one for each",
            strategies.len()
        )));
    }
    let given = [("alpha", options.alpha.is_some()), ("weights", !options.weights.is_empty())];
    for (name, _) in given.iter().filter(|(_, given)| *given) {
        if !strategies.iter().any(|s| s.options.contains(name)) {
            let of = STRATEGIES.iter().filter(|s| s.options.contains(name)).map(|s| s.name);
            let message = format!(
                "strategy `{}` has no use for `{name}`; that is an option of `{}`",
                strategies[0].name,
                of.collect::<Vec<_>>().join("`, `")
            );
            return Err(Error::usage(message));
        }
    }
    let own = sizes.iter().filter_map(|s| Some((named(&s.kind, &s.group), s.weight?)));
    for (name, weight) in own.chain(options.weights.iter().cloned()) {
        if !(weight.is_finite() && weight >= 0.0) {
            let message = format!("weight of `{name}` is {weight}; expected a number from 0");
            return Err(Error::usage(message));
        }
    }
    let parts = |of: &dyn Fn(usize) -> bool| -> Vec<(&str, &[String])> {
        let depths = (0..strategies.len()).filter(|depth| of(*depth));
        let upto = |depth: usize| if depth + 1 == strategies.len() { columns } else { depth + 1 };
        let paths = depths.flat_map(|depth| {
            sizes.iter().map(move |s| (s.kind.as_str(), &s.group[..upto(depth)]))
        });
        paths.collect()
    };
    let weighed = parts(&|depth| strategies[depth].options.contains(&"weights"));
    let first = parts(&|depth| depth == 0);
    let floors = &options.min_shares;
    for (names, places) in [(&options.weights, weighed), (floors, first)] {
        for (name, _) in names {
            if !places
                .iter()
                .any(|(kind, path)| rank(name, kind, path, strategies.len() > 1).is_some())
            {
                let mut known: Vec<String> =
                    places.iter().map(|(_, path)| path.join("/")).collect();
                known.sort();
                known.dedup();
                return Err(Error::unknown("group", name, known.iter().map(String::as_str)));
            }
        }
    }
    if let Some((name, min)) = floors.iter().find(|(_, min)| !(0.0..=1.0).contains(min)) {
        return range(&format!("min_share` of `{name}"), *min, "a number in 0 to 1");
    }
    let Some(share) = options.pairs else { return Ok(()) };
    for (share, kind, other) in [(1.0 - share, "documents", 1), (share, "pairs", 0)] {
        let is_of = |s: &&Size| (s.kind == "pairs") == (kind == "pairs");
        if share > 0.0 && !sizes.is_empty() && !sizes.iter().any(|s| is_of(&s)) {
            let message = format!("`pairs` gives {kind} a share of {share}, but there are none");
            return Err(Error::usage(message).hint_with(format!("set `pairs = {other}`")));
        }
    }
    Ok(())
}

/// Divides a budget among groups whose weights sum to `share`.
fn divide(
    leaves: &[Leaf<'_>],
    strategies: &[&Strategy],
    budget: u64,
    share: f64,
    options: &Options,
) -> Result<Vec<PlanRow>> {
    if leaves.is_empty() {
        return Ok(Vec::new());
    }
    let all_empty = leaves.iter().all(|l| l.size.available == 0);
    if all_empty && share > 0.0 {
        return Err(Error::usage("there is nothing to mix: every group has 0 available"));
    }
    // A kind without a share is planned nothing, whatever the strategy says of it.
    let weights = match share > 0.0 {
        true => level::weights(leaves, strategies, budget as f64, share, options)?,
        false => vec![0.0; leaves.len()],
    };
    let shares = largest_remainders(budget, &weights);
    let rows = leaves.iter().zip(weights).zip(shares).map(|((leaf, weight), whole)| {
        let Leaf { size, cap, .. } = leaf;
        let target = whole.min(*cap);
        let available = size.available;
        PlanRow {
            kind: size.kind.clone(),
            group: size.group.clone(),
            available,
            weight: weight * share,
            target,
            epochs: if available == 0 { 0.0 } else { target as f64 / available as f64 },
            first_repeat: None,
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
pub(super) mod tests;
